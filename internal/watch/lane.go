// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/otelcol-infra/otelcol-infra/internal/queue"
)

const (
	// maxWaiting is how many records of one signal may wait in a loop without Limit.
	maxWaiting = 10_000

	// mergeUpTo is how many records that wait are delivered at once.
	mergeUpTo = 1_000

	// retryAtMost is the longest pause between two tries, of observing and of
	// delivering.
	retryAtMost = 5 * time.Second

	// settleEvery is how often a loop without Fork waits for what was observed to be
	// accepted, and settleFor how long.
	settleEvery = time.Second
	settleFor   = 100 * time.Millisecond

	// lateAfter is how long what was observed may wait before what another signal has
	// accepted is committed without it.
	lateAfter = 100 * time.Millisecond

	// flushFor is how long Shutdown waits for a consumer that neither accepts nor
	// refuses.
	flushFor = 5 * time.Second
)

// lane is one signal of one loop: a queue, and what takes it to the consumer.
type lane[T any] struct {
	*signal[T]
	delivery *Delivery
	queue    *queue.Queue[T]
}

func newLane[T any](d *Delivery, s *signal[T], limit int) *lane[T] {
	return &lane[T]{signal: s, delivery: d, queue: queue.NewMerging(limit, mergeUpTo, s.join)}
}

func (l *lane[T]) label() string { return l.name }

func (l *lane[T]) full() bool { return l.queue.Full() }

func (l *lane[T]) empty() bool {
	records, _ := l.queue.Waiting()
	return records == 0
}

// late says that the oldest of what waits has done so for some time.
func (l *lane[T]) late() bool {
	records, since := l.queue.Waiting()
	return records > 0 && time.Since(since) >= lateAfter
}

func (l *lane[T]) records(t Telemetry) int { return l.count(l.of(t)) }

// put adds telemetry that was observed at now; there must be room.
func (l *lane[T]) put(now time.Time, t Telemetry) {
	if records := l.records(t); records > 0 {
		l.queue.Put(l.of(t), records, now)
	}
}

// overflow drops telemetry, as the queue is full. begins means that nothing was
// dropped before since the queue was empty.
func (l *lane[T]) overflow(ctx context.Context, t Telemetry, begins bool) {
	if begins {
		waiting, _ := l.queue.Waiting()
		l.delivery.logFull(l.name, waiting)
	}
	l.delivery.countDropped(ctx, l.name, droppedQueueFull, l.records(t))
}

// run delivers until ctx ends, and then what is left, until it is refused or
// consuming ends. drained is called each time that the queue is empty.
func (l *lane[T]) run(ctx, consuming context.Context, drained func()) {
	l.add(l)
	defer l.remove(l)
	for {
		batch, _, ok := l.queue.Head(ctx)
		if !ok {
			return
		}
		err := consuming.Err()
		if err == nil {
			err = l.deliver(ctx, consuming, batch)
		}
		if err != nil {
			left, _ := l.queue.Waiting()
			l.delivery.drop(consuming, l.name, droppedShutdown, left, err)
			return
		}
		if l.queue.Remove() {
			drained()
		}
	}
}

// deliver offers a batch until every consumer has accepted it or has refused it
// for good, which is counted and logged. When ctx ends it is offered once more.
// The error is that of the last refusal.
func (l *lane[T]) deliver(ctx, consuming context.Context, batch T) error {
	var pauses *backoff.ExponentialBackOff // nil: nothing was refused yet
	held, accepted := false, false
	defer func() {
		if held {
			l.release(accepted)
		}
	}()
	for {
		accepting := l.accepting() // Before the attempt: what is accepted meanwhile counts.
		err := l.consume(consuming, batch, l.count(batch))
		left, again, dropped := retryable(refusals(err, batch, l.part), batch, l.count)
		if !again {
			accepted = dropped == 0
			if dropped > 0 {
				l.delivery.drop(consuming, l.name, droppedRefused, dropped, err)
			}
			return nil
		}
		batch = left
		l.queue.Shrink(batch, l.count(batch))
		if ctx.Err() != nil {
			return err
		}
		if !held {
			pauses = backoff.NewExponentialBackOff()
			pauses.MaxInterval = retryAtMost
		}
		l.refuse(err, !held)
		held = true
		select {
		case <-time.After(min(pauses.NextBackOff(), retryAtMost)): // It adds jitter.
		case <-accepting:
		case <-ctx.Done():
		}
	}
}
