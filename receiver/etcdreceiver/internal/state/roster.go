// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "github.com/otelcol-infra/otelcol-infra/internal/diff"

// Seen is a part of an observation. Its zero value is one that was not asked
// for, or could not be had.
type Seen[T any] struct {
	Value T
	Known bool
	Gap   bool // the part could not be had when it was last asked for
}

// roster is a set that is followed from observation to observation.
type roster[K, V comparable] struct {
	known  map[K]V
	begun  bool // it is known
	before bool // by an earlier process only
}

// step takes in what was seen and returns what changed, sorted, and whether it
// is unknown when.
func (r *roster[K, V]) step(seen Seen[map[K]V], compare func(a, b K) int) (changes []diff.Change[K, V], reconciled bool) {
	if !seen.Known {
		return nil, false
	}
	if r.begun {
		changes = diff.Maps(r.known, seen.Value, compare)
	}
	reconciled = seen.Gap || r.before
	r.known, r.begun, r.before = seen.Value, true, false
	return changes, reconciled
}

func (r *roster[K, V]) restore(known map[K]V) { r.known, r.begun, r.before = known, true, true }

// history counts the revisions that are made.
type history struct {
	begun  bool
	newest int64
	term   uint64
	made   int64
}

// step takes in how far the members are. The one that is furthest may be absent
// for a while, so the newest revision goes back only with the term of a leader:
// then a backup was restored.
func (h *history) step(members []Member, led Led) {
	newest := int64(0)
	for _, m := range members {
		newest = max(newest, m.Revision)
	}
	if !h.begun || led.Leader != 0 && led.Term < h.term {
		*h = history{begun: true, newest: newest, term: led.Term, made: h.made}
		return
	}
	h.made += max(0, newest-h.newest)
	h.newest, h.term = max(h.newest, newest), max(h.term, led.Term)
}
