// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Actor is one thread of the workload. It does one operation after the other.
type Actor struct {
	Name string
	// Pause is the longest pause between two operations.
	Pause time.Duration
	// Act does one operation, and returns once the server has it. An empty kind
	// says that there was nothing to do.
	Act func(ctx context.Context, random *rand.Rand) (kind string)
	// End leaves nothing behind that would change by itself; may be nil.
	End func(ctx context.Context)
}

// Act runs the actors until the time of the run is over.
func (r *Run) Act(ctx context.Context, actors []Actor) {
	acting, enough := context.WithTimeout(ctx, r.Duration)
	defer enough()
	var all sync.WaitGroup
	for _, actor := range actors {
		all.Go(func() {
			random := r.Rand(actor.Name)
			for acting.Err() == nil {
				r.Gate.RLock()
				kind := ""
				if acting.Err() == nil {
					kind = actor.Act(ctx, random) // It ends what it has begun.
				}
				r.Gate.RUnlock()
				if kind != "" {
					r.CountOperation(kind)
				}
				Sleep(acting, time.Duration(random.Int64N(int64(actor.Pause))))
			}
		})
	}
	all.Wait()
}

// End has the actors leave nothing behind that would change by itself.
func End(ctx context.Context, actors []Actor) {
	var all sync.WaitGroup
	for _, actor := range actors {
		if actor.End != nil {
			all.Go(func() { actor.End(ctx) })
		}
	}
	all.Wait()
}

// Sleep waits for a time; false when ctx is done.
func Sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Until tries until it succeeds, and returns false when ctx is done before.
func Until(ctx context.Context, every time.Duration, try func() bool) bool {
	for !try() {
		if !Sleep(ctx, every) {
			return false
		}
	}
	return true
}
