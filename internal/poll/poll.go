// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package poll observes one value at an interval.
package poll

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
)

// Result is a value that was read.
type Result[T any] struct {
	Value T
	Gap   bool // the last read failed, or its result was not delivered
}

// Poller reads one value again and again.
type Poller[T any] struct {
	// Interval is the time between two reads. After a failure the watch.Loop paces.
	Interval time.Duration

	// Read is the only I/O.
	Read func(context.Context) (T, error)

	// Step takes in what was read, and returns the telemetry that comes of it.
	Step func(now time.Time, read Result[T]) watch.Telemetry

	// Fork returns a Step that goes on from the present state and leaves it as it
	// is: see watch.Loop. overflow means that results were dropped before this one.
	Fork func() func(now time.Time, read Result[T], overflow bool) watch.Telemetry

	// Delivery, Commit and Condition are those of the watch.Loop.
	Delivery  *watch.Delivery
	Commit    func(context.Context)
	Condition func(error)
}

// Run polls until ctx ends.
func (p Poller[T]) Run(ctx context.Context) {
	pace := rate.NewLimiter(rate.Every(p.Interval), 1)
	gap := false
	watch.Loop[Result[T]]{
		Next: func(ctx context.Context) (Result[T], error) {
			if !gap {
				if err := pace.Wait(ctx); err != nil {
					return Result[T]{}, err
				}
			}
			read := Result[T]{Gap: gap}
			var err error
			read.Value, err = p.Read(ctx)
			gap = err != nil
			return read, err
		},
		Step: p.Step,
		Fork: func() func(time.Time, Result[T], bool) watch.Telemetry {
			step := p.Fork()
			return func(now time.Time, read Result[T], overflow bool) watch.Telemetry {
				read.Gap = read.Gap || overflow
				return step(now, read, overflow)
			}
		},
		Delivery:  p.Delivery,
		Commit:    p.Commit,
		Condition: p.Condition,
	}.Run(ctx)
}
