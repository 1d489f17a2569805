// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// maxTransitions bounds what an outage remembers of its own course.
const maxTransitions = 64

// Transition is a change of a check's status.
type Transition struct {
	ID       CheckID
	Check    Check // as it is after the transition, or as it last was
	Old, New Status
	At       time.Time

	// Reconciled says that the true time is unknown: the transition happened
	// while Consul could not be observed, or while its history was lost.
	Reconciled bool
}

// Outage is the time from a check's leaving passing until its return, or
// until the check is deregistered.
type Outage struct {
	ID          CheckID
	Check       Check  // as it was when the outage began
	BeganBefore bool   // it was not passing when it was first observed
	Worst       Status // the worst status seen
	Reconciled  bool   // it began or ended at an unknown time
	Start, End  time.Time
	Transitions []Transition // at most 64, the first ones
	Dropped     int          // transitions beyond these
}

// Gap is a range of indexes between which changes may have gone unseen. Old is
// above New when Consul went back to a snapshot.
type Gap struct{ Old, New uint64 }

// Effect is a gap, or one transition and what it did to the outage of its check.
type Effect struct {
	Gap        *Gap // else it is a transition
	Transition Transition
	Outage     *Outage // nil when the check has none
	Opened     bool    // Outage began with this transition
	Closed     bool    // Outage ended with it
}

// Observation is a snapshot and how it came about.
type Observation struct {
	Checks Checks
	Index  uint64 // of the answer that held them

	// Gap says that something may have happened unseen since the last
	// observation: it failed, or Consul's index went backwards.
	Gap bool

	// Rebased says that the view itself has changed, as with the rights of the
	// token: a check that comes or goes with it is no news.
	Rebased bool
}

// Machine follows checks from snapshot to snapshot. Its memory is bounded by
// the size of a snapshot.
type Machine struct {
	known Checks
	index uint64
	open  map[CheckID]*Outage
}

// Step takes in the next observation, made at now, and returns its effects in
// the order of the check IDs, after the gap that hid them. The first observation
// is the baseline: it opens outages whose start is unknown, and has no effects.
func (m *Machine) Step(now time.Time, o Observation) []Effect {
	old := m.index
	m.index = o.Index
	if m.known == nil {
		m.baseline(now, o.Checks)
		return nil
	}
	var effects []Effect
	gap := o.Gap && o.Index != old // The same index: nothing has changed.
	if gap {
		effects = append(effects, Effect{Gap: &Gap{Old: old, New: o.Index}})
	}
	for _, c := range diff.Maps(m.known, o.Checks, CheckID.Compare) {
		if o.Rebased && (c.Added || c.Removed) {
			m.rebase(now, c)
			continue
		}
		if t := transition(c, now); t.Old != t.New {
			t.Reconciled = gap
			effects = append(effects, m.apply(t))
		}
	}
	m.known = o.Checks
	return effects
}

func (m *Machine) baseline(now time.Time, checks Checks) {
	m.known, m.open = checks, map[CheckID]*Outage{}
	if m.known == nil {
		m.known = Checks{}
	}
	for id, check := range checks {
		m.openBefore(now, id, check)
	}
}

// rebase takes in a check that came or went with the view.
func (m *Machine) rebase(now time.Time, c diff.Change[CheckID, Check]) {
	if c.Added {
		m.openBefore(now, c.Key, c.Next)
	} else {
		delete(m.open, c.Key)
	}
}

func (m *Machine) openBefore(now time.Time, id CheckID, check Check) {
	if check.Status.badness() > 0 {
		m.open[id] = &Outage{ID: id, Check: check, BeganBefore: true, Worst: check.Status, Start: now}
	}
}

func transition(c diff.Change[CheckID, Check], now time.Time) Transition {
	t := Transition{ID: c.Key, Check: c.Next, Old: c.Prev.Status, New: c.Next.Status, At: now}
	if c.Added {
		t.Old = None
	}
	if c.Removed {
		t.New, t.Check = None, c.Prev
	}
	return t
}

// apply opens, continues or closes the outage of the transition's check. A
// check that is registered as failing has never left passing: no outage.
func (m *Machine) apply(t Transition) Effect {
	e := Effect{Transition: t}
	outage := m.open[t.ID]
	if outage == nil {
		if t.Old != Passing || t.New.badness() == 0 {
			return e
		}
		outage = &Outage{ID: t.ID, Check: t.Check, Worst: t.New, Start: t.At}
		m.open[t.ID] = outage
		e.Opened = true
	}
	outage.Reconciled = outage.Reconciled || t.Reconciled && (e.Opened || t.New.badness() == 0)
	if len(outage.Transitions) < maxTransitions {
		outage.Transitions = append(outage.Transitions, t)
	} else {
		outage.Dropped++
	}
	if t.New.badness() > outage.Worst.badness() {
		outage.Worst = t.New
	}
	if t.New.badness() == 0 {
		outage.End = t.At
		delete(m.open, t.ID)
		e.Closed = true
	}
	told := *outage
	told.Transitions = slices.Clone(outage.Transitions)
	e.Outage = &told
	return e
}
