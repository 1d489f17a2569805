// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper/scraperhelper"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// NewFactory returns the factory of the etcd receiver.
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
	made, err := s.toScraper()
	if err != nil {
		return nil, err
	}
	controller, err := scraperhelper.NewMetricsController(&cfg.Scrape, settings, next, scraperhelper.AddMetricsScraper(metadata.Type, made))
	if err != nil {
		return nil, err
	}
	return metricsReceiver{Metrics: controller, interrupt: s.interrupt}, nil
}

// metricsReceiver does not wait for a request that is under way at Shutdown.
type metricsReceiver struct {
	receiver.Metrics
	interrupt context.CancelFunc
}

func (r metricsReceiver) Shutdown(ctx context.Context) error {
	r.interrupt()
	return r.Metrics.Shutdown(ctx)
}
