// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// NewFactory returns the factory of the vault receiver.
func NewFactory() receiver.Factory {
	createLogs, createTraces := watch.Signals(newWatcher)
	return receiver.NewFactory(metadata.Type,
		func() component.Config { return defaultConfig() },
		receiver.WithMetrics(createMetrics, metadata.MetricsStability),
		receiver.WithLogs(createLogs, metadata.LogsStability),
		receiver.WithTraces(createTraces, metadata.TracesStability))
}

func createMetrics(_ context.Context, settings receiver.Settings, config component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	cfg := config.(*Config)
	s := newScraper(cfg, settings)
	scraped, err := scraper.NewMetrics(s.scrape, scraper.WithStart(s.start), scraper.WithShutdown(s.shutdown))
	if err != nil {
		return nil, err
	}
	// `timeout` is read into this configuration too, but is that of a request.
	controlled := cfg.Scrape
	controlled.Timeout = 0
	controller, err := scraperhelper.NewMetricsController(&controlled, settings, next, scraperhelper.AddMetricsScraper(metadata.Type, scraped))
	if err != nil {
		return nil, err
	}
	return &interruptible{Metrics: controller, interrupt: s.interrupt}, nil
}

// interruptible is a scraping receiver whose Shutdown does not wait for a
// server that hangs.
type interruptible struct {
	receiver.Metrics
	interrupt context.CancelFunc
}

func (i *interruptible) Shutdown(ctx context.Context) error {
	i.interrupt()
	return i.Metrics.Shutdown(ctx)
}
