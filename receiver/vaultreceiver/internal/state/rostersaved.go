// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"maps"
	"slices"
)

// SavedRoster is what of a Roster survives a restart. It is fit for JSON.
type SavedRoster[D any] struct {
	Begun map[string]int64 // when the baseline of each part was complete
	Lives []SavedLife[D]
}

// SavedLife is what of one survives a restart. Times are in nanoseconds.
type SavedLife[D any] struct {
	ID     string
	Part   string
	Detail D

	Seen     int64
	Issued   int64 `json:",omitempty"`
	Expires  int64 `json:",omitempty"`
	Renewed  int64 `json:",omitempty"`
	TTL      int64 `json:",omitempty"`
	Sure     int64 `json:",omitempty"`
	Expected int64 `json:",omitempty"`
	Late     int64 `json:",omitempty"`
	Due      int64 `json:",omitempty"`

	Read       bool      `json:",omitempty"`
	Waits      bool      `json:",omitempty"`
	News       bool      `json:",omitempty"`
	Doubtful   bool      `json:",omitempty"`
	Reconciled bool      `json:",omitempty"`
	Renewable  bool      `json:",omitempty"`
	Warned     bool      `json:",omitempty"`
	Outlived   bool      `json:",omitempty"`
	Shortened  bool      `json:",omitempty"`
	Dropped    uint16    `json:",omitempty"`
	Renewals   []Renewal `json:",omitempty"`
}

// Save returns what has to survive a restart.
func (r *Roster[D]) Save() SavedRoster[D] {
	saved := SavedRoster[D]{Begun: map[string]int64{}, Lives: make([]SavedLife[D], 0, len(r.known))}
	for name, p := range r.parts {
		if p.begun > 0 {
			saved.Begun[name] = p.begun
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.known)) {
		l := r.known[id]
		saved.Lives = append(saved.Lives, SavedLife[D]{
			ID: l.id, Part: l.part.name, Detail: l.detail,
			Seen: l.seen, Issued: l.issued, Expires: l.expires, Renewed: l.renewed, TTL: l.ttl,
			Sure: l.sure, Expected: l.expected, Late: l.late, Due: l.due,
			Read: l.read, Waits: l.waits, News: l.news, Doubtful: l.doubtful, Reconciled: l.reconciled,
			Renewable: l.renewable, Warned: l.warned, Outlived: l.outlived, Shortened: l.shortened,
			Dropped: l.dropped, Renewals: slices.Clone(l.renewals),
		})
	}
	return saved
}

// Restore goes on from what an earlier process saved, before the first list.
// What is of another part than those named is forgotten.
func (r *Roster[D]) Restore(saved SavedRoster[D], parts ...string) {
	for _, name := range parts {
		if begun := saved.Begun[name]; begun > 0 {
			r.part(name).begun = begun
		}
	}
	for _, s := range saved.Lives {
		p := r.parts[s.Part]
		if _, double := r.known[s.ID]; p == nil || double {
			continue
		}
		if len(r.known) >= r.limit {
			p.beyond++
			continue
		}
		l := &life[D]{
			id: s.ID, part: p, detail: s.Detail,
			seen: s.Seen, issued: s.Issued, expires: s.Expires, renewed: s.Renewed, ttl: s.TTL,
			sure: s.Sure, expected: s.Expected, late: s.Late, index: -1,
			read: s.Read, waits: s.Waits && !s.Read, news: s.News && !s.Read, doubtful: s.Doubtful, reconciled: s.Reconciled, resumed: true,
			renewable: s.Renewable, warned: s.Warned, outlived: s.Outlived, shortened: s.Shortened,
			dropped: s.Dropped, renewals: s.Renewals[:min(len(s.Renewals), maxRenewals)],
		}
		r.known[l.id] = l
		if !l.read {
			r.unread++
		}
		r.ask(l, s.Due)
	}
}
