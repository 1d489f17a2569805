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

// step is one step of a Machine in one of its parts.
type step struct {
	m          *Machine
	p          *part
	now        time.Time
	reconciled bool             // what happens has no known time
	unordered  bool             // nor a known order
	causes     map[int64]ending // of leases that lose keys in the present revision
	touched    map[string]bool  // locks whose queue changed in it
	effects    []Effect
}

// follow takes in changes, revision by revision: those of one revision
// happened at once, so nobody comes to hold a lock between them.
func (s *step) follow(o Observation) {
	s.effects = make([]Effect, 0, len(o.Changes))
	for changes := o.Changes; len(changes) > 0; {
		revision := changes[0].Key.Modified
		n := 1
		for n < len(changes) && changes[n].Key.Modified == revision {
			n++
		}
		if revision > s.p.revision {
			s.reconciled = revision <= o.Late
			s.apply(revision, changes[:n])
			s.p.revision = revision
		}
		changes = changes[n:]
	}
	s.reconciled = false
	s.p.revision = max(s.p.revision, o.Revision)
	for _, a := range o.Answers { // of leases that ended with nothing observed
		s.tellLease(s.m.leases.settle(s.now, a.ID))
	}
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
	s.reconciled, s.unordered = true, true
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
	n := min(len(o.Keys), max(0, s.m.limits.Keys-others))
	return o.Keys[:n], len(o.Keys) - n + o.More
}

// begin begins a revision.
func (s *step) begin() { clear(s.touched) }

// apply takes in changes that happened at once, or in an unknown order.
func (s *step) apply(revision int64, changes []Change) {
	s.begin()
	s.judge(changes)
	for _, c := range changes {
		if c.Deleted {
			s.remove(c)
			continue
		}
		if old, known := s.p.keys[c.Key.Name]; known && old.Created != c.Key.Created {
			s.remove(Change{Key: Key{Name: c.Key.Name, Modified: c.Key.Created}, Deleted: true})
		}
		s.put(c)
	}
	s.promote(revision)
	for _, id := range slices.Sorted(maps.Keys(s.causes)) {
		s.tellLease(s.m.leases.settle(s.now, id))
	}
}

// judge finds out what becomes of the leases whose keys are deleted.
func (s *step) judge(changes []Change) {
	clear(s.causes)
	for _, c := range changes {
		if !c.Deleted {
			continue
		}
		old := s.p.keys[c.Key.Name]
		if old.Lease == 0 {
			continue
		}
		if s.causes == nil {
			s.causes = map[int64]ending{}
		}
		e := s.causes[old.Lease]
		e.keys++
		s.causes[old.Lease] = e
	}
	for id, e := range s.causes {
		e.cause = s.m.leases.judge(s.now, id, e.keys, s.reconciled)
		s.causes[id] = e
	}
}

// promote lets the first of each queue that changed hold its lock.
func (s *step) promote(revision int64) {
	if len(s.touched) == 0 {
		return
	}
	for _, lock := range slices.Sorted(maps.Keys(s.touched)) {
		if a := s.p.queues.next(lock); a != nil {
			s.hold(a)
			s.m.counts.of(a).Acquired++
			s.tell(Effect{Kind: LockAcquired, Revision: revision, Attempt: a})
		}
	}
}

func (s *step) hold(a *Attempt) {
	s.p.queues.acquire(a, s.now)
	s.m.counts.held(a)
}

// put takes in a key that is there. What is no news, because it was so at the
// last known revision, is not told.
func (s *step) put(c Change) {
	created, changed := c.Key.Created > s.p.revision, c.Key.Modified > s.p.revision
	prefix, watched := longest(c.Key.Name, s.p.prefixes.Watch)
	if changed && watched {
		s.m.counts.change(prefix, false)
	}
	remembered := s.remember(prefix, c.Key, created, changed)
	queued := remembered && s.enqueue(c.Key, created)
	a := s.p.attempts[c.Key.Name]
	if changed && watched {
		s.tell(Effect{Kind: KeyPut, Revision: c.Key.Modified, Change: c, Created: created, Attempt: a})
	}
	if queued && created {
		s.tell(Effect{Kind: LockQueued, Revision: c.Key.Created, Attempt: a})
	}
}

func (s *step) remove(c Change) {
	name := c.Key.Name
	a := s.p.attempts[name]
	if old, known := s.p.keys[name]; known {
		old.Modified = c.Key.Modified
		c.Key = old
	} else if c.Before.Version > 0 {
		c.Before.Modified = c.Key.Modified
		c.Key = c.Before
	}
	if prefix, watched := longest(name, s.p.prefixes.Watch); watched {
		s.m.counts.change(prefix, true)
		s.tell(Effect{Kind: KeyDeleted, Revision: c.Key.Modified, Change: c, Attempt: a})
	}
	if a != nil {
		a.Ended = s.now
		a.Cause = s.causes[a.Lease].cause
		kind := LockReleased
		switch {
		case a.Holds():
		case s.unordered:
			a.Unordered = true
		default:
			kind = LockAbandoned
		}
		s.touch(a.Lock)
		if kind == LockAbandoned {
			s.m.counts.of(a).Abandoned++
		}
		s.tell(Effect{Kind: kind, Revision: c.Key.Modified, Attempt: a})
	}
	s.forget(name)
}

func (s *step) touch(lock string) {
	if s.touched == nil {
		s.touched = map[string]bool{}
	}
	s.touched[lock] = true
}

// remember returns false when there are too many keys to remember this one.
func (s *step) remember(prefix string, key Key, created, changed bool) bool {
	old, known := s.p.keys[key.Name]
	if !known {
		if s.m.remembered >= s.m.limits.Keys {
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
	if known {
		s.m.counts.drop(prefix, old)
	}
	s.m.counts.add(prefix, key)
	if old.Lease != key.Lease {
		s.m.leases.detach(old.Lease)
		s.tellLease(s.m.leases.attach(s.now, key.Lease, key.Name, changed))
	}
	return true
}

func (s *step) forget(name string) {
	if a := s.p.attempts[name]; a != nil {
		s.p.queues.remove(a)
		s.m.counts.ended(a)
		delete(s.p.attempts, name)
	}
	old, known := s.p.keys[name]
	if !known {
		s.p.beyond = max(0, s.p.beyond-1)
		return
	}
	prefix, _ := longest(name, s.p.prefixes.Watch)
	s.m.counts.drop(prefix, old)
	s.m.leases.detach(old.Lease)
	delete(s.p.keys, name)
	s.m.remembered--
}

// enqueue puts the attempt that a key stands for into its lock's queue, unless
// it is there or the key stands for none. One that was not created just now
// began before; if it is the first in the queue, so did its hold.
func (s *step) enqueue(key Key, created bool) bool {
	if key.Lease == 0 || s.p.attempts[key.Name] != nil {
		return false
	}
	place, is := s.p.prefixes.queue(key)
	if !is {
		return false
	}
	a := &Attempt{
		Lock: place.lock, Prefix: place.prefix, Election: place.election, Key: key.Name, Lease: key.Lease,
		Created: key.Created, Queued: s.now, BeganBefore: !created,
	}
	s.p.attempts[key.Name] = a
	s.p.queues.add(a)
	s.m.counts.queued(a)
	s.touch(a.Lock)
	if !created && s.p.queues.next(a.Lock) == a {
		s.hold(a)
		a.HeldBefore = true
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

func (s *step) tellLease(l *Lease) {
	if l == nil {
		return
	}
	kind := LeaseGranted
	if !l.Ended.IsZero() {
		kind = LeaseEnded
	}
	l.Reconciled = l.Reconciled || s.reconciled
	if kept := s.m.leases.known[l.ID]; kept != nil {
		kept.Reconciled = l.Reconciled
	}
	s.tell(Effect{Kind: kind, Lease: l})
}
