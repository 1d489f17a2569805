// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package leadership tracks who leads a cluster, and the time without a leader.
package leadership

import "time"

// Leaderless is the time during which a cluster has no leader.
type Leaderless[ID comparable] struct {
	Last        ID   // the leader that was lost; zero: not known
	BeganBefore bool // there was none when the cluster was first observed
	Reconciled  bool // it began or ended at an unknown time
	Start, End  time.Time
}

// Change is the loss of a leader, or an election.
type Change[ID comparable] struct {
	Old, New   ID // Old is zero when it is not known, New when the leader was lost
	At         time.Time
	Reconciled bool // it happened at an unknown time

	// Leaderless began with the loss of a leader, or ended with the election.
	// It is nil when the cluster was never observed without one.
	Leaderless *Leaderless[ID]
}

// Lost means that the cluster has no leader any more.
func (c Change[ID]) Lost() bool {
	var none ID
	return c.New == none
}

// Tracker tracks the leader of one cluster. The zero ID stands for none.
type Tracker[ID comparable] struct {
	// EmitInitial reports it if there is no leader at first.
	EmitInitial bool

	begun   bool
	leader  ID
	changes int64
	open    *Leaderless[ID]
}

// Step takes in who leads, as observed at now; gap means that the observation
// before failed. The first one is a baseline. It returns nil when nothing
// has changed.
func (t *Tracker[ID]) Step(now time.Time, leader ID, gap bool) *Change[ID] {
	var none ID
	old, first := t.leader, !t.begun
	t.leader, t.begun = leader, true
	switch {
	case first && t.open == nil:
		return t.baseline(now)
	case leader == none && t.open != nil, leader == old && t.open == nil:
		return nil
	case leader == none:
		t.open = &Leaderless[ID]{Last: old, Reconciled: gap, Start: now}
		return t.lost()
	}
	elected := &Change[ID]{Old: old, New: leader, At: now, Reconciled: gap || first}
	if t.open != nil {
		ended := *t.open
		ended.End, ended.Reconciled = now, ended.Reconciled || elected.Reconciled
		elected.Old, elected.Leaderless = ended.Last, &ended
		t.open = nil
	}
	t.changes++
	return elected
}

func (t *Tracker[ID]) baseline(now time.Time) *Change[ID] {
	var none ID
	if t.leader != none {
		return nil
	}
	t.open = &Leaderless[ID]{BeganBefore: true, Start: now}
	if !t.EmitInitial {
		return nil
	}
	return t.lost()
}

func (t *Tracker[ID]) lost() *Change[ID] {
	open := *t.open
	return &Change[ID]{Old: open.Last, At: open.Start, Reconciled: open.Reconciled, Leaderless: &open}
}

// Clone returns a copy that goes on by itself.
func (t *Tracker[ID]) Clone() *Tracker[ID] {
	c := *t
	return &c
}

// Known reports whether the leader was observed, and has when there is one.
func (t *Tracker[ID]) Known() (has, known bool) {
	var none ID
	return t.leader != none, t.begun
}

// Changes returns how often a leader was elected so far.
func (t *Tracker[ID]) Changes() int64 { return t.changes }

// Save returns the leaderless period that lasts, or nil.
func (t *Tracker[ID]) Save() *Leaderless[ID] { return t.open }

// Restore goes on from what an earlier process saved, before the first Step.
func (t *Tracker[ID]) Restore(open *Leaderless[ID]) { t.open = open }
