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
	mb.RecordEtcdMemberLeaderDataPoint(now, number(m.Leads()))
	mb.RecordEtcdMemberLearnerDataPoint(now, number(m.Learner))
	mb.RecordEtcdMemberRequestDurationDataPoint(now, m.Duration.Seconds())
	mb.RecordEtcdDbSizeDataPoint(now, m.DBSize)
	mb.RecordEtcdDbSizeInUseDataPoint(now, m.DBSizeInUse)
	if m.DBQuota > 0 {
		mb.RecordEtcdDbQuotaDataPoint(now, m.DBQuota)
		mb.RecordEtcdDbUtilizationDataPoint(now, float64(m.DBSize)/float64(m.DBQuota))
	}
	mb.RecordEtcdRaftTermDataPoint(now, int64(m.RaftTerm))
	mb.RecordEtcdRaftIndexDataPoint(now, int64(m.RaftIndex))
	mb.RecordEtcdRaftAppliedIndexDataPoint(now, int64(m.RaftAppliedIndex))
	// The member reads the two one after the other.
	mb.RecordEtcdRaftApplyLagDataPoint(now, max(0, int64(m.RaftIndex)-int64(m.RaftAppliedIndex)))
	mb.RecordEtcdRevisionDataPoint(now, m.Revision)
}

// RecordLeader records whether the cluster has a leader.
func RecordLeader(mb *metadata.MetricsBuilder, now pcommon.Timestamp, has bool) {
	mb.RecordEtcdRaftHasLeaderDataPoint(now, number(has))
}

// RecordProgress records what was counted since the cluster was first observed.
func RecordProgress(mb *metadata.MetricsBuilder, now pcommon.Timestamp, c *state.Cluster) {
	mb.RecordEtcdRaftLeaderChangesDataPoint(now, c.LeaderChanges())
	mb.RecordEtcdRevisionsDataPoint(now, c.Revisions())
}

// RecordPeers records the list of members.
func RecordPeers(mb *metadata.MetricsBuilder, now pcommon.Timestamp, peers map[uint64]state.Peer) {
	learners := int64(0)
	for _, p := range peers {
		learners += number(p.Learner)
	}
	mb.RecordEtcdMemberCountDataPoint(now, int64(len(peers))-learners, metadata.AttributeEtcdMemberRoleVoter)
	mb.RecordEtcdMemberCountDataPoint(now, learners, metadata.AttributeEtcdMemberRoleLearner)
}

// RecordAlarms records the alarms that are raised, the usual kinds also while
// there is none.
func RecordAlarms(mb *metadata.MetricsBuilder, now pcommon.Timestamp, alarms map[state.Alarm]struct{}) {
	counts := map[state.AlarmType]int64{state.NoSpace: 0, state.Corrupt: 0}
	for a := range alarms {
		counts[a.Type]++
	}
	for kind, count := range counts {
		mb.RecordEtcdAlarmCountDataPoint(now, count, alarmTypes[kind])
	}
}

// RecordCompactRevision records the oldest revision that can be read.
func RecordCompactRevision(mb *metadata.MetricsBuilder, now pcommon.Timestamp, revision int64) {
	mb.RecordEtcdCompactRevisionDataPoint(now, revision)
}

func number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
