// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/poll"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
)

// Poll reads one value of the API at an interval.
type Poll[T, E any] struct {
	*Env
	Endpoint string
	Interval time.Duration
	Read     func(context.Context) (T, error)

	// Lock guards the state that Step and Fork use. Step takes in what was read;
	// Fork returns a state that goes on from the present one and leaves it as it is.
	Lock sync.Locker
	Step StepRead[T, E]
	Fork func() watch.Fork[StepRead[T, E]]

	// Kept, which may be nil, is how the states survive a restart.
	Kept *watch.Kept[StepRead[T, E]]

	// Render renders effects.
	Render func(*Renderer, []E)
}

// StepRead takes in what was read at a time, and returns what happened: effects of type E.
type StepRead[T, E any] func(time.Time, poll.Result[T]) []E

// Run polls until ctx ends.
func (p Poll[T, E]) Run(ctx context.Context) {
	poll.Poller[T]{
		Interval: p.Interval,
		Read: func(ctx context.Context) (T, error) {
			if err := p.identify(ctx); err != nil {
				var none T
				return none, err
			}
			return p.Read(ctx)
		},
		Step: func(now time.Time, read poll.Result[T]) watch.Telemetry {
			p.Lock.Lock()
			effects := p.Step(now, read)
			p.Lock.Unlock()
			return p.telemetry(now, false, effects)
		},
		Fork: func() watch.Fork[poll.Step[T]] {
			p.Lock.Lock()
			defer p.Lock.Unlock()
			return watch.Wrapped(p.Fork(), p.stepApart)
		},
		Kept:      watch.WrappedKept(p.Kept, p.stepApart),
		Delivery:  p.Delivery,
		Condition: func(err error) { p.SetEndpoint(p.Endpoint, err) },
	}.Run(ctx)
}

// stepApart returns what steps a state by itself.
func (p Poll[T, E]) stepApart(step StepRead[T, E]) poll.Step[T] {
	return func(now time.Time, read poll.Result[T], overflow bool) watch.Telemetry {
		return p.telemetry(now, overflow, step(now, read))
	}
}

func (p Poll[T, E]) telemetry(now time.Time, overflow bool, effects []E) watch.Telemetry {
	if !overflow && len(effects) == 0 {
		return watch.EmptyTelemetry()
	}
	return p.render(now, func(r *Renderer) {
		if overflow {
			r.Gap(p.Endpoint, snapshot.Gap{})
		}
		p.Render(r, effects)
	})
}
