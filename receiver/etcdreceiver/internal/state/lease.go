// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

const (
	// maxLeaseKeys is how many keys of a lease are named.
	maxLeaseKeys = 8

	// askAgain is how long a lease is left alone at least after it was asked for.
	askAgain = 500 * time.Millisecond

	// promptly is how soon after its keys went a lease has to be asked for, so
	// that its absence tells why they did.
	promptly = time.Second

	// absences is in how many lists in a row a lease has to be absent to have
	// ended: each member answers from what it has heard of so far.
	absences = 2
)

// Lease is what is known of a lease, from when it was first seen until its end.
type Lease struct {
	ID          int64
	Seen, Ended time.Time
	BeganBefore bool  // it was there when it was first looked
	Reconciled  bool  // one of its times is not known exactly
	TTL         int64 // seconds that it was granted for; 0 when not known
	Remaining   int64 // seconds that it had left, of LeaseAsked
	First       bool  // of LeaseAsked: it was not asked for before
	Keys        int   // observed keys that are attached, or were until its end
	Names       []string
	Cause       LeaseCause
	Certain     bool // that Cause is why
}

// LeaseCause is why a lease ended.
type LeaseCause int

// Why a lease can end.
const (
	LeaseEndUnknown LeaseCause = iota
	Revoked
	Expired
)

// Answer is what etcd said of one lease, to a question of At. Remaining is below
// 0 when there is no such lease.
type Answer struct {
	ID             int64
	At             time.Time
	TTL, Remaining int64
}

// LeaseCounts are of the leases. Granted and Ended count from when the Machine
// was made.
type LeaseCounts struct {
	Alive, Keys, Beyond int64
	Granted             int64
	Ended               map[LeaseCause]int64
}

// ending is what becomes of a lease that loses keys in one revision.
type ending struct {
	keys  int // that are deleted
	cause EndCause
}

// leases follows the leases that keys are attached to, or all. Etcd has no
// events of leases, and does not say why one ended. But it tells how long a
// lease has left: until then, the deadline, it can be renewed and be revoked,
// but not expire. So each one is asked for again when its deadline comes.
type leases struct {
	limit  int
	follow bool
	known  map[int64]*lease
	due    dues
	listed int  // how many there are of all leases; -1 when not asked
	begun  bool // a list was seen
	list   int  // number of the newest list
	beyond int  // leases of the newest list that are not followed
	others int  // attachments to leases that are not followed
	keys   int64

	granted int64
	ended   map[LeaseCause]int64
}

type lease struct {
	Lease
	deadline time.Time // it did not expire before; zero when not known
	due      time.Time // when to ask for it
	index    int       // in the heap
	list     int       // the newest list that it is in
	alive    bool      // etcd said in this step that it is there
	gone     bool      // etcd said that it is not
	goneAt   time.Time // when it was asked that
	late     bool      // that keys of it went was learnt late
	atEnd    int       // observed keys that went with it
	resumed  bool      // not seen yet since an earlier process saved it
	untold   bool      // saved by one that may not have told it
}

func newLeases(limit int, follow bool) *leases {
	return &leases{limit: limit, follow: follow, listed: -1, known: map[int64]*lease{}, ended: map[LeaseCause]int64{}}
}

// attach takes in that a key was attached to a lease. It returns the lease if
// it is news.
func (ls *leases) attach(now time.Time, id int64, key string, news bool) *Lease {
	if id == 0 || !ls.follow {
		return nil
	}
	ls.keys++
	l, known := ls.known[id]
	if !known {
		if l = ls.add(now, id); l == nil {
			ls.others++
			return nil
		}
		l.BeganBefore = !news
	}
	untold := l.untold
	l.untold = false
	l.Keys++
	if len(l.Names) < maxLeaseKeys && !slices.Contains(l.Names, key) {
		l.Names = append(l.Names[:len(l.Names):len(l.Names)], key)
	}
	if !news || known && !untold {
		return nil
	}
	ls.granted++
	return l.told()
}

func (ls *leases) add(now time.Time, id int64) *lease {
	if len(ls.known) >= ls.limit {
		return nil
	}
	l := &lease{Lease: Lease{ID: id, Seen: now}, due: now, list: ls.list}
	ls.known[id] = l
	heap.Push(&ls.due, l)
	return l
}

func (ls *leases) remove(l *lease) {
	delete(ls.known, l.ID)
	heap.Remove(&ls.due, l.index)
}

// detach takes in that a key is no longer attached to a lease.
func (ls *leases) detach(id int64) {
	if id == 0 || !ls.follow {
		return
	}
	ls.keys--
	l := ls.known[id]
	switch {
	case l == nil:
		ls.others = max(0, ls.others-1)
	case l.Keys > 1:
		l.Keys--
	case l.Keys == 1:
		l.Keys = 0
		ls.ask(l, time.Time{}) // It may be gone, too.
	}
}

// doubtful says whether it depends on etcd's answer why a key of the lease went.
func (ls *leases) doubtful(now time.Time, id int64) bool {
	l := ls.known[id]
	return l != nil && !l.gone && !now.Before(l.deadline)
}

// answered takes in answers.
func (ls *leases) answered(answers []Answer) {
	for _, a := range answers {
		l := ls.known[a.ID]
		if l == nil {
			continue
		}
		l.First, l.Remaining = l.deadline.IsZero() && !l.gone, a.Remaining
		if a.Remaining < 0 {
			l.end(a.At)
			ls.ask(l, a.At.Add(time.Minute)) // its keys are about to go
			continue
		}
		l.alive, l.gone, l.late, l.resumed, l.TTL = true, false, false, false, a.TTL
		l.deadline = a.At.Add(time.Duration(a.Remaining) * time.Second)
		ls.ask(l, latest(l.deadline, a.At.Add(askAgain)))
	}
}

// end marks a lease that is not there any more, which was found out at a time.
func (l *lease) end(at time.Time) {
	if l.gone {
		return
	}
	l.gone, l.goneAt = true, at
	switch {
	case l.deadline.IsZero(), l.late && !at.Before(l.deadline):
		l.Cause = LeaseEndUnknown
	case at.Before(l.deadline):
		l.Cause, l.Certain = Revoked, true
	default:
		l.Cause = Expired
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// judge returns why a number of keys of a lease went, all at one revision. When
// others stay, it was not with the lease. When it is learnt late, a lease that
// is gone by now does not tell why: it may have been revoked in time.
func (ls *leases) judge(now time.Time, id int64, keys int, late bool) EndCause {
	l := ls.known[id]
	if l == nil {
		return CauseUnknown
	}
	l.atEnd, l.late = keys, late
	if late && l.gone && l.Cause == Expired {
		l.Cause = LeaseEndUnknown
	}
	switch {
	case now.Before(l.deadline):
		return Released
	case l.gone && l.Cause == Expired && l.goneAt.Sub(now) > promptly:
		return CauseUnknown
	case l.gone && l.Cause == Expired:
		return LeaseExpired
	case l.gone && l.Cause == LeaseEndUnknown:
		return CauseUnknown
	case l.gone, l.alive, keys < l.Keys:
		return Released
	case keys > 1 && !l.deadline.IsZero() && !late:
		return LeaseExpired
	default:
		return CauseUnknown
	}
}

// settle returns a lease that has ended, with all its keys, and forgets it.
func (ls *leases) settle(now time.Time, id int64) *Lease {
	l := ls.known[id]
	if l == nil {
		return nil
	}
	l.alive = false
	if !l.gone || l.Keys > 0 {
		return nil
	}
	ls.remove(l)
	ls.ended[l.Cause]++
	l.Ended, l.Keys = now, l.atEnd
	return l.told()
}

func (l *lease) told() *Lease {
	told := l.Lease
	return &told
}

func (ls *leases) ask(l *lease, due time.Time) {
	l.due = due
	heap.Fix(&ls.due, l.index)
}

func (ls *leases) counts() LeaseCounts {
	alive := ls.listed
	if alive < 0 {
		alive = len(ls.known)
	}
	c := LeaseCounts{
		Alive: int64(alive), Keys: ls.keys, Beyond: int64(max(ls.beyond, ls.others)),
		Granted: ls.granted, Ended: map[LeaseCause]int64{},
	}
	for _, cause := range []LeaseCause{LeaseEndUnknown, Revoked, Expired} {
		c.Ended[cause] = ls.ended[cause]
	}
	return c
}

// LeaseObservation is what was seen of leases: a list of all, or answers.
type LeaseObservation struct {
	Listed  bool
	IDs     []int64 // of a list
	Counted bool    // only their number is wanted
	Answers []Answer
}

// StepLeases takes in an observation of leases, made at now, and returns its
// effects. The first list is a baseline, and has none.
func (m *Machine) StepLeases(now time.Time, o LeaseObservation) []Effect {
	s := step{m: m, now: now}
	ls := m.leases
	if o.Listed {
		ls.listed = len(o.IDs)
	}
	if o.Listed && !o.Counted {
		s.list(o.IDs)
	}
	ls.answered(o.Answers)
	for _, a := range o.Answers {
		l := ls.known[a.ID]
		if l == nil {
			continue
		}
		if a.Remaining >= 0 {
			s.tell(Effect{Kind: LeaseAsked, Lease: l.told()})
		}
		s.reconciled = l.resumed
		s.tellLease(ls.settle(now, a.ID))
		s.reconciled = false
	}
	return s.effects
}

func (s *step) list(ids []int64) {
	ls := s.m.leases
	ls.list++
	ls.beyond = 0
	for _, id := range ids {
		if l := ls.known[id]; l != nil {
			l.list = ls.list
			continue
		}
		if l := ls.add(s.now, id); l != nil && ls.begun {
			ls.granted++
			s.tellLease(l.told())
		} else if l != nil {
			l.BeganBefore = true
		} else {
			ls.beyond++
		}
	}
	ls.begun = true
	var ended []int64
	for id, l := range ls.known {
		switch {
		case l.list == ls.list || l.gone:
		case ls.list-l.list >= absences:
			l.end(s.now)
			ended = append(ended, id)
		default:
			ls.ask(l, s.now)
		}
	}
	slices.Sort(ended)
	for _, id := range ended {
		s.reconciled = ls.known[id].resumed
		s.tellLease(ls.settle(s.now, id))
	}
	s.reconciled = false
}

// DueLease returns the lease to ask for at now, if there is one.
func (m *Machine) DueLease(now time.Time) (id int64, ok bool) {
	if due := m.leases.due; len(due) > 0 && !due[0].due.After(now) {
		return due[0].ID, true
	}
	return 0, false
}

// dues is a heap of leases, the next one to ask for first.
type dues []*lease

func (d dues) Len() int { return len(d) }
func (d dues) Less(i, j int) bool {
	return cmp.Or(d[i].due.Compare(d[j].due), cmp.Compare(d[i].ID, d[j].ID)) < 0
}
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}
func (d *dues) Push(l any) {
	l.(*lease).index = len(*d)
	*d = append(*d, l.(*lease))
}
func (d *dues) Pop() any {
	last := len(*d) - 1
	l := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return l
}
