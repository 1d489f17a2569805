// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// RecordUp records whether the member answered.
func RecordUp(mb *metadata.MetricsBuilder, now pcommon.Timestamp, up bool) {
	mb.RecordEtcdMemberUpDataPoint(now, number(up))
}

// RecordMember records what the member answered.
func RecordMember(mb *metadata.MetricsBuilder, now pcommon.Timestamp, m state.Member) {
	mb.RecordEtcdMemberLeaderDataPoint(now, number(m.Leader))
	mb.RecordEtcdMemberLearnerDataPoint(now, number(m.Learner))
	mb.RecordEtcdDbSizeDataPoint(now, m.DBSize)
	mb.RecordEtcdDbSizeInUseDataPoint(now, m.DBSizeInUse)
	mb.RecordEtcdRaftTermDataPoint(now, int64(m.RaftTerm))
	mb.RecordEtcdRaftIndexDataPoint(now, int64(m.RaftIndex))
	mb.RecordEtcdRaftAppliedIndexDataPoint(now, int64(m.RaftAppliedIndex))
	mb.RecordEtcdRevisionDataPoint(now, m.Revision)
}

func number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
