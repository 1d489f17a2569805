// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
)

// Observation is what was seen of the keys under one covering prefix: a list
// of them at a revision, or the changes up to a revision.
type Observation struct {
	Prefix   string
	Revision int64

	Listed bool
	Keys   []Key // of a list, in the order of their names
	More   int   // keys that the list leaves out, all after the last one

	Changes []Change // of a watch, in etcd's order
}

// Kind is what happened.
type Kind int

// What can happen.
const (
	KeyPut Kind = iota + 1
	KeyDeleted
	LockQueued
	LockAcquired
	LockReleased
	LockAbandoned
	WatchGap
)

// Effect is one thing that happened.
type Effect struct {
	Kind       Kind
	At         time.Time
	Revision   int64
	Reconciled bool // the true time is unknown, within a gap

	Change  Change   // of KeyPut and KeyDeleted
	Created bool     // of KeyPut: the key did not exist before
	Attempt *Attempt // at the lock, or that the key stands for; else nil
	Gap     Gap      // of WatchGap
}

// Gap is a range of revisions whose changes are unknown.
type Gap struct {
	Prefix      string
	First, Last int64
}

// Machine follows keys and locks from observation to observation. It remembers
// a bounded number of keys, and the attempts at locks that they stand for.
type Machine struct {
	prefixes   Prefixes
	maxKeys    int
	remembered int              // keys in all parts
	parts      map[string]*part // by covering prefix
}

// part is what is known of the keys under one covering prefix.
type part struct {
	revision int64 // all changes up to it are known
	keys     map[string]Key
	beyond   int                 // keys that exist and are not remembered
	attempts map[string]*Attempt // by key
	queues   queues
}

// NewMachine returns a Machine that knows nothing yet.
func NewMachine(prefixes Prefixes, maxKeys int) *Machine {
	return &Machine{prefixes: prefixes, maxKeys: maxKeys, parts: map[string]*part{}}
}

// Beyond returns how many keys are not remembered because there are too many.
func (m *Machine) Beyond() int {
	beyond := 0
	for _, p := range m.parts {
		beyond += p.beyond
	}
	return beyond
}

// Step takes in the next observation, made at now, and returns its effects in
// etcd's order. The first one of a prefix is a list, the baseline, and has no
// effects. What was taken in already has none either.
func (m *Machine) Step(now time.Time, o Observation) []Effect {
	s := step{m: m, p: m.parts[o.Prefix], now: now}
	switch {
	case s.p == nil:
		s.baseline(o)
	case o.Listed:
		s.reconcile(o)
	default:
		s.follow(o)
	}
	return s.effects
}

// step is one step of a Machine in one of its parts.
type step struct {
	m          *Machine
	p          *part
	now        time.Time
	reconciled bool
	touched    map[string]bool // locks whose queue changed
	effects    []Effect
}

func (s *step) baseline(o Observation) {
	s.p = &part{revision: o.Revision, keys: map[string]Key{}, attempts: map[string]*Attempt{}, queues: queues{}}
	s.m.parts[o.Prefix] = s.p
	keys, more := s.fitting(o)
	changes := make([]Change, 0, len(keys))
	for _, key := range keys {
		changes = append(changes, Change{Key: key})
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Key.Created, b.Key.Created) })
	s.apply(o.Revision, changes)
	s.p.beyond = more
}

// follow takes in changes, revision by revision: those of one revision
// happened at once, so nobody comes to hold a lock between them.
func (s *step) follow(o Observation) {
	for changes := o.Changes; len(changes) > 0; {
		revision := changes[0].Key.Modified
		n := 1
		for n < len(changes) && changes[n].Key.Modified == revision {
			n++
		}
		if revision > s.p.revision {
			s.apply(revision, changes[:n])
			s.p.revision = revision
		}
		changes = changes[n:]
	}
	s.p.revision = max(s.p.revision, o.Revision)
}

// reconcile takes in a list that was made because the changes between the last
// known revision and the list's are lost. A list at an earlier revision is of
// a restored backup: of its history nothing is known.
func (s *step) reconcile(o Observation) {
	if o.Revision == s.p.revision {
		return
	}
	if o.Revision < s.p.revision {
		s.p.revision = 0
	}
	s.reconciled = true
	s.tell(Effect{Kind: WatchGap, Revision: o.Revision, Gap: Gap{o.Prefix, s.p.revision + 1, o.Revision}})

	keys, more := s.fitting(o)
	listed := make(map[string]Key, len(keys))
	for _, key := range keys {
		listed[key.Name] = key
	}
	var gone, there []Change
	for _, c := range diff.Maps(s.p.keys, listed, cmp.Compare[string]) {
		switch {
		case !c.Removed:
			there = append(there, Change{Key: c.Next})
		case more > 0 && (len(keys) == 0 || c.Key > keys[len(keys)-1].Name):
			s.forget(c.Key) // It may still be there, beyond the bound.
		default:
			gone = append(gone, Change{Key: Key{Name: c.Key, Modified: o.Revision}, Deleted: true})
		}
	}
	slices.SortStableFunc(there, func(a, b Change) int { return cmp.Compare(a.Key.Modified, b.Key.Modified) })
	s.apply(o.Revision, slices.Concat(gone, there))
	s.p.revision, s.p.beyond = o.Revision, more
}

// fitting returns the keys of a list that there is room for, and how many
// there are beyond them.
func (s *step) fitting(o Observation) (keys []Key, more int) {
	others := s.m.remembered - len(s.p.keys)
	n := min(len(o.Keys), max(0, s.m.maxKeys-others))
	return o.Keys[:n], len(o.Keys) - n + o.More
}

// apply takes in changes that happened at once, or in an unknown order.
func (s *step) apply(revision int64, changes []Change) {
	s.touched = map[string]bool{}
	for _, c := range changes {
		old, known := s.p.keys[c.Key.Name]
		if c.Deleted {
			s.remove(c)
			continue
		}
		if known && old.Created != c.Key.Created {
			s.remove(Change{Key: Key{Name: c.Key.Name, Modified: c.Key.Created}, Deleted: true})
		}
		s.put(c)
	}
	for _, lock := range slices.Sorted(maps.Keys(s.touched)) {
		if a := s.p.queues.next(lock); a != nil {
			a.Acquired = s.now
			s.tell(Effect{Kind: LockAcquired, Revision: revision, Attempt: a})
		}
	}
}

// put takes in a key that is there. What is no news, because it was so at the
// last known revision, is not told.
func (s *step) put(c Change) {
	created, changed := c.Key.Created > s.p.revision, c.Key.Modified > s.p.revision
	queued := s.remember(c.Key, created) && s.enqueue(c.Key, created)
	a := s.p.attempts[c.Key.Name]
	if changed && s.m.prefixes.Watched(c.Key.Name) {
		s.tell(Effect{Kind: KeyPut, Revision: c.Key.Modified, Change: c, Created: created, Attempt: a})
	}
	if queued && created {
		s.tell(Effect{Kind: LockQueued, Revision: c.Key.Created, Attempt: a})
	}
}

func (s *step) remove(c Change) {
	a := s.p.attempts[c.Key.Name]
	if s.m.prefixes.Watched(c.Key.Name) {
		s.tell(Effect{Kind: KeyDeleted, Revision: c.Key.Modified, Change: c, Attempt: a})
	}
	if a != nil {
		a.Ended = s.now
		kind := LockReleased
		if !a.Holds() && !s.reconciled {
			kind = LockAbandoned
		}
		s.touched[a.Lock] = true
		s.tell(Effect{Kind: kind, Revision: c.Key.Modified, Attempt: a})
	}
	s.forget(c.Key.Name)
}

// remember returns false when there are too many keys to remember this one.
func (s *step) remember(key Key, created bool) bool {
	if _, known := s.p.keys[key.Name]; !known {
		if s.m.remembered >= s.m.maxKeys {
			if created {
				s.p.beyond++
			}
			return false
		}
		if !created {
			s.p.beyond = max(0, s.p.beyond-1)
		}
		s.m.remembered++
	}
	s.p.keys[key.Name] = key
	return true
}

func (s *step) forget(name string) {
	if a := s.p.attempts[name]; a != nil {
		s.p.queues.remove(a)
		delete(s.p.attempts, name)
	}
	if _, known := s.p.keys[name]; !known {
		s.p.beyond = max(0, s.p.beyond-1)
		return
	}
	delete(s.p.keys, name)
	s.m.remembered--
}

// enqueue puts the attempt that a key stands for into its lock's queue, unless
// it is there or the key stands for none. One that was not created just now
// began before; if it is the first in the queue, so did its hold.
func (s *step) enqueue(key Key, created bool) bool {
	lock, is := s.m.prefixes.Lock(key)
	if !is || s.p.attempts[key.Name] != nil {
		return false
	}
	a := &Attempt{Lock: lock, Key: key.Name, Lease: key.Lease, Created: key.Created, Queued: s.now, BeganBefore: !created}
	s.p.attempts[key.Name] = a
	s.p.queues.add(a)
	s.touched[lock] = true
	if !created && s.p.queues.next(lock) == a {
		a.Acquired, a.HeldBefore = s.now, true
	}
	return true
}

// tell adds an effect, with the attempt as it is now.
func (s *step) tell(e Effect) {
	e.At, e.Reconciled = s.now, s.reconciled
	if e.Attempt != nil {
		e.Attempt.Reconciled = e.Attempt.Reconciled || s.reconciled
		told := *e.Attempt
		e.Attempt = &told
	}
	s.effects = append(s.effects, e)
}
