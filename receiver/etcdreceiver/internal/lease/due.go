// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"container/heap"
	"time"
)

// The queues in which leases are due.
const (
	lockQueue  = iota // an attempt at a lock is attached to it: why it ends matters most
	otherQueue        // all others
)

// Due returns the lease to query at now, if there is one. Preferred ones come first.
func (ls *Leases) Due(now time.Time) (id int64, preferred, ok bool) {
	for queue, due := range ls.due {
		if len(due) > 0 && !due[0].due.After(now) {
			return due[0].ID, queue == lockQueue, true
		}
	}
	return 0, false, false
}

// Waiting returns how long the lease has been due at now that has been longest.
func (ls *Leases) Waiting(now time.Time) (longest time.Duration) {
	for _, due := range ls.due {
		if len(due) > 0 {
			longest = max(longest, now.Sub(due[0].due))
		}
	}
	return longest
}

// Prefer has a lease queried before others, as long as it has a key.
func (a *Attachments) Prefer(id int64) {
	if l := a.leases.known[id]; l != nil {
		a.leases.move(l, lockQueue)
	}
}

// move moves a lease to a queue.
func (ls *Leases) move(l *lease, queue int) {
	if l.queue != queue {
		heap.Remove(&ls.due[l.queue], l.index)
		l.queue = queue
		heap.Push(&ls.due[queue], l)
	}
}

// schedule sets when to query a lease.
func (ls *Leases) schedule(l *lease, due time.Time) {
	l.due = due
	heap.Fix(&ls.due[l.queue], l.index)
}

// dueQueue is a heap of leases, the next one to query first.
type dueQueue []*lease

func (d dueQueue) Len() int { return len(d) }
func (d dueQueue) Less(i, j int) bool {
	return cmp.Or(d[i].due.Compare(d[j].due), cmp.Compare(d[i].ID, d[j].ID)) < 0
}
func (d dueQueue) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}
func (d *dueQueue) Push(l any) {
	l.(*lease).index = len(*d)
	*d = append(*d, l.(*lease))
}
func (d *dueQueue) Pop() any {
	last := len(*d) - 1
	l := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return l
}
