// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	// maxWaiting is how much that happened waits to be told before nothing more
	// is asked. One list that is already there may exceed it.
	maxWaiting = 10_000

	// tellAtMost is how much is told at a time.
	tellAtMost = 500

	// dueEvery is how often it is looked whether one is to be asked for.
	dueEvery = 100 * time.Millisecond

	// saveEvery is how often what is followed is saved at most, or once in an
	// interval if that is longer: it is written as a whole.
	saveEvery = 10 * time.Second
)

var (
	// errGone is the error of one that Vault does not know any more.
	errGone = errors.New("it is there no more")

	// errSilent is the error of one that Vault lists, but says nothing of.
	errSilent = errors.New("nothing is said of it")
)

// subject is what a follower follows: leases, or tokens.
type subject[D any] struct {
	parts  []string // each is listed on its own
	lookup string   // endpoint that is asked for one
	also   []string // further endpoints that are asked in each interval
	stored string   // key under which it survives a restart
	secret bool     // the IDs must not be stored, so only what more returns is
	depth  int      // of the folders that are listed; with another one, what was stored says nothing

	// settle is how long one that is first listed is not asked for.
	settle time.Duration

	// list is the endpoint by which lists of a part are denied, and have a condition.
	list func(part string) string

	// walk sees each ID of a part, folder by folder if it has any; look asks for
	// one. Each request waits for the pace.
	walk func(ctx context.Context, part string, see func(folder string, ids []string)) error
	look func(ctx context.Context, id string) (state.Facts, *D, error)

	// took takes in what has happened, for the metrics; it is told later. The
	// follower is locked. nil: there is nothing to do.
	took func(now time.Time, effects []state.LifeEffect[D])

	// news returns what of it is to be told. The follower is locked. nil: all.
	news func(now time.Time, effects []state.LifeEffect[D]) []state.LifeEffect[D]

	// listed is called after a complete list of a part, with the follower locked.
	// nil: there is nothing to do.
	listed func(now time.Time, part string)

	// idle is called instead of a list of a part that cannot be made now. nil:
	// there is nothing to do.
	idle func(part string)

	// tell renders what has happened.
	tell func(observed time.Time, effects []state.LifeEffect[D]) watch.Telemetry

	// more returns what else is saved, and resume takes it in, or nil when what is
	// known is forgotten. The follower is locked. nil: there is nothing else.
	more   func() any
	resume func(json.RawMessage)
}

// follower follows what is listed by ID and asked for one by one, within a
// budget. As Vault keeps no history, it does not wait for a consumer: what has
// happened waits in a queue, and the metrics go on. When too much waits, nothing
// is asked until the consumer takes it, so what is listed then tells the
// difference, and nothing that was found out is lost.
type follower[D any] struct {
	subject[D]
	w    *watcher
	cfg  FollowConfig
	pace *rate.Limiter

	most        int // of what waits, before it holds
	ready, room chan struct{}
	opened      chan struct{} // closed when the term is known
	first       chan struct{} // closed after the first round of lists

	mu      sync.Mutex
	roster  *state.Roster[D]
	term    term
	begun   bool                  // the term is known
	gaps    map[string]bool       // parts whose newest list has failed
	waiting []state.LifeEffect[D] // what is to be told
	telling bool                  // some was taken and is not delivered yet
	inHand  bool                  // some was taken and is not stepped yet
	dirty   bool                  // more is to be saved
	savedOf *state.Roster[D]      // that was saved, or tried to be, at a version and a time
	version uint64
	saved   time.Time
	whole   bool      // all parts were listed, or tried to be
	looked  time.Time // when a list was answered last
}

func newFollower[D any](w *watcher, cfg FollowConfig, of subject[D]) *follower[D] {
	f := &follower[D]{
		subject: of, w: w, cfg: cfg, pace: rate.NewLimiter(rate.Limit(cfg.RequestsPerSecond), 1),
		most: maxWaiting, ready: make(chan struct{}, 1), room: make(chan struct{}, 1),
		opened: make(chan struct{}), first: make(chan struct{}),
	}
	f.forget()
	w.endpoints.pace(cfg.Interval, append([]string{f.lookup}, f.also...)...)
	for _, part := range f.parts {
		w.endpoints.pace(cfg.Interval, f.list(part))
	}
	return f
}

// forget begins with nothing known, so with a new baseline.
func (f *follower[D]) forget() {
	f.roster, f.whole = state.NewRoster[D](f.cfg.Limit, f.cfg.ExpiryWarning, f.settle), false
	f.gaps = map[string]bool{}
	if f.resume != nil {
		f.resume(nil)
	}
}

// miss takes in that nobody looks at any part now. The follower is locked.
func (f *follower[D]) miss() {
	for _, part := range f.parts {
		f.gaps[part] = true
	}
}

func (f *follower[D]) run(ctx context.Context) {
	var asking sync.WaitGroup
	asking.Go(func() { f.walkAll(ctx) })
	asking.Go(func() { f.askEach(ctx) })
	watch.Loop[[]state.LifeEffect[D]]{
		Next:      f.next,
		Step:      f.step,
		Delivery:  f.w.Delivery(),
		Limit:     f.most,
		Commit:    f.delivered,
		Condition: func(error) {}, // The endpoints have conditions of their own.
	}.Run(ctx)
	asking.Wait()
	f.save(context.WithoutCancel(ctx), 0)
}

// possible says whether Vault can be asked for what is known now, of this term.
func (f *follower[D]) possible() bool {
	possible, term := f.w.possible()
	f.mu.Lock()
	defer f.mu.Unlock()
	return possible && f.begun && term == f.term
}

// begin takes in the term before a round of lists. In another one than before,
// another node has told, so what is known says nothing.
func (f *follower[D]) begin(ctx context.Context) (possible bool) {
	possible, term := f.w.possible()
	var kept *keptRoster[D]
	if possible && !f.hasBegun() { // To read and decode it takes time, so nothing is locked.
		kept = f.load(ctx, term)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun && term != f.term { // Be it that the server stands by now.
		f.term = term
		f.forget()
	}
	switch {
	case !possible:
		f.miss()
	case !f.begun:
		f.begun, f.term = true, term
		if kept != nil {
			f.restore(kept)
		}
		close(f.opened)
	}
	return possible
}

func (f *follower[D]) hasBegun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

// walkAll lists all parts at each interval, and at once when the server becomes
// active or there is another token. A round that takes longer than that is
// followed by the next one at the time of the one after.
func (f *follower[D]) walkAll(ctx context.Context) {
	turned := f.w.turns()
	ticker := time.NewTicker(f.cfg.Interval)
	defer ticker.Stop()
	first := sync.OnceFunc(func() { close(f.first) })
	for f.w.wait(ctx, f.w.asked) {
		possible := f.begin(ctx)
		for _, part := range f.parts {
			f.listPart(ctx, part, possible)
		}
		if possible {
			f.mu.Lock()
			f.whole = true
			f.mu.Unlock()
			first()
		}
		select {
		case <-ticker.C:
		case <-turned:
		case <-ctx.Done():
		}
	}
}

// listPart lists one part.
func (f *follower[D]) listPart(ctx context.Context, part string, possible bool) {
	if !f.hold(ctx) {
		return
	}
	if !possible && f.idle != nil {
		f.idle(part)
	}
	gap := false
	f.learn(func(time.Time) []state.LifeEffect[D] {
		gap = f.gaps[part]
		f.roster.Begin(part)
		return nil
	})
	see := func(folder string, ids []string) {
		f.learn(func(now time.Time) []state.LifeEffect[D] {
			f.looked = now
			f.roster.Read(now, part, folder)
			for _, id := range ids {
				f.roster.See(now, part, id, gap)
			}
			return nil
		})
	}
	var into answer[struct{}]
	_, ok := poll(ctx, f.w, f.list(part), possible, &into, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.walk(ctx, part, see)
	})
	ok = ok && f.possible()
	f.learn(func(now time.Time) []state.LifeEffect[D] {
		f.gaps[part] = !ok
		if !ok {
			return nil
		}
		effects := f.roster.Finish(now, part, gap)
		if f.listed != nil {
			f.listed(now, part)
		}
		return effects
	})
}

// askEach asks for one after the other, as they are due.
func (f *follower[D]) askEach(ctx context.Context) {
	turned := f.w.turns()
	if !f.w.wait(ctx, f.first) {
		return
	}
	for ctx.Err() == nil {
		id, due := f.due()
		if !due || !f.hold(ctx) || !f.askOne(ctx, id) {
			pauseUntil(ctx, dueEvery, turned)
		}
	}
}

func (f *follower[D]) due() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roster.Due(time.Now())
}

// askOne asks for one, and is false when there was no answer.
func (f *follower[D]) askOne(ctx context.Context, id string) bool {
	type found struct {
		facts  state.Facts
		detail *D
		asked  time.Time
		none   error // instead of it
	}
	var into answer[found]
	a, ok := poll(ctx, f.w, f.lookup, f.possible(), &into, func(ctx context.Context) (a found, err error) {
		if err := f.pace.Wait(ctx); err != nil {
			return a, err
		}
		a.asked = time.Now()
		a.facts, a.detail, err = f.look(ctx, id)
		if errors.Is(err, errGone) || errors.Is(err, errSilent) {
			a.none, err = err, nil
		}
		return a, err
	})
	if ok && !f.possible() {
		return false
	}
	f.learn(func(now time.Time) []state.LifeEffect[D] {
		switch {
		case ok && errors.Is(a.none, errGone):
			return f.roster.Gone(now, id)
		case ok && a.none != nil:
			f.roster.Silent(now, id)
		case ok:
			return f.roster.Answer(a.asked, now, id, a.facts, a.detail)
		case fault(into.err): // Else what is due stays so.
			f.roster.Failed(now, id)
		}
		return nil
	})
	return ok
}

// fault says whether an error is of the one that was asked for, so that others
// may be answered.
func fault(err error) bool {
	status := refusedWith(err)
	return status != 0 && status != http.StatusForbidden
}

// current says whether what is known is of all parts, and not too old. The
// follower is locked.
func (f *follower[D]) current(now time.Time) bool {
	return f.whole && now.Sub(f.looked) <= max(2*f.cfg.Interval, stale)
}

// learn changes what is known, and puts what has happened into the queue.
func (f *follower[D]) learn(change func(now time.Time) []state.LifeEffect[D]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	effects := change(now)
	if f.took != nil && len(effects) > 0 {
		f.took(now, effects)
	}
	if f.news != nil {
		effects = f.news(now, effects)
	}
	if len(effects) == 0 {
		return
	}
	f.waiting = append(f.waiting, effects...)
	signal(f.ready)
}
