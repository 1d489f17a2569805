// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
)

// Stream follows a part of the API that takes several requests, such as lists that are
// watched side by side. Watch and Poll are for a single one.
type Stream[O, E any] struct {
	*Env
	Endpoint string // that the conditions and the gaps name

	// Next waits for the next observation.
	Next func(context.Context) (O, error)

	// Step takes an observation in. Fork returns a Step that goes on from the present
	// state and leaves it as it is; overflow says that observations were left out before.
	Step func(now time.Time, observed O) (*snapshot.Gap, []E)
	Fork func() func(now time.Time, observed O, overflow bool) (*snapshot.Gap, []E)

	// Hidden says whether the token began to hide objects with an observation.
	Hidden func(O) bool

	// Render renders effects.
	Render func(*Renderer, []E)

	// Commit saves what must survive a restart.
	Commit func(context.Context) error

	dirty bool // there is something to commit
}

// Run observes until ctx ends.
func (s *Stream[O, E]) Run(ctx context.Context) {
	s.dirty = true // the baseline
	hidings := 0
	watch.Loop[O]{
		Next: func(ctx context.Context) (O, error) {
			err := s.identify(ctx)
			if err == nil {
				err = s.identifyCluster(ctx)
			}
			if err != nil {
				var none O
				return none, err
			}
			return s.Next(ctx)
		},
		Step: func(now time.Time, observed O) watch.Telemetry {
			gap, effects := s.Step(now, observed)
			hidden := s.Hidden(observed)
			if hidden {
				hidings++
			}
			s.dirty = s.dirty || len(effects) > 0
			return s.telemetry(now, gap, hidden, effects)
		},
		Fork: func() func(time.Time, O, bool) watch.Telemetry {
			step, before := s.Fork(), hidings
			return func(now time.Time, observed O, overflow bool) watch.Telemetry {
				hidden := s.Hidden(observed) || overflow && hidings != before
				before = hidings
				gap, effects := step(now, observed, overflow)
				if overflow && gap == nil {
					gap = &snapshot.Gap{}
				}
				return s.telemetry(now, gap, hidden, effects)
			}
		},
		Delivery:  s.Delivery,
		Commit:    s.commit,
		Condition: func(err error) { s.SetEndpoint(s.Endpoint, err) },
	}.Run(ctx)
}

// MarkDirty means that there is something to commit. It is for Step, as the watch.Loop
// neither steps nor commits at the same time.
func (s *Stream[O, E]) MarkDirty() { s.dirty = true }

// commit saves what was delivered. It is tried again with the next observation.
func (s *Stream[O, E]) commit(ctx context.Context) {
	if s.dirty {
		s.dirty = s.Commit(ctx) != nil
	}
}

func (s *Stream[O, E]) telemetry(now time.Time, gap *snapshot.Gap, hidden bool, effects []E) watch.Telemetry {
	if gap == nil && !hidden && len(effects) == 0 {
		return watch.EmptyTelemetry()
	}
	return s.render(now, func(r *Renderer) {
		if gap != nil {
			r.Gap(s.Endpoint, *gap)
		}
		if hidden {
			r.Filtered(s.Endpoint)
		}
		s.Render(r, effects)
	})
}

// Epoch returns the time in which the indexes of this Consul count. It is done when
// Consul has restored a snapshot.
func (e *Env) Epoch() context.Context { return e.epoch.present() }

// EndEpoch ends an epoch, and returns the present one.
func (e *Env) EndEpoch(ended context.Context) context.Context { return e.epoch.next(ended) }
