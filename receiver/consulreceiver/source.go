// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// pauseForEach is how long the pause between two blocking queries is for each
// object that they return, about twenty times what it costs to read it.
const pauseForEach = 100 * time.Microsecond

// read makes one request and returns the objects in its answer by their keys.
type read[K, V comparable] func(context.Context, *client, question) (map[K]V, answer, error)

// step takes in an observation that was made at a time.
type step[K, V comparable] func(time.Time, state.Observation[K, V]) (*state.Gap, []state.Effect)

// source follows one part of the API, by blocking queries or by polling.
type source[K, V comparable] struct {
	*scope
	endpoint string
	read     read[K, V]
	compare  func(a, b K) int

	limit limit

	// every is the time between two polls; zero follows by blocking queries.
	every time.Duration
	// unordered says that a smaller index is not an older one.
	unordered bool

	// step takes an observation in, and fork returns a step that goes on from the
	// present state and leaves it as it is. Both are called with scope locked.
	step step[K, V]
	fork func() step[K, V]
	// save, which may be nil, returns what must survive a restart, under key.
	save func() any
	key  string

	queries *rate.Limiter
	index   uint64 // to wait for a newer one; 0 asks at once
	last    answer
	kept    map[K]V // of the last answer
	cut     int     // how many it left out
	asked   bool
	era     context.Context // in which the index counts
	gap     bool
	news    bool // to be saved
	views   int  // how often the view itself changed, and
	hidings int  // how often the token began to hide some
}

// limit says of what there may be how many.
type limit struct {
	object  metadata.AttributeConsulObject
	most    int
	setting string
}

// observation is what a source has seen.
type observation[K, V comparable] struct {
	state.Observation[K, V]
	hidden bool // the token began to hide some objects
}

// follow observes until ctx ends.
func (s source[K, V]) follow(ctx context.Context) {
	s.queries = rate.NewLimiter(rate.Every(time.Second), 2)
	if s.every > 0 {
		s.queries = rate.NewLimiter(rate.Every(s.every), 1)
	}
	s.news = true // the baseline
	watch.Loop[observation[K, V]]{
		Next:      s.next,
		Step:      s.report,
		Fork:      s.reportApart,
		Delivery:  s.Delivery(),
		Commit:    s.commit,
		Condition: func(err error) { s.set(s.endpoint, err) },
	}.Run(ctx)
}

func (s *source[K, V]) next(ctx context.Context) (observation[K, V], error) {
	var none observation[K, V]
	if !s.gap { // The loop paces what fails.
		if err := s.queries.Wait(ctx); err != nil {
			return none, err
		}
	}
	if err := s.identify(ctx); err != nil {
		s.gap = true
		return none, err
	}
	era := s.presentEra()
	learnt := s.era != nil && s.era != era // of another source
	if learnt {
		s.index, s.gap = 0, true
	}
	s.era = era
	objects, a, err := s.ask(ctx)
	if err != nil {
		// Without an index the next answer comes at once.
		s.index, s.gap = 0, true
		if era.Err() != nil && ctx.Err() == nil {
			return s.next(ctx)
		}
		return none, err
	}
	if !learnt && s.asked && !s.unordered && a.Index < s.last.Index {
		s.era = s.endEra(era)
	}
	s.pace(a)
	cut := s.cut
	s.cut = bound(objects, s.kept, s.limit.most, s.compare)
	s.limited(s.endpoint, s.limit, s.cut)
	s.partial(s.endpoint, a.Filtered)

	// The index of keys also falls when Consul forgets keys that are long gone.
	backwards := s.asked && !s.unordered && a.Index < s.last.Index && !maps.Equal(objects, s.kept)
	// With the same index, only the view can have changed.
	same := !s.unordered && a.Index == s.last.Index
	seen := observation[K, V]{
		Observation: state.Observation[K, V]{
			Seen: state.Seen{
				Index:   a.Index,
				Gap:     s.gap || backwards,
				Rebased: a.Filtered && !s.asked || s.asked && (same || a.Filtered != s.last.Filtered || a.Filtered && a.Token != s.last.Token),
				Cut:     cut > 0 || s.cut > 0,
			},
			Objects: objects,
		},
		hidden: a.Filtered && !s.last.Filtered,
	}
	s.last, s.kept, s.asked, s.gap, s.index = a, objects, true, false, a.Index
	if backwards || s.every > 0 {
		s.index = 0
	}
	return seen, nil
}

// pace bounds how often a blocking query is made. It returns all objects at
// every change of any of them, so that a busy cluster would be asked without a
// pause, and a large one at great cost.
func (s *source[K, V]) pace(a answer) {
	pause := max(time.Second, time.Duration(a.Objects)*pauseForEach)
	if a.Off {
		pause = time.Minute
	}
	if s.every == 0 {
		s.queries.SetLimit(rate.Every(pause))
	}
}

// ask reads once, within the era. An answer that is older than the one before
// may be that of a server that lags, or of a leader that has just started: only a
// consistent one knows whether Consul itself went back.
func (s *source[K, V]) ask(ctx context.Context) (map[K]V, answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.era, cancel)()
	begin := time.Now()
	objects, a, err := s.read(ctx, s.client, question{after: s.index})
	if a.Off {
		return nil, answer{Off: true, Index: s.last.Index}, err
	}
	if err == nil && !s.unordered && (s.older(a) || s.early(a, begin)) {
		objects, a, err = s.read(ctx, s.client, question{sure: true})
	}
	return objects, a, err
}

func (s *source[K, V]) older(a answer) bool {
	return s.asked && a.Index < s.last.Index && s.cfg.Consistency != Consistent
}

// early says that nothing new came, and no time has passed: so it is when Consul
// went back to a snapshot, after which an index from before is never reached.
func (s *source[K, V]) early(a answer, begin time.Time) bool {
	return s.index > 1 && a.Index == s.index && time.Since(begin) < wait
}

// report steps and renders.
func (s *source[K, V]) report(now time.Time, seen observation[K, V]) watch.Telemetry {
	if seen.Rebased || seen.Cut {
		s.views++
	}
	if seen.hidden {
		s.hidings++
	}
	s.mu.Lock()
	gap, effects := s.step(now, seen.Observation)
	s.mu.Unlock()
	s.news = s.news || seen.Rebased || len(effects) > 0
	var all []state.Effect
	if gap != nil && !s.unordered {
		all = append(all, state.Missed{Gap: *gap, What: s.endpoint})
	}
	if seen.hidden {
		all = append(all, state.Filtered{What: s.endpoint})
	}
	return s.render(now, append(all, effects...))
}

// reportApart returns a report for a signal that goes on by itself: see watch.Loop.
func (s *source[K, V]) reportApart() func(time.Time, observation[K, V], bool) watch.Telemetry {
	s.mu.Lock()
	step := s.fork()
	s.mu.Unlock()
	views, hidings := s.views, s.hidings
	return func(now time.Time, seen observation[K, V], gap bool) watch.Telemetry {
		var all []state.Effect
		if gap {
			// What changed of the view in between counts for all that differs now.
			seen.Gap = true
			seen.Rebased = seen.Rebased || s.views != views
			seen.hidden = seen.hidden || s.hidings != hidings
		}
		views, hidings = s.views, s.hidings
		between, effects := step(now, seen.Observation)
		if gap || between != nil && !s.unordered {
			missed := state.Missed{What: s.endpoint}
			if between != nil && !s.unordered {
				missed.Gap = *between
			}
			all = append(all, missed)
		}
		if seen.hidden {
			all = append(all, state.Filtered{What: s.endpoint})
		}
		return s.render(now, append(all, effects...))
	}
}

// commit saves what was told. It is tried again with the next observation.
func (s *source[K, V]) commit(ctx context.Context) {
	if s.save == nil || !s.news {
		return
	}
	s.news = s.keep(ctx, s.key, s.save) != nil
}

// beyond is how many objects there are beyond a limit.
type beyond struct {
	object metadata.AttributeConsulObject
	count  int
}

// limited says how many objects of an endpoint are beyond their limit.
func (s *scope) limited(endpoint string, l limit, count int) {
	if l.setting == "" {
		return // It is Consul's own.
	}
	s.mu.Lock()
	s.beyond[endpoint] = beyond{l.object, count}
	s.mu.Unlock()
	var err error
	if count > 0 {
		err = fmt.Errorf("%d of %d are not observed: raise it above %d", count, count+l.most, l.most)
	}
	s.Condition.Set(s.label(l.setting+" in "+endpoint), err)
}

// partial says whether the token does not show all there is.
func (s *scope) partial(endpoint string, filtered bool) {
	var err error
	if filtered {
		err = errors.New("the token does not show all there is: see the ACLs in the receiver's README")
	}
	s.mu.Lock()
	s.partly[endpoint] = filtered
	s.mu.Unlock()
	s.Condition.Set(s.label("view of "+endpoint), err)
}
