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

// Health turns observations of checks into what happened. Its memory is bounded by
// the number of checks, and the cost of a step by what was read and what has changed.
type Health struct {
	// EmitInitial says that the first observation is reported, too.
	EmitInitial bool
	// MaxServices is how many services transitions are counted of.
	MaxServices int
	// SidecarIncidents says that sidecar proxies have outages and incidents, and
	// Sidecars are the names of their services, in lower case.
	SidecarIncidents bool
	Sidecars         map[string]bool

	begun, restored bool
	known           *known
	tally           *tally
	counter         Counter
	reserved        int    // the generation of the tally whose services the counter has
	restores        uint64 // how often Consul went back to a snapshot,
	restoredAt      uint64 // and the index that it had reached before
	outages         map[CheckID]*Outage
	incidents       map[Subject]*Incident
}

func (h *Health) init() {
	if h.outages == nil {
		h.outages, h.incidents = map[CheckID]*Outage{}, map[Subject]*Incident{}
	}
	if h.known == nil {
		h.known, h.tally = newKnown(nil, 0), newTally(nil)
	}
}

// Step takes in an observation of all checks, made at now, and returns its effects in
// the order of the check IDs. Unless EmitInitial is set, the first observation
// is a baseline: it opens outages whose start is unknown, and has no effects.
func (h *Health) Step(now time.Time, o snapshot.Observation[CheckID, Check]) (*snapshot.Gap, []Effect) {
	h.init()
	return h.stepAll(now, o, h.known.replace)
}

// StepAll is like Step, for an observation beside those of the lists: what they have
// newer stays.
func (h *Health) StepAll(now time.Time, o snapshot.Observation[CheckID, Check]) (*snapshot.Gap, []Effect) {
	h.init()
	return h.stepAll(now, o, h.known.all)
}

func (h *Health) stepAll(now time.Time, o snapshot.Observation[CheckID, Check], merge func(uint64, Checks) []change) (*snapshot.Gap, []Effect) {
	first := !h.begun
	var gap *snapshot.Gap
	// The same index: nothing has changed.
	if (o.Gap && !first || h.restored && first) && o.Index != h.known.index {
		gap = &snapshot.Gap{Old: h.known.index, New: o.Index}
	}
	if o.Restored || gap != nil && gap.Old > gap.New {
		h.restores++
		h.restoredAt = max(h.restoredAt, h.known.index)
	}
	found := merge(o.Index, o.Objects)
	h.begun, h.known.full = true, o.Cut
	if first {
		h.tally.begin(h.known.checks)
	} else {
		h.tally.apply(now, found)
	}
	var effects []Effect
	for _, c := range found {
		effects = append(effects, h.take(now, snapshot.Change[CheckID, Check]{
			Change:     c,
			Initial:    first && c.Added,
			Rebased:    o.Rebased && c.Removed || !first && c.Added && (o.Rebased || o.Cut),
			Reconciled: gap != nil,
		})...)
	}
	return gap, effects
}

// StepList takes in the list of the checks with a status that is not passing. Those
// that have left it are to be resolved: see Unresolved.
func (h *Health) StepList(now time.Time, status Status, index uint64, checks Checks) []Effect {
	h.init()
	return h.takeAll(now, h.known.list(status, index, checks))
}

// StepResolved takes in what became of checks that have left their list: the ones of
// those asked that are there.
func (h *Health) StepResolved(now time.Time, index uint64, asked []CheckID, found Checks) []Effect {
	h.init()
	return h.takeAll(now, h.known.resolve(index, asked, found))
}

// Overtaken says whether an answer after the last one, all checks or a list of some, is
// that of a Consul that has restored a snapshot, although its index is not lower.
func (h *Health) Overtaken(last, index uint64, checks Checks) bool {
	return h.begun && h.known.overtaken(last, index, checks)
}

// Appeared says whether an answer after the last one has a check that the last one must
// have had: the token may show more now.
func (h *Health) Appeared(last uint64, checks Checks) bool {
	return h.begun && !h.known.full && h.known.appeared(last, checks)
}

// SetPartial sets whether the token hides checks.
func (h *Health) SetPartial(partial bool) {
	h.init()
	h.known.partial = partial
}

// HasNewService says whether some checks are of a service of which no check was known.
func (h *Health) HasNewService(checks Checks) bool {
	h.init()
	for _, check := range checks {
		if check.Service != "" && !h.tally.has(check.Service) {
			return true
		}
	}
	return false
}

// Unresolved returns the checks that have left their list, by node, and the index that
// an observation of them must have at least.
func (h *Health) Unresolved() (nodes map[string][]CheckID, index uint64) {
	if h.known == nil {
		return nil, 0
	}
	return h.known.unresolved()
}

func (h *Health) takeAll(now time.Time, found []change) (effects []Effect) {
	h.tally.apply(now, found)
	for _, c := range found {
		effects = append(effects, h.take(now, snapshot.Change[CheckID, Check]{Change: c})...)
	}
	return effects
}

// take takes in the change of one check.
func (h *Health) take(now time.Time, c snapshot.Change[CheckID, Check]) []Effect {
	t := transition(c, now)
	switch {
	case isMaintenance(t.ID):
		return h.maintained(t, c.Rebased)
	case c.Rebased && c.Removed:
		h.forget(t.ID)
		return nil
	case c.Initial, c.Rebased:
		return h.baseline(t, c.Rebased)
	case t.Old != t.New:
		return h.apply(t)
	}
	return nil
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

// maintained reports the begin and the end of a maintenance. It is neither an outage
// nor a part of one.
func (h *Health) maintained(t Transition, rebased bool) []Effect {
	started, ended := t.Old == None && t.New != None, t.New == None
	if !started && !ended || rebased {
		return nil
	}
	if started && !t.Initial {
		h.counter.add(h.MaxServices, t.Check.Service, maintenance)
	}
	if t.Initial && !h.EmitInitial {
		return nil
	}
	return []Effect{Maintained{Transition: t, Ended: ended}}
}

// sidecar says whether a service is one of sidecar proxies that have no incidents.
func (h *Health) sidecar(service string) bool {
	return service != "" && !h.SidecarIncidents && h.Sidecars[strings.ToLower(service)]
}

// hosted returns the services that are known to be on a node and may have incidents.
func (h *Health) hosted(node string) []string {
	return slices.DeleteFunc(h.tally.hosted(node), h.sidecar)
}

// baseline takes in a check that is observed for the first time.
func (h *Health) baseline(t Transition, rebased bool) []Effect {
	transitioned := Transitioned{Transition: t}
	var opened []Effect
	if t.New.Severity() > 0 && !h.sidecar(t.Check.Service) {
		var outage *Outage
		outage, opened = h.open(t, true)
		transitioned.Outage, transitioned.Opened = outage.copied(), true
	}
	if !h.EmitInitial || rebased {
		return nil
	}
	return append(opened, transitioned)
}

// apply opens, continues or closes the outage of the transition's check. A
// check that is registered as failing has never left passing: it has no outage,
// unless it joins an incident.
func (h *Health) apply(t Transition) []Effect {
	if t.New != None {
		h.counter.add(h.MaxServices, t.Check.Service, classOf(t.ID, t.New))
	}
	outage := h.outages[t.ID]
	if outage == nil {
		joins := t.Old == None && t.Check.Service != "" && h.incidents[Subject{Name: t.Check.Service}] != nil
		if t.New.Severity() == 0 || t.Old != Passing && !joins || h.sidecar(t.Check.Service) {
			return []Effect{Transitioned{Transition: t}}
		}
		outage, opened := h.open(t, false)
		return append(opened, Transitioned{Transition: t, Outage: outage.copied(), Opened: true})
	}
	h.each(outage, func(i *Incident) { i.take(t) })
	outage.take(t)
	if t.New.Severity() > 0 {
		return []Effect{Transitioned{Transition: t, Outage: outage.copied()}}
	}
	outage.close(t)
	effects := []Effect{Transitioned{Transition: t, Outage: outage.copied(), Closed: true}}
	for _, i := range h.forget(t.ID) {
		i.close(t)
		effects = append(effects, Closed{i.copied()})
	}
	return effects
}

// open opens the outage of a check, and the incidents that it begins.
func (h *Health) open(t Transition, before bool) (*Outage, []Effect) {
	var begun []*Incident
	join := func(s Subject) *Incident {
		i := h.incidents[s.key()]
		if i == nil {
			i = &Incident{
				ID:        IncidentID{Subject: s, First: t.shown(), Index: t.Check.Index, Restores: h.restoresOf(t.Check)},
				Lifecycle: Lifecycle{BeganBefore: before, Start: t.At, Reconciled: t.Reconciled},
				failing:   map[CheckID]bool{},
			}
			h.incidents[s.key()] = i
			begun = append(begun, i)
		}
		i.failing[t.ID] = true
		return i
	}
	own := Subject{Name: t.Check.Service}
	if t.Check.Service == "" {
		own = Subject{Name: t.shown().Node, Node: true}
	}
	outage := &Outage{
		ID:        OutageID{Check: t.shown(), Index: t.Check.Index, Restores: h.restoresOf(t.Check), Incident: join(own).ID},
		Check:     t.Check,
		Lifecycle: Lifecycle{BeganBefore: before, Start: t.At, Reconciled: t.Reconciled},
	}
	if own.Node {
		services := h.hosted(t.ID.Node)
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
	for _, i := range begun { // emitted with this transition in
		effects = append(effects, Opened{i.copied()})
	}
	return outage, effects
}

// each calls do with the incidents that an outage is a part of.
func (h *Health) each(o *Outage, do func(*Incident)) {
	do(h.incidents[o.ID.Incident.Subject.key()])
	for _, id := range o.Affects {
		do(h.incidents[id.Subject.key()])
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
			delete(h.incidents, i.ID.Subject.key())
			ended = append(ended, i)
		}
	})
	delete(h.outages, id)
	return ended
}

// copied returns a copy that later transitions leave as it is.
func (o *Outage) copied() *Outage {
	c := *o
	c.Transitions = slices.Clone(o.Transitions)
	return &c
}

func (i *Incident) copied() Incident {
	c := *i
	c.Transitions, c.Causes, c.failing = slices.Clone(i.Transitions), slices.Clone(i.Causes), nil
	return c
}

// Clone returns a copy that goes on by itself. It counts nothing.
func (h *Health) Clone() *Health {
	h.init()
	c := &Health{
		EmitInitial: h.EmitInitial, MaxServices: h.MaxServices, SidecarIncidents: h.SidecarIncidents, Sidecars: h.Sidecars,
	}
	c.Restore(h.Save())
	c.begun, c.restored = h.begun, h.restored
	c.known, c.tally = h.known.clone(), newTally(h.known.checks)
	return c
}

// restoresOf returns how often Consul had gone back to a snapshot, if the index of a check
// may have been that of another change before. Later ones need no such count, so that
// another collector makes the same IDs of them.
func (h *Health) restoresOf(check Check) uint64 {
	if check.Index > h.restoredAt {
		return 0
	}
	return h.restores
}

// Begun says whether there was an observation.
func (h *Health) Begun() bool { return h.begun }

// Checks returns the checks that are known; not to be changed.
func (h *Health) Checks() Checks {
	if h.known == nil {
		return nil
	}
	return h.known.checks
}

// Index returns the index of the last observation.
func (h *Health) Index() uint64 {
	if h.known == nil {
		return 0
	}
	return h.known.index
}

// Transitions returns how many transitions there were so far.
func (h *Health) Transitions() map[Counted]int64 { return h.counter.nonzero() }

// TransitionsOfAll returns the same for all services that are known, up to MaxServices,
// also if they had none.
func (h *Health) TransitionsOfAll() []ServiceTransitions {
	h.init()
	if h.reserved != h.tally.generation {
		h.counter.reserve(h.MaxServices, h.tally.names())
		h.reserved = h.tally.generation
	}
	return h.counter.all()
}

// Counts returns the number of checks by status.
func (h *Health) Counts() map[Status]int64 {
	h.init()
	return h.tally.byStatus()
}

// Instances counts the instances of each service by health.
func (h *Health) Instances(now time.Time, of Known) map[string]Instances {
	h.init()
	return h.tally.instances(now, of)
}

// KnownInstances returns how many instances are known by a check, or by Host.
func (h *Health) KnownInstances() int {
	h.init()
	return h.tally.known()
}

// Nodes returns the health of the nodes that have checks, in order.
func (h *Health) Nodes() []NodeState {
	h.init()
	return h.tally.nodeStates()
}

// InstanceStates returns the health of the instances that are known by a check, or by
// Host, in order.
func (h *Health) InstanceStates() []InstanceState {
	h.init()
	return h.tally.instanceStates()
}

// Ill returns the nodes of which a check is not passing, in order.
func (h *Health) Ill() []string {
	h.init()
	return slices.Sorted(maps.Keys(h.tally.ill))
}

// Host takes in all instances on a node, also those without a check. Nil: they are not
// known any more.
func (h *Health) Host(node string, instances []Instance) {
	h.init()
	h.tally.host(node, instances)
}

// SavedIncidents is what outlives the process: the outages and incidents that are open.
type SavedIncidents struct {
	Index     uint64
	Restores  uint64 `json:",omitempty"`
	Restored  uint64 `json:",omitempty"` // the index that Consul had reached before
	Outages   []Outage
	Incidents []Incident
}

// Save returns the open outages and incidents, in order.
func (h *Health) Save() SavedIncidents {
	t := SavedIncidents{Index: h.Index(), Restores: h.restores, Restored: h.restoredAt}
	for _, o := range h.outages {
		t.Outages = append(t.Outages, *o.copied())
	}
	for _, i := range h.incidents {
		t.Incidents = append(t.Incidents, i.copied())
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
func (h *Health) Restore(t SavedIncidents) {
	h.restores, h.restoredAt = t.Restores, t.Restored
	h.outages, h.incidents = map[CheckID]*Outage{}, map[Subject]*Incident{}
	incidents := map[Subject]*Incident{}
	for _, i := range t.Incidents {
		i.failing = map[CheckID]bool{}
		if incidents[i.ID.Subject.key()] == nil {
			incidents[i.ID.Subject.key()] = &i
		}
	}
	known := Checks{}
	for _, o := range t.Outages {
		parts := append([]IncidentID{o.ID.Incident}, o.Affects...)
		check := NewCheckID(o.ID.Check.Node, o.ID.Check.Check)
		fits := len(o.Transitions) > 0 && o.Status.Severity() > 0 && h.outages[check] == nil && !isMaintenance(check)
		for n, id := range parts {
			i := incidents[id.Subject.key()]
			fits = fits && i != nil && i.ID == id && !slices.Contains(parts[:n], id)
		}
		if !fits {
			continue
		}
		for _, id := range parts {
			i := incidents[id.Subject.key()]
			h.incidents[id.Subject.key()] = i
			i.failing[check] = true
		}
		h.outages[check] = &o
		of := o.Check
		of.Status = o.Status
		known[check] = of
	}
	h.known, h.tally, h.restored = newKnown(known, t.Index), newTally(known), true
}
