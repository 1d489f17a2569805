// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "maps"

// Saved is what of a Machine survives a restart.
type Saved struct {
	ClusterID string // empty: the server was never seen unsealed
	Known     Server // as it was seen last

	Leader      string
	LeaderKnown bool

	Sealed, Leaderless *Period // that last, or nil

	Peers map[string]Peer // nil: not known
}

// Save returns what has to survive a restart; nothing before the baseline.
func (m *Machine) Save() (Saved, bool) {
	return Saved{
		ClusterID: m.clusterID, Known: m.known, Leader: m.leader, LeaderKnown: m.leaderKnown,
		Sealed: m.sealed, Leaderless: m.leaderless, Peers: maps.Clone(m.raft.peers),
	}, m.begun
}

// Restore goes on from what an earlier process saved, before the first Step.
// What has changed since then is news, of an unknown time.
func (m *Machine) Restore(s Saved) {
	m.begun, m.unsure = true, true
	m.clusterID, m.known, m.leader, m.leaderKnown = s.ClusterID, s.Known, s.Leader, s.LeaderKnown
	m.sealed, m.leaderless = s.Sealed, s.Leaderless
	m.raft.peers, m.raft.before = s.Peers, s.Peers != nil
}
