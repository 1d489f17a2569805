// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package compaction

import "time"

// Change is a compaction: Revision is the oldest one that can still be read.
type Change struct {
	Revision int64
	At       time.Time
}

// Tracker tracks the oldest revision that can be read. Its zero value knows nothing yet.
type Tracker struct{ oldest int64 }

// Step takes in the oldest revision, as found at now. The first one is a baseline, not
// news. It goes back with a restored backup only, which is no compaction.
func (t *Tracker) Step(now time.Time, oldest int64) *Change {
	before := t.oldest
	t.oldest = oldest
	if before == 0 || oldest <= before {
		return nil
	}
	return &Change{Revision: oldest, At: now}
}

// Save returns the oldest revision; 0 when it is not known.
func (t *Tracker) Save() int64 { return t.oldest }

// Restore goes on from what an earlier process saved, before the first Step.
func (t *Tracker) Restore(oldest int64) { t.oldest = oldest }

// Member is how far a member is.
type Member struct {
	Revision int64
	Term     uint64
	Follows  bool // a leader
}

// History counts the revisions that are made. Its zero value knows nothing yet.
type History struct {
	begun  bool
	newest int64
	term   uint64
	made   int64
}

// Step takes in how far the members are. The one that is furthest may be absent
// for a while, so the newest revision goes back only with the term of a leader:
// then a backup was restored.
func (h *History) Step(members []Member) {
	newest, term, led := int64(0), uint64(0), false
	for _, m := range members {
		newest, term = max(newest, m.Revision), max(term, m.Term)
	}
	for _, m := range members {
		led = led || m.Follows && m.Term == term
	}
	if !h.begun || led && term < h.term {
		*h = History{begun: true, newest: newest, term: term, made: h.made}
		return
	}
	h.made += max(0, newest-h.newest)
	h.newest, h.term = max(h.newest, newest), max(h.term, term)
}

// Made returns how many revisions were made since the first observation.
func (h *History) Made() int64 { return h.made }
