// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// question is what is asked again and again, and not twice at once: one that
// gets no answer waits alone.
type question[T any] struct {
	name string // under which it reports its condition

	waits bool
	asked time.Time // when it was last asked, or could not be
	err   error     // of the last answer
	gap   bool      // there was none since
	value T         // of the last answer that was one
	at    time.Time // when that came
	news  state.Seen[T]
}

// due says whether to ask again.
func (q *question[T]) due(now time.Time, every time.Duration) bool {
	return !q.waits && now.Sub(q.asked) >= every
}

// skip notes that it is not asked now, though it is due.
func (q *question[T]) skip(now time.Time, every time.Duration) {
	if q.due(now, every) {
		q.asked, q.gap = now, true
	}
}

// answer takes in the answer.
func (q *question[T]) answer(now time.Time, value T, err error) {
	q.waits, q.err = false, err
	if err != nil {
		q.gap = true
		return
	}
	q.news = state.Seen[T]{Value: value, Known: true, Gap: q.gap || q.news.Gap}
	q.value, q.at, q.gap = value, now, false
}

// take returns what was answered since the last take.
func (q *question[T]) take() state.Seen[T] {
	news := q.news
	q.news = state.Seen[T]{}
	return news
}

// fresh says whether the last answer is one, and not older than that.
func (q *question[T]) fresh(now time.Time, age time.Duration) bool {
	return q.err == nil && !q.at.IsZero() && now.Sub(q.at) <= age
}

// ask asks a question in the background, if it is due, and says whether it was.
// answered is called with the answer, unless ctx ends before.
func ask[T any](ctx context.Context, c *cluster, asking *sync.WaitGroup, q *question[T], every time.Duration,
	read func(context.Context) (T, error), answered func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !q.due(now, every) {
		return false
	}
	q.waits, q.asked = true, now
	asking.Go(func() {
		value, err := read(ctx)
		if ctx.Err() != nil {
			return // What Shutdown cut off says nothing.
		}
		c.Condition.Set(q.name, etcdapi.Explain(err))
		c.mu.Lock()
		q.answer(time.Now(), value, err)
		c.mu.Unlock()
		answered()
	})
	return true
}
