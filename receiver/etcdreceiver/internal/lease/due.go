// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"cmp"
	"container/heap"
	"time"
)

// Due returns the lease to query at now, if there is one.
func (ls *Leases) Due(now time.Time) (id int64, ok bool) {
	if len(ls.due) > 0 && !ls.due[0].due.After(now) {
		return ls.due[0].ID, true
	}
	return 0, false
}

// schedule sets when to query a lease.
func (ls *Leases) schedule(l *lease, due time.Time) {
	l.due = due
	heap.Fix(&ls.due, l.index)
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
