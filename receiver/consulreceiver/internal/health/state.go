// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
)

// Health follows checks from snapshot to snapshot. Its memory is bounded by
// the size of a snapshot.
type Health struct {
	// EmitInitial says that the first observation is news, too.
	EmitInitial bool
	// MaxServices is how many services transitions are counted of.
	MaxServices int

	checks    snapshot.Tracker[CheckID, Check]
	counter   Counter
	outages   map[CheckID]*Outage
	incidents map[Subject]*Incident
}

// Step takes in the next observation, made at now, and returns its effects in
// the order of the check IDs. Unless EmitInitial is set, the first observation
// is a baseline: it opens outages whose start is unknown, and has no effects.
func (h *Health) Step(now time.Time, o snapshot.Observation[CheckID, Check]) (*snapshot.Gap, []Effect) {
	if h.outages == nil {
		h.outages, h.incidents = map[CheckID]*Outage{}, map[Subject]*Incident{}
	}
	gap, changes := h.checks.Step(o, CheckID.Compare)
	hosted := h.hosted(changes)
	var effects []Effect
	for _, c := range changes {
		t := transition(c, now)
		switch {
		case c.Rebased && c.Removed:
			h.forget(t.ID)
		case c.Initial, c.Rebased:
			effects = append(effects, h.baseline(t, hosted, c.Rebased)...)
		case t.Old != t.New:
			effects = append(effects, h.apply(t, hosted)...)
		}
	}
	return gap, effects
}

func transition(c snapshot.Change[CheckID, Check], now time.Time) Transition {
	t := Transition{
		ID: c.Key, Check: c.Next, Old: c.Prev.Status, New: c.Next.Status, At: now,
		Initial: c.Initial, Reconciled: c.Reconciled,
	}
	if c.Added {
		t.Old = None
	}
	if c.Removed {
		t.New, t.Check = None, c.Prev
	}
	return t
}

// hosted returns the services on the nodes whose own checks have changed, in
// order. Only services that have a check are known.
func (h *Health) hosted(changes []snapshot.Change[CheckID, Check]) map[string][]string {
	sets := map[string]map[string]bool{}
	for _, c := range changes {
		if c.Prev.Service == "" && c.Next.Service == "" && c.Prev.Status != c.Next.Status {
			sets[c.Key.Node] = map[string]bool{}
		}
	}
	if len(sets) == 0 {
		return nil
	}
	for id, check := range h.checks.Known() {
		if set := sets[id.Node]; set != nil && check.Service != "" {
			set[check.Service] = true
		}
	}
	services := make(map[string][]string, len(sets))
	for node, set := range sets {
		services[node] = slices.Sorted(maps.Keys(set))
	}
	return services
}

// baseline takes in a check that is observed for the first time.
func (h *Health) baseline(t Transition, hosted map[string][]string, rebased bool) []Effect {
	turned := Turned{Transition: t}
	var opened []Effect
	if t.New.Badness() > 0 {
		var outage *Outage
		outage, opened = h.open(t, hosted, true)
		turned.Outage, turned.Opened = outage.told(), true
	}
	if !h.EmitInitial || rebased {
		return nil
	}
	return append(opened, turned)
}

// apply opens, continues or closes the outage of the transition's check. A
// check that is registered as failing has never left passing: it has no outage,
// unless it joins an incident.
func (h *Health) apply(t Transition, hosted map[string][]string) []Effect {
	h.counter.add(h.MaxServices, Counted{t.Check.Service, t.New})
	outage := h.outages[t.ID]
	if outage == nil {
		joins := t.Old == None && t.Check.Service != "" && h.incidents[Subject{Name: t.Check.Service}] != nil
		if t.New.Badness() == 0 || t.Old != Passing && !joins {
			return []Effect{Turned{Transition: t}}
		}
		outage, opened := h.open(t, hosted, false)
		return append(opened, Turned{Transition: t, Outage: outage.told(), Opened: true})
	}
	h.each(outage, func(i *Incident) { i.take(t) })
	outage.take(t)
	if t.New.Badness() > 0 {
		return []Effect{Turned{Transition: t, Outage: outage.told()}}
	}
	outage.close(t)
	effects := []Effect{Turned{Transition: t, Outage: outage.told(), Closed: true}}
	for _, i := range h.forget(t.ID) {
		i.close(t)
		effects = append(effects, Closed{i.told()})
	}
	return effects
}

// open opens the outage of a check, and the incidents that it begins.
func (h *Health) open(t Transition, hosted map[string][]string, before bool) (*Outage, []Effect) {
	var begun []*Incident
	join := func(s Subject) *Incident {
		i := h.incidents[s]
		if i == nil {
			i = &Incident{
				ID:      IncidentID{Subject: s, First: t.ID, Index: t.Check.Index},
				Course:  Course{BeganBefore: before, Start: t.At, Reconciled: t.Reconciled},
				failing: map[CheckID]bool{},
			}
			h.incidents[s] = i
			begun = append(begun, i)
		}
		i.failing[t.ID] = true
		return i
	}
	own := Subject{Name: t.Check.Service}
	if t.Check.Service == "" {
		own = Subject{Name: t.ID.Node, Node: true}
	}
	outage := &Outage{
		ID:     OutageID{Check: t.ID, Index: t.Check.Index, Incident: join(own).ID},
		Check:  t.Check,
		Course: Course{BeganBefore: before, Start: t.At, Reconciled: t.Reconciled},
	}
	if own.Node {
		services := hosted[t.ID.Node]
		outage.Unlinked = max(0, len(services)-maxAffected)
		for _, service := range services[:len(services)-outage.Unlinked] {
			i := join(Subject{Name: service})
			outage.Affects = append(outage.Affects, i.ID)
			i.link(outage.ID)
		}
	}
	h.outages[t.ID] = outage
	outage.take(t)
	h.each(outage, func(i *Incident) { i.take(t) })
	var effects []Effect
	for _, i := range begun { // told with this transition in
		effects = append(effects, Opened{i.told()})
	}
	return outage, effects
}

// each calls do with the incidents that an outage is a part of.
func (h *Health) each(o *Outage, do func(*Incident)) {
	do(h.incidents[o.ID.Incident.Subject])
	for _, id := range o.Affects {
		do(h.incidents[id.Subject])
	}
}

// forget ends the outage of a check, and returns the incidents that end with it.
func (h *Health) forget(id CheckID) []*Incident {
	outage := h.outages[id]
	if outage == nil {
		return nil
	}
	var ended []*Incident
	h.each(outage, func(i *Incident) {
		delete(i.failing, id)
		if len(i.failing) == 0 {
			delete(h.incidents, i.ID.Subject)
			ended = append(ended, i)
		}
	})
	delete(h.outages, id)
	return ended
}

// told returns a copy that later transitions leave as it is.
func (o *Outage) told() *Outage {
	c := *o
	c.Transitions = slices.Clone(o.Transitions)
	return &c
}

func (i *Incident) told() Incident {
	c := *i
	c.Transitions, c.Causes, c.failing = slices.Clone(i.Transitions), slices.Clone(i.Causes), nil
	return c
}

// Clone returns a copy that goes on by itself. It counts nothing.
func (h *Health) Clone() *Health {
	c := &Health{EmitInitial: h.EmitInitial, MaxServices: h.MaxServices}
	c.Restore(h.Save())
	c.checks = h.checks
	return c
}

// Checks returns the checks of the last observation; not to be changed.
func (h *Health) Checks() Checks { return h.checks.Known() }

// Transitions returns how many transitions there were so far.
func (h *Health) Transitions() map[Counted]int64 { return maps.Clone(h.counter.counts) }

// Trouble is what outlives the process: the outages and incidents that are open.
type Trouble struct {
	Index     uint64
	Outages   []Outage
	Incidents []Incident
}

// Save returns the open outages and incidents, in order.
func (h *Health) Save() Trouble {
	t := Trouble{Index: h.checks.Index()}
	for _, o := range h.outages {
		t.Outages = append(t.Outages, *o.told())
	}
	for _, i := range h.incidents {
		t.Incidents = append(t.Incidents, i.told())
	}
	slices.SortFunc(t.Outages, func(a, b Outage) int { return a.ID.Check.Compare(b.ID.Check) })
	slices.SortFunc(t.Incidents, func(a, b Incident) int { return a.ID.Subject.compare(b.ID.Subject) })
	return t
}

func (s Subject) compare(other Subject) int {
	if s.Node != other.Node {
		if s.Node {
			return -1
		}
		return 1
	}
	return strings.Compare(s.Name, other.Name)
}

// Restore goes on from what an earlier process saved, before the first Step. What
// does not fit together, as of an older version, is left out.
func (h *Health) Restore(t Trouble) {
	h.outages, h.incidents = map[CheckID]*Outage{}, map[Subject]*Incident{}
	incidents := map[Subject]*Incident{}
	for _, i := range t.Incidents {
		i.failing = map[CheckID]bool{}
		if incidents[i.ID.Subject] == nil {
			incidents[i.ID.Subject] = &i
		}
	}
	known := Checks{}
	for _, o := range t.Outages {
		parts := append([]IncidentID{o.ID.Incident}, o.Affects...)
		fits := len(o.Transitions) > 0 && o.Status.Badness() > 0 && h.outages[o.ID.Check] == nil
		for n, id := range parts {
			i := incidents[id.Subject]
			fits = fits && i != nil && i.ID == id && !slices.Contains(parts[:n], id)
		}
		if !fits {
			continue
		}
		for _, id := range parts {
			h.incidents[id.Subject] = incidents[id.Subject]
			h.incidents[id.Subject].failing[o.ID.Check] = true
		}
		h.outages[o.ID.Check] = &o
		check := o.Check
		check.Status = o.Status
		known[o.ID.Check] = check
	}
	h.checks.Restore(known, t.Index)
}
