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
	// Fork returns a Step that goes on from the present state and leaves it as it is.
	Lock sync.Locker
	Step func(time.Time, poll.Result[T]) []E
	Fork func() func(time.Time, poll.Result[T]) []E

	// Render renders effects.
	Render func(*Renderer, []E)

	// Commit, which may be nil, saves what must survive a restart.
	Commit func(context.Context)
}

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
		Fork: func() func(time.Time, poll.Result[T], bool) watch.Telemetry {
			p.Lock.Lock()
			step := p.Fork()
			p.Lock.Unlock()
			return func(now time.Time, read poll.Result[T], overflow bool) watch.Telemetry {
				return p.telemetry(now, overflow, step(now, read))
			}
		},
		Delivery:  p.Delivery,
		Commit:    p.Commit,
		Condition: func(err error) { p.SetEndpoint(p.Endpoint, err) },
	}.Run(ctx)
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
