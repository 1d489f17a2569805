// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// step is one step of a Machine in one of its parts.
type step struct {
	m          *Machine
	p          *part
	now        time.Time
	reconciled bool            // what happens has no known time
	unordered  bool            // nor a known order
	restored   bool            // etcd has another history than before
	was        int64           // revision up to which that one is known
	incomplete bool            // not all keys of that one are known
	changes    []key.Change    // all of the step
	attached   map[int64]int64 // by lease: newest revision of a key that they attach to it; nil until needed
	answers    []lease.Answer
	effects    []Effect
	puts       []key.Put // of the effects, allocated together
}

// follow takes in changes, revision by revision.
func (s *step) follow(o Observation) {
	s.changes, s.effects, s.puts = o.Changes, make([]Effect, 0, len(o.Changes)), make([]key.Put, 0, len(o.Changes))
	for changes := o.Changes; len(changes) > 0; {
		revision := changes[0].Key.Modified
		n := 1
		for n < len(changes) && changes[n].Key.Modified == revision {
			n++
		}
		if revision > s.p.revision {
			s.reconciled = revision <= o.Late
			s.apply(revision, changes[:n])
			s.p.revision, s.p.newest = revision, changes[0]
		}
		changes = changes[n:]
	}
	s.p.revision = max(s.p.revision, o.Revision)
}

// reconcile takes in a list that was made because the changes between the last
// known revision and the list's are lost. A list at an earlier revision, too, is of
// a restored backup: of its history nothing is known, as of another cluster's.
func (s *step) reconcile(o Observation) {
	if o.Revision == s.p.revision && !o.Another && !o.Restored {
		return
	}
	reason := key.GapCompacted
	if o.Revision < s.p.revision || o.Restored {
		reason = key.GapRestored
	}
	if o.Another {
		reason = key.GapOfAnotherCluster
	}
	switch reason {
	case key.GapRestored:
		s.p.locks.Restored()
	case key.GapOfAnotherCluster:
		s.p.locks.Moved(o.Former, o.Cluster)
	}
	if reason != key.GapCompacted {
		s.was, s.p.revision, s.restored = s.p.revision, 0, true
		s.p.restores++
		s.m.leases.ResetDeadlines()
	}
	s.reconciled, s.unordered = true, true
	s.incomplete = s.p.resumed || s.m.keys.OverLimit() > 0
	emit(s, key.Gap{Prefix: o.Prefix, First: s.p.revision + 1, Last: o.Revision, Reason: reason})

	keys, more := s.p.keys.Fit(o.Keys, o.More)
	deleted, changed, unknown := s.p.keys.Compare(keys, o.Revision, more > 0)
	for _, name := range unknown {
		s.forget(name) // It may still be there, beyond the bound.
	}
	s.changes = slices.Concat(deleted, changed)
	s.apply(o.Revision, s.changes)
	s.p.revision, s.p.newest = o.Revision, newest(keys)
	s.p.keys.SetOverLimit(more)
}

// apply takes in changes that happened at once, or in an unknown order: first why
// leases lose keys, then each change, then who holds a lock after all of them, and
// at last the leases that have ended with them.
func (s *step) apply(revision int64, changes []key.Change) {
	s.classify(revision, changes)
	for _, c := range changes {
		if c.Deleted {
			s.remove(c)
			continue
		}
		old, known := s.p.keys.Get(c.Key.Name)
		if known && old.Created != c.Key.Created {
			s.remove(key.Change{Key: key.Key{Name: c.Key.Name, Modified: c.Key.Created}, Deleted: true})
			old, known = key.Key{}, false
		}
		s.put(c, old, known)
	}
	emit(s, s.p.locks.Promote(revision, s.whenLocks())...)
	emit(s, s.p.leases.Settle(s.whenLeases())...)
}

// put takes in a key that is there. What was so at the last known revision is not
// reported.
func (s *step) put(c key.Change, old key.Key, known bool) {
	created, changed := c.Key.Created > s.p.revision, c.Key.Modified > s.p.revision
	remembered, reported := s.p.keys.Put(c.Key, old, known, created, changed)
	var a *lock.Attempt
	queued := false
	if remembered {
		if old.Lease != c.Key.Lease {
			s.p.leases.Detach(old.Lease, c.Key.Name, c.Key.Modified)
			if granted, is := s.p.leases.Attach(c.Key.Lease, c.Key.Name, c.Key.Modified, changed, s.whenLeases()); is {
				emit(s, granted)
			}
		}
		if !known {
			s.p.locks.Arrive(lockKey(c.Key))
		}
		if a, queued = s.p.locks.Enqueue(lockKey(c.Key), created, s.now); a != nil {
			s.p.leases.Prefer(c.Key.Lease)
		}
	}
	if reported {
		s.puts = append(s.puts, key.Put{Key: c.Key, Fingerprint: c.Fingerprint, Created: created && !s.wasThere(c.Key, known), Reconciled: s.reconciled, Attempt: attempt(a)})
		s.effects = append(s.effects, &s.puts[len(s.puts)-1])
	}
	if queued && created {
		emit(s, s.p.locks.Queued(a, s.whenLocks()))
	}
}

// wasThere reports whether a key, which another history has, was there in the one before.
// Of keys that were not remembered it depends on their age.
func (s *step) wasThere(k key.Key, known bool) bool {
	return s.restored && (known || s.incomplete && k.Created <= s.was)
}

// remove takes in that a key was deleted.
func (s *step) remove(c key.Change) {
	a := s.p.locks.Attempt(c.Key.Name)
	old, was, reported := s.p.keys.Delete(c)
	if reported {
		emit(s, key.Deleted{Key: was, Reconciled: s.reconciled, Attempt: attempt(a)})
	}
	if a != nil {
		emit(s, s.p.locks.End(a, c.Key.Modified, s.cause(old.Lease), s.whenLocks()))
	} else {
		s.p.locks.Delete(c.Key.Name, s.whenLocks())
	}
	s.p.leases.Detach(old.Lease, c.Key.Name, c.Key.Modified)
}

// forget takes in that a key is not observed any more.
func (s *step) forget(name string) {
	s.p.locks.Forget(name)
	s.p.leases.Detach(s.p.keys.Forget(name).Lease, name, 0)
}

// attempt returns the attempt that a key stands for, as keys know it.
func attempt(a *lock.Attempt) key.Attempt {
	if a == nil {
		return nil
	}
	return a
}

func (s *step) whenLocks() lock.When {
	return lock.When{Now: s.now, Reconciled: s.reconciled, Unordered: s.unordered}
}

func (s *step) whenLeases() lease.When {
	return lease.When{Now: s.now, Reconciled: s.reconciled, Answers: s.answers}
}

func emit[E any](s *step, effects ...E) {
	for _, e := range effects {
		s.effects = append(s.effects, e)
	}
}
