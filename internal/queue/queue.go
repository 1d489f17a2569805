// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package queue holds what was observed until it is delivered, up to a bound.
package queue

import (
	"context"
	"sync"
	"time"
)

// Queue is first in, first out. What is being delivered stays at its head until
// it is removed, so that it counts as waiting. It is safe for concurrent use,
// with one consumer.
type Queue[T any] struct {
	limit int
	join  func([]T) T // nil: values are not merged
	most  int

	mu    sync.Mutex
	items []item[T]
	size  int
	put   chan struct{} // holds something after each Put
}

type item[T any] struct {
	value T
	size  int
	since time.Time
}

// New returns a queue that takes values until their sizes reach limit together.
// The last one may exceed it, so that a value of any size has a place.
func New[T any](limit int) *Queue[T] {
	return &Queue[T]{limit: limit, put: make(chan struct{}, 1)}
}

// NewMerging returns a queue that makes one value of the oldest ones with join when
// they are taken, as long as their sizes do not exceed most together.
func NewMerging[T any](limit, most int, join func([]T) T) *Queue[T] {
	q := New[T](limit)
	q.join, q.most = join, most
	return q
}

// Full reports whether Put would refuse a value.
func (q *Queue[T]) Full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size >= q.limit
}

// Put adds a value of a size above zero that was observed at since. It returns
// false, and adds nothing, when the queue is full.
func (q *Queue[T]) Put(value T, size int, since time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size >= q.limit {
		return false
	}
	q.items = append(q.items, item[T]{value, size, since})
	q.size += size
	select {
	case q.put <- struct{}{}:
	default:
	}
	return true
}

// Head waits for the oldest value and returns it with its size; it stays in the
// queue. It returns false when ctx has ended and nothing is left.
func (q *Queue[T]) Head(ctx context.Context) (value T, size int, ok bool) {
	for {
		q.mu.Lock()
		q.merge()
		if len(q.items) > 0 {
			head := q.items[0]
			q.mu.Unlock()
			return head.value, head.size, true
		}
		q.mu.Unlock()
		select {
		case <-q.put:
		case <-ctx.Done():
			select {
			case <-q.put: // It came at the same time.
			default:
				return value, 0, false
			}
		}
	}
}

// merge makes one value of the oldest ones, as far as that is wanted.
func (q *Queue[T]) merge() {
	if q.join == nil || len(q.items) < 2 {
		return
	}
	n, size := 1, q.items[0].size
	for n < len(q.items) && size+q.items[n].size <= q.most {
		size += q.items[n].size
		n++
	}
	if n == 1 {
		return
	}
	values := make([]T, n)
	for i := range values {
		values[i] = q.items[i].value
	}
	merged := item[T]{q.join(values), size, q.items[0].since}
	clear(q.items[:n-1]) // for the garbage collector
	q.items = q.items[n-1:]
	q.items[0] = merged
}

// Shrink replaces the oldest value by what is left of it.
func (q *Queue[T]) Shrink(value T, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	head := &q.items[0]
	q.size += size - head.size
	head.value, head.size = value, size
}

// Remove removes the oldest value, and reports whether the queue is empty now.
func (q *Queue[T]) Remove() (empty bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.size -= q.items[0].size
	q.items[0] = item[T]{} // for the garbage collector
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	return len(q.items) == 0
}

// Waiting returns the sizes of all values together, and since when the oldest
// of them waits: zero when there is none.
func (q *Queue[T]) Waiting() (size int, since time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return 0, time.Time{}
	}
	return q.size, q.items[0].since
}
