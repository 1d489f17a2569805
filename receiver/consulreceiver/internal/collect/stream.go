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

	// Step takes an observation in. Fork returns a state that goes on from the present one
	// and leaves it as it is.
	Step func(now time.Time, observed O) (*snapshot.Gap, []E)
	Fork func() watch.Fork[StepApart[O, E]]

	// Kept is how the states survive a restart.
	Kept *watch.Kept[StepApart[O, E]]

	// Hidden says whether the token began to hide objects with an observation.
	Hidden func(O) bool

	// Render renders effects.
	Render func(*Renderer, []E)

	changed bool // what must survive a restart may have, with the last Step
	hidings int  // how often the token began to hide some objects
}

// StepApart steps a state by itself. overflow says that observations were left out before.
type StepApart[O, E any] func(now time.Time, observed O, overflow bool) (*snapshot.Gap, []E)

// Run observes until ctx ends.
func (s *Stream[O, E]) Run(ctx context.Context) {
	kept := watch.WrappedKept(s.Kept, s.stepApart)
	kept.Changed = func() bool { return s.changed }
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
			s.changed = false
			gap, effects := s.Step(now, observed)
			hidden := s.Hidden(observed)
			if hidden {
				s.hidings++
			}
			s.changed = s.changed || len(effects) > 0
			return s.telemetry(now, gap, hidden, effects)
		},
		Fork:      func() watch.Fork[watch.StepFork[O]] { return watch.Wrapped(s.Fork(), s.stepApart) },
		Kept:      kept,
		Delivery:  s.Delivery,
		Condition: func(err error) { s.SetEndpoint(s.Endpoint, err) },
	}.Run(ctx)
}

// MarkChanged means that what must survive a restart may have changed without an effect.
// It is for Step.
func (s *Stream[O, E]) MarkChanged() { s.changed = true }

// stepApart returns what steps and renders by itself.
func (s *Stream[O, E]) stepApart(step StepApart[O, E]) watch.StepFork[O] {
	before := s.hidings
	return func(now time.Time, observed O, overflow bool) watch.Telemetry {
		hidden := s.Hidden(observed) || overflow && s.hidings != before
		before = s.hidings
		gap, effects := step(now, observed, overflow)
		if overflow && gap == nil {
			gap = &snapshot.Gap{}
		}
		return s.telemetry(now, gap, hidden, effects)
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
