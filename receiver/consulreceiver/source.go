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

// read makes one request and returns the objects in its answer by their keys.
type read[K, V comparable] func(context.Context, *client, question) (map[K]V, answer, error)

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

	// step takes an observation in. The source calls it with scope locked.
	step func(time.Time, state.Observation[K, V]) (*state.Gap, []state.Effect)
	// save, which may be nil, returns what must survive a restart, under key.
	save func() any
	key  string

	queries *rate.Limiter
	index   uint64 // to wait for a newer one; 0 asks at once
	last    answer
	kept    map[K]V // of the last answer
	known   map[K]V // as last seen
	asked   bool
	era     context.Context // in which the index counts
	gap     bool
	news    bool // to be saved
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
	// A query returns at every change of its table, so a busy cluster would be
	// asked without a pause.
	s.queries = rate.NewLimiter(rate.Every(time.Second), 2)
	if s.every > 0 {
		s.queries = rate.NewLimiter(rate.Every(s.every), 1)
	}
	s.news = true // the baseline
	watch.Loop[observation[K, V]]{
		Next:      s.next,
		Step:      s.tell,
		Delivery:  s.Delivery(),
		Commit:    s.commit,
		Condition: func(err error) { s.set(s.endpoint, err) },
	}.Run(ctx)
}

func (s *source[K, V]) next(ctx context.Context) (observation[K, V], error) {
	var none observation[K, V]
	if err := s.queries.Wait(ctx); err != nil {
		return none, err
	}
	if err := s.identify(ctx); err != nil {
		return none, err
	}
	era := s.presentEra()
	if s.era != nil && s.era != era {
		s.index, s.gap = 0, true
	}
	s.era = era
	after, begin := s.index, time.Now()
	objects, a, err := s.ask(ctx)
	if err != nil {
		// Without an index the next answer comes at once.
		s.index, s.gap = 0, true
		if era.Err() != nil && ctx.Err() == nil {
			return s.next(ctx)
		}
		return none, err
	}
	if after > 1 && a.Index == after && !s.unordered && time.Since(begin) < wait {
		s.endEra(era)
	}
	s.limited(s.limit, bound(objects, s.kept, s.limit.most, s.compare))
	s.kept = objects
	s.partial(s.endpoint, a.Filtered)

	// The index of keys also falls when Consul forgets keys that are long gone.
	backwards := s.asked && !s.unordered && a.Index < s.last.Index && !maps.Equal(objects, s.known)
	seen := observation[K, V]{
		Observation: state.Observation[K, V]{
			Seen: state.Seen{
				Index:   a.Index,
				Gap:     s.gap || backwards,
				Rebased: s.asked && (a.Filtered != s.last.Filtered || a.Filtered && a.Token != s.last.Token),
			},
			Objects: objects,
		},
		hidden: a.Filtered && !s.last.Filtered,
	}
	s.last, s.known, s.asked, s.gap, s.index = a, objects, true, false, a.Index
	if backwards || s.every > 0 {
		s.index = 0
	}
	return seen, nil
}

// ask reads once, within the era. An answer that is older than the one before
// may be that of a server that lags: the leader knows whether Consul itself went
// back.
func (s *source[K, V]) ask(ctx context.Context) (map[K]V, answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.era, cancel)()
	objects, a, err := s.read(ctx, s.client, question{after: s.index})
	if err == nil && s.asked && !s.unordered && a.Index < s.last.Index && s.cfg.Consistency == Stale {
		objects, a, err = s.read(ctx, s.client, question{leader: true})
	}
	if err == nil && a.Index == 0 && !s.unordered {
		// To Consul, "not found" is an empty list, with an index.
		err = fmt.Errorf("%s: the answer is not Consul's, check endpoint: it has no index", s.endpoint)
	}
	return objects, a, err
}

// tell steps and renders.
func (s *source[K, V]) tell(now time.Time, seen observation[K, V]) watch.Telemetry {
	s.mu.Lock()
	gap, effects := s.step(now, seen.Observation)
	s.mu.Unlock()
	s.news = s.news || len(effects) > 0
	var all []state.Effect
	if gap != nil && !s.unordered {
		all = append(all, state.Missed{Gap: *gap, What: s.endpoint})
	}
	if seen.hidden {
		all = append(all, state.Filtered{What: s.endpoint})
	}
	return s.render(now, append(all, effects...))
}

// commit saves what was told. It is tried again with the next observation.
func (s *source[K, V]) commit(ctx context.Context) {
	if s.save == nil || !s.news {
		return
	}
	s.mu.Lock()
	saved := s.save()
	s.mu.Unlock()
	err := s.store.Save(ctx, s.key, saved)
	s.Condition.Set("storage", err)
	s.news = err != nil
}

// limited says how many objects are beyond their limit.
func (s *scope) limited(l limit, beyond int) {
	if l.setting == "" {
		return // It is Consul's own.
	}
	s.mu.Lock()
	s.beyond[l.object] = beyond
	s.mu.Unlock()
	var err error
	if beyond > 0 {
		err = fmt.Errorf("%d of %d are not observed: raise it above %d, or exclude some", beyond, beyond+l.most, l.most)
	}
	s.Condition.Set(s.label(l.setting), err)
}

// partial says whether the token does not show all there is.
func (s *scope) partial(endpoint string, filtered bool) {
	var err error
	if filtered {
		err = errors.New("the token does not show all there is: see the ACLs in the receiver's README")
	}
	s.Condition.Set(s.label("view of "+endpoint), err)
}
