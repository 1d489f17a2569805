// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/alarm"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/compaction"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
)

func TestMembersAlarmsAndCompactions(t *testing.T) {
	first := member.Peer{Name: "etcd-1"}
	full := alarm.Alarm{Member: 0x8e9e05c52164694d, Type: alarm.NoSpace}
	var members member.Tracker
	var alarms alarm.Tracker
	var compactions compaction.Tracker
	s := collecttest.NewScenario()
	for _, observed := range []struct {
		peers  map[uint64]member.Peer
		gap    bool
		raised alarm.Set
		oldest int64
	}{
		{peers: map[uint64]member.Peer{1: first, 2: {Name: "etcd-2"}}, raised: alarm.Set{}, oldest: 1},
		{
			peers:  map[uint64]member.Peer{1: first, 3: {Learner: true}},
			raised: alarm.Set{full: {}, {Member: 2, Type: alarm.Corrupt}: {}, {Type: alarm.Unknown}: {}}, oldest: 1,
		},
		{peers: map[uint64]member.Peer{1: first, 3: {Name: "etcd-3"}}, gap: true, raised: alarm.Set{}, oldest: 90},
	} {
		s.Step(func(r *collect.Renderer) {
			member.Render(r, members.Step(s.Now, observed.peers, observed.gap))
			alarm.Render(r, alarms.Step(s.Now, observed.raised, false))
			if c := compactions.Step(s.Now, observed.oldest); c != nil {
				compaction.Render(r, *c)
			}
		})
	}
	assert.Zero(t, s.Traces.SpanCount())
	s.RequireGolden(t, "members, alarms and compactions")
}

func TestMetricsOfACluster(t *testing.T) {
	collecttest.RequireMetrics(t, "metrics of a cluster", func(m collect.Metrics) {
		var elections leader.Tracker
		elections.Step(time.Unix(0, 0), []leader.Member{{LeaderID: 1, Term: 2}}, false)
		elections.Step(time.Unix(1, 0), []leader.Member{{LeaderID: 2, Term: 3}}, false)
		leader.RecordLeader(m, true)
		leader.RecordChanges(m, elections.Changes())
		compaction.RecordRevisions(m, 7)
		compaction.RecordOldest(m, 4)
		member.RecordPeers(m, map[uint64]member.Peer{1: {}, 2: {}, 3: {}, 4: {Learner: true}})
		alarm.RecordAlarms(m, alarm.Set{{Member: 1, Type: alarm.NoSpace}: {}, {Member: 2, Type: alarm.NoSpace}: {}, {Member: 2, Type: alarm.Unknown}: {}})
	})
}

func TestMetricsOfAClusterWithoutALeader(t *testing.T) {
	collecttest.RequireMetrics(t, "metrics of a cluster without a leader", func(m collect.Metrics) {
		leader.RecordLeader(m, false)
		leader.RecordChanges(m, 0)
		compaction.RecordRevisions(m, 0)
		alarm.RecordAlarms(m, nil)
	})
}
