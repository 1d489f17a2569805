// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"maps"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// known holds the checks of one datacenter. It merges answers that may be of different
// ages: the list of critical checks, that of warnings, the checks of one node, and all
// checks. ModifyIndex orders them. Its cost is that of the answer, not of all checks.
type known struct {
	checks Checks
	// listed holds the checks that are in each list of failing ones, by status in
	// lower case, as Consul lists them.
	listed map[string]map[CheckID]struct{}
	// gone holds the index at which a check was missing, until an answer with all
	// checks is newer.
	gone map[CheckID]uint64
	// left holds checks that have left their list, with the index of that answer: they
	// pass, are gone, or are in the other list.
	left map[CheckID]uint64
	// index is that of the newest answer, lists those of the newest of each list.
	index uint64
	lists map[string]uint64
	// full says that no check is added but by an answer with all checks, as there are
	// more than may be observed.
	full bool
	// partial says that the token does not show all checks.
	partial bool
}

type change = diff.Change[CheckID, Check]

// failing are the statuses of which Consul has a list that is followed.
var failing = []Status{Critical, Warning}

func newKnown(checks Checks, index uint64) *known {
	k := &known{
		checks: make(Checks, len(checks)), listed: map[string]map[CheckID]struct{}{},
		gone: map[CheckID]uint64{}, left: map[CheckID]uint64{}, lists: map[string]uint64{},
		index: index,
	}
	for _, status := range failing {
		k.listed[string(status)] = map[CheckID]struct{}{}
		k.lists[string(status)] = index
	}
	for id, check := range checks {
		k.set(id, check)
	}
	return k
}

// clone returns a copy that goes on by itself.
func (k *known) clone() *known {
	c := newKnown(k.checks, k.index)
	c.full, c.partial = k.full, k.partial
	c.gone, c.left, c.lists = maps.Clone(k.gone), maps.Clone(k.left), maps.Clone(k.lists)
	return c
}

func (k *known) set(id CheckID, check Check) {
	k.unlist(id)
	k.checks[id] = check
	if list := k.listed[strings.ToLower(string(check.Status))]; list != nil {
		list[id] = struct{}{}
	}
	delete(k.gone, id)
}

func (k *known) remove(id CheckID, index uint64) {
	k.unlist(id)
	delete(k.checks, id)
	delete(k.left, id)
	k.gone[id] = index
}

func (k *known) unlist(id CheckID) {
	if list := k.listed[strings.ToLower(string(k.checks[id].Status))]; list != nil {
		delete(list, id)
	}
}

// newer says whether what an answer holds of a check is newer than what is known.
func (k *known) newer(id CheckID, next Check) bool {
	if prev, ok := k.checks[id]; ok {
		return next.Index > prev.Index
	}
	return next.Index > k.gone[id]
}

// replace takes in all checks, whatever is known: after a time in which nothing was
// observed, or when Consul has gone back.
func (k *known) replace(index uint64, checks Checks) []change {
	changes := diff.Maps(k.checks, checks, CheckID.Compare)
	fresh := newKnown(checks, index)
	fresh.full, fresh.partial = k.full, k.partial
	*k = *fresh
	return changes
}

// all takes in an answer with all checks. What is known to be newer stays.
func (k *known) all(index uint64, checks Checks) []change {
	var changes []change
	for id, next := range checks {
		prev, there := k.checks[id]
		if k.newer(id, next) || there && next.Index == prev.Index && next != prev { // The latter: its node has another spelling.
			k.set(id, next)
			changes = append(changes, change{Key: id, Prev: prev, Next: next, Added: !there})
		}
	}
	for id, prev := range k.checks {
		if _, there := checks[id]; !there && prev.Index <= index {
			k.remove(id, index)
			changes = append(changes, change{Key: id, Prev: prev, Removed: true})
		}
	}
	older := func(_ CheckID, of uint64) bool { return of <= index }
	maps.DeleteFunc(k.gone, older)
	maps.DeleteFunc(k.left, older)
	k.index = max(k.index, index)
	sortChanges(changes)
	return changes
}

// list takes in the list of the checks with a status that is not passing. A check that
// is new, but is older than the lists before, was in none of them: it has been passing,
// unless the token hid it.
func (k *known) list(status Status, index uint64, checks Checks) []change {
	oldest := index
	for _, of := range k.lists {
		oldest = min(oldest, of)
	}
	var changes []change
	for id, next := range checks {
		prev, there := k.checks[id]
		if !k.newer(id, next) || !there && k.full {
			continue
		}
		k.set(id, next)
		delete(k.left, id)
		if !there && !k.partial && next.Created <= oldest && next.Created < next.Index {
			prev, there = next, true
			prev.Status, prev.Output, prev.Index = Passing, "", next.Created
			changes = append(changes, change{Key: id, Next: prev, Added: true})
		}
		changes = append(changes, change{Key: id, Prev: prev, Next: next, Added: !there})
	}
	for id := range k.listed[string(status)] {
		if _, there := checks[id]; !there && k.checks[id].Index <= index {
			k.left[id] = max(k.left[id], index)
		}
	}
	k.lists[string(status)] = max(k.lists[string(status)], index)
	k.index = max(k.index, index)
	sortChanges(changes)
	return changes
}

// resolve takes in what became of checks that have left their list: those of them that
// are there.
func (k *known) resolve(index uint64, asked []CheckID, found Checks) []change {
	var changes []change
	for _, id := range asked {
		prev, there := k.checks[id]
		if since, open := k.left[id]; !open || index < since {
			continue
		}
		delete(k.left, id)
		if !there {
			continue
		}
		next, found := found[id]
		switch {
		case !found && prev.Index <= index:
			k.remove(id, index)
			changes = append(changes, change{Key: id, Prev: prev, Removed: true})
		case found && next.Index > prev.Index:
			k.set(id, next)
			changes = append(changes, change{Key: id, Prev: prev, Next: next})
		}
	}
	k.index = max(k.index, index)
	sortChanges(changes)
	return changes
}

// overtaken says that Consul has restored a snapshot, although its index is not lower: an
// answer has a check that was last modified earlier than is known of it, or one that is
// not known although it was modified before the last such answer.
func (k *known) overtaken(last, index uint64, checks Checks) bool {
	if k.full || index <= last {
		return false
	}
	for id, next := range checks {
		if prev, there := k.checks[id]; there && next.Index < prev.Index && prev.Index <= index {
			return true
		}
	}
	return k.appeared(last, checks)
}

// appeared says that an answer has a check that is not known although it was modified
// before the last such answer.
func (k *known) appeared(last uint64, checks Checks) bool {
	for id, next := range checks {
		_, there := k.checks[id]
		_, gone := k.gone[id]
		if !there && !gone && next.Index <= last {
			return true
		}
	}
	return false
}

// unresolved returns the checks that have left their list, by node, and the index that
// an answer about them must have.
func (k *known) unresolved() (nodes map[string][]CheckID, index uint64) {
	nodes = map[string][]CheckID{}
	for id, since := range k.left {
		nodes[id.Node] = append(nodes[id.Node], id)
		index = max(index, since)
	}
	for _, ids := range nodes {
		slices.SortFunc(ids, CheckID.Compare)
	}
	return nodes, index
}

// sortChanges keeps two changes of one check in their order.
func sortChanges(changes []change) {
	slices.SortStableFunc(changes, func(a, b change) int { return a.Key.Compare(b.Key) })
}
