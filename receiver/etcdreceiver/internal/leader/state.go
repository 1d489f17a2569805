// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/leadership"
)

// Member is what a member reports of the leader.
type Member struct {
	LeaderID uint64 // of the member that it follows; 0: none
	Term     uint64 // of the last entry that it has applied
}

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

// Change is the loss of the leader, or an election: of another leader than before, or
// of the same one.
type Change struct {
	Led
	At         time.Time
	Reconciled bool        // it happened at an unknown time
	Leaderless *Leaderless // that began with the loss, or ended with the election; else nil
}

// Lost means that no member that answers follows a leader any more.
func (c Change) Lost() bool { return c.Leader == 0 }

// HasLeader reports whether any of the members follows a leader, and is known when
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
		led.Term = max(led.Term, m.Term)
	}
	followers := map[uint64]int{}
	for _, m := range members {
		if m.Term < led.Term || m.LeaderID == 0 {
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

// Tracker tracks who leads a cluster. Its zero value knows nothing yet.
type Tracker struct {
	elections leadership.Tracker[Led] // of a leader with the term that it had at first
	election  Led
	led       Led    // with its present term
	early     bool   // the leader is known, and not yet its term
	lostIn    uint64 // the term when the leader was lost
}

// Step takes in what the members report at now; gap means that the observation
// before failed. The first one is a baseline, not news. It returns nil when nothing
// has changed.
func (t *Tracker) Step(now time.Time, members []Member, gap bool) *Change {
	old, led := t.led, ledBy(members, t.led.Leader)
	t.led = led
	if led.Leader == 0 {
		return t.lose(now, gap)
	}
	open := t.elections.Save() != nil
	if has, known := t.elections.Known(); open || !known || has && t.elected(old) {
		t.election = t.led
	}
	elected := t.elections.Step(now, t.election, gap)
	if elected == nil {
		return nil
	}
	last := old.Term
	if open {
		last = t.lostIn
	}
	t.early = led.Term == last
	return t.change(*elected)
}

func (t *Tracker) lose(now time.Time, gap bool) *Change {
	if t.elections.Save() == nil {
		t.lostIn = t.led.Term
	}
	lost := t.elections.Step(now, Led{}, gap)
	if lost == nil {
		return nil
	}
	return t.change(*lost)
}

func (t *Tracker) change(c leadership.Change[Led]) *Change {
	return &Change{Led: Led{Leader: c.New.Leader, Term: t.led.Term}, At: c.At, Reconciled: c.Reconciled, Leaderless: t.leaderless(c.Leaderless)}
}

func (t *Tracker) leaderless(l *leadership.Leaderless[Led]) *Leaderless {
	if l == nil {
		return nil
	}
	return &Leaderless{
		Last: l.Last.Leader, Term: t.lostIn, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled, Start: l.Start, End: l.End,
	}
}

// elected reports whether there was an election since old. The term of a member is
// that of the last entry that it has applied, which can be behind.
func (t *Tracker) elected(old Led) bool {
	if t.led.Leader != old.Leader {
		return true
	}
	if t.led.Term <= old.Term {
		t.led.Term = old.Term
		return false
	}
	early := t.early
	t.early = false
	return !early
}

// Changes returns how often a leader was elected since the first observation.
func (t *Tracker) Changes() int64 { return t.elections.Changes() }

// Save returns the time without a leader that lasts, or nil.
func (t *Tracker) Save() *Leaderless { return t.leaderless(t.elections.Save()) }

// Restore goes on from what an earlier process saved, before the first Step.
func (t *Tracker) Restore(open *Leaderless) {
	if open == nil {
		return
	}
	t.lostIn = open.Term
	t.elections.Restore(&leadership.Leaderless[Led]{
		Last: Led{Leader: open.Last}, BeganBefore: open.BeganBefore, Reconciled: open.Reconciled, Start: open.Start, End: open.End,
	})
}
