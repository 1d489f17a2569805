// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/scrape"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// NewFactory returns the factory of the vault receiver.
func NewFactory() receiver.Factory {
	signals := watch.NewSignals(newWatcher)
	createMetrics := func(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Metrics) (receiver.Metrics, error) {
		cfg := config.(*Config)
		watcher, err := signals.Watcher(settings, cfg)
		if err != nil {
			return nil, err
		}
		return scrape.NewReceiver(cfg.Scrape, settings, next, newScraper(cfg, settings, watcher))
	}
	return receiver.NewFactory(metadata.Type,
		func() component.Config { return defaultConfig() },
		receiver.WithMetrics(createMetrics, metadata.MetricsStability),
		receiver.WithLogs(signals.CreateLogs, metadata.LogsStability),
		receiver.WithTraces(signals.CreateTraces, metadata.TracesStability))
}
