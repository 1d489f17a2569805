// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"cmp"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// Peer is a member as the list of members has it.
type Peer struct {
	Name    string // empty until it has started once
	Learner bool
}

// Kind is what happened to a member.
type Kind int

// What can happen to a member.
const (
	Added    Kind = iota + 1
	Promoted      // from learner to voter
	Removed
)

// Change is one of the membership: the member is what it is now, or, when it was removed,
// what it last was.
type Change struct {
	Kind Kind
	ID   uint64
	Peer
	At         time.Time
	Reconciled bool // it happened at an unknown time
}

// Tracker tracks the list of members. Its zero value knows nothing yet.
type Tracker struct {
	peers snapshot.Tracker[uint64, Peer]
}

// Step takes in the list of members, as it was read at now; gap means that the read before
// failed. The first list is a baseline, not news.
func (t *Tracker) Step(now time.Time, peers map[uint64]Peer, gap bool) (changes []Change) {
	observed := snapshot.Observation[uint64, Peer]{
		// The list has no index: each may differ from the one before.
		Continuity: snapshot.Continuity{Index: t.peers.Index() + 1, Gap: gap}, Objects: peers,
	}
	_, found := t.peers.Step(observed, cmp.Compare[uint64])
	for _, c := range found {
		change := Change{ID: c.Key, Peer: c.Now(), At: now, Reconciled: c.Reconciled}
		switch {
		case c.Initial && !c.Reconciled:
			continue
		case c.Removed:
			change.Kind = Removed
		case c.Added:
			change.Kind = Added
		case c.Prev.Learner && !c.Next.Learner: // else its name became known
			change.Kind = Promoted
		default:
			continue
		}
		changes = append(changes, change)
	}
	return changes
}

// Save returns the members, or nil when they are not known; not to be changed.
func (t *Tracker) Save() map[uint64]Peer { return t.peers.Known() }

// Restore goes on from the members that an earlier process saved, before the first Step.
func (t *Tracker) Restore(peers map[uint64]Peer) {
	if peers != nil {
		t.peers.Restore(peers, 0)
	}
}
