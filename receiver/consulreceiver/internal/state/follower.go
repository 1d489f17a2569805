// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "github.com/otelcol-infra/otelcol-infra/internal/diff"

// Seen says how an observation continues the one before.
type Seen struct {
	Index uint64 // Consul's index of the answer

	// Gap says that something may have happened unseen since the last
	// observation: it failed, or Consul's index went backwards.
	Gap bool

	// Rebased says that the view itself has changed, as with the rights of the
	// token: an object that comes or goes with it is no news.
	Rebased bool

	// Cut says that there are, or were, more objects than may be observed: one
	// that is added may have been there before.
	Cut bool
}

// Observation is a snapshot of keyed objects and how it came about.
type Observation[K, V comparable] struct {
	Seen
	Objects map[K]V
}

// Change is one object that differs between two observations.
type Change[K, V comparable] struct {
	diff.Change[K, V]
	Initial    bool // it was there when the first observation was made
	Rebased    bool // it came or went with the view
	Reconciled bool // it changed at an unknown time, behind a gap
}

// Gap is a range of indexes between which changes may have gone unseen. Old is
// above New when Consul went back to a snapshot.
type Gap struct{ Old, New uint64 }

// Follower compares each observation with the one before. Its memory is that
// of one snapshot.
type Follower[K, V comparable] struct {
	known    map[K]V
	index    uint64
	begun    bool
	restored bool
}

// Restore makes known what an earlier process knew of some objects. What
// happened to them since is told with the first observation.
func (f *Follower[K, V]) Restore(known map[K]V, index uint64) {
	f.known, f.index, f.restored = known, index, true
}

// Step takes in the next observation. The gap is nil when nothing can have
// gone unseen; changes are in the order of compare on their keys.
func (f *Follower[K, V]) Step(o Observation[K, V], compare func(a, b K) int) (*Gap, []Change[K, V]) {
	first := !f.begun
	var gap *Gap
	// The same index: nothing has changed.
	if (o.Gap && !first || f.restored && first) && o.Index != f.index {
		gap = &Gap{Old: f.index, New: o.Index}
	}
	found := diff.Maps(f.known, o.Objects, compare)
	f.known, f.index, f.begun = o.Objects, o.Index, true
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

// Known returns the objects of the last observation; not to be changed.
func (f *Follower[K, V]) Known() map[K]V { return f.known }

// Index returns the index of the last observation.
func (f *Follower[K, V]) Index() uint64 { return f.index }
