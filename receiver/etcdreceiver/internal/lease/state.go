// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package lease follows leases: which keys are attached to them, when they end,
// and why. Etcd has no events of leases, and does not say why one ended. But it
// says how long a lease has left: until then, the deadline, it can be renewed and
// be revoked, but not expire. So each one is queried again when its deadline comes.
package lease

import (
	"container/heap"
	"maps"
	"slices"
	"time"
)

const (
	// maxKeys is how many keys of a lease are named.
	maxKeys = 8

	// ahead is how long before its deadline a lease is queried: one that is renewed
	// in time is known to be before it could have expired.
	ahead = 500 * time.Millisecond

	// nearly is how long a lease may have left, in an answer, that is about to expire,
	// and lag how long after its time was over it may be found to be gone: etcd
	// revokes each half second.
	nearly = time.Second
	lag    = 2 * time.Second

	// requeryAfter is how long a lease is left alone at least after a query.
	requeryAfter = 500 * time.Millisecond

	// absences is in how many lists in a row a lease has to be absent to have
	// ended: each member answers from what has reached it so far.
	absences = 2
)

// Lease is what is known of a lease, from when it was first observed until its end.
type Lease struct {
	ID           int64
	Since, Ended time.Time
	BeganBefore  bool  // it was there when leases were first observed
	Reconciled   bool  // one of its times is not known exactly
	TTL          int64 // seconds that it was granted for; 0 when not known
	Keys         int   // observed keys that are attached; when it has ended, those it lost last
	Names        []string
	Cause        Cause
	Certain      bool // that Cause is why

	Remaining int64 // seconds that it had left, of Queried
	First     bool  // of Queried: it was not queried before
}

// Cause is why a lease ended.
type Cause int

// Why a lease can end.
const (
	EndUnknown Cause = iota
	Revoked
	Expired
)

// Answer is what etcd said of one lease, to a query of At, by By. TTL is 0 when there
// is no such lease; Remaining is below 0 also when it has expired and still waits
// to be revoked with its keys.
type Answer struct {
	ID             int64
	At, By         time.Time
	TTL, Remaining int64
}

func (a Answer) gone() bool { return a.TTL == 0 && a.Remaining < 0 }

// Effect is something that happened: one of the types below.
type Effect interface{ effect() }

// Granted says that a lease is there that was not before.
type Granted struct {
	Lease
	AtUnknownTime bool
}

// Queried says that etcd was asked for a lease, which is still there.
type Queried struct{ Lease }

// Ended says that a lease is not there any more.
type Ended struct {
	Lease
	AtUnknownTime bool
}

func (Granted) effect() {}
func (Queried) effect() {}
func (Ended) effect()   {}

// When is the time of an observation, and what etcd answered about leases then.
type When struct {
	Now        time.Time
	Reconciled bool // what happens has no known time
	Answers    []Answer
}

// Leases are the ones that keys are attached to, or all.
type Leases struct {
	limit    int
	follow   bool
	known    map[int64]*lease
	due      [2]dueQueue // those that matter most, and the others
	under    []*Attachments
	listed   int // how many there are of all leases; -1 when they are not listed
	begun    bool
	list     int              // number of the newest list
	reached  map[uint64]int64 // by member: revision that it had reached when it made its newest list
	beyond   int              // leases of the newest list that are not followed
	others   int              // attachments to leases that are not followed
	keys     int64            // attachments
	attached int              // leases that are followed and have keys

	over  map[int64]Cause // leases that have ended, as many as can be followed
	order []int64         // in which they ended; the oldest is at first
	first int

	changed map[int64]struct{} // leases of which it was not saved; nil when none is saved

	granted int64
	ended   map[Cause]int64
}

type lease struct {
	Lease
	deadline time.Time     // it did not expire before; zero when not known
	latest   time.Time     // by when it expires if it is not renewed; zero unless that is soon
	expired  bool          // etcd said so; it is there until it is revoked
	queried  time.Time     // zero when it was not
	due      time.Time     // when to query it
	again    time.Duration // how soon to query one again that has lost its keys; else 0
	queue    int           // in which it is due
	index    int           // in the queue
	list     int           // the newest list that it is in, or could have been
	listedBy uint64        // member that made the newest list that it is in; 0 when not known
	since    int64         // revision at which it was there, of a key; 0 when not known
	alive    bool          // etcd said in this step that it is there
	gone     bool          // etcd said that it is not
	goneAt   time.Time     // when that was queried
	over     bool          // and that was reported; it is observed again as the watch is behind
	late     bool          // that keys of it went was learnt late
	lost     losses        // the keys that it lost last
	atLoss   bool          // it may have ended when it lost them
	resumed  bool          // not observed yet since an earlier process saved it
	granted  int64         // revision of the change that it is reported with; 0 for none
	pending  bool          // the earlier process may not have reported that change
}

// New returns Leases that knows none. follow says whether leases are followed that
// keys are attached to.
func New(limit int, follow bool) *Leases {
	return &Leases{
		limit: limit, follow: follow, listed: -1,
		known: map[int64]*lease{}, over: map[int64]Cause{}, ended: map[Cause]int64{},
		reached: map[uint64]int64{},
	}
}

// Attachments are those of the keys under one covering prefix.
type Attachments struct {
	leases *Leases
	keys   map[int64]int // how many each lease has
	losses map[int64]loss
}

// Under returns the Attachments of the keys under one covering prefix.
func (ls *Leases) Under() *Attachments {
	a := &Attachments{leases: ls, keys: map[int64]int{}, losses: map[int64]loss{}}
	ls.under = append(ls.under, a)
	return a
}

// Attach takes in that a key is attached to a lease, since the revision at which it
// was modified. changed says whether that is new. The lease may be granted with it.
func (a *Attachments) Attach(id int64, key string, modified int64, changed bool, w When) (Granted, bool) {
	ls := a.leases
	if id == 0 || !ls.follow {
		return Granted{}, false
	}
	l, known := ls.known[id]
	if !known {
		l = ls.begin(w.Now, id)
		for _, answer := range w.Answers { // of this step, before which it was not known
			if answer.ID == id {
				ls.Answered(w.Now, []Answer{answer})
			}
		}
	}
	ls.keys++
	a.keys[id]++
	if l == nil {
		ls.others++
		return Granted{}, false
	}
	if !known {
		l.BeganBefore = !changed || l.Keys > 0
		if !l.BeganBefore && !l.over {
			l.granted, l.pending = modified, true
		}
	}
	if l.Keys++; l.Keys == 1 {
		ls.attached++
	}
	ls.change(id)
	l.again = 0
	if l.since == 0 {
		l.since = modified
	}
	l.Names = withName(l.Names, key)
	if changed && l.pending && l.granted == modified {
		l.pending = false
		return ls.grant(l, w.Reconciled), true
	}
	return Granted{}, false
}

func withName(names []string, key string) []string {
	if len(names) == maxKeys || slices.Contains(names, key) {
		return names
	}
	return append(names[:len(names):len(names)], key)
}

// losses are the keys that a lease lost at the newest revision at which it lost any:
// when it ends, that is with the last of its keys, or after.
type losses struct {
	revision int64
	keys     int
	names    []string
}

func (l *losses) add(key string, revision int64) {
	if revision > l.revision {
		*l = losses{revision: revision}
	}
	if revision == l.revision {
		l.keys++
		l.names = withName(l.names, key)
	}
}

// Detach takes in that a key is no longer attached to a lease, from a revision on.
func (a *Attachments) Detach(id int64, key string, revision int64) {
	ls := a.leases
	if id == 0 || !ls.follow {
		return
	}
	ls.keys--
	if a.keys[id]--; a.keys[id] == 0 {
		delete(a.keys, id)
	}
	l := ls.known[id]
	if l == nil {
		ls.others--
		return
	}
	ls.change(id)
	l.lost.add(key, revision)
	l.Names = slices.DeleteFunc(slices.Clone(l.Names), func(name string) bool { return name == key })
	if l.Keys--; l.Keys == 0 {
		ls.attached--
		ls.move(l, otherQueue)
		l.again = requeryAfter
		ls.schedule(l, l.queried.Add(requeryAfter)) // It may be gone, too.
	}
}

// begin begins to follow a lease, to which keys may be attached already. It
// returns nil when there are too many.
func (ls *Leases) begin(now time.Time, id int64) *lease {
	l := ls.add(now, id)
	if l == nil {
		return nil
	}
	for _, a := range ls.under {
		l.Keys += a.keys[id]
	}
	ls.others -= l.Keys
	if l.Keys > 0 {
		ls.attached++
	}
	return l
}

func (ls *Leases) add(now time.Time, id int64) *lease {
	if len(ls.known) >= ls.limit {
		return nil
	}
	l := &lease{Lease: Lease{ID: id, Since: now}, due: now, list: ls.list, queue: otherQueue}
	if cause, over := ls.over[id]; over {
		l.over, l.gone, l.Cause = true, true, cause
		l.due = now.Add(time.Minute)
	}
	ls.known[id] = l
	ls.change(id)
	heap.Push(&ls.due[l.queue], l)
	return l
}

// grant returns the effect of a lease that is new.
func (ls *Leases) grant(l *lease, reconciled bool) Granted {
	ls.granted++
	l.Reconciled = l.Reconciled || reconciled
	return Granted{Lease: l.Lease, AtUnknownTime: reconciled}
}

// forget marks a lease as one that was reported to have ended.
func (ls *Leases) forget(l *lease) {
	_, known := ls.over[l.ID]
	ls.over[l.ID] = l.Cause
	if known {
		return
	}
	if len(ls.order) < ls.limit {
		ls.order = append(ls.order, l.ID)
		return
	}
	delete(ls.over, ls.order[ls.first])
	ls.order[ls.first] = l.ID
	ls.first = (ls.first + 1) % ls.limit
}

// Ambiguous says whether it depends on etcd's answer why a key of the lease went.
func (ls *Leases) Ambiguous(id int64, now time.Time) bool {
	l := ls.known[id]
	return l != nil && !l.gone && !now.Before(l.deadline)
}

// Unknown says whether a lease would be followed, and is not yet.
func (ls *Leases) Unknown(id int64) bool {
	return id != 0 && ls.follow && ls.known[id] == nil && len(ls.known) < ls.limit
}

// Answered takes in answers, which have come by now: a lease that is gone can
// have ended until then, but one that was there had its time left when it was
// queried.
func (ls *Leases) Answered(now time.Time, answers []Answer) {
	for _, a := range answers {
		l := ls.known[a.ID]
		if l == nil {
			continue
		}
		l.First, l.Remaining = l.TTL == 0, a.Remaining
		l.queried = a.At
		if a.gone() {
			if !l.gone {
				l.end(latest(now, a.By), true)
				l.goneAt = a.At
			}
			ls.schedule(l, a.At.Add(time.Minute)) // its keys are about to go
			continue
		}
		l.alive, l.gone, l.over, l.late, l.resumed, l.TTL = true, false, false, false, false, a.TTL
		l.Cause, l.Certain, l.list, l.atLoss = EndUnknown, false, ls.list, false
		ls.change(a.ID)
		left := time.Duration(a.Remaining) * time.Second
		l.deadline, l.latest, l.expired = a.At.Add(left), time.Time{}, a.Remaining < 0
		if left <= nearly {
			l.latest = latest(a.At, a.By).Add(left + time.Second) // It is cut off to whole seconds.
		}
		due := latest(l.deadline.Add(-ahead), a.At.Add(requeryAfter))
		if soon := a.At.Add(l.again); l.again > 0 && soon.Before(due) {
			due = soon // Who gives back a lock often revokes its lease next.
			l.again *= 2
		}
		ls.schedule(l, due)
	}
}

// ResetDeadlines takes in that etcd has another history than before, of which
// nothing is known.
func (ls *Leases) ResetDeadlines() {
	clear(ls.reached)
	for id, l := range ls.known {
		ls.change(id)
		l.deadline, l.latest, l.expired, l.lost.revision = time.Time{}, time.Time{}, false, 0
		l.listedBy, l.since = 0, 0
		ls.schedule(l, l.queried.Add(requeryAfter))
	}
}

// Observation is what was observed of leases: a list of all, or answers.
type Observation struct {
	Listed  bool
	IDs     []int64 // of a list
	Counted bool    // only their number is wanted
	Ends    bool    // only which of the leases that are followed have ended is wanted

	// Member made the list, 0 when that is not known, and Revision is one that it had
	// reached when it had.
	Member   uint64
	Revision int64

	Answers []Answer
}

// Step takes in an observation of leases, made at now, and returns its effects.
// The first list is a baseline, and has none.
func (ls *Leases) Step(now time.Time, o Observation) []Effect {
	var effects []Effect
	if o.Listed && !o.Ends {
		ls.listed = len(o.IDs)
	}
	if o.Listed && !o.Counted {
		effects = ls.take(now, o)
	}
	ls.Answered(now, o.Answers)
	return append(effects, ls.Conclude(now, o.Answers)...)
}

// Conclude returns the effects of the answers that were taken in, after those of
// the keys.
func (ls *Leases) Conclude(now time.Time, answers []Answer) []Effect {
	var effects []Effect
	for _, a := range answers {
		l := ls.known[a.ID]
		if l == nil {
			continue
		}
		l.alive = false
		if !a.gone() {
			effects = append(effects, Queried{l.Lease})
		}
		if ended, has := ls.settleAlone(now, l); has {
			effects = append(effects, ended)
		}
	}
	return effects
}

// Counts are of the leases. Granted and Ended count from when the Leases were made.
type Counts struct {
	Alive, Keys, OverLimit int64
	Granted                int64
	Ended                  map[Cause]int64
}

// Counts returns what is counted.
func (ls *Leases) Counts() Counts {
	alive := ls.listed
	if alive < 0 {
		alive = ls.attached
	}
	c := Counts{
		Alive: int64(alive), Keys: ls.keys, OverLimit: int64(ls.OverLimit()),
		Granted: ls.granted, Ended: map[Cause]int64{EndUnknown: 0, Revoked: 0, Expired: 0},
	}
	maps.Copy(c.Ended, ls.ended)
	return c
}

// OverLimit returns how many leases, or attachments to them, are not followed
// because there are too many.
func (ls *Leases) OverLimit() int { return max(ls.beyond, ls.others) }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
