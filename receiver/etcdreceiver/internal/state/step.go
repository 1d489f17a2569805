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
	restored   bool             // etcd has another history than before
	changes    []Change         // all of the step
	attached   map[int64]int64  // by lease: newest revision of a key that they attach to it; nil until needed
	answers    []Answer
	effects    []Effect
}

// follow takes in changes, revision by revision: those of one revision
// happened at once, so nobody comes to hold a lock between them.
func (s *step) follow(o Observation) {
	s.changes, s.effects = o.Changes, make([]Effect, 0, len(o.Changes))
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
	s.p.revision = max(s.p.revision, o.Revision)
}

// reconcile takes in a list that was made because the changes between the last
// known revision and the list's are lost. A list at an earlier revision is of
// a restored backup: of its history nothing is known, as of another cluster's.
func (s *step) reconcile(o Observation) {
	if o.Revision == s.p.revision && !o.Another {
		return
	}
	reason := GapCompacted
	if o.Revision < s.p.revision {
		reason = GapRestored
	}
	if o.Another {
		reason = GapOfAnotherCluster
	}
	if reason != GapCompacted {
		s.p.revision, s.restored = 0, true
		s.m.leases.unsettle()
	}
	s.reconciled, s.unordered = true, true
	s.tell(Effect{Kind: WatchGap, Revision: o.Revision, Gap: Gap{o.Prefix, s.p.revision + 1, o.Revision, reason}})

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
	s.changes = slices.Concat(gone, there)
	s.apply(o.Revision, s.changes)
	s.p.revision, s.p.beyond = o.Revision, more
}

// fitting returns the keys of a list that there is room for, and how many
// there are beyond them.
func (s *step) fitting(o Observation) (keys []Key, more int) {
	others := s.m.remembered - len(s.p.keys)
	n := min(len(o.Keys), max(0, s.m.limits.Keys-others))
	return o.Keys[:n], len(o.Keys) - n + o.More
}

// apply takes in changes that happened at once, or in an unknown order.
func (s *step) apply(revision int64, changes []Change) {
	clear(s.touched)
	s.judge(revision, changes)
	for _, c := range changes {
		if c.Deleted {
			s.remove(c)
			continue
		}
		old, known := s.p.keys[c.Key.Name]
		if known && old.Created != c.Key.Created {
			s.remove(Change{Key: Key{Name: c.Key.Name, Modified: c.Key.Created}, Deleted: true})
			old, known = Key{}, false
		}
		s.put(c, old, known)
	}
	s.promote(revision)
	if len(s.causes) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.causes)) {
		s.tellLease(s.m.leases.settle(s.now, id))
	}
}

// judge finds out why the keys of leases are deleted. When a lease ends, all its
// keys go in one revision, and nothing else does. So keys that go alone, or with
// others, are deleted by a client, as are those of a lease that keeps a key or
// gets one later.
func (s *step) judge(revision int64, changes []Change) {
	clear(s.causes)
	if s.restored || !s.unordered && !slices.ContainsFunc(changes, func(c Change) bool { return c.Deleted }) {
		return
	}
	if s.causes == nil {
		s.causes = map[int64]ending{}
	}
	together := false // with something else
	for i, c := range changes {
		old, known := s.p.keys[c.Key.Name]
		together = together || !s.unordered && (!c.Deleted || i > 0 && s.differ(c, changes[0]))
		ended := known && (c.Deleted || c.Key.Created != old.Created)
		if old.Lease == 0 || !ended && c.Key.Lease == old.Lease {
			continue
		}
		e := s.causes[old.Lease]
		e.lost++
		if ended {
			e.deleted++
		}
		s.causes[old.Lease] = e
	}
	for id, e := range s.causes {
		if together || s.p.attached[id] > e.lost || s.attaches(id, revision) {
			e.cause = Released
		} else {
			e.cause = s.judgeLease(id, revision, e.deleted)
		}
		s.causes[id] = e
	}
}

// attaches says whether a key is attached to a lease at a revision or later. In
// an unknown order it is enough that one is, as the lease is there after all.
func (s *step) attaches(id, revision int64) bool {
	if s.attached == nil {
		s.attached = map[int64]int64{}
		for _, c := range s.changes {
			if !c.Deleted && c.Key.Lease != 0 {
				s.attached[c.Key.Lease] = c.Key.Modified
			}
		}
	}
	newest, attached := s.attached[id]
	return attached && (s.unordered || newest >= revision)
}

// differ says whether two keys that are deleted are known to be of different
// leases, or one of none.
func (s *step) differ(a, b Change) bool {
	leaseA, knownA := s.leaseOf(a)
	leaseB, knownB := s.leaseOf(b)
	return knownA && knownB && leaseA != leaseB
}

// leaseOf returns the lease of a key before it changes, if that is known.
func (s *step) leaseOf(c Change) (id int64, known bool) {
	if old, known := s.p.keys[c.Key.Name]; known {
		return old.Lease, true
	}
	return c.Before.Lease, c.Before.Version > 0
}

// cause returns why a key of a lease is deleted. One without a lease can only be
// deleted by a client.
func (s *step) cause(lease int64) EndCause {
	if lease == 0 && !s.restored {
		return Released
	}
	return s.causes[lease].cause
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

// presume lets the first of each queue that has no holder hold its lock: it did
// so before.
func (s *step) presume() {
	for lock := range s.p.queues {
		if a := s.p.queues.next(lock); a != nil {
			s.hold(a)
			a.HeldBefore = true
		}
	}
}

func (s *step) hold(a *Attempt) {
	s.p.queues.acquire(a, s.now)
	s.m.counts.held(a)
}

// put takes in a key that is there. What is no news, because it was so at the
// last known revision, is not told.
func (s *step) put(c Change, old Key, known bool) {
	created, changed := c.Key.Created > s.p.revision, c.Key.Modified > s.p.revision
	counts := s.p.countsOf(c.Key.Name)
	var a *Attempt
	queued := false
	if s.remember(counts, c.Key, old, known) {
		if !known && !created {
			s.p.beyond = max(0, s.p.beyond-1)
		}
		if old.Lease != c.Key.Lease {
			s.detach(old.Lease)
			s.attach(c.Key, changed)
		}
		a, queued = s.enqueue(c.Key, created)
	} else if created {
		s.p.beyond++
	}
	if changed && counts != nil {
		counts.Puts++
		s.tell(Effect{Kind: KeyPut, Revision: c.Key.Modified, Change: c, Created: created, Attempt: a})
	}
	if queued && created {
		s.tell(Effect{Kind: LockQueued, Revision: c.Key.Created, Attempt: a})
	}
}

func (s *step) remove(c Change) {
	name := c.Key.Name
	a := s.p.attempts[name]
	old, known := s.p.keys[name]
	if known {
		old.Modified = c.Key.Modified
		c.Key = old
	} else if c.Before.Version > 0 {
		c.Before.Modified = c.Key.Modified
		c.Key = c.Before
	}
	if counts := s.p.countsOf(name); counts != nil {
		counts.Deletes++
		s.tell(Effect{Kind: KeyDeleted, Revision: c.Key.Modified, Change: c, Attempt: a})
	}
	if a != nil {
		a.Ended = s.now
		a.Cause = s.cause(old.Lease)
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
func (s *step) remember(counts *KeyCounts, key, old Key, known bool) bool {
	switch {
	case known:
		counts.drop(old)
	case s.m.remembered >= s.m.limits.Keys:
		return false
	default:
		s.m.remembered++
	}
	counts.add(key)
	s.p.keys[key.Name] = key
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
	s.p.countsOf(name).drop(old)
	s.detach(old.Lease)
	delete(s.p.keys, name)
	s.m.remembered--
}

// enqueue returns the attempt that a key stands for, if any, and whether it was
// put into its lock's queue just now. One that was not created just now
// began before; if it is the first in the queue, so did its hold.
func (s *step) enqueue(key Key, created bool) (a *Attempt, queued bool) {
	if a = s.p.attempts[key.Name]; a != nil {
		return a, false
	}
	place, is := s.p.prefixes.queue(key)
	if !is {
		return nil, false
	}
	a = &Attempt{
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
	return a, true
}

// tell adds an effect, with the attempt as it is now.
func (s *step) tell(e Effect) {
	e.At, e.Reconciled = s.now, s.reconciled
	if e.Attempt != nil {
		if ofLock := e.Kind != KeyPut && e.Kind != KeyDeleted; ofLock && s.reconciled {
			e.Attempt.Reconciled = true
			e.Attempt.HoldReconciled = e.Attempt.HoldReconciled || e.Attempt.Holds()
		}
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
