// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadata"
)

// shared is a configuration's one processor, which all pipelines have in common.
type shared = sharedcomponent.Shared[*exemplars]

// NewFactory returns the factory of the exemplar processor.
func NewFactory() processor.Factory { return newFactory(time.Now) }

func newFactory(now func() time.Time) processor.Factory {
	all := sharedcomponent.Map[*Config, *exemplars]{UntilLast: true}
	get := func(settings processor.Settings, config component.Config) (*shared, error) {
		cfg := config.(*Config)
		return all.GetOrAdd(cfg, func() (*exemplars, error) { return newExemplars(cfg, settings, now) })
	}
	createTraces := func(_ context.Context, settings processor.Settings, config component.Config, next consumer.Traces) (processor.Traces, error) {
		s, err := get(settings, config)
		if err != nil {
			return nil, err
		}
		return newTraces(s, next), nil
	}
	createMetrics := func(_ context.Context, settings processor.Settings, config component.Config, next consumer.Metrics) (processor.Metrics, error) {
		s, err := get(settings, config)
		if err != nil {
			return nil, err
		}
		return newMetrics(s, next), nil
	}
	return processor.NewFactory(metadata.Type,
		func() component.Config { return defaultConfig() },
		processor.WithTraces(createTraces, metadata.TracesStability),
		processor.WithMetrics(createMetrics, metadata.MetricsStability))
}
