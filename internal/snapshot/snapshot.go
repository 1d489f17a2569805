// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package snapshot turns successive snapshots of keyed objects into changes.
// The first snapshot is a baseline. After a gap, during which changes may have
// gone unobserved, the differences are marked as reconciled.
package snapshot

import (
	"cmp"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// Continuity describes how an observation continues the one before.
type Continuity struct {
	// Index orders observations, as the server counts.
	Index uint64

	// Gap means that changes may have gone unobserved since the last
	// observation: it failed, or the server's index went backwards.
	Gap bool

	// Restored means that the server went back to a backup. It is a gap, too.
	Restored bool

	// Rebased means that the view itself has changed, as with the rights of a
	// token: an object that comes or goes with it has not changed.
	Rebased bool

	// Cut means that there are, or were, more objects than may be observed: one
	// that is added may have been there before.
	Cut bool
}

// Observation is a snapshot of keyed objects and how it continues the last one.
type Observation[K, V comparable] struct {
	Continuity
	Objects map[K]V
}

// Change is one object that differs between two observations.
type Change[K, V comparable] struct {
	diff.Change[K, V]
	Initial    bool // it was there when the first observation was made
	Rebased    bool // it came or went with the view
	Reconciled bool // it changed at an unknown time, within a gap
}

// Now returns the object as it is, or as it last was.
func (c Change[K, V]) Now() V {
	if c.Removed {
		return c.Prev
	}
	return c.Next
}

// Gap is a range of indexes between which changes may have gone unobserved. Old
// is above New when the server went back to a backup.
type Gap struct{ Old, New uint64 }

// Tracker compares each observation with the one before. Its memory is that of
// one snapshot. The zero Tracker is ready.
type Tracker[K, V comparable] struct {
	known    map[K]V
	index    uint64
	begun    bool
	restored bool
}

// Restore sets what an earlier process knew of some objects, before the first
// Step, which reports what happened to them since.
func (t *Tracker[K, V]) Restore(known map[K]V, index uint64) {
	t.known, t.index, t.restored = known, index, true
}

// Step takes in the next observation. The gap is nil when nothing can have
// gone unobserved; changes are in the order of compare on their keys.
func (t *Tracker[K, V]) Step(o Observation[K, V], compare func(a, b K) int) (*Gap, []Change[K, V]) {
	first := !t.begun
	found := diff.Maps(t.known, o.Objects, compare)
	var gap *Gap
	if o.Index != t.index && (o.Gap && !first || t.restored && first) || o.Gap && !first && contradicts(o, found) {
		gap = &Gap{Old: t.index, New: o.Index}
	}
	t.known, t.index, t.begun = o.Objects, o.Index, true
	changes := make([]Change[K, V], 0, len(found))
	for _, c := range found {
		changes = append(changes, Change[K, V]{
			Change:     c,
			Initial:    first && c.Added,
			Rebased:    o.Rebased && c.Removed || !first && c.Added && (o.Rebased || o.Cut),
			Reconciled: gap != nil,
		})
	}
	return gap, changes
}

// contradicts means that known objects are different, although the index is the same: it
// is that of another server, such as one that was built anew.
func contradicts[K, V comparable](o Observation[K, V], found []diff.Change[K, V]) bool {
	return slices.ContainsFunc(found, func(c diff.Change[K, V]) bool { return !c.Added && (!c.Removed || !o.Rebased) })
}

// Begun says whether there was an observation.
func (t *Tracker[K, V]) Begun() bool { return t.begun }

// Known returns the objects of the last observation; not to be changed.
func (t *Tracker[K, V]) Known() map[K]V { return t.known }

// Index returns the index of the last observation.
func (t *Tracker[K, V]) Index() uint64 { return t.index }

// Catalog tracks objects that only come, change and go.
type Catalog[V comparable] struct {
	// EmitInitial reports the objects of the first observation, too.
	EmitInitial bool

	tracker Tracker[string, V]
}

// Step takes in the next observation and returns the changes to report, in the
// order of the keys.
func (c *Catalog[V]) Step(o Observation[string, V]) (*Gap, []Change[string, V]) {
	gap, changes := c.tracker.Step(o, cmp.Compare[string])
	var reported []Change[string, V]
	for _, change := range changes {
		if !change.Rebased && (!change.Initial || c.EmitInitial) {
			reported = append(reported, change)
		}
	}
	return gap, reported
}

// Clone returns a copy that goes on by itself.
func (c *Catalog[V]) Clone() *Catalog[V] {
	copied := *c
	return &copied
}

// Known returns the objects of the last observation; not to be changed.
func (c *Catalog[V]) Known() map[string]V { return c.tracker.Known() }
