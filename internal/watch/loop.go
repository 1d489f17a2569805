// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// retryAtMost is the longest pause between two failing observations: short,
// because what a server does right after its return is what people ask about.
const retryAtMost = 5 * time.Second

// Telemetry is what one step has to tell. Both are valid, and may be empty. Who
// is told may keep them, so nothing changes them afterwards.
type Telemetry struct {
	Logs   plog.Logs
	Traces ptrace.Traces
}

// Silence is the Telemetry of a step that has nothing to tell.
func Silence() Telemetry { return Telemetry{Logs: plog.NewLogs(), Traces: ptrace.NewTraces()} }

// Loop observes one thing until its context ends.
type Loop[O any] struct {
	// Next is the only I/O. It blocks until there is something to see, and
	// returns an error when it could not look; an error is never an empty
	// observation.
	Next func(ctx context.Context) (O, error)

	// Step takes the observation in and returns what is to be told of it.
	Step func(now time.Time, observed O) Telemetry

	// Delivery takes the telemetry to the next consumers.
	Delivery *Delivery

	// Commit, which may be nil, keeps what must survive a restart: what was
	// told before it is delivered.
	Commit func(ctx context.Context)

	// Condition is told the outcome of every observation.
	Condition func(err error)
}

// Run observes until ctx ends, which it notices within one call of Next.
func (l Loop[O]) Run(ctx context.Context) {
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = retryAtMost
	for ctx.Err() == nil {
		observed, err := l.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		l.Delivery.countObservation(ctx, err)
		if err != nil {
			l.Condition(err)
			pause(ctx, retry.NextBackOff())
			continue
		}
		retry.Reset()
		told := l.Step(time.Now(), observed)
		l.Condition(nil) // What is known is now up to date.
		if l.Delivery.Deliver(ctx, told) != nil {
			return
		}
		if l.Commit != nil {
			l.Commit(context.WithoutCancel(ctx)) // What was told is kept, also at Shutdown.
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
