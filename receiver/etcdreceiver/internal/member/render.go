// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Render renders changes as events.
func Render(r *collect.Renderer, changes []Change) {
	ctx := context.Background()
	for _, c := range changes {
		at, id, name, role := collect.Timestamp(c.At), collect.MemberID(c.ID), collect.Text(c.Name), roleOf(c.Peer)
		switch c.Kind {
		case Added:
			r.Event(plog.SeverityNumberInfo, fmt.Sprintf("member %s was added as a %s", id, role), func(b *metadata.LogsBuilder) {
				b.RecordEtcdMemberAddedEvent(ctx, at, id, name, role, c.Reconciled)
			})
		case Promoted:
			r.Event(plog.SeverityNumberInfo, fmt.Sprintf("member %s is a voter now", id), func(b *metadata.LogsBuilder) {
				b.RecordEtcdMemberPromotedEvent(ctx, at, id, name, role, c.Reconciled)
			})
		case Removed:
			r.Event(plog.SeverityNumberWarn, fmt.Sprintf("member %s was removed", id), func(b *metadata.LogsBuilder) {
				b.RecordEtcdMemberRemovedEvent(ctx, at, id, name, role, c.Reconciled)
			})
		}
	}
}

func roleOf(p Peer) metadata.AttributeEtcdMemberRole {
	if p.Learner {
		return metadata.AttributeEtcdMemberRoleLearner
	}
	return metadata.AttributeEtcdMemberRoleVoter
}

// Resource identifies the member behind an endpoint, which metrics are of. One that has
// not answered yet has neither IDs nor a version.
func Resource(rb *metadata.ResourceBuilder, endpoint string, s etcdapi.Status) pcommon.Resource {
	rb.SetServiceName("etcd")
	rb.SetServiceInstanceID(address.HostPort(endpoint))
	if s.ID != 0 {
		rb.SetEtcdClusterID(collect.Hex(s.Cluster))
		rb.SetEtcdMemberID(collect.Hex(s.ID))
		rb.SetServiceVersion(s.Version)
	}
	return rb.Emit()
}

// RecordUp records whether a member answers.
func RecordUp(m collect.Metrics, up bool) {
	m.RecordEtcdMemberUpDataPoint(m.TS(), collect.Number(up))
}

// RecordStatus records what a member reports of itself.
func RecordStatus(m collect.Metrics, s etcdapi.Status) {
	now := m.TS()
	m.RecordEtcdMemberLeaderDataPoint(now, collect.Number(s.Leads()))
	m.RecordEtcdMemberLearnerDataPoint(now, collect.Number(s.Learner))
	m.RecordEtcdMemberResponseTimeDataPoint(now, s.Duration.Seconds())
	m.RecordEtcdDbSizeDataPoint(now, s.DBSize)
	m.RecordEtcdDbSizeInUseDataPoint(now, s.DBSizeInUse)
	if s.DBQuota > 0 {
		m.RecordEtcdDbQuotaDataPoint(now, s.DBQuota)
		m.RecordEtcdDbUtilizationDataPoint(now, float64(s.DBSize)/float64(s.DBQuota))
	}
	m.RecordEtcdRaftTermDataPoint(now, int64(s.RaftTerm))
	m.RecordEtcdRaftIndexDataPoint(now, int64(s.RaftIndex))
	m.RecordEtcdRaftAppliedIndexDataPoint(now, int64(s.RaftAppliedIndex))
	// The member reads the two one after the other.
	m.RecordEtcdRaftApplyLagDataPoint(now, max(0, int64(s.RaftIndex)-int64(s.RaftAppliedIndex)))
	m.RecordEtcdRevisionDataPoint(now, s.Revision)
}

// RecordPeers records the list of members.
func RecordPeers(m collect.Metrics, peers map[uint64]Peer) {
	learners := int64(0)
	for _, p := range peers {
		learners += collect.Number(p.Learner)
	}
	m.RecordEtcdMemberCountDataPoint(m.TS(), int64(len(peers))-learners, metadata.AttributeEtcdMemberRoleVoter)
	m.RecordEtcdMemberCountDataPoint(m.TS(), learners, metadata.AttributeEtcdMemberRoleLearner)
}
