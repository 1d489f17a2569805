// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"slices"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// ends are what the workload did to leases and attempts, by epoch.
type ends struct {
	mu     sync.Mutex
	leases map[leaseID]*leaseEnd
	freed  map[attemptID]freeing
	loose  []string // begin of the names of locks of which it is not known how attempts end
}

type leaseID struct {
	epoch int
	id    int64
}

type attemptID struct {
	epoch int
	key   string
}

// leaseEnd is how a lease ends.
type leaseEnd struct {
	ttl    int64
	causes []string  // that it may have
	from   time.Time // not before this; zero: not ended yet
	// detached: it lost its keys before.
	detached bool
}

// freeing is whether the last attempt with a key was given up by deleting it.
type freeing int

const (
	notFreed freeing = iota
	mayBeFreed
	isFreed
)

func newEnds() *ends { return &ends{leases: map[leaseID]*leaseEnd{}, freed: map[attemptID]freeing{}} }

func (e *ends) lease(id leaseID) *leaseEnd {
	if e.leases[id] == nil {
		e.leases[id] = &leaseEnd{}
	}
	return e.leases[id]
}

// granted notes a lease with its time to live.
func (s *system) granted(lease, ttl int64) {
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	s.ends.lease(leaseID{s.history.epoch(), lease}).ttl = ttl
}

// detached notes that a lease loses its keys before it ends.
func (s *system) detached(lease int64) {
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	s.ends.lease(leaseID{s.history.epoch(), lease}).detached = true
}

// leaseEnds notes that a lease ends from now on, and why.
func (s *system) leaseEnds(lease int64, cause string) { s.leaseEndsFrom(lease, cause, time.Now()) }

func (s *system) leaseEndsFrom(lease int64, cause string, from time.Time) {
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	l := s.ends.lease(leaseID{s.history.epoch(), lease})
	if l.from.IsZero() {
		l.from = from
	}
	l.causes = append(l.causes, cause)
}

// tries notes that an attempt with a key begins, and frees that its key is deleted, for
// sure or perhaps.
func (s *system) tries(key string) { s.setFreed(key, notFreed) }

func (s *system) frees(key string, err error) {
	if err != nil {
		s.setFreed(key, mayBeFreed)
	} else {
		s.setFreed(key, isFreed)
	}
}

func (s *system) setFreed(key string, f freeing) {
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	s.ends.freed[attemptID{s.history.epoch(), key}] = f
}

// causesOf returns the causes that the end of an attempt can have in truth; last says
// that it is the last one with its key.
func (s *system) causesOf(a *attempt, last bool) []string {
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	if slices.ContainsFunc(s.ends.loose, func(name string) bool { return len(a.lock) >= len(name) && a.lock[:len(name)] == name }) {
		return []string{causeReleased, causeExpired}
	}
	freed := s.ends.freed[attemptID{a.epoch, a.key}]
	l := s.ends.leases[leaseID{a.epoch, a.lease}]
	if !last || freed == isFreed && (l == nil || l.ttl != shortLease) { // A short one may have expired before.
		return []string{causeReleased}
	}
	var causes []string
	if freed != notFreed {
		causes = append(causes, causeReleased)
	}
	if l != nil {
		for _, cause := range l.causes {
			causes = append(causes, map[string]string{leaseRevoked: causeReleased, leaseExpired: causeExpired}[cause])
		}
	}
	return causes
}

// tally counts how many causes were known.
type tally struct{ known, unknown int }

// cause compares a reported cause with those that are true. While a fault was on it may
// be unknown.
func (s *system) cause(t *tally, e oracle.Event, cause string, allowed []string, windows []oracle.Window) {
	faulty := slices.ContainsFunc(windows, func(w oracle.Window) bool {
		return e.At.After(w.From.Add(-time.Second)) && e.At.Before(w.Until.Add(within))
	})
	switch {
	case cause == causeUnknown && !faulty:
		t.unknown++
	case cause == causeUnknown, slices.Contains(allowed, cause):
		t.known++
	case !causesWhileRestored && slices.ContainsFunc(windows, func(w oracle.Window) bool {
		return isRestore(w) && e.At.After(w.From) && e.At.Before(w.Until)
	}):
	default:
		s.Differ("event %s of %s has the cause %q, not %q:%s", e.Name, s.Clock(e.At), cause, allowed, e.Attributes)
	}
}

func (s *system) tooManyUnknown(what string, t tally) {
	s.Logf("%s: %d causes were known, %d were not", what, t.known, t.unknown)
	if !causesKnownAfterRestores && slices.ContainsFunc(s.Windows(), isRestore) {
		return
	}
	if float64(t.unknown) > unknownAnyway+unknownShare*float64(t.known+t.unknown) {
		s.Differ("%s: %d of %d causes are unknown", what, t.unknown, t.known+t.unknown)
	}
}
