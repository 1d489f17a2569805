// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
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
	Lost        int `json:",omitempty"` // keys, of which these are the names; else they are attached
}

// Save returns what is to survive of the leases.
func (ls *Leases) Save() []Saved {
	all := make([]Saved, 0, len(ls.known))
	for _, id := range slices.Sorted(maps.Keys(ls.known)) {
		l := ls.known[id]
		s := Saved{ID: id, Since: l.Since, Deadline: l.deadline, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled, Granted: l.granted, TTL: l.TTL}
		names := l.Names
		if l.Keys == 0 {
			s.Lost, names = l.lost.keys, l.lost.names
		}
		for _, name := range names {
			s.Names = append(s.Names, []byte(name))
		}
		all = append(all, s)
	}
	return all
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
		var names []string
		for _, name := range s.Names[:min(len(s.Names), maxKeys)] {
			names = append(names, string(name))
		}
		if s.Lost > 0 {
			l.lost = losses{keys: s.Lost, names: names}
		} else {
			l.Names = names
		}
	}
}

// StorageKey is the key under which leases are stored.
const StorageKey = "leases"

// Checkpoint is what is stored of the leases.
type Checkpoint struct {
	Cluster uint64
	Leases  []Saved
}
