// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// How long the pause between two blocking queries is for what they return, about ten
// to twenty times what it costs to read it.
const (
	pausePerObject = 100 * time.Microsecond
	pausePerByte   = 100 * time.Nanosecond // Few keys can have large values.
)

// Result is what one read returns.
type Result[K, V comparable] struct {
	consulapi.Meta
	Objects map[K]V
	At      time.Time // when the answer came, if more was read after it
	Read    int       // number of objects that were read, observed or not
	Off     bool      // what was read is turned off in Consul
}

// Read makes one request.
type Read[K, V comparable] func(context.Context, *consulapi.Client, consulapi.Query) (Result[K, V], error)

// Step takes in an observation that was made at a time, and returns what
// happened: effects of type E.
type Step[K, V comparable, E any] func(time.Time, snapshot.Observation[K, V]) (*snapshot.Gap, []E)

// Watch follows one part of the API, by blocking queries or by polling.
type Watch[K, V comparable, E any] struct {
	*Env
	Endpoint string
	Read     Read[K, V]
	Compare  func(a, b K) int
	Limit    Limit

	// Interval is the time between two polls; zero follows by blocking queries.
	Interval time.Duration
	// MinPause is the shortest time between two blocking queries that bring changes;
	// zero stands for a second. Changes within it are observed as one.
	MinPause time.Duration
	// Unordered means that a smaller index is not an older one.
	Unordered bool
	// IndexOf, which may be nil, returns the index at which an object was last
	// modified. It reveals a restored snapshot that writes have overtaken since.
	IndexOf func(V) uint64

	// Lock guards the state that Step and Fork use. Step takes an observation in;
	// Fork returns a state that goes on from the present one and leaves it as it is.
	Lock sync.Locker
	Step Step[K, V, E]
	Fork func() watch.Fork[Step[K, V, E]]

	// Kept, which may be nil, is how the states survive a restart.
	Kept *watch.Kept[Step[K, V, E]]

	// Render renders effects.
	Render func(*Renderer, []E)

	queries *rate.Limiter
	backoff time.Duration // while answers bring no change
	index   uint64        // of the next blocking query; 0 reads at once
	last    consulapi.Meta
	kept    map[K]V // of the last result
	cut     int     // how many it left out
	begun   bool
	era     context.Context // the epoch in which the index counts
	gap     bool
	changed bool // what must survive a restart may have, with the last Step
	views   int  // how often the view itself changed, and
	hidings int  // how often the token began to hide some
}

// observation is what a Watch has observed.
type observation[K, V comparable] struct {
	snapshot.Observation[K, V]
	at     time.Time
	hidden bool // the token began to hide some objects
}

// Run observes until ctx ends.
func (w Watch[K, V, E]) Run(ctx context.Context) {
	w.MinPause = cmp.Or(w.MinPause, time.Second)
	w.queries = rate.NewLimiter(rate.Every(w.MinPause), burst(w.MinPause))
	if w.Interval > 0 {
		w.queries = rate.NewLimiter(rate.Every(w.Interval), 1)
	}
	kept := watch.WrappedKept(w.Kept, w.reportApart)
	if kept != nil {
		kept.Changed = func() bool { return w.changed }
	}
	watch.Loop[observation[K, V]]{
		Next:      w.next,
		At:        func(o observation[K, V]) time.Time { return o.at },
		Step:      w.report,
		Fork:      w.fork,
		Delivery:  w.Delivery,
		Kept:      kept,
		Condition: func(err error) { w.SetEndpoint(w.Endpoint, err) },
	}.Run(ctx)
}

func (w *Watch[K, V, E]) next(ctx context.Context) (observation[K, V], error) {
	var none observation[K, V]
	if !w.gap { // The loop paces what fails.
		if err := w.queries.Wait(ctx); err != nil {
			return none, err
		}
	}
	err := w.identify(ctx)
	if err == nil && w.Interval == 0 {
		err = w.identifyCluster(ctx)
	}
	if err != nil {
		w.gap = true
		return none, err
	}
	era := w.epoch.present()
	ended := w.era != nil && w.era != era // by another watch
	if ended {
		w.index, w.gap = 0, true
	}
	w.era = era
	result, err := w.read(ctx)
	if err != nil {
		// Without an index the next answer comes at once.
		w.index, w.gap = 0, true
		if era.Err() != nil && ctx.Err() == nil {
			return w.next(ctx)
		}
		return none, err
	}
	w.pace(result)
	observed := w.observe(result, w.overtaken(result))
	if observed.Restored && !ended {
		w.era = w.epoch.next(era)
	}
	return observed, nil
}

// overtaken means that Consul has restored a snapshot, although its index is not
// lower: an object was last modified earlier than is known of it, or appears now
// although it was modified before the last answer.
func (w *Watch[K, V, E]) overtaken(result Result[K, V]) bool {
	viewChanged := w.cut > 0 || result.Filtered || w.last.Filtered || result.Token != w.last.Token
	if !w.begun || w.IndexOf == nil || viewChanged || result.Index <= w.last.Index {
		return false
	}
	for key, object := range result.Objects {
		index := w.IndexOf(object)
		known, ok := w.kept[key]
		if ok && index < w.IndexOf(known) || !ok && index <= w.last.Index {
			return true
		}
	}
	return false
}

// observe makes an observation of a result. restored means that it is that of a
// Consul that went back to a snapshot.
func (w *Watch[K, V, E]) observe(result Result[K, V], restored bool) observation[K, V] {
	meta, objects := result.Meta, result.Objects
	cut := w.cut
	w.cut = Bound(objects, w.kept, w.Limit.Max, w.Compare)
	w.SetBeyond(w.Endpoint, w.Limit, w.cut)
	w.SetFiltered(w.Endpoint, meta.Filtered)

	// The index of keys also falls when Consul forgets keys that are long gone.
	backwards := restored || w.begun && !w.Unordered && meta.Index < w.last.Index && !maps.Equal(objects, w.kept)
	// With the same index, only the view can have changed.
	same := !w.Unordered && meta.Index == w.last.Index
	observed := observation[K, V]{
		Observation: snapshot.Observation[K, V]{
			Continuity: snapshot.Continuity{
				Index:    meta.Index,
				Gap:      w.gap || backwards,
				Restored: backwards,
				Rebased:  meta.Filtered && !w.begun || w.begun && (same || meta.Filtered != w.last.Filtered || meta.Filtered && meta.Token != w.last.Token),
				Cut:      cut > 0 || w.cut > 0,
			},
			Objects: objects,
		},
		at:     cmp.Or(result.At, time.Now()),
		hidden: meta.Filtered && !w.last.Filtered,
	}
	w.last, w.kept, w.begun, w.gap, w.index = meta, objects, true, false, meta.Index
	if backwards || w.Interval > 0 {
		w.index = 0
	}
	return observed
}

// pace bounds how often a blocking query is made. It returns all objects at
// every change of any of them, so that a busy cluster would be read without a
// pause, and a large one at great cost.
func (w *Watch[K, V, E]) pace(result Result[K, V]) {
	pause := max(w.MinPause, time.Duration(result.Read)*pausePerObject, time.Duration(result.Bytes)*pausePerByte, w.backOff(result))
	if w.Interval > 0 {
		pause = w.Interval
	}
	if result.Off {
		pause = max(pause, time.Minute)
	}
	w.queries.SetLimit(rate.Every(pause))
	if w.Interval == 0 {
		w.queries.SetBurst(burst(pause))
	}
}

// burst returns how many blocking queries may follow each other without a pause
// after a quiet time. Small answers may: changes of a lock come in bursts, and
// how a hold ended is known only if each is observed by itself.
func burst(pause time.Duration) int {
	if pause > 10*time.Millisecond {
		return 2
	}
	return 20
}

// backOff returns a pause that doubles, up to a second, with each answer in a row
// that brings no change: Consul also answers for keys beside an empty prefix.
func (w *Watch[K, V, E]) backOff(result Result[K, V]) time.Duration {
	if w.MinPause >= time.Second || !w.begun || !maps.Equal(result.Objects, w.kept) {
		w.backoff = 0
		return 0
	}
	w.backoff = min(max(2*w.backoff, w.MinPause), time.Second)
	return w.backoff
}

// read reads once, within the epoch. An answer that is older than the one before
// may be that of a server that lags, or of a leader that has just started: only a
// consistent one shows whether Consul itself went back.
func (w *Watch[K, V, E]) read(ctx context.Context) (Result[K, V], error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.era, cancel)()
	begin := time.Now()
	result, err := w.Read(ctx, w.API, consulapi.Query{Index: w.index})
	if result.Off {
		return Result[K, V]{Meta: consulapi.Meta{Index: w.last.Index}, Off: true}, err
	}
	if err == nil && !w.Unordered && (w.older(result.Meta) || w.early(result.Meta, begin)) {
		result, err = w.Read(ctx, w.API, consulapi.Query{Consistent: true})
	}
	return result, err
}

func (w *Watch[K, V, E]) older(meta consulapi.Meta) bool {
	return w.begun && meta.Index < w.last.Index && !w.API.Consistent()
}

// early means that nothing new came, and no time has passed: so it is when Consul
// went back to a snapshot, after which an index from before is never reached.
func (w *Watch[K, V, E]) early(meta consulapi.Meta, begin time.Time) bool {
	return w.index > 1 && meta.Index == w.index && time.Since(begin) < consulapi.Wait
}

// report steps and renders.
func (w *Watch[K, V, E]) report(now time.Time, observed observation[K, V]) watch.Telemetry {
	if observed.Rebased || observed.Cut {
		w.views++
	}
	if observed.hidden {
		w.hidings++
	}
	w.Lock.Lock()
	gap, effects := w.Step(now, observed.Observation)
	w.Lock.Unlock()
	w.changed = observed.Rebased || len(effects) > 0
	if w.Unordered {
		gap = nil
	}
	return w.telemetry(now, gap, observed.hidden, effects)
}

// fork returns a state for a signal that goes on by itself: see watch.Loop.
func (w *Watch[K, V, E]) fork() watch.Fork[watch.StepFork[observation[K, V]]] {
	w.Lock.Lock()
	defer w.Lock.Unlock()
	return watch.Wrapped(w.Fork(), w.reportApart)
}

// reportApart returns a report that steps a state by itself.
func (w *Watch[K, V, E]) reportApart(step Step[K, V, E]) watch.StepFork[observation[K, V]] {
	views, hidings := w.views, w.hidings
	return func(now time.Time, observed observation[K, V], overflow bool) watch.Telemetry {
		if overflow {
			// What changed of the view in between counts for all that differs now.
			observed.Gap = true
			observed.Rebased = observed.Rebased || w.views != views
			observed.hidden = observed.hidden || w.hidings != hidings
		}
		views, hidings = w.views, w.hidings
		gap, effects := step(now, observed.Observation)
		if w.Unordered {
			gap = nil
		}
		if overflow && gap == nil {
			gap = &snapshot.Gap{}
		}
		return w.telemetry(now, gap, observed.hidden, effects)
	}
}

func (w *Watch[K, V, E]) telemetry(now time.Time, gap *snapshot.Gap, hidden bool, effects []E) watch.Telemetry {
	if gap == nil && !hidden && len(effects) == 0 {
		return watch.EmptyTelemetry()
	}
	return w.render(now, func(r *Renderer) {
		if gap != nil {
			r.Gap(w.Endpoint, *gap)
		}
		if hidden {
			r.Filtered(w.Endpoint)
		}
		w.Render(r, effects)
	})
}

// Bound keeps the objects up to limit: first those that were kept before, as
// the others would look as new and those as gone, then the
// first in the order of their keys. It returns how many there are beyond.
func Bound[K comparable, V any](objects, before map[K]V, limit int, compare func(a, b K) int) (beyond int) {
	beyond = len(objects) - limit
	if beyond <= 0 {
		return 0
	}
	var known, others []K
	for key := range objects {
		if _, ok := before[key]; ok {
			known = append(known, key)
		} else {
			others = append(others, key)
		}
	}
	slices.SortFunc(known, compare)
	slices.SortFunc(others, compare)
	for _, key := range append(known, others...)[limit:] {
		delete(objects, key)
	}
	return beyond
}

// Objects is a Watch of objects that only come, change and go, and what is known
// of them. It is a Collector without metrics.
type Objects[V comparable] struct {
	Watch[string, V, snapshot.Change[string, V]]

	mu      sync.Mutex
	tracker snapshot.Catalog[V]
}

// NewObjects returns the Objects of an endpoint, whose changes render renders.
func NewObjects[V comparable](e *Env, endpoint string, limit Limit, read Read[string, V], render func(*Renderer, snapshot.Change[string, V])) *Objects[V] {
	o := &Objects[V]{tracker: snapshot.Catalog[V]{EmitInitial: e.EmitInitial}}
	stepOf := func(c *snapshot.Catalog[V]) Step[string, V, snapshot.Change[string, V]] {
		return func(_ time.Time, observed snapshot.Observation[string, V]) (*snapshot.Gap, []snapshot.Change[string, V]) {
			return c.Step(observed)
		}
	}
	o.Watch = Watch[string, V, snapshot.Change[string, V]]{
		Env: e, Endpoint: endpoint, Read: read, Compare: cmp.Compare[string], Limit: limit,
		Lock: &o.mu, Step: stepOf(&o.tracker),
		Fork: func() watch.Fork[Step[string, V, snapshot.Change[string, V]]] {
			return watch.ForkUnsaved(o.tracker.Clone(), stepOf)
		},
		Render: func(r *Renderer, changes []snapshot.Change[string, V]) {
			for _, c := range changes {
				render(r, c)
			}
		},
	}
	return o
}

// Known returns the objects of the last observation, not to be changed, and
// whether the last use of the endpoint succeeded.
func (o *Objects[V]) Known() (map[string]V, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tracker.Known(), o.Up(o.Endpoint)
}
