// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
)

// Watcher is a component that makes events and traces from one watch.
type Watcher interface {
	sharedcomponent.Observer

	// Delivery is where the watcher's telemetry goes.
	Delivery() *Delivery
}

// Signals gives every signal of one receiver the same watcher for the same
// configuration C, a pointer, so that what several signals report is
// observed once.
type Signals[C comparable, W Watcher] struct {
	create   func(C, receiver.Settings) (W, error)
	watchers sharedcomponent.Map[C, W]
}

// NewSignals returns the Signals of one factory.
func NewSignals[C comparable, W Watcher](create func(C, receiver.Settings) (W, error)) *Signals[C, W] {
	return &Signals[C, W]{create: create}
}

// Watcher returns the watcher of a configuration. The caller starts it and
// shuts it down.
func (s *Signals[C, W]) Watcher(settings receiver.Settings, config C) (*sharedcomponent.Shared[W], error) {
	return s.watchers.GetOrAdd(config, func() (W, error) { return s.create(config, settings) })
}

// CreateLogs creates the logs receiver.
func (s *Signals[C, W]) CreateLogs(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Logs) (receiver.Logs, error) {
	shared, err := s.Watcher(settings, config.(C))
	if err != nil {
		return nil, err
	}
	shared.Observer.Delivery().Logs = next
	return shared, nil
}

// CreateTraces creates the traces receiver.
func (s *Signals[C, W]) CreateTraces(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Traces) (receiver.Traces, error) {
	shared, err := s.Watcher(settings, config.(C))
	if err != nil {
		return nil, err
	}
	shared.Observer.Delivery().Traces = next
	return shared, nil
}
