// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"reflect"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// domain is a part of what Vault keeps. It is asked for with the token, at a pace
// of its own, and only while the server is the active node, which tells it for all.
type domain interface {
	// run asks for it and tells of it until ctx ends.
	run(ctx context.Context)

	// record records what is known of it, if that is not too old. The watcher is
	// locked.
	record(mb *metadata.MetricsBuilder, now time.Time)
}

// recorder is a domain with metrics that the generated builder cannot make.
type recorder interface {
	appendTo(metrics pmetric.MetricSlice, now time.Time)
}

// topic is a domain that is small enough to be read whole at each interval.
// What is read is compared with what was reported last.
type topic[T any] struct {
	w        *watcher
	endpoint string   // by which it is denied, and its condition is told
	also     []string // further endpoints, of which read tells the condition itself
	every    time.Duration
	read     func(ctx context.Context) (T, error)

	// measure records the newest answer; nil: it has no metrics.
	measure func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, value T)

	// tell says what has changed; nil: it is only measured.
	tell func(observed time.Time, c change[T]) watch.Telemetry

	// stored is the key under which what was told survives a restart; empty: it
	// does not, and what changed meanwhile is not told. T has to be fit for JSON.
	stored string

	last answer[T] // The watcher's lock guards it.
}

// change is between two answers.
type change[T any] struct {
	at            time.Time // of the later one
	before, after T
	resource      pcommon.Resource

	// reconciled says that it was not asked, or not answered, in between, or that
	// what was answered had to wait and was replaced by something newer.
	reconciled bool
}

// sight is an answer on its way to be told.
type sight[T any] struct {
	answer[T]
	term term
	gap  bool // it is not known when it changed since the one before
}

// term is a time in which one cluster was told by this receiver. What was known
// before it says nothing: another node was active, and its receiver has told.
type term struct {
	Cluster string
	Number  int // of nodes that were seen to lead since the receiver began
}

// continues says whether what an earlier process told of a cluster is what this
// one begins with: not when another node was active since the start, whose
// receiver has told what happened then.
func (t term) continues(cluster string) bool { return t.Number == 0 && t.Cluster == cluster }

// resume returns what an earlier process kept under a key, of the cluster that it
// says, if this process goes on with it.
func resume[K any](ctx context.Context, w *watcher, key string, now term, clusterOf func(K) string) (kept K, ok bool) {
	var found K
	known, err := w.store.Load(ctx, key, &found)
	w.Condition.Set(storageState, err)
	if !known || err != nil || !now.continues(clusterOf(found)) {
		return kept, false
	}
	return found, true
}

func (t *topic[T]) run(ctx context.Context) {
	news := make(chan sight[T], 1)
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { t.ask(ctx, news) })
	if t.tell == nil {
		return
	}
	var told told[T]
	loop := watch.Loop[sight[T]]{
		Next: func(ctx context.Context) (s sight[T], err error) {
			select {
			case s = <-news:
				return s, nil
			case <-ctx.Done():
				return s, ctx.Err()
			}
		},
		Step: func(_ time.Time, s sight[T]) watch.Telemetry { return t.compare(told.take(s), s) },
		Fork: func() watch.Fork[watch.StepFork[sight[T]]] {
			return watch.ForkOf(&sync.Mutex{}, told.Clone(), t.stepApart)
		},
		Delivery:  t.w.Delivery(),
		Condition: func(error) {}, // The endpoint has one of its own.
	}
	if t.stored != "" {
		slot := checkpoint.Slot[memory[T]]{Store: t.w.store, Key: t.stored, Report: func(err error) { t.w.Condition.Set(storageState, err) }}
		loop.Kept = watch.Keep(ctx, slot, &sync.Mutex{}, &told, newTold[T], t.stepApart)
	}
	loop.Run(ctx)
}

// stepApart returns what steps what was told by a signal that goes on by itself.
func (t *topic[T]) stepApart(told *told[T]) watch.StepFork[sight[T]] {
	return func(_ time.Time, s sight[T], gap bool) watch.Telemetry {
		before := told.take(s)
		s.gap = s.gap || gap
		reported := watch.EmptyTelemetry()
		if gap {
			reported = t.w.gap(s.at, before.at)
		}
		changed := t.compare(before, s)
		changed.Logs.ResourceLogs().MoveAndAppendTo(reported.Logs.ResourceLogs())
		changed.Traces.ResourceSpans().MoveAndAppendTo(reported.Traces.ResourceSpans())
		return reported
	}
}

// told is what a signal was told last.
type told[T any] struct {
	last  memory[T]
	saved bool // by an earlier process
}

func newTold[T any]() *told[T] { return &told[T]{} }

func (t *told[T]) Save() memory[T] { return t.last }

func (t *told[T]) Restore(saved memory[T]) { t.last, t.saved = saved, true }

func (t *told[T]) Clone() *told[T] {
	c := *t
	return &c
}

// take replaces it by an answer, and returns what it was: nothing, if an earlier process
// was told of another cluster.
func (t *told[T]) take(s sight[T]) memory[T] {
	before := t.last
	switch {
	case t.saved && s.term.continues(before.Cluster):
		before.term, before.old = s.term, true
	case t.saved:
		before = memory[T]{}
	}
	*t = told[T]{last: memory[T]{Known: true, Cluster: s.term.Cluster, term: s.term, at: s.at, Value: s.value}}
	return before
}

// memory is what was told last.
type memory[T any] struct {
	Known   bool
	Cluster string
	Value   T

	term term
	at   time.Time // zero: by an earlier process
	old  bool      // by an earlier process
}

// compare returns what differs between what was reported last and an answer.
func (t *topic[T]) compare(before memory[T], s sight[T]) watch.Telemetry {
	if !before.Known || before.term != s.term {
		return watch.EmptyTelemetry()
	}
	return t.tell(s.at, change[T]{
		at: s.at, before: before.Value, after: s.value, resource: t.w.resource(), reconciled: s.gap || before.old,
	})
}

// ask asks at each interval, and at once when the server becomes active or there
// is another token.
func (t *topic[T]) ask(ctx context.Context, news chan sight[T]) {
	turned := t.w.turns()
	t.w.endpoints.pace(t.every, append(t.also, t.endpoint)...)
	gap := false
	for t.w.wait(ctx, t.w.asked) {
		possible, term := t.w.possible()
		if !possible {
			t.w.endpoints.rest(t.also...)
		}
		value, ok := poll(ctx, t.w, t.endpoint, possible, &t.last, t.read)
		shown := false
		if _, still := t.w.possible(); ok && t.tell != nil && still == term && t.w.leads(ctx) {
			show(news, sight[T]{answer: answer[T]{value: value, at: time.Now()}, term: term, gap: gap})
			shown = true
		}
		gap = !shown
		pauseUntil(ctx, t.every, turned)
	}
}

// show puts an answer where the one before may still wait. One that says the
// same stays, as it is of the time at which it was seen first.
func show[T any](news chan sight[T], s sight[T]) {
	select {
	case waiting := <-news:
		if waiting.term == s.term && reflect.DeepEqual(waiting.value, s.value) {
			s = waiting
		} else {
			s.gap = true
		}
	default:
	}
	news <- s
}

func (t *topic[T]) record(mb *metadata.MetricsBuilder, now time.Time) {
	if t.measure != nil && t.last.fresh(now, max(2*t.every, stale)) {
		t.measure(mb, pcommon.NewTimestampFromTime(now), t.last.value)
	}
}

// wait waits for a channel that is closed once; it is false when ctx has ended.
func (w *watcher) wait(ctx context.Context, once <-chan struct{}) bool {
	select {
	case <-once:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// signal has a channel hold something, if it does not yet; it has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pauseUntil waits for some time, or for less when there is a turn.
func pauseUntil(ctx context.Context, d time.Duration, turned <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-turned:
	case <-ctx.Done():
	}
}

// possible says whether what needs a token can be asked of this server for all
// of the cluster, and in which term.
func (w *watcher) possible() (bool, term) {
	token := w.client.hasToken()
	w.mu.Lock()
	defer w.mu.Unlock()
	return token && w.server.err == nil && !w.server.at.IsZero() && w.server.value.AcceptsTokens(),
		term{Cluster: w.cluster.clusterID, Number: w.terms}
}

// turns returns a channel that has something when the server has become active,
// or there is another token.
func (w *watcher) turns() <-chan struct{} {
	turned := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turned = append(w.turned, turned)
	return turned
}
