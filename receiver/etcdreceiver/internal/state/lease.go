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

// Answer is what etcd said of one lease, to a question of At, by By. Remaining is
// below 0 when there is no such lease.
type Answer struct {
	ID             int64
	At, By         time.Time
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
	lost    int // keys
	deleted int // those of them that were deleted
	cause   EndCause
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

	over  map[int64]LeaseCause // leases that have ended, as many as can be followed
	order []int64              // in which they ended; the oldest is at first
	first int

	granted int64
	ended   map[LeaseCause]int64
}

type lease struct {
	Lease
	deadline time.Time     // it did not expire before; zero when not known
	asked    time.Time     // when it was asked for; zero when it was not
	due      time.Time     // when to ask for it
	again    time.Duration // how soon to ask again for one that has lost its keys; else 0
	index    int           // in the heap
	list     int           // the newest list that it is in, or could have been
	alive    bool          // etcd said in this step that it is there
	gone     bool          // etcd said that it is not
	goneAt   time.Time     // when it was asked that
	over     bool          // and that was told; it is seen again as the watch is behind
	late     bool          // that keys of it went was learnt late
	last     int64         // revision at which it last lost what may have been all its keys
	atEnd    int           // how many that were
	resumed  bool          // not seen yet since an earlier process saved it
	granted  int64         // revision of the change that it was told with; 0 for none
	untold   bool          // the earlier process may not have told that change
}

func newLeases(limit int, follow bool) *leases {
	return &leases{
		limit: limit, follow: follow, listed: -1,
		known: map[int64]*lease{}, over: map[int64]LeaseCause{}, ended: map[LeaseCause]int64{},
	}
}

// attach takes in that a key is attached to a lease, and tells of the lease if
// it is first seen with that.
func (s *step) attach(key Key, news bool) {
	ls := s.m.leases
	if key.Lease == 0 || !ls.follow {
		return
	}
	l, known := ls.known[key.Lease]
	if !known {
		l = s.m.followLease(s.now, key.Lease)
		for _, a := range s.answers { // of this step, before which it was not known
			if a.ID == key.Lease {
				ls.answered(s.now, []Answer{a})
			}
		}
	}
	ls.keys++
	s.p.attached[key.Lease]++
	if l == nil {
		ls.others++
		return
	}
	if !known {
		l.BeganBefore = !news || l.Keys > 0
		if !l.BeganBefore && !l.over {
			l.granted, l.untold = key.Modified, true
		}
	}
	l.Keys++
	l.again = 0
	if len(l.Names) < maxLeaseKeys && !slices.Contains(l.Names, key.Name) {
		l.Names = append(l.Names[:len(l.Names):len(l.Names)], key.Name)
	}
	if news && l.untold && l.granted == key.Modified {
		l.untold = false
		ls.granted++
		s.tellLease(l.told())
	}
}

// followLease begins to follow a lease, to which keys may be attached already.
// It returns nil when there are too many.
func (m *Machine) followLease(now time.Time, id int64) *lease {
	l := m.leases.add(now, id)
	if l == nil {
		return nil
	}
	for _, p := range m.parts {
		l.Keys += p.attached[id]
	}
	m.leases.others -= l.Keys
	return l
}

func (ls *leases) add(now time.Time, id int64) *lease {
	if len(ls.known) >= ls.limit {
		return nil
	}
	l := &lease{Lease: Lease{ID: id, Seen: now}, due: now, list: ls.list}
	if cause, over := ls.over[id]; over {
		l.over, l.gone, l.Cause = true, true, cause
		l.due = now.Add(time.Minute)
	}
	ls.known[id] = l
	heap.Push(&ls.due, l)
	return l
}

// end marks a lease as one that was told to have ended.
func (ls *leases) end(l *lease) {
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

func (ls *leases) remove(l *lease) {
	delete(ls.known, l.ID)
	heap.Remove(&ls.due, l.index)
}

// detach takes in that a key is no longer attached to a lease.
func (s *step) detach(id int64) {
	ls := s.m.leases
	if id == 0 || !ls.follow {
		return
	}
	ls.keys--
	if s.p.attached[id]--; s.p.attached[id] == 0 {
		delete(s.p.attached, id)
	}
	l := ls.known[id]
	if l == nil {
		ls.others--
		return
	}
	if l.Keys--; l.Keys == 0 {
		l.again = askAgain
		ls.ask(l, l.asked.Add(askAgain)) // It may be gone, too.
	}
}

// doubtful says whether it depends on etcd's answer why a key of the lease went.
func (ls *leases) doubtful(now time.Time, id int64) bool {
	l := ls.known[id]
	return l != nil && !l.gone && !now.Before(l.deadline)
}

// unknown says whether a lease would be followed, and is not yet.
func (ls *leases) unknown(id int64) bool {
	return id != 0 && ls.follow && ls.known[id] == nil && len(ls.known) < ls.limit
}

// answered takes in answers, which have come by now: a lease that is gone can
// have ended until then, but one that was there had its time left when it was
// asked for.
func (ls *leases) answered(now time.Time, answers []Answer) {
	for _, a := range answers {
		l := ls.known[a.ID]
		if l == nil {
			continue
		}
		l.First, l.Remaining = l.TTL == 0, a.Remaining
		l.asked = a.At
		if a.Remaining < 0 {
			if !l.gone {
				l.end(latest(now, a.By), true)
				l.goneAt = a.At
			}
			ls.ask(l, a.At.Add(time.Minute)) // its keys are about to go
			continue
		}
		l.alive, l.gone, l.over, l.late, l.resumed, l.TTL = true, false, false, false, false, a.TTL
		l.Cause, l.Certain, l.list, l.atEnd = LeaseEndUnknown, false, ls.list, 0
		l.deadline = a.At.Add(time.Duration(a.Remaining) * time.Second)
		due := latest(l.deadline, a.At.Add(askAgain))
		if soon := a.At.Add(l.again); l.again > 0 && soon.Before(due) {
			due = soon // Who gives back a lock often revokes its lease next.
			l.again *= 2
		}
		ls.ask(l, due)
	}
}

// unsettle takes in that etcd has another history than before, of which nothing
// is known.
func (ls *leases) unsettle() {
	for _, l := range ls.known {
		l.deadline = time.Time{}
		ls.ask(l, l.asked.Add(askAgain))
	}
}

// end marks a lease that is not there any more, which was found out at a time,
// for certain or not.
func (l *lease) end(at time.Time, certain bool) {
	if l.gone {
		return
	}
	l.gone, l.goneAt = true, at
	switch {
	case l.deadline.IsZero(), l.late && !at.Before(l.deadline):
		l.Cause = LeaseEndUnknown
	case at.Before(l.deadline):
		l.Cause, l.Certain = Revoked, certain
	case l.resumed: // Nobody asked when it might have expired.
		l.Cause = LeaseEndUnknown
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

// judgeLease returns why keys of a lease went that may have been all that it
// had. When it is learnt late, a lease that is gone by now does not tell why: it
// may have been revoked in time.
func (s *step) judgeLease(id, revision int64, keys int) EndCause {
	l := s.m.leases.known[id]
	if l == nil {
		return CauseUnknown
	}
	if revision > l.last {
		l.last, l.atEnd = revision, 0
	}
	if revision == l.last {
		l.atEnd += keys
	}
	l.late = s.reconciled
	switch {
	case l.gone && l.Cause == Revoked, l.alive, s.now.Before(l.deadline):
		return Released
	case s.reconciled, l.gone && (l.Cause == LeaseEndUnknown || l.goneAt.Sub(s.now) > promptly):
		return CauseUnknown
	case l.gone, keys > 1 && !l.deadline.IsZero():
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
	if !l.gone || l.Keys > 0 {
		return nil
	}
	ls.remove(l)
	if l.over {
		return nil
	}
	ls.end(l)
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
	ls.answered(now, o.Answers)
	s.conclude(o.Answers)
	return s.effects
}

// conclude tells of leases that were asked for.
func (s *step) conclude(answers []Answer) {
	for _, a := range answers {
		l := s.m.leases.known[a.ID]
		if l == nil {
			continue
		}
		l.alive = false
		if a.Remaining >= 0 {
			s.tell(Effect{Kind: LeaseAsked, Lease: l.told()})
		}
		s.settle(l)
	}
}

// settle tells of a lease that has ended with nothing else observed.
func (s *step) settle(l *lease) {
	s.reconciled = l.resumed || l.gone && l.deadline.IsZero() && l.atEnd == 0 // It may be gone since long.
	s.tellLease(s.m.leases.settle(s.now, l.ID))
	s.reconciled = false
}

func (s *step) list(ids []int64) {
	ls := s.m.leases
	ls.list++
	told := ls.begun && ls.beyond == 0 // else it may have been there before
	ls.beyond = 0
	for _, id := range ids {
		if l := ls.known[id]; l != nil {
			l.list = ls.list
			continue
		}
		if _, over := ls.over[id]; over {
			continue // The member has not heard of it yet.
		}
		l := s.m.followLease(s.now, id)
		switch {
		case l == nil:
			ls.beyond++
		case told && l.Keys == 0:
			ls.granted++
			s.tellLease(l.told())
		default:
			l.BeganBefore = true
		}
	}
	ls.begun = true
	var ended []int64
	for id, l := range ls.known {
		switch {
		case l.list == ls.list || l.gone:
		case ls.list-l.list >= absences:
			l.end(s.now, false) // Of a member that lags there may be two lists.
			ended = append(ended, id)
		default:
			ls.ask(l, latest(s.now, l.asked.Add(askAgain)))
		}
	}
	slices.Sort(ended)
	for _, id := range ended {
		s.settle(ls.known[id])
	}
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
