// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

func metrics(record func(*metadata.MetricsBuilder, pcommon.Timestamp)) pmetric.Metrics {
	mb := metadata.NewMetricsBuilder(metadata.NewDefaultMetricsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	record(mb, pcommon.NewTimestampFromTime(time.Unix(1_000_000, 0)))
	return mb.Emit(metadata.WithResource(clusterResource()))
}

func TestMetricsOfALeader(t *testing.T) {
	goldentest.Metrics(t, "metrics of a leader", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, true)
		RecordMember(mb, now, state.Member{
			ID: 1, LeaderID: 1, DBSize: 40960, DBSizeInUse: 24576, DBQuota: 81920,
			RaftTerm: 2, RaftIndex: 9, RaftAppliedIndex: 8, Revision: 5, Duration: 1500 * time.Microsecond,
		})
	}))
}

func TestMetricsOfALearnerThatTellsNoQuota(t *testing.T) {
	goldentest.Metrics(t, "metrics of a learner that tells no quota", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordMember(mb, now, state.Member{ID: 2, LeaderID: 1, Learner: true, DBSize: 40960, RaftIndex: 8, RaftAppliedIndex: 9})
	}))
}

func TestMetricsOfAMemberThatIsAbsent(t *testing.T) {
	goldentest.Metrics(t, "metrics of a member that is absent", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, false)
	}))
}

func TestMetricsOfACluster(t *testing.T) {
	goldentest.Metrics(t, "metrics of a cluster", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		var c state.Cluster
		c.Step(time.Unix(0, 0), state.ClusterObservation{Members: []state.Member{{Cluster: 1, LeaderID: 1, RaftTerm: 2, Revision: 5}}})
		c.Step(time.Unix(1, 0), state.ClusterObservation{Members: []state.Member{{Cluster: 1, LeaderID: 2, RaftTerm: 3, Revision: 12}}})
		RecordLeader(mb, now, true)
		RecordProgress(mb, now, &c)
		RecordPeers(mb, now, map[uint64]state.Peer{1: {}, 2: {}, 3: {}, 4: {Learner: true}})
		RecordAlarms(mb, now, map[state.Alarm]struct{}{{Member: 1, Type: state.NoSpace}: {}, {Member: 2, Type: state.NoSpace}: {}, {Member: 2, Type: state.UnknownAlarm}: {}})
		RecordCompactRevision(mb, now, 4)
	}))
}

func TestMetricsOfAClusterWithoutALeader(t *testing.T) {
	goldentest.Metrics(t, "metrics of a cluster without a leader", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordLeader(mb, now, false)
		RecordProgress(mb, now, &state.Cluster{})
		RecordAlarms(mb, now, nil)
	}))
}
