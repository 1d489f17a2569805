// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Leaderless is the time during which the servers have no leader.
type Leaderless struct {
	Last        string // address of the leader that was lost; empty: not known
	BeganBefore bool   // there was none when they were first observed
	Reconciled  bool   // it began or ended at an unknown time
	Start, End  time.Time
}

// LeaderLost says that the servers have no leader any more.
type LeaderLost struct{ Leaderless }

// LeaderElected says that there is a leader again, or another one than before.
type LeaderElected struct {
	Old, New   string // addresses; Old is empty when it is not known
	At         time.Time
	Reconciled bool        // it was elected at an unknown time
	Ended      *Leaderless // nil when the servers were never seen without one
}

func (LeaderLost) effect()    {}
func (LeaderElected) effect() {}

// Leader follows who leads the servers.
type Leader struct {
	// TellInitial says that it is news if there is none at first.
	TellInitial bool

	begun   bool
	address string
	changes int64
	open    *Leaderless
}

// Step takes in the address of the leader, empty if there is none, as observed
// at now; gap says that the last observation failed. The first one is a
// baseline, not news.
func (l *Leader) Step(now time.Time, address string, gap bool) []Effect {
	old, first := l.address, !l.begun
	l.address, l.begun = address, true
	if first && l.open == nil {
		if address == "" {
			l.open = &Leaderless{BeganBefore: true, Start: now}
			if l.TellInitial {
				return []Effect{LeaderLost{*l.open}}
			}
		}
		return nil
	}
	if address == "" {
		if l.open != nil {
			return nil
		}
		l.open = &Leaderless{Last: old, Reconciled: gap, Start: now}
		return []Effect{LeaderLost{*l.open}}
	}
	if l.open == nil && address == old {
		return nil
	}
	elected := LeaderElected{Old: old, New: address, At: now, Reconciled: gap || first}
	if l.open != nil {
		ended := *l.open
		ended.End, ended.Reconciled = now, ended.Reconciled || elected.Reconciled
		elected.Old, elected.Ended = ended.Last, &ended
		l.open = nil
	}
	l.changes++
	return []Effect{elected}
}

// Clone returns a copy that goes on by itself.
func (l *Leader) Clone() *Leader {
	c := *l
	return &c
}

// Known says whether the leader was observed, and has when there is one.
func (l *Leader) Known() (has, known bool) { return l.address != "", l.begun }

// Changes returns how often a leader was elected so far.
func (l *Leader) Changes() int64 { return l.changes }

// Save returns the leaderless period that lasts, or nil.
func (l *Leader) Save() *Leaderless { return l.open }

// Restore goes on from what an earlier process saved, before the first Step.
func (l *Leader) Restore(open *Leaderless) { l.open = open }
