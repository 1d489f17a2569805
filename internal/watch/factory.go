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

// Stability is that of each signal of a receiver.
type Stability struct{ Metrics, Logs, Traces component.StabilityLevel }

// NewFactory returns the factory of a receiver whose signals share one Watcher
// for each configuration C, a pointer. createMetrics makes the receiver of
// metrics, of what the Watcher knows.
func NewFactory[C comparable, W Watcher](
	typ component.Type, stability Stability, defaults func() C,
	create func(C, receiver.Settings) (W, error),
	createMetrics func(C, receiver.Settings, consumer.Metrics, *sharedcomponent.Shared[W]) (receiver.Metrics, error),
) receiver.Factory {
	signals := NewSignals(create)
	return receiver.NewFactory(typ,
		func() component.Config { return defaults() },
		receiver.WithMetrics(func(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			shared, err := signals.Watcher(settings, config.(C))
			if err != nil {
				return nil, err
			}
			return createMetrics(config.(C), settings, next, shared)
		}, stability.Metrics),
		receiver.WithLogs(signals.CreateLogs, stability.Logs),
		receiver.WithTraces(signals.CreateTraces, stability.Traces))
}
