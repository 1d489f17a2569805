// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"time"
)

// Attempt is one client's attempt at a lock, from its enqueueing to its end, or
// one candidate's at the leadership of an election.
type Attempt struct {
	Lock     string // name of the lock or the election
	Prefix   string // the configured one that it was found under
	Election bool
	Key      string
	Lease    int64
	Created  int64 // revision at which it was enqueued, which orders the queue
	Position int   // how many were before it then

	Queued, Acquired, Ended time.Time // Acquired is zero while it waits

	BeganBefore bool // it was there when the lock was first observed
	HeldBefore  bool // it held the lock then
	Reconciled  bool // one of its times is not known exactly

	HoldReconciled bool // it is one of its hold
	Unordered      bool // it may have come to hold the lock, or not, in a gap

	Cause  EndCause
	Behind *Attempt // who held the lock until it came to hold it, if that was observed
}

// Holds says whether the attempt holds, or held, the lock.
func (a *Attempt) Holds() bool { return !a.Acquired.IsZero() }

// EndCause is why an attempt ended.
type EndCause int

// Why an attempt can end.
const (
	CauseUnknown EndCause = iota
	// Released by the client: it deleted the key, or revoked the lease.
	Released
	// LeaseExpired: the client no longer renewed the lease.
	LeaseExpired
)

// queues holds the attempts at each lock, in the order of their revisions. A
// lock that nobody wants has no queue.
type queues map[string]*queue

type queue struct {
	attempts []*Attempt
	holder   *Attempt // nil for a moment, between one and the next
	last     *Attempt // the holder before, while others waited for it
	unsure   bool     // after last, another one may have held the lock
}

func (q queues) add(a *Attempt) {
	of := q[a.Lock]
	if of == nil {
		of = &queue{}
		q[a.Lock] = of
	}
	a.Position, _ = slices.BinarySearchFunc(of.attempts, a.Created, func(other *Attempt, created int64) int {
		return cmp.Compare(other.Created, created)
	})
	of.attempts = slices.Insert(of.attempts, a.Position, a)
}

func (q queues) remove(a *Attempt) {
	of := q[a.Lock]
	i := slices.Index(of.attempts, a)
	of.attempts = slices.Delete(of.attempts, i, i+1)
	if of.holder == a {
		of.holder = nil
		if !a.Ended.IsZero() { // else it is not observed any more
			of.last = a
		}
	}
	of.unsure = of.unsure || a.Unordered
	if len(of.attempts) == 0 {
		delete(q, a.Lock)
	}
}

// next returns the attempt that is about to hold a lock: the first one, unless
// it or one that came to the queue earlier holds it already.
func (q queues) next(lock string) *Attempt {
	of := q[lock]
	if of == nil {
		return nil
	}
	if of.holder != nil {
		of.unsure = false
		return nil
	}
	return of.attempts[0]
}

// acquire makes an attempt the holder of its lock.
func (q queues) acquire(a *Attempt, now time.Time) {
	of := q[a.Lock]
	a.Acquired = now
	of.holder = a
	if of.last != nil && !of.unsure {
		behind := *of.last
		behind.Behind = nil // one is enough, and a chain would not end
		a.Behind = &behind
	}
	of.last, of.unsure = nil, false
}
