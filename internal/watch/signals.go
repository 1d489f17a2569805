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

// Signals returns the functions that create the logs and the traces receiver
// of a factory. Both give the same watcher for the same configuration C, a
// pointer, so that what is told in two signals is observed once.
func Signals[C comparable, W Watcher](create func(C, receiver.Settings) (W, error)) (receiver.CreateLogsFunc, receiver.CreateTracesFunc) {
	var watchers sharedcomponent.Map[C, W]
	get := func(settings receiver.Settings, config component.Config) (*sharedcomponent.Shared[W], error) {
		cfg := config.(C)
		return watchers.GetOrAdd(cfg, func() (W, error) { return create(cfg, settings) })
	}
	logs := func(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Logs) (receiver.Logs, error) {
		shared, err := get(settings, config)
		if err != nil {
			return nil, err
		}
		shared.Observer.Delivery().Logs = next
		return shared, nil
	}
	traces := func(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Traces) (receiver.Traces, error) {
		shared, err := get(settings, config)
		if err != nil {
			return nil, err
		}
		shared.Observer.Delivery().Traces = next
		return shared, nil
	}
	return logs, traces
}
