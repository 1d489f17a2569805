// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Led is who leads a cluster, and in which term.
type Led struct {
	Leader uint64 // ID of the member; 0: nobody
	Term   uint64
}

// Leaderless is the time during which a cluster has no leader.
type Leaderless struct {
	Last        uint64 // ID of the leader that was lost; 0: not known
	Term        uint64 // of the cluster when it was lost
	BeganBefore bool   // there was none when the cluster was first observed
	Reconciled  bool   // it began or ended at an unknown time
	Start, End  time.Time
}

// HasLeader says whether any of the members follows a leader, and is known when
// there are members.
func HasLeader(members []Member) (has, known bool) {
	return ledBy(members, 0).Leader != 0, len(members) > 0
}

// ledBy returns who leads the members. Those of the highest term are believed:
// one that is cut off stays in an older term. Whom most of them follow leads,
// and of two the one that was known before: a leader can be followed a moment
// before it has made its term known, and a moment after it was replaced.
func ledBy(members []Member, before uint64) Led {
	led := Led{}
	for _, m := range members {
		led.Term = max(led.Term, m.RaftTerm)
	}
	followers := map[uint64]int{}
	for _, m := range members {
		if m.RaftTerm < led.Term || m.LeaderID == 0 {
			continue
		}
		followers[m.LeaderID]++
		n, most := followers[m.LeaderID], followers[led.Leader]
		if n > most || n == most && m.LeaderID == before {
			led.Leader = m.LeaderID
		}
	}
	return led
}

// leadership follows who leads a cluster.
type leadership struct {
	begun   bool
	led     Led
	early   bool // the leader is known, and not yet its term
	changes int64
	open    *Leaderless
}

// step takes in who leads, as observed at now; gap says that the observation
// before failed. The first one is a baseline, not news.
func (l *leadership) step(now time.Time, led Led, gap bool) []ClusterEffect {
	old, first := l.led, !l.begun
	l.led, l.begun = led, true
	if led.Leader == 0 {
		return l.lose(now, old, first, gap)
	}
	if l.open == nil && (first || !l.elected(old)) {
		return nil
	}
	e := LeaderElected{Led: led, At: now, Reconciled: gap || first}
	last := old.Term
	if l.open != nil {
		ended := *l.open
		ended.End, ended.Reconciled = now, ended.Reconciled || e.Reconciled
		e.Ended, last = &ended, ended.Term
		l.open = nil
	}
	l.early = led.Term == last
	l.changes++
	return []ClusterEffect{e}
}

func (l *leadership) lose(now time.Time, old Led, first, gap bool) []ClusterEffect {
	switch {
	case l.open != nil:
		return nil
	case first:
		l.open = &Leaderless{Term: l.led.Term, BeganBefore: true, Start: now}
		return nil
	default:
		l.open = &Leaderless{Last: old.Leader, Term: l.led.Term, Reconciled: gap, Start: now}
		return []ClusterEffect{LeaderLost{*l.open}}
	}
}

// elected says whether there was an election since old. The term of a member is
// that of the last entry that it has applied, which can be behind.
func (l *leadership) elected(old Led) bool {
	if l.led.Leader != old.Leader {
		return true
	}
	if l.led.Term <= old.Term {
		l.led.Term = old.Term
		return false
	}
	early := l.early
	l.early = false
	return !early
}
