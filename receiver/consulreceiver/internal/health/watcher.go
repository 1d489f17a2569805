// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

const (
	// listPause is the shortest pause between two queries of a list of failing checks,
	// listPausePerCheck the pause for each check in the list, and idleListPause the
	// longest one after answers in which nothing was different: the list of a status that
	// no check has is also answered when others change.
	listPause         = 10 * time.Millisecond
	listPausePerCheck = 50 * time.Microsecond
	idleListPause     = 250 * time.Millisecond

	// pausePerCheck is the pause, for each check that there is, before all are read again;
	// soonPerCheck is it when the catalog has changed, or many checks are to be resolved.
	// Both are bounded.
	pausePerCheck = 3 * time.Millisecond
	soonPerCheck  = 100 * time.Microsecond
	shortestPause = time.Second
	longestPause  = time.Minute

	// maxNodes is how many nodes are read one by one to resolve checks that have left
	// their list; of more, all checks are read at once.
	maxNodes = 16
)

// observation is what was read at once.
type observation struct {
	// all has all checks; resync says that nothing else was observed meanwhile.
	all    *snapshot.Observation[CheckID, Check]
	resync bool
	hidden bool // the token began to hide some checks
	partly bool // it hides some

	// list is the status of which it has the list; or asked are the checks that were to be
	// resolved, and checks those of them that are there.
	list   Status
	asked  []CheckID
	index  uint64
	checks Checks

	sidecars map[string]bool // nil: they were not read
}

// into takes the observation in.
func (o observation) into(h *Health, now time.Time) (*snapshot.Gap, []Effect) {
	if o.sidecars != nil {
		h.Sidecars = o.sidecars
	}
	if o.all != nil {
		h.SetPartial(o.partly)
	}
	switch {
	case o.all != nil && o.resync:
		return h.Step(now, *o.all)
	case o.all != nil:
		return h.StepAll(now, *o.all)
	case o.list != "":
		return nil, h.StepList(now, o.list, o.index, o.checks)
	default:
		return nil, h.StepResolved(now, o.index, o.asked, o.checks)
	}
}

// answer is what one of the queries that wait side by side has returned.
type answer struct {
	collect.Result[CheckID, Check]
	status  Status         // of the list; empty: all checks
	before  consulapi.Meta // of the answer before it
	restart bool           // it does not continue what was observed before
	err     error
}

// watcher follows the lists of failing checks and, seldom, all checks, by blocking
// queries side by side. What is not continuous begins again with a read of all.
type watcher struct {
	*collector
	stream *collect.Stream[observation, Effect]

	answers chan answer // nil: nothing is followed
	cancel  context.CancelFunc
	queries sync.WaitGroup

	restarts   *rate.Limiter
	epoch      context.Context
	begun      bool
	gap        bool
	consistent bool           // the next read of all must be
	widened    bool           // the token shows more than at the last read of all
	last       consulapi.Meta // of the last read of all
	highest    uint64         // index
	cut        int
	readAll    time.Time // when all were last read
	size       int       // how many there were

	unread bool // the names of sidecar proxies could not be read

	views int // how often the view itself changed
}

// stop ends the queries that wait.
func (w *watcher) stop() {
	if w.answers == nil {
		return
	}
	w.cancel()
	w.queries.Wait()
	w.answers = nil
}

func (w *watcher) next(ctx context.Context) (observation, error) {
	o, err := w.observe(ctx)
	if err != nil {
		w.stop()
		w.gap = true
	}
	return o, err
}

func (w *watcher) observe(ctx context.Context) (observation, error) {
	if w.answers == nil {
		return w.begin(ctx)
	}
	soon, isDue, err := w.unresolved(ctx)
	if err != nil || isDue {
		return soon.observation, err
	}
	select {
	case <-ctx.Done():
		return observation{}, ctx.Err()
	case <-w.epoch.Done(): // Another watch has noticed that Consul restored a snapshot.
		w.stop()
		return w.begin(ctx)
	case <-soon.after:
		return w.observe(ctx)
	case a := <-w.answers:
		return w.take(ctx, a)
	}
}

// resolution is what is done about checks that have left their list: an observation, or
// a time to wait for.
type resolution struct {
	observation
	after <-chan time.Time
}

// unresolved resolves checks that have left their list: those of a few nodes with a
// small request for a node, and of many with all checks, though not too often.
func (w *watcher) unresolved(ctx context.Context) (r resolution, done bool, err error) {
	w.mu.Lock()
	nodes, since := w.health.Unresolved()
	of := w.health.Checks()
	w.mu.Unlock()
	if len(nodes) == 0 {
		return r, false, nil
	}
	names := slices.Sorted(maps.Keys(nodes))
	if len(names) <= maxNodes && !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, "/") }) {
		asked := nodes[names[0]]
		result, err := w.fresh(since, func(q consulapi.Query) (collect.Result[CheckID, Check], error) {
			w.mu.Lock()
			ids := make(Checks, len(asked))
			for _, id := range asked {
				ids[id] = of[id]
			}
			w.mu.Unlock()
			return w.reader.onNode(ctx, w.API, asked, ids, q)
		})
		if err == nil && (result.Filtered && !w.last.Filtered || result.Token != w.last.Token) { // The view has changed.
			w.stop()
			r.observation, err = w.begin(ctx)
			return r, true, err
		}
		if err == nil && result.Index < since { // Even a consistent answer is older: Consul has restored a snapshot.
			w.stop()
			w.consistent = true
			r.observation, err = w.begin(ctx)
			return r, true, err
		}
		w.highest = max(w.highest, result.Index)
		r.observation = observation{asked: asked, index: result.Index, checks: result.Objects}
		return r, true, err
	}
	if wait := time.Until(w.readAll.Add(w.soon())); wait > 0 {
		r.after = time.After(wait)
		return r, false, nil
	}
	result, err := w.fresh(since, func(q consulapi.Query) (collect.Result[CheckID, Check], error) {
		return w.reader.read(ctx, w.API, Endpoint, q)
	})
	if err != nil {
		return r, false, err
	}
	r.observation, err = w.take(ctx, answer{Result: result, before: w.last})
	return r, true, err
}

// fresh reads what must not be older than an index: a server that lags is passed over.
func (w *watcher) fresh(index uint64, read func(consulapi.Query) (collect.Result[CheckID, Check], error)) (collect.Result[CheckID, Check], error) {
	result, err := read(consulapi.Query{})
	if err == nil && result.Index < index && !w.API.Consistent() {
		result, err = read(consulapi.Query{Consistent: true})
	}
	return result, err
}

// begin reads all checks, and follows them from there.
func (w *watcher) begin(ctx context.Context) (observation, error) {
	if err := w.pace(ctx); err != nil {
		return observation{}, err
	}
	epoch := w.Epoch()
	ended := w.epoch != nil && w.epoch != epoch // as another watch has noticed
	w.epoch = epoch
	w.gap = w.gap || ended
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(epoch, cancel)()
	result, err := w.reader.read(reading, w.API, Endpoint, consulapi.Query{Consistent: w.consistent})
	if err == nil && !w.consistent && w.begun && result.Index < w.highest && !w.API.Consistent() {
		// So answers a server that lags, or a leader that has just started: only a
		// consistent answer shows whether Consul itself went back.
		result, err = w.reader.read(reading, w.API, Endpoint, consulapi.Query{Consistent: true})
	}
	if err != nil {
		if epoch.Err() != nil && ctx.Err() == nil {
			w.gap = true
			return w.begin(ctx)
		}
		return observation{}, err
	}
	restored := w.begun && (result.Index < w.highest || w.overtaken(result, w.last))
	if !ended && restored {
		w.epoch = w.EndEpoch(epoch)
	}
	sidecars := w.sidecars(reading, result.Objects)
	o := w.all(result, true, restored)
	o.sidecars = sidecars
	w.consistent, w.highest = false, result.Index
	w.follow(ctx, result.Meta)
	return o, nil
}

// pace bounds how often all checks are read because what was followed broke off: behind
// a proxy that answers blocking queries at once, that is again and again.
func (w *watcher) pace(ctx context.Context) error {
	if w.restarts == nil {
		w.restarts = rate.NewLimiter(rate.Every(shortestPause), 2)
	}
	w.restarts.SetLimit(rate.Every(w.soon()))
	if w.gap { // The loop paces what fails.
		return nil
	}
	return w.restarts.Wait(ctx)
}

// sidecars reads which services are sidecar proxies, if some of the checks are of a
// service that is new. Where they cannot be read, those known before count.
func (w *watcher) sidecars(ctx context.Context, checks Checks) map[string]bool {
	w.mu.Lock()
	fresh := w.health.HasNewService(checks)
	w.mu.Unlock()
	if w.cfg.SidecarIncidents || !fresh && !w.unread {
		return nil
	}
	names, err := sidecars(ctx, w.API)
	if w.unread = err != nil; w.unread {
		return nil
	}
	return names
}

// overtaken says that Consul has restored a snapshot, although its index is not lower.
func (w *watcher) overtaken(result collect.Result[CheckID, Check], last consulapi.Meta) bool {
	if w.cut > 0 || result.Filtered || w.last.Filtered || result.Token != w.last.Token {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health.Overtaken(last.Index, result.Index, result.Objects)
}

// all makes an observation of all checks. resync says that nothing else was observed
// meanwhile, and restored that it is that of a Consul that went back to a snapshot.
func (w *watcher) all(result collect.Result[CheckID, Check], resync, restored bool) observation {
	meta, objects := result.Meta, result.Objects
	cut := w.cut
	w.mu.Lock()
	w.cut = collect.Bound(objects, w.health.Checks(), w.cfg.Limit, CheckID.Compare)
	backwards := restored && !maps.Equal(objects, w.health.Checks())
	w.mu.Unlock()
	w.SetBeyond(Endpoint, collect.Limit{Object: metadata.AttributeObjectCheck, Max: w.cfg.Limit, Setting: "checks::limit"}, w.cut)
	w.SetFiltered(Endpoint, meta.Filtered)
	// With the same index, only the view can have changed.
	same := meta.Index == w.last.Index && w.last.Index == w.highest
	o := observation{
		all: &snapshot.Observation[CheckID, Check]{
			Continuity: snapshot.Continuity{
				Index:    meta.Index,
				Gap:      resync && w.gap || backwards,
				Restored: backwards,
				Rebased:  w.widened || meta.Filtered && !w.begun || w.begun && (same || meta.Filtered != w.last.Filtered || meta.Filtered && meta.Token != w.last.Token),
				Cut:      cut > 0 || w.cut > 0,
			},
			Objects: objects,
		},
		resync: resync,
		hidden: meta.Filtered && !w.last.Filtered,
		partly: meta.Filtered,
	}
	w.widened = false
	w.last, w.begun, w.readAll, w.size = meta, true, time.Now(), result.Read
	if resync {
		w.gap = false
	}
	w.highest = max(w.highest, meta.Index)
	return o
}

// appeared says that an answer has a check that the one before must have had.
func (w *watcher) appeared(a answer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health.Appeared(a.before.Index, a.Objects)
}

// take makes an observation of an answer.
func (w *watcher) take(ctx context.Context, a answer) (observation, error) {
	if a.err != nil {
		return observation{}, a.err
	}
	restart := a.restart || w.overtaken(a.Result, a.before)
	if restart || a.status == "" && (a.Filtered != w.last.Filtered || a.Token != w.last.Token) {
		w.stop()
		w.consistent = restart
		return w.begin(ctx)
	}
	if (a.Filtered || w.last.Filtered) && w.appeared(a) {
		w.stop()
		w.widened = true
		return w.begin(ctx)
	}
	if a.status == "" {
		sidecars := w.sidecars(ctx, a.Objects)
		o := w.all(a.Result, false, false)
		o.sidecars = sidecars
		return o, nil
	}
	w.highest = max(w.highest, a.Index)
	return observation{list: a.status, index: a.Index, checks: a.Objects, sidecars: w.sidecars(ctx, a.Objects)}, nil
}

// follow begins the blocking queries.
func (w *watcher) follow(ctx context.Context, from consulapi.Meta) {
	ctx, cancel := context.WithCancel(ctx)
	ended := context.AfterFunc(w.epoch, cancel)
	w.cancel = func() {
		ended()
		cancel()
	}
	w.answers = make(chan answer)
	answers, size := w.answers, w.size
	for _, status := range failing {
		w.queries.Go(func() { w.followList(ctx, status, from, answers) })
	}
	w.queries.Go(func() { w.followAll(ctx, from, size, answers) })
}

func send(ctx context.Context, answers chan<- answer, a answer) bool {
	select {
	case answers <- a:
		return a.err == nil && !a.restart
	case <-ctx.Done():
		return false
	}
}

// followList follows the list of the checks with a status.
func (w *watcher) followList(ctx context.Context, status Status, from consulapi.Meta, answers chan<- answer) {
	pace := rate.NewLimiter(rate.Every(listPause), 2)
	last, shown, idle := from, Checks(nil), listPause
	for pace.Wait(ctx) == nil {
		begin := time.Now()
		a := answer{status: status, before: last}
		a.Result, a.err = w.reader.read(ctx, w.API, endpointState+string(status), consulapi.Query{Index: last.Index})
		a.restart = a.err == nil && (discontinuous(last, a.Meta, begin) || a.Token != from.Token || a.Filtered && !from.Filtered)
		if !send(ctx, answers, a) {
			return
		}
		if maps.Equal(shown, a.Objects) {
			idle = min(2*idle, idleListPause)
		} else {
			idle = listPause
		}
		pace.SetLimit(rate.Every(max(idle, time.Duration(a.Read)*listPausePerCheck)))
		last, shown = a.Meta, a.Objects
	}
}

// discontinuous says that an answer is older than the one before, or came although
// nothing is new: so it is when Consul went back to a snapshot.
func discontinuous(last, next consulapi.Meta, begin time.Time) bool {
	return next.Index < last.Index || last.Index > 1 && next.Index == last.Index && time.Since(begin) < consulapi.Wait
}

// soon is the shortest time between two reads of all checks.
func (w *watcher) soon() time.Duration { return soonFor(w.size) }

func soonFor(size int) time.Duration {
	return max(shortestPause, time.Duration(size)*soonPerCheck)
}

// followAll follows all checks, with long pauses: the lists have what fails, and here is
// what comes and goes while it passes. It is read soon when the catalog has changed.
func (w *watcher) followAll(ctx context.Context, from consulapi.Meta, size int, answers chan<- answer) {
	last, read, catalogAt := from, time.Now(), uint64(0)
	for {
		long := min(longestPause, max(shortestPause, time.Duration(size)*pausePerCheck))
		if !w.pause(ctx, read, soonFor(size), long, catalogAt) {
			return
		}
		a, begin := answer{before: last}, time.Now()
		catalogAt, _ = w.catalog.Changed()
		a.Result, a.err = w.reader.read(ctx, w.API, Endpoint, consulapi.Query{Index: last.Index})
		a.restart = a.err == nil && discontinuous(last, a.Meta, begin)
		if !send(ctx, answers, a) {
			return
		}
		last, size, read = a.Meta, a.Read, time.Now()
	}
}

// pause waits for the short pause after the last read, and then until the long one is
// over or the catalog has changed. It is false when ctx has ended.
func (w *watcher) pause(ctx context.Context, read time.Time, short, long time.Duration, seen uint64) bool {
	wait := func(until time.Time, changed <-chan struct{}) bool {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		case <-timer.C:
		}
		return true
	}
	if !wait(read.Add(short), nil) {
		return false
	}
	count, changed := w.catalog.Changed()
	return count != seen || wait(read.Add(long), changed)
}

// step takes an observation in.
func (w *watcher) step(now time.Time, o observation) (*snapshot.Gap, []Effect) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.all != nil && o.all.Rebased {
		w.views++
		w.stream.MarkChanged()
	}
	return o.into(&w.health, now)
}

type stepApart = collect.StepApart[observation, Effect]

// fork returns a state that goes on from the present one by itself.
func (w *watcher) fork() watch.Fork[stepApart] {
	w.mu.Lock()
	defer w.mu.Unlock()
	return watch.ForkOf(&w.mu, w.health.Clone(), w.stepApart)
}

// stepApart returns what steps a Health by itself. After an overflow it compares with what
// is known by then.
func (w *watcher) stepApart(h *Health) stepApart {
	views := w.views
	return func(now time.Time, o observation, overflow bool) (*snapshot.Gap, []Effect) {
		w.mu.Lock()
		defer w.mu.Unlock()
		rebased := w.views != views
		views = w.views
		if !overflow {
			return o.into(h, now)
		}
		h.Sidecars = w.health.Sidecars
		return h.Step(now, snapshot.Observation[CheckID, Check]{
			Continuity: snapshot.Continuity{Index: w.health.Index(), Gap: true, Rebased: rebased, Cut: w.cut > 0},
			Objects:    w.health.Checks(),
		})
	}
}
