// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"slices"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// causes are why an attempt ends whose key goes for a reason.
var causes = map[lease.KeyCause]lock.EndCause{
	lease.KeyUnknown: lock.CauseUnknown,
	lease.KeyDeleted: lock.ByClient,
	lease.KeyExpired: lock.LeaseExpired,
}

// classify finds out which leases lose keys with changes that happened at once, or
// in an unknown order, and why. Of another history nothing is known.
func (s *step) classify(revision int64, changes []key.Change) {
	s.p.leases.BeginRevision()
	if s.restored || !s.unordered && !slices.ContainsFunc(changes, func(c key.Change) bool { return c.Deleted }) {
		return
	}
	withOthers := false // that are not of the lease
	for i, c := range changes {
		old, known := s.p.keys.Get(c.Key.Name)
		withOthers = withOthers || !s.unordered && (!c.Deleted || i > 0 && s.differ(c, changes[0]))
		ended := known && (c.Deleted || c.Key.Created != old.Created)
		if old.Lease != 0 && (ended || c.Key.Lease != old.Lease) {
			s.p.leases.Lose(old.Lease, ended)
		}
	}
	s.p.leases.Classify(revision, withOthers, s, s.whenLeases())
}

// cause returns why a key of a lease is deleted. One without a lease can only be
// deleted by a client.
func (s *step) cause(id int64) lock.EndCause {
	if id == 0 && !s.restored {
		return lock.ByClient
	}
	return causes[s.p.leases.Cause(id)]
}

// Attaches says whether a key is attached to a lease at a revision or later. In
// an unknown order it is enough that one is, as the lease is there after all.
func (s *step) Attaches(id, revision int64) bool {
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
func (s *step) differ(a, b key.Change) bool {
	leaseA, knownA := s.leaseOf(a)
	leaseB, knownB := s.leaseOf(b)
	return knownA && knownB && leaseA != leaseB
}

// leaseOf returns the lease of a key before it changes, if that is known.
func (s *step) leaseOf(c key.Change) (id int64, known bool) {
	if old, known := s.p.keys.Get(c.Key.Name); known {
		return old.Lease, true
	}
	if c.Before != nil {
		return c.Before.Lease, true
	}
	return 0, false
}
