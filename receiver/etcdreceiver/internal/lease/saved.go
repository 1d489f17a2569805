// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Saved is what survives a restart of a lease that has not ended. Names of keys
// can be any bytes.
type Saved struct {
	ID          int64
	Since       time.Time `json:"Seen"`
	Deadline    time.Time
	BeganBefore bool
	Reconciled  bool
	Granted     int64 // revision of the change that it was reported with; 0 for none
	TTL         int64
	Names       [][]byte
	Lost        int    `json:",omitempty"` // keys, of which these are the names; else they are attached
	Revision    int64  `json:",omitempty"` // at which it was there, of a key
	Member      uint64 `json:",omitempty"` // that has listed it
}

// Save returns what is to survive of the leases.
func (ls *Leases) Save() []Saved {
	all := make([]Saved, 0, len(ls.known))
	for _, id := range slices.Sorted(maps.Keys(ls.known)) {
		all = append(all, ls.known[id].save())
	}
	return all
}

func (l *lease) save() Saved {
	s := Saved{
		ID: l.ID, Since: l.Since, Deadline: l.deadline, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled, Granted: l.granted, TTL: l.TTL,
		Revision: l.since, Member: l.listedBy,
	}
	names := l.Names
	if l.Keys == 0 && l.lost.keys > 0 {
		s.Lost, names = l.lost.keys, l.lost.names
	}
	for _, name := range names {
		s.Names = append(s.Names, []byte(name))
	}
	return s
}

// SavedChanges are what has changed of leases.
type SavedChanges struct {
	Changed []Saved `json:",omitempty"`
	Ended   []int64 `json:",omitempty"`
}

func (c SavedChanges) size() int { return len(c.Changed) + len(c.Ended) }

func (c SavedChanges) apply(all map[int64]Saved) {
	for _, l := range c.Changed {
		all[l.ID] = l
	}
	for _, id := range c.Ended {
		delete(all, id)
	}
}

// ChangeAll has all leases taken as changed, and from now on those that change.
func (ls *Leases) ChangeAll() {
	ls.changed = make(map[int64]struct{}, len(ls.known))
	for id := range ls.known {
		ls.changed[id] = struct{}{}
	}
}

// change takes in that what is to survive of a lease has changed.
func (ls *Leases) change(id int64) {
	if ls.changed != nil {
		ls.changed[id] = struct{}{}
	}
}

// Changed takes what has changed of some leases since it was taken last, at most so
// many, and says whether there is more.
func (ls *Leases) Changed(limit int) (c SavedChanges, more bool) {
	for id := range ls.changed {
		if c.size() == limit {
			break
		}
		delete(ls.changed, id)
		if l := ls.known[id]; l != nil {
			c.Changed = append(c.Changed, l.save())
		} else {
			c.Ended = append(c.Ended, id)
		}
	}
	more = len(ls.changed) > 0
	if !more && ls.changed != nil {
		ls.changed = map[int64]struct{}{} // A map that was large is slow to read, however little is in it.
	}
	slices.SortFunc(c.Changed, func(a, b Saved) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(c.Ended)
	return c, more
}

// Restore goes on from what an earlier process saved, before the first step.
func (ls *Leases) Restore(now time.Time, all []Saved) {
	for _, s := range all {
		if s.ID == 0 || ls.known[s.ID] != nil {
			continue
		}
		l := ls.add(now, s.ID)
		if l == nil {
			return
		}
		l.Since, l.BeganBefore, l.Reconciled, l.TTL, l.deadline = s.Since, s.BeganBefore, s.Reconciled, s.TTL, s.Deadline
		l.granted, l.pending, l.resumed = s.Granted, true, true
		l.since, l.listedBy = s.Revision, s.Member
		var names []string
		for _, name := range s.Names[:min(len(s.Names), maxKeys)] {
			names = append(names, string(name))
		}
		if s.Lost > 0 {
			l.lost = losses{keys: s.Lost, names: names}
		} else {
			l.Names = names
		}
		delete(ls.changed, s.ID)
	}
}
