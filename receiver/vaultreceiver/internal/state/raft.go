// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// Peer is a server of the raft cluster, as its configuration has it.
type Peer struct {
	Address string // among the servers
	Voter   bool
}

// RaftObservation is what the active node says of the raft cluster. What could
// not be had is nil.
type RaftObservation struct {
	Peers   map[string]Peer // by the ID of the node
	Healthy map[string]bool // likewise

	// The parts could not be had when they were last asked for.
	PeersGap, HealthyGap bool

	// Tell says that the server is the active node. The others are asked too,
	// so that they know what was, but one tells for all.
	Tell bool
}

// raft follows the raft cluster.
type raft struct {
	peers   map[string]Peer
	healthy map[string]bool
	before  bool // peers are known by an earlier process only
}

// StepRaft takes in what the active node says, as observed at now. What is seen
// first of each is a baseline, not news.
func (m *Machine) StepRaft(now time.Time, o RaftObservation) []Effect {
	effects := append(m.raft.stepPeers(o), m.raft.stepHealth(o)...)
	if !o.Tell {
		return nil
	}
	for i := range effects {
		effects[i].At = now
	}
	return effects
}

func (r *raft) stepPeers(o RaftObservation) (effects []Effect) {
	if o.Peers == nil {
		return nil
	}
	if r.peers != nil {
		for _, change := range diff.Maps(r.peers, o.Peers, cmp.Compare[string]) {
			e := Effect{Event: PeerAdded, PeerID: change.Key, Peer: change.Next, Reconciled: o.PeersGap || r.before}
			switch {
			case change.Removed:
				e.Event, e.Peer = PeerRemoved, change.Prev
			case !change.Added: // It has another address, or votes now.
				continue
			}
			effects = append(effects, e)
		}
	}
	r.peers, r.before = o.Peers, false
	return effects
}

// stepHealth compares only what was known: a server that has just joined is not
// healthy for a while.
func (r *raft) stepHealth(o RaftObservation) (effects []Effect) {
	if o.Healthy == nil {
		return nil
	}
	for _, change := range diff.Maps(r.healthy, o.Healthy, cmp.Compare[string]) {
		if change.Added || change.Removed {
			continue
		}
		e := Effect{Event: PeerUnhealthy, PeerID: change.Key, Peer: r.peers[change.Key], Reconciled: o.HealthyGap}
		if change.Next {
			e.Event = PeerHealthy
		}
		effects = append(effects, e)
	}
	r.healthy = o.Healthy
	return effects
}
