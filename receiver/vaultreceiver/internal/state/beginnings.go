// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// maxBeginnings is how many counters are known to have begun anew. Of others,
// only their values tell it.
const maxBeginnings = 10_000

// Beginnings tell since when each counter of a Vault counts: since the process
// began, or, as Vault forgets a counter that rests for its retention time, since
// a look after which it was less.
type Beginnings struct {
	process time.Time // when it began; zero: not known
	looked  time.Time // last
	now     time.Time
	seen    map[string]beginning
}

type beginning struct {
	value float64
	since time.Time
}

// Look begins a look at all counters of a process.
func (b *Beginnings) Look(now, process time.Time) {
	if b.seen == nil || !process.Equal(b.process) {
		*b = Beginnings{process: process, seen: map[string]beginning{}}
	}
	b.looked, b.now = b.now, now
}

// Of returns since when a counter counts that has a value now; zero when that is
// not known.
func (b *Beginnings) Of(counter string, value float64) time.Time {
	known, ok := b.seen[counter]
	switch {
	case !ok:
		known.since = b.process
	case value < known.value:
		known.since = b.looked
	}
	known.value = value
	if ok || len(b.seen) < maxBeginnings {
		b.seen[counter] = known
	}
	return known.since
}
