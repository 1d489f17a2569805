// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Saved is what survives a restart of what is known of the keys under one
// covering prefix. Names of keys can be any bytes.
type Saved struct {
	Revision int64
	Attempts []SavedAttempt
}

// SavedAttempt is an attempt that has not ended.
type SavedAttempt struct {
	Key, Lock        []byte
	Election         bool
	Lease, Created   int64
	Position         int
	Queued, Acquired time.Time

	BeganBefore, HeldBefore, Reconciled, HoldReconciled bool

	Behind        []byte // key of the holder before; none when empty
	BehindCreated int64
}

// Save returns what is to survive of a prefix; nothing before its baseline.
func (m *Machine) Save(prefix string) (Saved, bool) {
	p := m.parts[prefix]
	if p == nil {
		return Saved{}, false
	}
	saved := Saved{Revision: p.revision}
	for _, a := range p.attempts {
		s := SavedAttempt{
			Key: []byte(a.Key), Lock: []byte(a.Lock), Election: a.Election, Lease: a.Lease, Created: a.Created,
			Position: a.Position, Queued: a.Queued, Acquired: a.Acquired,
			BeganBefore: a.BeganBefore, HeldBefore: a.HeldBefore, Reconciled: a.Reconciled, HoldReconciled: a.HoldReconciled,
		}
		if a.Behind != nil {
			s.Behind, s.BehindCreated = []byte(a.Behind.Key), a.Behind.Created
		}
		saved.Attempts = append(saved.Attempts, s)
	}
	slices.SortFunc(saved.Attempts, func(a, b SavedAttempt) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), slices.Compare(a.Key, b.Key))
	})
	return saved, true
}

// restore goes on from what an earlier process saved. What is not followed any
// more is left out.
func (s *step) restore(o Observation) {
	if o.Saved == nil {
		return
	}
	s.p.revision, s.p.resumed = max(0, o.Saved.Revision), true
	for _, saved := range o.Saved.Attempts {
		key := Key{Name: string(saved.Key), Created: saved.Created, Modified: saved.Created, Lease: saved.Lease}
		if saved.Election {
			key.Size = 1 // which tells the two apart
		}
		place, is := s.p.prefixes.queue(key)
		if !is || place.lock != string(saved.Lock) || place.election != saved.Election || s.p.attempts[key.Name] != nil {
			continue
		}
		if !s.remember(s.p.countsOf(key.Name), key, Key{}, false) {
			continue
		}
		s.attach(key, false)
		a := &Attempt{
			Lock: place.lock, Prefix: place.prefix, Election: place.election, Key: key.Name, Lease: key.Lease, Created: key.Created,
			Queued: saved.Queued, BeganBefore: saved.BeganBefore, HeldBefore: saved.HeldBefore, Reconciled: saved.Reconciled, HoldReconciled: saved.HoldReconciled,
		}
		if len(saved.Behind) > 0 {
			a.Behind = &Attempt{Lock: a.Lock, Key: string(saved.Behind), Created: saved.BehindCreated}
		}
		s.p.attempts[key.Name] = a
		s.p.queues.add(a)
		s.m.counts.queued(a)
		a.Position = saved.Position
		if !saved.Acquired.IsZero() && s.p.queues[a.Lock].holder == nil {
			behind := a.Behind
			s.hold(a)
			a.Acquired, a.Behind = saved.Acquired, behind
		}
	}
	s.presume()
}

// SavedLease is a lease that has not ended.
type SavedLease struct {
	ID             int64
	Seen, Deadline time.Time
	BeganBefore    bool
	Reconciled     bool
	Granted        int64 // revision of the change that it was told with; 0 for none
	TTL            int64
	Names          [][]byte
}

// SaveLeases returns what is to survive of the leases.
func (m *Machine) SaveLeases() []SavedLease {
	saved := make([]SavedLease, 0, len(m.leases.known))
	for _, id := range slices.Sorted(maps.Keys(m.leases.known)) {
		l := m.leases.known[id]
		s := SavedLease{ID: id, Seen: l.Seen, Deadline: l.deadline, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled, Granted: l.granted, TTL: l.TTL}
		for _, name := range l.Names {
			s.Names = append(s.Names, []byte(name))
		}
		saved = append(saved, s)
	}
	return saved
}

// RestoreLeases goes on from what an earlier process saved, before the first
// step.
func (m *Machine) RestoreLeases(now time.Time, saved []SavedLease) {
	for _, s := range saved {
		if s.ID == 0 || m.leases.known[s.ID] != nil {
			continue
		}
		l := m.leases.add(now, s.ID)
		if l == nil {
			return
		}
		l.Seen, l.BeganBefore, l.Reconciled, l.TTL, l.deadline = s.Seen, s.BeganBefore, s.Reconciled, s.TTL, s.Deadline
		l.granted, l.untold, l.resumed = s.Granted, true, true
		for _, name := range s.Names[:min(len(s.Names), maxLeaseKeys)] {
			l.Names = append(l.Names, string(name))
		}
	}
}
