// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package lock follows locks and elections: who waits, who holds, for how long,
// and why that ends. An election is a lock under another name: etcd's concurrency
// package writes the same keys for both, and to lead is to hold.
package lock

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Key is what an attempt is recognized by.
type Key struct {
	Name     string
	Lease    int64
	Created  int64 // revision
	HasValue bool  // as that of a candidate has
}

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

	Restores uint64 // how often etcd had gone back to a backup before
	Cluster  string // the former one in which it began; empty for the present one

	Queued, Acquired, Ended time.Time // Acquired is zero while it waits

	BeganBefore bool // it was there when the lock was first observed
	HeldBefore  bool // it held the lock then
	Reconciled  bool // one of its times is not known exactly

	HoldReconciled bool // it is one of its hold
	Unordered      bool // it may have come to hold the lock, or not, in a gap

	Cause EndCause
	// PreviousHolder is what held the lock until it came to hold it, or until it was
	// abandoned, if that was observed.
	PreviousHolder *Holder

	found bool // in the present revision, and was there before
}

// Holds says whether the attempt holds, or held, the lock.
func (a *Attempt) Holds() bool { return !a.Acquired.IsZero() }

// SpanKey returns what the IDs of the trace of the attempt, and of its span
// there, are functions of.
func (a *Attempt) SpanKey(cluster string) []string {
	if a.Election {
		return a.spanKey(SpanTerm, cluster)
	}
	return a.spanKey(SpanAttempt, cluster)
}

func (a *Attempt) spanKey(name, cluster string) []string {
	if a.Cluster != "" {
		cluster = a.Cluster
	}
	key := []string{name, cluster, a.Key, strconv.FormatInt(a.Created, 10)}
	if a.Restores > 0 { // An attempt that a backup brings back is another one than that which has ended.
		key = append(key, strconv.FormatUint(a.Restores, 10))
	}
	return key
}

// EndCause is why an attempt ended.
type EndCause int

// Why an attempt can end.
const (
	CauseUnknown EndCause = iota
	// ByClient: it deleted the key, or revoked the lease.
	ByClient
	// LeaseExpired: the client no longer renewed the lease.
	LeaseExpired
)

// Effect is something that happened: one of the types below. A candidate's
// attempt is reported in the words of locks.
type Effect interface{ effect() }

// Queued says that an attempt was enqueued.
type Queued struct{ Observed }

// Acquired says that an attempt came to hold its lock.
type Acquired struct{ Observed }

// Released says that an attempt that held its lock ended, or one that may have.
type Released struct{ Observed }

// Abandoned says that an attempt ended while it waited.
type Abandoned struct{ Observed }

// Observed is an attempt as it was when something happened to it.
type Observed struct {
	Attempt    *Attempt
	Behind     *Holder // what holds the lock while it is enqueued, if another key does
	Revision   int64
	Reconciled bool // the true time is unknown
}

func (Observed) effect() {}

// When is the time of an observation.
type When struct {
	Now        time.Time
	Reconciled bool // what happens has no known time
	Unordered  bool // nor a known order
}

// Locks is all locks and elections that are followed.
type Locks struct {
	locks, elections map[string]*Counts // by prefix
}

// NewLocks returns Locks without any. They count from zero on under each prefix,
// and under another one, where they are recognized, once there are any.
func NewLocks(locks, elections []string) *Locks {
	l := &Locks{locks: map[string]*Counts{}, elections: map[string]*Counts{}}
	for _, prefix := range locks {
		l.locks[prefix] = &Counts{}
	}
	for _, prefix := range elections {
		l.elections[prefix] = &Counts{}
	}
	return l
}

// Queues are those of the locks and elections under one covering prefix.
type Queues struct {
	locks    *Locks
	prefixes Prefixes
	keys     tree
	attempts map[string]*Attempt // by key
	queues   map[string]*queue   // by lock
	touched  map[string]bool     // locks whose queue changed in the present revision
	history  History
}

// Under returns the Queues under one covering prefix, which holds these.
func (l *Locks) Under(prefixes Prefixes) *Queues {
	return &Queues{
		locks: l, prefixes: prefixes,
		keys: tree{}, attempts: map[string]*Attempt{}, queues: map[string]*queue{}, touched: map[string]bool{},
	}
}

// Attempt returns the attempt that a key stands for; nil if there is none.
func (q *Queues) Attempt(key string) *Attempt { return q.attempts[key] }

// Recognizes says whether a key stands for an attempt.
func (q *Queues) Recognizes(key Key) bool {
	if q.attempts[key.Name] != nil {
		return true
	}
	_, is := q.prefixes.place(key)
	return is
}

// Arrive takes in a key that was not known to be there. Whatever it stands for, it holds
// up attempts that are younger, at each lock that it is under.
func (q *Queues) Arrive(key Key) { q.arrive(key.Name, key.Created) }

// Enqueue takes in what a key that is there stands for. It returns the attempt, if any,
// and whether it was put into its lock's queue just now. One that was not created just
// now began before; if it is the first in the queue, so did its hold.
func (q *Queues) Enqueue(key Key, created bool, now time.Time) (a *Attempt, queued bool) {
	if a = q.attempts[key.Name]; a != nil {
		return a, false
	}
	place, is := q.prefixes.place(key)
	if !is {
		return nil, false
	}
	a = &Attempt{
		Lock: place.lock, Prefix: place.prefix, Election: place.election, Key: key.Name, Lease: key.Lease,
		Created: key.Created, Restores: q.history.Restores, Queued: now, BeganBefore: !created, found: !created,
	}
	q.add(a)
	q.touched[a.Lock] = true
	return a, true
}

// Queued returns the effect of an attempt that was enqueued.
func (q *Queues) Queued(a *Attempt, w When) Queued {
	observed := a.observe(a.Created, w)
	observed.Behind = q.snapshot(q.queues[a.Lock].holder)
	return Queued{observed}
}

// End takes in that the key of an attempt was deleted, at a revision and for a
// reason.
func (q *Queues) End(a *Attempt, revision int64, cause EndCause, w When) Effect {
	a.Ended, a.Cause = w.Now, cause
	waited := !a.Holds() && !w.Unordered
	a.Unordered = !a.Holds() && w.Unordered
	if waited {
		q.locks.counts(a).Abandoned++
		a.PreviousHolder = q.holder(a)
	}
	observed := a.observe(revision, w)
	q.touched[a.Lock] = true
	q.Forget(a.Key)
	if waited {
		return Abandoned{observed}
	}
	return Released{observed}
}

// Delete takes in that a key was deleted that stands for no attempt.
func (q *Queues) Delete(key string, w When) { q.leave(key, true, w.Unordered) }

// Forget takes in that a key is not observed any more.
func (q *Queues) Forget(key string) {
	a := q.attempts[key]
	if a == nil {
		q.leave(key, false, false)
		return
	}
	q.remove(a)
	q.locks.ended(a)
	delete(q.attempts, key)
}

// Promote lets the first of each queue that changed hold its lock, once all
// changes of a revision were taken in: they happened at once, so nobody comes to
// hold a lock between them.
func (q *Queues) Promote(revision int64, w When) []Effect {
	if len(q.touched) == 0 {
		return nil
	}
	var effects []Effect
	for _, lock := range slices.Sorted(maps.Keys(q.touched)) {
		h := q.next(lock)
		if h == nil {
			continue
		}
		q.hold(h, lock, w.Now)
		switch a := h.Attempt; {
		case !h.of(lock):
		case a.found:
			a.HeldBefore = true
		default:
			q.locks.counts(a).Acquired++
			effects = append(effects, Acquired{a.observe(revision, w)})
		}
	}
	q.settled()
	return effects
}

// settled takes in that it is known who holds each lock.
func (q *Queues) settled() {
	for lock := range q.touched {
		if of := q.queues[lock]; of != nil {
			for _, a := range of.attempts {
				a.found = false
			}
		}
	}
	clear(q.touched)
}

// AssumeHolders lets the first of each queue that has no holder hold its lock: it
// did so before.
func (q *Queues) AssumeHolders(now time.Time) {
	for lock := range q.queues {
		if h := q.next(lock); h != nil {
			q.hold(h, lock, now)
			if h.of(lock) {
				h.Attempt.HeldBefore = true
			}
		}
	}
	q.settled()
}

// Names returns the keys that stand for attempts.
func (q *Queues) Names() []string { return slices.Collect(maps.Keys(q.attempts)) }

// observe returns the attempt as it is now.
func (a *Attempt) observe(revision int64, w When) Observed {
	if w.Reconciled {
		a.Reconciled = true
		a.HoldReconciled = a.HoldReconciled || a.Holds()
	}
	now := *a
	return Observed{Attempt: &now, Revision: revision, Reconciled: w.Reconciled}
}
