// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package keyspace follows the key space of etcd. One watch for each covering
// prefix feeds what is known of keys, locks and leases: this package owns the
// watch, and the order in which they take in the changes of a revision.
package keyspace

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// Observation is what was observed of the keys under one covering prefix: a list
// of them at a revision, or the changes up to a revision.
type Observation struct {
	Prefix   string
	Revision int64

	Listed bool
	Keys   []key.Key // of a list, in the order of their names
	More   int       // keys that the list leaves out, all after the last one

	Changes []key.Change // of a watch, in etcd's order
	// Late is the newest revision that was there when the watch was opened:
	// when that came about is not known.
	Late int64
	// Answers are what etcd said of the leases that Ambiguous named.
	Answers []lease.Answer

	// Another, with a list, says that it is of another cluster than before, and Restored
	// that it is of another history of the same one: that of a restored backup.
	Another, Restored bool
	Former, Cluster   string // the IDs of the two, then

	// Saved, with a list, is what an earlier process knew.
	Saved *Saved
}

// Effect is something that happened: an effect of keys, of locks, or of leases.
type Effect any

// Limits are how much a Machine remembers.
type Limits struct {
	Keys, Leases int
}

// Machine follows keys, locks and leases from observation to observation. It
// remembers a bounded number of keys, and the attempts at locks that they stand
// for.
type Machine struct {
	prefixes Prefixes
	parts    map[string]*part // by covering prefix
	keys     *key.Space
	locks    *lock.Locks
	leases   *lease.Leases
}

// part is what is known under one covering prefix.
type part struct {
	revision int64      // all changes up to it are known
	restores int        // how often etcd had another history
	newest   key.Change // that is known; without a name if there is none
	resumed  bool       // of an earlier process: the keys are not known yet
	keys     *key.Keys
	locks    *lock.Queues
	leases   *lease.Attachments
}

// NewMachine returns a Machine that knows nothing yet. follow says whether
// leases are followed that keys are attached to.
func NewMachine(prefixes Prefixes, limits Limits, follow bool) *Machine {
	return &Machine{
		prefixes: prefixes,
		parts:    map[string]*part{},
		keys:     key.NewSpace(prefixes.Watch, limits.Keys),
		locks:    lock.NewLocks(prefixes.Locks, prefixes.Elections),
		leases:   lease.New(limits.Leases, follow),
	}
}

func (m *Machine) newPart(prefix string) *part {
	prefixes := m.prefixes.under(prefix)
	p := &part{
		keys:   m.keys.Under(prefixes.Watch),
		locks:  m.locks.Under(lock.Prefixes{Locks: prefixes.Locks, Elections: prefixes.Elections, Either: prefixes.Watch}),
		leases: m.leases.Under(),
	}
	m.parts[prefix] = p
	return p
}

// Step takes in the next observation, made at now, and returns its effects in
// etcd's order. The first one of a prefix is a list, the baseline, and has no
// effects. What was taken in already has none either.
func (m *Machine) Step(now time.Time, o Observation) []Effect {
	s := step{m: m, p: m.parts[o.Prefix], now: now, answers: o.Answers}
	if s.p == nil {
		s.p = m.newPart(o.Prefix)
		s.restore(o)
	}
	m.leases.Answered(now, o.Answers)
	switch {
	case o.Listed && (s.p.revision == 0 || s.p.resumed && s.p.revision == o.Revision && !o.Restored):
		s.baseline(o)
	case o.Listed:
		s.reconcile(o)
	default:
		s.follow(o)
	}
	s.p.resumed = false
	emit(&s, m.leases.Conclude(now, o.Answers)...)
	return s.effects
}

// StepLeases takes in an observation of leases, made at now, and returns its
// effects.
func (m *Machine) StepLeases(now time.Time, o lease.Observation) []Effect {
	var s step
	emit(&s, m.leases.Step(now, o)...)
	return s.effects
}

// DueLease returns the lease to query at now, if there is one.
func (m *Machine) DueLease(now time.Time) (id int64, preferred, ok bool) { return m.leases.Due(now) }

// LeasesWait returns how long the lease has been due at now that has been longest.
func (m *Machine) LeasesWait(now time.Time) time.Duration { return m.leases.Waiting(now) }

// Newest returns the newest change under a prefix that is known, by which its history
// is known again; without a name if there is none.
func (m *Machine) Newest(prefix string) key.Change {
	if p := m.parts[prefix]; p != nil {
		return p.newest
	}
	return key.Change{}
}

// Restores returns how often etcd had another history under a prefix than before.
func (m *Machine) Restores(prefix string) int {
	if p := m.parts[prefix]; p != nil {
		return p.restores
	}
	return 0
}

// RestoresAnywhere is Restores of the prefix where that is most.
func (m *Machine) RestoresAnywhere() (restores int) {
	for _, p := range m.parts {
		restores = max(restores, p.restores)
	}
	return restores
}

// Ambiguous returns the leases, at most limit of them, that may have ended with
// the changes, or not: it depends on whether they are still there.
func (m *Machine) Ambiguous(now time.Time, prefix string, changes []key.Change, limit int) []int64 {
	p := m.parts[prefix]
	if p == nil {
		return nil
	}
	var ambiguous []int64
	attached := map[string]key.Key{} // by changes before
	for _, c := range changes {
		if len(ambiguous) == limit {
			break
		}
		old, just := attached[c.Key.Name]
		if !c.Deleted {
			if just || c.Key.Lease != 0 {
				attached[c.Key.Name] = c.Key
			}
			continue
		}
		if !just {
			old, _ = p.keys.Get(c.Key.Name)
		}
		is := m.leases.Ambiguous(old.Lease, now) || just && m.leases.Unknown(old.Lease)
		if is && !slices.Contains(ambiguous, old.Lease) && p.locks.Recognizes(lockKey(old)) {
			ambiguous = append(ambiguous, old.Lease)
		}
	}
	return ambiguous
}

// lockKey is a key as locks know it.
func lockKey(k key.Key) lock.Key {
	return lock.Key{Name: k.Name, Lease: k.Lease, Created: k.Created, HasValue: k.Size > 0}
}

// baseline takes in the first list, or that of the revision at which an earlier
// process stopped. What that one knew and is not in the list is not observed any
// more.
func (s *step) baseline(o Observation) {
	keys, more := s.p.keys.Fit(o.Keys, o.More)
	slices.SortFunc(keys, func(a, b key.Key) int { return cmp.Compare(a.Created, b.Created) })
	s.p.revision, s.p.newest = o.Revision, newest(keys)
	there := make(map[string]int64, len(keys))
	for _, key := range keys {
		there[key.Name] = key.Created
	}
	for _, name := range s.p.locks.Names() {
		if created, is := there[name]; !is || created != s.p.locks.Attempt(name).Created {
			s.forget(name)
		}
	}
	for _, listed := range keys {
		old, known := s.p.keys.Get(listed.Name)
		s.put(key.Change{Key: listed}, old, known)
	}
	s.p.locks.AssumeHolders(s.now)
	s.p.keys.SetOverLimit(more)
}

// newest returns the newest change of listed keys.
func newest(keys []key.Key) key.Change {
	if len(keys) == 0 {
		return key.Change{}
	}
	return key.Change{Key: slices.MaxFunc(keys, func(a, b key.Key) int { return cmp.Compare(a.Modified, b.Modified) })}
}

// Counts are by configured prefix. A key, a lock or an election counts under
// the longest one.
type Counts struct {
	Keys             map[string]key.Counts
	Locks, Elections map[string]lock.Counts
	Leases           lease.Counts
	KeysOverLimit    int64 // keys that exist and are not remembered
}

// Counts returns what is counted.
func (m *Machine) Counts() Counts {
	c := Counts{Keys: m.keys.Counts(), Leases: m.leases.Counts(), KeysOverLimit: int64(m.keys.OverLimit())}
	c.Locks, c.Elections = m.locks.Counts()
	return c
}

// At returns the counts with what is there taken from a later time.
func (c Counts) At(later Counts) Counts {
	for prefix, k := range c.Keys {
		is := later.Keys[prefix]
		c.Keys[prefix] = key.Counts{Keys: is.Keys, Size: is.Size, Puts: k.Puts, Deletes: k.Deletes}
	}
	for _, of := range []struct{ queues, later map[string]lock.Counts }{{c.Locks, later.Locks}, {c.Elections, later.Elections}} {
		for prefix, q := range of.queues {
			is := of.later[prefix]
			of.queues[prefix] = lock.Counts{Waiting: is.Waiting, Holding: is.Holding, Acquired: q.Acquired, Abandoned: q.Abandoned}
		}
	}
	c.KeysOverLimit = later.KeysOverLimit
	return c
}

// KeysOverLimit returns how many keys are not remembered because there are too many.
func (m *Machine) KeysOverLimit() int { return m.keys.OverLimit() }

// LeasesOverLimit returns how many leases, or attachments to them, are not followed
// because there are too many.
func (m *Machine) LeasesOverLimit() int { return m.leases.OverLimit() }
