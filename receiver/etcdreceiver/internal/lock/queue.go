// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"slices"
	"time"
)

// Holder is the key that holds a lock: etcd's clients wait for all keys under the name
// of their lock that are older than their own, whoever made them.
type Holder struct {
	Key     string
	Created int64
	Attempt *Attempt // that the key stands for, at this lock or at one within it; nil for none
}

// of says whether the holder is an attempt at a lock, and no other key.
func (h *Holder) of(lock string) bool { return h != nil && h.Attempt != nil && h.Attempt.Lock == lock }

// queue holds the attempts at a lock, and the other keys under its name, each in the
// order of their revisions. A lock that nobody wants has no queue.
type queue struct {
	attempts []*Attempt
	others   []Holder
	holder   *Holder // nil for a moment, between one and the next
	last     *Holder // the holder before, while others waited for it
	unsure   bool    // after last, another one may have held the lock
}

func byRevision(of Holder, than Holder) int {
	return cmp.Or(cmp.Compare(of.Created, than.Created), cmp.Compare(of.Key, than.Key))
}

// first returns the oldest key. Keys of one revision do not wait for each other.
func (of *queue) first() Holder {
	a := of.attempts[0]
	if len(of.others) > 0 && of.others[0].Created < a.Created {
		return of.others[0]
	}
	return Holder{a.Key, a.Created, a}
}

// insert takes in another key than those of attempts.
func (of *queue) insert(other Holder) {
	i, _ := slices.BinarySearchFunc(of.others, other, byRevision)
	of.others = slices.Insert(of.others, i, other)
}

// drop takes in that a key is not another one, or not there any more.
func (of *queue) drop(other Holder) (was bool) {
	i, was := slices.BinarySearchFunc(of.others, other, byRevision)
	if was {
		of.others = slices.Delete(of.others, i, i+1)
	}
	return was
}

// arrive takes in a key. It is in the queue of each lock that it is under.
func (q *Queues) arrive(key string, created int64) {
	if !q.keys.add(key, created) || len(q.queues) == 0 {
		return
	}
	for lock := range above(key) {
		if of := q.queues[lock]; of != nil {
			of.insert(Holder{Key: key, Created: created})
		}
	}
}

// leave takes in that a key is gone, or not observed any more.
func (q *Queues) leave(key string, gone, unordered bool) {
	created, was := q.keys.remove(key)
	if !was || len(q.queues) == 0 {
		return
	}
	for lock := range above(key) {
		of := q.queues[lock]
		if of == nil {
			continue
		}
		waited := of.drop(Holder{Key: key, Created: created})
		held := of.holder != nil && of.holder.Key == key
		if held {
			if gone { // else it may still be there
				of.last = q.snapshot(of.holder)
			}
			of.holder = nil
		}
		of.unsure = of.unsure || waited && !held && unordered
		if gone && (waited || held) {
			q.touched[lock] = true
		}
	}
}

// snapshot returns a holder as it is now.
func (q *Queues) snapshot(of *Holder) *Holder {
	if of == nil {
		return nil
	}
	h := &Holder{Key: of.Key, Created: of.Created}
	if a := q.attempts[of.Key]; a != nil {
		attempt := *a
		attempt.PreviousHolder = nil // one is enough, and a chain would not end
		h.Attempt = &attempt
	}
	return h
}

// add puts an attempt into the queue of its lock.
func (q *Queues) add(a *Attempt) {
	q.arrive(a.Key, a.Created)
	of := q.queues[a.Lock]
	if of == nil {
		of = q.queueOf(a.Lock)
		q.queues[a.Lock] = of
	}
	if of.drop(Holder{Key: a.Key, Created: a.Created}) && of.holder != nil && of.holder.Key == a.Key {
		of.holder = nil // It holds as an attempt from now on.
	}
	i, _ := slices.BinarySearchFunc(of.attempts, a.Created, func(other *Attempt, created int64) int {
		return cmp.Compare(other.Created, created)
	})
	of.attempts = slices.Insert(of.attempts, i, a)
	others, _ := slices.BinarySearchFunc(of.others, Holder{Created: a.Created}, byRevision)
	a.Position = i + others
	q.attempts[a.Key] = a
	q.locks.counts(a).Waiting++
	if first := of.first(); of.holder == nil && of.last == nil && !first.of(a.Lock) {
		of.holder = &first // since before it came
	}
}

// queueOf returns the queue of a lock that nobody has wanted so far.
func (q *Queues) queueOf(lock string) *queue {
	of := &queue{}
	for key, created := range q.keys.under(lock) {
		of.others = append(of.others, Holder{Key: key, Created: created})
	}
	slices.SortFunc(of.others, byRevision)
	return of
}

// remove takes an attempt out of the queue of its lock.
func (q *Queues) remove(a *Attempt) {
	of := q.queues[a.Lock]
	i := slices.Index(of.attempts, a)
	of.attempts = slices.Delete(of.attempts, i, i+1)
	of.unsure = of.unsure || a.Unordered
	q.leave(a.Key, !a.Ended.IsZero(), a.Unordered)
	if len(of.attempts) == 0 {
		delete(q.queues, a.Lock)
	}
}

// next returns what is about to hold a lock: the oldest key, unless it or one that
// came to the queue earlier holds it already.
func (q *Queues) next(lock string) *Holder {
	of := q.queues[lock]
	if of == nil {
		return nil
	}
	first := of.first()
	if of.holder != nil && (of.holder.of(lock) || of.holder.Key == first.Key) {
		of.unsure = false
		return nil
	}
	return &first
}

// holder returns what holds the lock of an attempt, or held it before others come to
// hold it; nil if that is not known.
func (q *Queues) holder(a *Attempt) *Holder {
	of := q.queues[a.Lock]
	switch {
	case of.holder != nil:
		return q.snapshot(of.holder)
	case !of.unsure:
		return of.last
	}
	return nil
}

// hold lets an attempt or another key hold a lock.
func (q *Queues) hold(h *Holder, lock string, now time.Time) {
	of := q.queues[lock]
	if h.of(lock) {
		if of.last != nil && !of.unsure {
			h.Attempt.PreviousHolder = of.last
		}
		h.Attempt.Acquired = now
		q.locks.held(h.Attempt)
	}
	of.holder, of.last, of.unsure = h, nil, false
}
