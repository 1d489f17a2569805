// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"time"
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
	// Late is the newest revision that was there when the watch was opened:
	// when that came about is not known.
	Late int64
	// Answers are what etcd said of the leases that Doubtful named.
	Answers []Answer

	// Another, with a list, says that it is of another cluster than before.
	Another bool

	// Saved, with a list, is what an earlier process knew.
	Saved *Saved
}

// Limits are how much a Machine remembers.
type Limits struct {
	Keys, Leases int
}

// Machine follows keys, locks and leases from observation to observation. It
// remembers a bounded number of keys, and the attempts at locks that they stand
// for.
type Machine struct {
	prefixes   Prefixes
	limits     Limits
	remembered int              // keys in all parts
	parts      map[string]*part // by covering prefix
	leases     *leases
	counts     *counts
}

// part is what is known of the keys under one covering prefix.
type part struct {
	prefixes Prefixes // those that it holds
	watch    []watched
	revision int64 // all changes up to it are known
	resumed  bool  // of an earlier process: the keys are not known yet
	keys     map[string]Key
	beyond   int                 // keys that exist and are not remembered
	attached map[int64]int       // how many of the keys each lease has
	attempts map[string]*Attempt // by key
	queues   queues
}

// NewMachine returns a Machine that knows nothing yet. follow says whether
// leases are followed that keys are attached to.
func NewMachine(prefixes Prefixes, limits Limits, follow bool) *Machine {
	return &Machine{
		prefixes: prefixes,
		limits:   limits,
		parts:    map[string]*part{},
		leases:   newLeases(limits.Leases, follow),
		counts:   newCounts(prefixes),
	}
}

func (m *Machine) newPart(prefix string) *part {
	prefixes := m.prefixes.under(prefix)
	p := &part{
		prefixes: prefixes,
		watch:    m.counts.watched(prefixes.Watch),
		keys:     map[string]Key{},
		attached: map[int64]int{},
		attempts: map[string]*Attempt{},
		queues:   queues{},
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
	m.leases.answered(now, o.Answers)
	switch {
	case o.Listed && (s.p.revision == 0 || s.p.resumed && s.p.revision == o.Revision):
		s.baseline(o)
	case o.Listed:
		s.reconcile(o)
	default:
		s.follow(o)
	}
	s.p.resumed = false
	s.reconciled = false
	s.conclude(o.Answers)
	return s.effects
}

// Doubtful returns the leases, at most limit of them, that may have ended with
// the changes, or not: it depends on whether they are still there.
func (m *Machine) Doubtful(now time.Time, prefix string, changes []Change, limit int) []int64 {
	p := m.parts[prefix]
	if p == nil {
		return nil
	}
	var doubtful []int64
	attached := map[string]Key{} // by changes before
	for _, c := range changes {
		if len(doubtful) == limit {
			break
		}
		key, just := attached[c.Key.Name]
		if !c.Deleted {
			if just || c.Key.Lease != 0 {
				attached[c.Key.Name] = c.Key
			}
			continue
		}
		if !just {
			key = p.keys[c.Key.Name]
		}
		if (m.leases.doubtful(now, key.Lease) || just && m.leases.unknown(key.Lease)) && !slices.Contains(doubtful, key.Lease) && p.isAttempt(key) {
			doubtful = append(doubtful, key.Lease)
		}
	}
	return doubtful
}

func (p *part) isAttempt(key Key) bool {
	if p.attempts[key.Name] != nil {
		return true
	}
	_, is := p.prefixes.queue(key)
	return is
}

// baseline takes in the first list, or that of the revision at which an earlier
// process stopped. What that one knew and is not in the list is not observed any
// more.
func (s *step) baseline(o Observation) {
	keys, more := s.fitting(o)
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Created, b.Created) })
	s.p.revision = o.Revision
	there := make(map[string]int64, len(keys))
	for _, key := range keys {
		there[key.Name] = key.Created
	}
	for name, a := range s.p.attempts {
		if created, is := there[name]; !is || created != a.Created {
			s.forget(name)
		}
	}
	for _, key := range keys {
		old, known := s.p.keys[key.Name]
		s.put(Change{Key: key}, old, known)
	}
	s.presume()
	s.p.beyond = more
}
