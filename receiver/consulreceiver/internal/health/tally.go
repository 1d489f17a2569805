// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// class is what a status counts as.
type class int

const (
	passing class = iota
	warning
	unknown // a status that Consul does not know, which it takes for not passing
	critical
	maintenance
	classes int = iota
)

// classOf returns what a check counts as.
func classOf(id CheckID, status Status) class {
	switch {
	case isMaintenance(id):
		return maintenance
	case status == Passing:
		return passing
	case status == Warning:
		return warning
	case status == Critical:
		return critical
	default:
		return unknown
	}
}

// statusOf holds the statuses that are counted, in the order of the classes.
var statusOf = [classes]Status{passing: Passing, warning: Warning, unknown: Unknown, critical: Critical, maintenance: Maintenance}

// CountByStatus returns the number of checks by status; one that no check has counts zero.
func CountByStatus(checks Checks) map[Status]int64 { return newTally(checks).byStatus() }

// InstancesByHealth counts the instances of each service by health. totals are the numbers
// of instances by service.
func InstancesByHealth(checks Checks, totals map[string]int64) map[string]Instances {
	return newTally(checks).instances(time.Time{}.Add(2*totalsLag), Known{Totals: totals, Hosted: true})
}

// Instances counts the instances of one service by their health.
type Instances struct{ Passing, Warning, Critical, Maintenance, Unknown int64 }

func (i *Instances) add(c class) {
	switch c {
	case warning:
		i.Warning++
	case critical:
		i.Critical++
	case maintenance:
		i.Maintenance++
	case unknown:
		i.Unknown++
	default:
		i.Passing++
	}
}

func (i Instances) sum() int64 { return i.Passing + i.Warning + i.Critical + i.Maintenance + i.Unknown }

// Instance is one instance of a service.
type Instance struct{ Service, ID string }

// tally counts checks and instances by health while checks change. The health of an
// instance is the worst of its own checks and of those of its node, as Consul's own.
// The cost of a change is that of the instances of one node at most.
type tally struct {
	checks   [classes]int64
	nodes    map[string]*node
	services map[string]*service // by name in lower case: Consul does not distinguish them
	ill      map[string]struct{} // nodes of which a check is not passing
	// generation counts how often the names of the services have changed.
	generation int
	now        time.Time // of the changes that are taken in; zero: they were there before
}

// totalsLag is how long after a change Consul's totals may not have it: it counts every
// nine seconds, and the totals are read at each collection.
const totalsLag = 25 * time.Second

type node struct {
	name      string               // as it is shown; empty: as its key
	checks    [classes]int64       // of the node itself
	instances map[string]*instance // by ID in lower case
}

type instance struct {
	Instance
	node   *node
	checks [classes]int64
	bare   bool // it is known without a check
}

type service struct {
	instances map[*instance]struct{}
	names     map[string]int // instances by the spelling of the name
	counted   bool
	counts    Instances
	moved     time.Time // when an instance came or went
	bare      int64     // instances beyond those that are known, when totals last had all
}

func newTally(checks Checks) *tally {
	t := &tally{}
	t.begin(checks)
	return t
}

// begin counts checks that were there before.
func (t *tally) begin(checks Checks) {
	*t = tally{generation: t.generation + 1, nodes: map[string]*node{}, services: map[string]*service{}, ill: map[string]struct{}{}}
	for id, check := range checks {
		t.add(id, check, 1)
	}
}

// apply takes in changes, made at now.
func (t *tally) apply(now time.Time, changes []change) {
	t.now = now
	for _, c := range changes {
		if !c.Added {
			t.add(c.Key, c.Prev, -1)
		}
		if !c.Removed {
			t.add(c.Key, c.Next, 1)
		}
	}
}

func (t *tally) add(id CheckID, check Check, n int64) {
	c := classOf(id, check.Status)
	t.checks[c] += n
	on := t.node(id.Node)
	if n > 0 {
		on.name = check.Node
	}
	if check.Service == "" {
		on.checks[c] += n
		delete(t.ill, id.Node)
		if worst(on.checks, [classes]int64{}) != passing {
			t.ill[id.Node] = struct{}{}
		}
		for _, i := range on.instances {
			t.service(i.Service).counted = false
		}
	} else {
		i := t.instance(on, Instance{check.Service, check.ServiceID})
		i.checks[c] += n
		t.service(i.Service).counted = false
		t.tidy(i)
	}
	if on.checks == [classes]int64{} && len(on.instances) == 0 {
		delete(t.nodes, id.Node)
	}
}

func (t *tally) node(name string) *node {
	n := t.nodes[name]
	if n == nil {
		n = &node{instances: map[string]*instance{}}
		t.nodes[name] = n
	}
	return n
}

func (t *tally) service(name string) *service {
	key := strings.ToLower(name)
	s := t.services[key]
	if s == nil {
		s = &service{instances: map[*instance]struct{}{}, names: map[string]int{}}
		t.services[key] = s
	}
	return s
}

// has says whether an instance of a service is known.
func (t *tally) has(service string) bool {
	s := t.services[strings.ToLower(service)]
	return s != nil && len(s.instances) > 0
}

// instance returns an instance on a node. An ID that is now of another service is
// another instance.
func (t *tally) instance(on *node, of Instance) *instance {
	key := strings.ToLower(of.ID) + "\x00" + strings.ToLower(of.Service)
	i := on.instances[key]
	if i == nil {
		i = &instance{Instance: of, node: on}
		on.instances[key] = i
		s := t.service(of.Service)
		s.instances[i] = struct{}{}
		if s.names[of.Service]++; s.names[of.Service] == 1 {
			t.generation++
		}
		s.counted, s.moved = false, t.now
	}
	return i
}

// tidy forgets an instance of which nothing is known any more.
func (t *tally) tidy(i *instance) {
	if i.bare || i.checks != [classes]int64{} {
		return
	}
	delete(i.node.instances, strings.ToLower(i.ID)+"\x00"+strings.ToLower(i.Service))
	key := strings.ToLower(i.Service)
	s := t.services[key]
	s.counted, s.moved = false, t.now
	delete(s.instances, i)
	if s.names[i.Service]--; s.names[i.Service] == 0 {
		delete(s.names, i.Service)
		t.generation++
	}
}

// host takes in all the instances on a node, with and without checks. Nil: they are
// not known.
func (t *tally) host(name string, instances []Instance) {
	on := t.node(name)
	bare := map[*instance]bool{}
	for _, of := range instances {
		i := t.instance(on, of)
		i.bare = true
		bare[i] = true
	}
	for _, i := range slices.Collect(maps.Values(on.instances)) {
		if i.bare && !bare[i] {
			i.bare = false
			t.tidy(i)
		}
	}
	if on.checks == [classes]int64{} && len(on.instances) == 0 {
		delete(t.nodes, name)
	}
}

// worst is the class of the worst of two sets of checks.
func worst(a, b [classes]int64) class {
	for c := class(classes - 1); c > passing; c-- {
		if a[c] > 0 || b[c] > 0 {
			return c
		}
	}
	return passing
}

func (i *instance) health() class { return worst(i.checks, i.node.checks) }

// count returns the instances of a service that are known, by health.
func (s *service) count() Instances {
	if !s.counted {
		s.counts = Instances{}
		for i := range s.instances {
			s.counts.add(i.health())
		}
		s.counted = true
	}
	return s.counts
}

// hosted returns the services that are known to have an instance on a node, in order.
func (t *tally) hosted(name string) []string {
	on := t.nodes[name]
	if on == nil {
		return nil
	}
	services := map[string]bool{}
	for _, i := range on.instances {
		services[i.Service] = true
	}
	return slices.Sorted(maps.Keys(services))
}

// Known is what is known of instances beyond their checks.
type Known struct {
	// Totals are the numbers of instances by service, as Consul counts them every few
	// seconds: those beyond the ones that are known have no check.
	Totals map[string]int64
	// Hosted says that all instances on nodes that are ill are known. The others are
	// passing then, and else nobody knows.
	Hosted bool
}

// instances counts the instances of each service, under each spelling of its name.
func (t *tally) instances(now time.Time, of Known) map[string]Instances {
	total := make(map[string]int64, len(of.Totals))
	for name, n := range of.Totals {
		total[strings.ToLower(name)] += n
	}
	counts := make(map[string]Instances, max(len(of.Totals), len(t.services)))
	for name := range of.Totals {
		counts[name] = t.countOf(now, strings.ToLower(name), total, of.Hosted)
	}
	for key, s := range t.services {
		for name := range s.names {
			if _, done := counts[name]; !done {
				counts[name] = t.countOf(now, key, total, of.Hosted)
			}
		}
		if len(s.instances) == 0 && now.Sub(s.moved) > totalsLag {
			delete(t.services, key)
		}
	}
	return counts
}

func (t *tally) countOf(now time.Time, key string, totals map[string]int64, hosted bool) Instances {
	s := t.services[key]
	if s == nil { // No check of it is known.
		s = &service{}
	}
	counts := s.count()
	bare := max(0, totals[key]-int64(len(s.instances)))
	if now.Sub(s.moved) <= totalsLag {
		bare = min(bare, s.bare) // The totals may lag behind.
	} else {
		s.bare = bare
	}
	if hosted {
		counts.Passing += bare
	} else {
		counts.Unknown += bare
	}
	return counts
}

// known returns how many instances are known.
func (t *tally) known() (instances int) {
	for _, s := range t.services {
		instances += len(s.instances)
	}
	return instances
}

func (t *tally) byStatus() map[Status]int64 {
	counts := make(map[Status]int64, classes)
	for c, n := range t.checks {
		counts[statusOf[c]] = n
	}
	return counts
}

// names returns the names of the services of which a check is known, in order.
func (t *tally) names() []string {
	var names []string
	for _, s := range t.services {
		names = slices.AppendSeq(names, maps.Keys(s.names))
	}
	slices.Sort(names)
	return names
}

// NodeState is the health of a node: the worst status of its own checks.
type NodeState struct {
	Node   string
	Status Status
}

// InstanceState is the health of an instance.
type InstanceState struct {
	Instance
	NodeState
}

// nodeStates returns the health of each node that is known, in order.
func (t *tally) nodeStates() []NodeState {
	states := make([]NodeState, 0, len(t.nodes))
	for name, n := range t.nodes {
		states = append(states, NodeState{cmp.Or(n.name, name), statusOf[worst(n.checks, [classes]int64{})]})
	}
	slices.SortFunc(states, func(a, b NodeState) int { return cmp.Compare(a.Node, b.Node) })
	return states
}

// instanceStates returns the health of each instance that is known, in order.
func (t *tally) instanceStates() []InstanceState {
	var states []InstanceState
	for name, n := range t.nodes {
		for _, i := range n.instances {
			states = append(states, InstanceState{i.Instance, NodeState{cmp.Or(n.name, name), statusOf[i.health()]}})
		}
	}
	slices.SortFunc(states, func(a, b InstanceState) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
	})
	return states
}
