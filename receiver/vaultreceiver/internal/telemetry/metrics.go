// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// RecordUp records whether the server answered.
func RecordUp(mb *metadata.MetricsBuilder, now pcommon.Timestamp, up bool) {
	mb.RecordVaultUpDataPoint(now, number(up))
}

// RecordEndpoints records which parts of the API are up.
func RecordEndpoints(mb *metadata.MetricsBuilder, now pcommon.Timestamp, up map[string]bool) {
	for endpoint, is := range up {
		mb.RecordVaultEndpointUpDataPoint(now, number(is), endpoint)
	}
}

// RecordStatus records what the server tells of itself.
func RecordStatus(mb *metadata.MetricsBuilder, now pcommon.Timestamp, s state.Status) {
	mb.RecordVaultInitializedDataPoint(now, number(s.Initialized))
	mb.RecordVaultSealedDataPoint(now, number(s.Sealed))
	mb.RecordVaultRemovedDataPoint(now, number(s.Removed))
	mb.RecordVaultActiveDataPoint(now, number(s.Active()))
	mb.RecordVaultPerformanceStandbyDataPoint(now, number(s.PerformanceStandby))
	mb.RecordVaultInfoDataPoint(now, 1, s.Version)
	if mode := s.Replication.Performance; mode != "" {
		mb.RecordVaultReplicationModeDataPoint(now, 1, metadata.AttributeVaultReplicationKindPerformance, mode)
	}
	if mode := s.Replication.DR; mode != "" {
		mb.RecordVaultReplicationModeDataPoint(now, 1, metadata.AttributeVaultReplicationKindDr, mode)
	}
	if !s.Seal.Known {
		return
	}
	mb.RecordVaultSealInfoDataPoint(now, 1, s.Seal.Type, s.Seal.Storage)
	if s.Initialized && s.Seal.Threshold > 0 { // A server that is joining does not know it yet.
		mb.RecordVaultUnsealProgressDataPoint(now, s.Seal.Progress)
		mb.RecordVaultUnsealSharesDataPoint(now, s.Seal.Shares)
		mb.RecordVaultUnsealThresholdDataPoint(now, s.Seal.Threshold)
	}
}

// RecordHasLeader records whether the server sees an active node.
func RecordHasLeader(mb *metadata.MetricsBuilder, now pcommon.Timestamp, s state.Server) {
	if has, known := s.HasLeader(); known {
		mb.RecordVaultHasLeaderDataPoint(now, number(has))
	}
}

// RecordLeaderChanges records how often another node became active.
func RecordLeaderChanges(mb *metadata.MetricsBuilder, now pcommon.Timestamp, changes int64) {
	mb.RecordVaultLeaderChangesDataPoint(now, changes)
}

// RecordNodes records the nodes that the active one knows.
func RecordNodes(mb *metadata.MetricsBuilder, now pcommon.Timestamp, nodes []state.Node) {
	active := int64(0)
	for _, n := range nodes {
		active += number(n.Active)
		if !n.Active {
			mb.RecordVaultHaNodeClockSkewDataPoint(now, n.ClockSkew.Seconds(), n.Address)
		}
	}
	mb.RecordVaultHaNodeCountDataPoint(now, active, metadata.AttributeVaultNodeRoleActive)
	mb.RecordVaultHaNodeCountDataPoint(now, int64(len(nodes))-active, metadata.AttributeVaultNodeRoleStandby)
}

// RecordPeers records the servers of the raft cluster.
func RecordPeers(mb *metadata.MetricsBuilder, now pcommon.Timestamp, peers map[string]state.Peer) {
	voters := int64(0)
	for _, p := range peers {
		voters += number(p.Voter)
	}
	mb.RecordVaultRaftPeerCountDataPoint(now, voters, metadata.AttributeVaultRaftPeerRoleVoter)
	mb.RecordVaultRaftPeerCountDataPoint(now, int64(len(peers))-voters, metadata.AttributeVaultRaftPeerRoleNonvoter)
}

// RecordAutopilot records how the servers of the raft cluster are.
func RecordAutopilot(mb *metadata.MetricsBuilder, now pcommon.Timestamp, a state.Autopilot) {
	mb.RecordVaultRaftHealthyDataPoint(now, number(a.Healthy))
	mb.RecordVaultRaftFailureToleranceDataPoint(now, a.FailureTolerance)
	for id, s := range a.Servers {
		mb.RecordVaultRaftPeerHealthyDataPoint(now, number(s.Healthy), id)
		mb.RecordVaultRaftPeerLastContactDataPoint(now, s.LastContact.Seconds(), id)
		if s.LagKnown {
			mb.RecordVaultRaftPeerLogLagDataPoint(now, s.Lag, id)
		}
	}
}

// RecordLeases records the number of leases.
func RecordLeases(mb *metadata.MetricsBuilder, now pcommon.Timestamp, leases int64) {
	mb.RecordVaultLeaseCountDataPoint(now, leases)
}

// RecordIrrevocableLeases records the number of leases that cannot be revoked.
func RecordIrrevocableLeases(mb *metadata.MetricsBuilder, now pcommon.Timestamp, leases int64) {
	mb.RecordVaultLeaseIrrevocableCountDataPoint(now, leases)
}

func number(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
