// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Loop observes one thing until its context ends.
type Loop[O any] struct {
	// Next is the only I/O. It blocks until there is something to observe, and
	// returns an error when that failed; an error is never an empty observation.
	Next func(ctx context.Context) (O, error)

	// Step takes in the observation that was made at now, and returns the telemetry
	// that comes of it.
	Step func(now time.Time, observed O) Telemetry

	// Fork returns a Step that goes on from the present state and leaves it as it
	// is. A signal whose queue is full goes on from there once its consumer has
	// accepted all that waited: with the newest observation, across a gap.
	//
	// Without Fork, Next is not called while a queue is full. That is right where
	// the server keeps the history, or Next knows what it missed.
	Fork func() func(now time.Time, observed O) Telemetry

	// Delivery takes the telemetry to the next consumers.
	Delivery *Delivery

	// Limit is how many records of each signal may wait; zero is 20,000.
	Limit int

	// Commit, which may be nil, keeps what must survive a restart. It is called when
	// all signals have accepted all that was stepped so far, and not during a Step.
	Commit func(ctx context.Context)

	// Condition gets the outcome of every observation.
	Condition func(err error)
}

// Run observes until ctx ends, which it notices within one call of Next. Then it
// delivers what waits, as far as the consumers accept it at once.
func (l Loop[O]) Run(ctx context.Context) {
	r := l.start(ctx)
	defer r.lanes.Wait()
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = retryAtMost
	for r.room(ctx) {
		observed, err := l.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		l.Delivery.countObservation(ctx, err)
		if err != nil {
			l.Condition(err)
			pause(ctx, min(retry.NextBackOff(), retryAtMost)) // It adds jitter.
			continue
		}
		retry.Reset()
		r.take(time.Now(), observed)
		l.Condition(nil) // What is known is now up to date.
	}
}

// running is a loop that runs.
type running[O any] struct {
	Loop[O]
	ctx     context.Context // does not end
	lanes   sync.WaitGroup
	outlets []outlet
	drained chan struct{} // holds something after a queue became empty

	mu     sync.Mutex
	forks  []func(time.Time, O) Telemetry // by outlet; nil: its queue has room
	latest O                              // while there is a fork
	at     time.Time
	lost   bool // something was dropped at Shutdown
}

func (l Loop[O]) start(ctx context.Context) *running[O] {
	r := &running[O]{
		Loop: l, ctx: context.WithoutCancel(ctx),
		outlets: l.Delivery.outlets(cmp.Or(l.Limit, maxWaiting)), drained: make(chan struct{}, 1),
	}
	r.forks = make([]func(time.Time, O) Telemetry, len(r.outlets))
	for i, out := range r.outlets {
		r.lanes.Go(func() {
			if !out.run(ctx, func() { r.caughtUp(i) }) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.lost = true
			}
		})
	}
	return r
}

// room waits, without Fork, until a queue that is full is empty again; it is
// false when ctx has ended.
func (r *running[O]) room(ctx context.Context) bool {
	if r.Fork != nil || !r.full() {
		return ctx.Err() == nil
	}
	r.Delivery.stalled.Add(1)
	defer r.Delivery.stalled.Add(-1)
	for ctx.Err() == nil {
		if !r.full() {
			return true
		}
		select {
		case <-r.drained:
		case <-ctx.Done():
		}
	}
	return false
}

func (r *running[O]) full() bool {
	for _, out := range r.outlets {
		if out.full() {
			return true
		}
	}
	return false
}

// take steps an observation and queues what comes of it.
func (r *running[O]) take(now time.Time, observed O) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := make([]func(time.Time, O) Telemetry, len(r.outlets))
	for i, out := range r.outlets {
		if r.Fork != nil && r.forks[i] == nil && out.full() {
			before[i] = r.Fork()
		}
	}
	t := r.Step(now, observed)
	overflows := false
	for i, out := range r.outlets {
		switch {
		case r.forks[i] == nil && (before[i] == nil || out.records(t) == 0):
			out.put(now, t)
			continue
		case r.forks[i] == nil:
			out.overflow(r.ctx, t, true)
			r.forks[i] = before[i]
		default:
			out.overflow(r.ctx, t, false)
		}
		overflows = true
	}
	if overflows {
		r.latest, r.at = observed, now
	}
	r.settle()
}

// caughtUp goes on with a signal whose queue has become empty.
func (r *running[O]) caughtUp(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fork := r.forks[i]; fork != nil {
		r.forks[i] = nil
		r.outlets[i].put(r.at, fork(r.at, r.latest))
	}
	r.settle()
	select {
	case r.drained <- struct{}{}:
	default:
	}
}

// settle commits if everything was accepted.
func (r *running[O]) settle() {
	if r.Commit == nil || r.lost {
		return
	}
	for i, out := range r.outlets {
		if r.forks[i] != nil || !out.empty() {
			return
		}
	}
	r.Commit(r.ctx)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
