// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"slices"
	"time"
)

// Attempt is one client's attempt at a lock, from its enqueueing to its end.
type Attempt struct {
	Lock     string
	Key      string
	Lease    int64
	Created  int64 // revision at which it was enqueued, which orders the queue
	Position int   // how many were before it then

	Queued, Acquired, Ended time.Time // Acquired is zero while it waits

	BeganBefore bool // it was there when the lock was first observed
	HeldBefore  bool // it held the lock then
	Reconciled  bool // one of its times is unknown, as it lies within a gap
}

// Holds says whether the attempt holds, or held, the lock.
func (a Attempt) Holds() bool { return !a.Acquired.IsZero() }

// queues holds the attempts at each lock, in the order of their revisions. A
// lock that nobody wants has no queue.
type queues map[string][]*Attempt

func (q queues) add(a *Attempt) {
	queue := q[a.Lock]
	a.Position, _ = slices.BinarySearchFunc(queue, a.Created, func(other *Attempt, created int64) int {
		return cmp.Compare(other.Created, created)
	})
	q[a.Lock] = slices.Insert(queue, a.Position, a)
}

func (q queues) remove(a *Attempt) {
	queue := slices.DeleteFunc(q[a.Lock], func(other *Attempt) bool { return other == a })
	if len(queue) == 0 {
		delete(q, a.Lock)
	} else {
		q[a.Lock] = queue
	}
}

// next returns the attempt that is about to hold a lock: the first one, unless
// it or one that came to the queue earlier holds it already.
func (q queues) next(lock string) *Attempt {
	queue := q[lock]
	if len(queue) == 0 || slices.ContainsFunc(queue, func(a *Attempt) bool { return a.Holds() }) {
		return nil
	}
	return queue[0]
}
