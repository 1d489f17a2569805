// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
)

// Loop observes one thing until its context ends.
type Loop[O any] struct {
	// Next is the only I/O. It blocks until there is something to observe, and
	// returns an error when that failed; an error is never an empty observation.
	Next func(ctx context.Context) (O, error)

	// At, which may be nil, returns when an observation was made; without it, that is
	// when Next returns.
	At func(observed O) time.Time

	// Step takes in the observation that was made at now, and returns the telemetry
	// that comes of it.
	Step func(now time.Time, observed O) Telemetry

	// Fork returns a state that goes on by itself from the present one and leaves
	// that as it is. A signal whose queue is full has a state of its own from then
	// on: it stays as it is until the consumer has accepted all that waited, and then
	// steps the newest observation, with gap. So what began in the signal ends in it.
	// It has the common state again when that saves the same.
	//
	// Without Fork, Next is not called while a queue is full. That is right where
	// the server keeps the history, or Next knows what it missed.
	Fork func() Fork[StepFork[O]]

	// Delivery takes the telemetry to the next consumers.
	Delivery *Delivery

	// Limit is how many records of each signal may wait; zero is 10,000.
	Limit int

	// Commit, which may be nil, keeps what must survive a restart. It is called when
	// all signals have accepted all that was stepped so far, and not during a Step.
	Commit func(ctx context.Context)

	// Kept, which may be nil, is instead of Commit how the states of a loop with Fork
	// survive a restart. They are stored when a signal has accepted all that was stepped
	// so far. One that lags behind stays as it was stored before, so that it goes on
	// from there if the process is killed.
	Kept *Kept[StepFork[O]]

	// Condition gets the outcome of every observation.
	Condition func(err error)
}

// Run observes until ctx ends, which it notices within one call of Next. Then it
// delivers what waits, as far as the consumers accept it at once.
func (l Loop[O]) Run(ctx context.Context) {
	delivering, end := context.WithCancel(context.WithoutCancel(ctx))
	consuming, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushFor, giveUp) })()
	r := l.start(delivering, consuming)
	defer r.finish()
	defer r.delivering.Wait()
	defer end()
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
		now := time.Now()
		if l.At != nil {
			now = l.At(observed)
		}
		r.take(now, observed)
		l.Condition(nil) // What is known is now up to date.
	}
}

// running is a loop that runs.
type running[O any] struct {
	Loop[O]
	ctx        context.Context // does not end with the loop
	delivering sync.WaitGroup
	lanes      []*laneOf[O]
	drained    chan struct{} // holds something after a queue became empty
	waited     time.Time     // for that, so that there is something to commit

	mu       sync.Mutex
	latest   O // while a queue is full
	at       time.Time
	begun    bool
	changed  bool        // what survives of the common state, since it was stored
	waiting  *time.Timer // for what was observed to be accepted; nil: it is not waited for
	finished bool
}

// laneOf is a lane and what goes into it.
type laneOf[O any] struct {
	outlet
	own     *Fork[StepFork[O]] // nil: it has the common state
	paused  bool               // its queue was full, and is not empty yet
	changed bool               // what survives of its state, since it was stored
}

// behind says that what was stepped is not accepted yet.
func (l *laneOf[O]) behind() bool { return l.paused || !l.empty() }

func (l Loop[O]) start(ctx, consuming context.Context) *running[O] {
	r := &running[O]{Loop: l, ctx: consuming, drained: make(chan struct{}, 1), waited: time.Now()}
	for _, out := range l.Delivery.outlets(cmp.Or(l.Limit, maxWaiting)) {
		lane := &laneOf[O]{outlet: out}
		if l.Kept != nil {
			if fork, ok := l.Kept.Forks[out.label()]; ok {
				lane.own = &fork
			}
		}
		r.lanes = append(r.lanes, lane)
	}
	for _, l := range r.lanes {
		r.delivering.Go(func() { l.run(ctx, consuming, func() { r.caughtUp(l) }) })
	}
	return r
}

// room waits, without Fork, until a queue that is full is empty again; it is
// false when ctx has ended.
func (r *running[O]) room(ctx context.Context) bool {
	if r.Fork != nil {
		return ctx.Err() == nil
	}
	if !r.full() {
		r.letSettle(ctx)
		return ctx.Err() == nil
	}
	r.Delivery.stalled.Add(1)
	defer r.Delivery.stalled.Add(-1)
	for ctx.Err() == nil && r.full() {
		select {
		case <-r.drained:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

func (r *running[O]) full() bool {
	return slices.ContainsFunc(r.lanes, func(l *laneOf[O]) bool { return l.full() })
}

// letSettle waits a little, once in a while, until all was accepted: else nothing
// could be committed while it is observed as fast as it is delivered.
func (r *running[O]) letSettle(ctx context.Context) {
	if r.Commit == nil || time.Since(r.waited) < settleEvery {
		return
	}
	patience := time.NewTimer(settleFor)
	defer patience.Stop()
	for slices.ContainsFunc(r.lanes, func(l *laneOf[O]) bool { return !l.empty() }) {
		select {
		case <-r.drained:
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		break
	}
	r.waited = time.Now()
}

// take steps an observation and queues what comes of it.
func (r *running[O]) take(now time.Time, observed O) {
	r.mu.Lock()
	defer r.mu.Unlock()
	forks := make([]*Fork[StepFork[O]], len(r.lanes))
	for i, l := range r.lanes {
		forks[i] = r.forkOf(l)
	}
	common := r.Step(now, observed)
	changed := !r.begun || r.Kept != nil && (r.Kept.Changed == nil || r.Kept.Changed())
	r.begun, r.changed = true, r.changed || changed
	for i, l := range r.lanes {
		l.changed = l.changed || changed
		switch {
		case l.paused:
			l.overflow(r.ctx, common, false)
		case l.own != nil:
			own := l.own.Step(now, observed, false)
			l.changed = l.changed || l.records(own) > 0
			r.queue(l, now, own, forks[i])
		default:
			r.queue(l, now, common, forks[i])
		}
	}
	r.latest, r.at = observed, now
	r.settle()
}

// forkOf returns the state with which a signal goes on by itself if there is something to
// put into its queue, which is full; nil: it is not, or it may wait without.
func (r *running[O]) forkOf(l *laneOf[O]) *Fork[StepFork[O]] {
	fork := r.Fork
	if l.own != nil {
		fork = l.own.Fork
	}
	if fork == nil || l.paused || !l.full() {
		return nil
	}
	forked := fork()
	return &forked
}

// queue puts what was stepped into the queue of a signal. If that is full, the signal goes
// on from before later.
func (r *running[O]) queue(l *laneOf[O], now time.Time, stepped Telemetry, before *Fork[StepFork[O]]) {
	if before == nil {
		l.put(now, stepped)
		return
	}
	if l.records(stepped) > 0 {
		l.own, l.paused = before, true
		l.overflow(r.ctx, stepped, true)
	}
}

// caughtUp goes on with a signal whose queue has become empty.
func (r *running[O]) caughtUp(l *laneOf[O]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.paused {
		l.paused, l.changed = false, true
		l.put(r.at, l.own.Step(r.at, r.latest, true))
	}
	r.settle()
	select {
	case r.drained <- struct{}{}:
	default:
	}
}

// finish stores what was accepted in the end.
func (r *running[O]) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = true
	if r.waiting != nil {
		r.waiting.Stop()
	}
	if r.Kept != nil {
		r.keep()
	}
}

// settle keeps what was accepted.
func (r *running[O]) settle() {
	behind := slices.ContainsFunc(r.lanes, (*laneOf[O]).behind)
	switch {
	case r.Kept != nil && behind && !r.late():
		r.settleLater()
	case r.Kept != nil:
		r.keep()
	case r.Commit != nil && !behind:
		r.Commit(context.WithoutCancel(r.ctx))
	}
	if r.Kept == nil {
		for _, l := range r.lanes {
			if !l.behind() { // The newest observation is all that its state is made of.
				l.own = nil
			}
		}
	}
}

// late says that all signals that are behind are so for some time. Before, it is better to
// wait for them than to store twice.
func (r *running[O]) late() bool {
	return !slices.ContainsFunc(r.lanes, func(l *laneOf[O]) bool { return l.behind() && !l.paused && !l.late() })
}

func (r *running[O]) settleLater() {
	if r.waiting != nil {
		return
	}
	r.waiting = time.AfterFunc(lateAfter, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.waiting = nil; !r.finished {
			r.settle()
		}
	})
}

// keep stores the states of the signals that have accepted all, if they have changed.
func (r *running[O]) keep() {
	changed := len(r.lanes) == 0 && r.changed
	lanes := make([]checkpoint.Lane, len(r.lanes))
	for i, l := range r.lanes {
		lanes[i] = checkpoint.Lane{Name: l.label(), Behind: l.behind()}
		changed = changed || l.changed && !lanes[i].Behind
	}
	if !changed {
		return
	}
	for i, l := range r.lanes {
		if l.own != nil && !lanes[i].Behind {
			lanes[i].Own = l.own.Save()
		}
	}
	same, err := r.Kept.Store(context.WithoutCancel(r.ctx), r.Kept.Save(), lanes)
	if err != nil {
		return // It is tried again with the next observation.
	}
	r.changed = false
	for i, l := range r.lanes {
		if !lanes[i].Behind {
			l.changed = false
		}
		if slices.Contains(same, l.label()) {
			l.own = nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
