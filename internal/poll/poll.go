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

// Step steps a state by itself. overflow means that results were dropped before this one.
type Step[T any] = watch.StepFork[Result[T]]

// Poller reads one value again and again.
type Poller[T any] struct {
	// Interval is the time between two reads. After a failure the watch.Loop paces.
	Interval time.Duration

	// Read is the only I/O.
	Read func(context.Context) (T, error)

	// Step takes in what was read, and returns the telemetry that comes of it.
	Step func(now time.Time, read Result[T]) watch.Telemetry

	// Fork, Kept, Delivery and Condition are those of the watch.Loop.
	Fork      func() watch.Fork[Step[T]]
	Kept      *watch.Kept[Step[T]]
	Delivery  *watch.Delivery
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
		Step:      p.Step,
		Fork:      func() watch.Fork[Step[T]] { return watch.Wrapped(p.Fork(), across) },
		Kept:      watch.WrappedKept(p.Kept, across),
		Delivery:  p.Delivery,
		Condition: p.Condition,
	}.Run(ctx)
}

// across returns a step to which an overflow is a gap.
func across[T any](step Step[T]) Step[T] {
	return func(now time.Time, read Result[T], overflow bool) watch.Telemetry {
		read.Gap = read.Gap || overflow
		return step(now, read, overflow)
	}
}
