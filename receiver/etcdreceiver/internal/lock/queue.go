// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"slices"
	"time"
)

// queue holds the attempts at a lock, in the order of their revisions. A lock that
// nobody wants has no queue.
type queue struct {
	attempts []*Attempt
	holder   *Attempt // nil for a moment, between one and the next
	last     *Attempt // the holder before, while others waited for it
	unsure   bool     // after last, another one may have held the lock
}

func (q *Queues) add(a *Attempt) {
	of := q.queues[a.Lock]
	if of == nil {
		of = &queue{}
		q.queues[a.Lock] = of
	}
	a.Position, _ = slices.BinarySearchFunc(of.attempts, a.Created, func(other *Attempt, created int64) int {
		return cmp.Compare(other.Created, created)
	})
	of.attempts = slices.Insert(of.attempts, a.Position, a)
	q.attempts[a.Key] = a
	q.locks.counts(a).Waiting++
}

func (q *Queues) remove(a *Attempt) {
	of := q.queues[a.Lock]
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
		delete(q.queues, a.Lock)
	}
}

// next returns the attempt that is about to hold a lock: the first one, unless
// it or one that came to the queue earlier holds it already.
func (q *Queues) next(lock string) *Attempt {
	of := q.queues[lock]
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
func (q *Queues) acquire(a *Attempt, now time.Time) {
	of := q.queues[a.Lock]
	a.Acquired = now
	of.holder = a
	if of.last != nil && !of.unsure {
		previous := *of.last
		previous.PreviousHolder = nil // one is enough, and a chain would not end
		a.PreviousHolder = &previous
	}
	of.last, of.unsure = nil, false
}
