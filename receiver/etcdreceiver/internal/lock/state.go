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

	Queued, Acquired, Ended time.Time // Acquired is zero while it waits

	BeganBefore bool // it was there when the lock was first observed
	HeldBefore  bool // it held the lock then
	Reconciled  bool // one of its times is not known exactly

	HoldReconciled bool // it is one of its hold
	Unordered      bool // it may have come to hold the lock, or not, in a gap

	Cause          EndCause
	PreviousHolder *Attempt // who held the lock until it came to hold it, if that was observed
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
	return []string{name, cluster, a.Key, strconv.FormatInt(a.Created, 10)}
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
	attempts map[string]*Attempt // by key
	queues   map[string]*queue   // by lock
	touched  map[string]bool     // locks whose queue changed in the present revision
}

// Under returns the Queues under one covering prefix, which holds these.
func (l *Locks) Under(prefixes Prefixes) *Queues {
	return &Queues{locks: l, prefixes: prefixes, attempts: map[string]*Attempt{}, queues: map[string]*queue{}, touched: map[string]bool{}}
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

// Enqueue takes in a key that is there. It returns the attempt that the key stands
// for, if any, and whether it was put into its lock's queue just now. One that was
// not created just now began before; if it is the first in the queue, so did its
// hold.
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
		Created: key.Created, Queued: now, BeganBefore: !created,
	}
	q.add(a)
	q.touched[a.Lock] = true
	if !created && q.next(a.Lock) == a {
		q.hold(a, now)
		a.HeldBefore = true
	}
	return a, true
}

// Queued returns the effect of an attempt that was enqueued.
func (q *Queues) Queued(a *Attempt, w When) Queued { return Queued{a.observe(a.Created, w)} }

// End takes in that the key of an attempt was deleted, at a revision and for a
// reason.
func (q *Queues) End(a *Attempt, revision int64, cause EndCause, w When) Effect {
	a.Ended, a.Cause = w.Now, cause
	waited := !a.Holds() && !w.Unordered
	a.Unordered = !a.Holds() && w.Unordered
	observed := a.observe(revision, w)
	if waited {
		q.locks.counts(a).Abandoned++
	}
	q.touched[a.Lock] = true
	q.Forget(a.Key)
	if waited {
		return Abandoned{observed}
	}
	return Released{observed}
}

// Forget takes in that a key is not observed any more.
func (q *Queues) Forget(key string) {
	if a := q.attempts[key]; a != nil {
		q.remove(a)
		q.locks.ended(a)
		delete(q.attempts, key)
	}
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
		if a := q.next(lock); a != nil {
			q.hold(a, w.Now)
			q.locks.counts(a).Acquired++
			effects = append(effects, Acquired{a.observe(revision, w)})
		}
	}
	clear(q.touched)
	return effects
}

// AssumeHolders lets the first of each queue that has no holder hold its lock: it
// did so before.
func (q *Queues) AssumeHolders(now time.Time) {
	for lock := range q.queues {
		if a := q.next(lock); a != nil {
			q.hold(a, now)
			a.HeldBefore = true
		}
	}
	clear(q.touched)
}

// Names returns the keys that stand for attempts.
func (q *Queues) Names() []string { return slices.Collect(maps.Keys(q.attempts)) }

func (q *Queues) hold(a *Attempt, now time.Time) {
	q.acquire(a, now)
	q.locks.held(a)
}

// observe returns the attempt as it is now.
func (a *Attempt) observe(revision int64, w When) Observed {
	if w.Reconciled {
		a.Reconciled = true
		a.HoldReconciled = a.HoldReconciled || a.Holds()
	}
	now := *a
	return Observed{Attempt: &now, Revision: revision, Reconciled: w.Reconciled}
}
