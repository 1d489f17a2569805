// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "container/heap"

// ask puts one into its queue, or takes it out of it.
func (r *Roster[D]) ask(l *life[D], due int64) {
	from := &r.soon
	if l.waits {
		from = &r.later
	}
	to := from
	if l.read {
		l.waits, to = false, &r.soon
	}
	if l.index >= 0 && (from != to || due == 0) {
		heap.Remove(from, int(l.index))
	}
	l.due = due
	switch {
	case due == 0:
	case l.index >= 0:
		heap.Fix(to, int(l.index))
	default:
		heap.Push(to, l)
	}
}

// dues is a queue of what is to be asked for, the next one first.
type dues[D any] []*life[D]

func (d dues[D]) Len() int { return len(d) }
func (d dues[D]) Less(i, j int) bool {
	if d[i].due != d[j].due {
		return d[i].due < d[j].due
	}
	return d[i].id < d[j].id
}

func (d dues[D]) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = int32(i), int32(j)
}

func (d *dues[D]) Push(l any) {
	l.(*life[D]).index = int32(len(*d))
	*d = append(*d, l.(*life[D]))
}

func (d *dues[D]) Pop() any {
	last := len(*d) - 1
	l := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	l.index = -1
	return l
}
