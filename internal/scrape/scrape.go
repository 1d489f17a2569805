// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package scrape makes the metrics half of a receiver: a scraper under the
// collector's controller, with a Shutdown that does not wait for a server that
// hangs.
package scrape

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/scraper"
	"go.opentelemetry.io/collector/scraper/scraperhelper"
)

// Scraper makes the metrics of one cycle.
type Scraper interface {
	component.Component

	// Scrape returns what could be collected. It does not fail: what could not
	// be collected is reported as the component's condition.
	Scrape(ctx context.Context) pmetric.Metrics

	// Lifetime is over when what is scraped is being shut down, which another
	// signal of the receiver can do, too.
	Lifetime() context.Context
}

// NewReceiver returns a receiver that scrapes at the interval of config. Its
// `timeout` is not that of a whole cycle, or one endpoint that hangs would
// starve the others: the scraper applies it to each request.
func NewReceiver(config scraperhelper.ControllerConfig, settings receiver.Settings, next consumer.Metrics, s Scraper) (receiver.Metrics, error) {
	interrupted, interrupt := context.WithCancel(s.Lifetime())
	scraped, err := scraper.NewMetrics(func(ctx context.Context) (pmetric.Metrics, error) {
		if interrupted.Err() != nil {
			return pmetric.NewMetrics(), nil
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(interrupted, cancel)()
		metrics := s.Scrape(ctx)
		if interrupted.Err() != nil {
			return pmetric.NewMetrics(), nil // What was cut off says nothing about the server.
		}
		return metrics, nil
	}, scraper.WithStart(s.Start), scraper.WithShutdown(s.Shutdown))
	if err != nil {
		interrupt()
		return nil, err
	}
	config.Timeout = 0
	controller, err := scraperhelper.NewMetricsController(&config, settings, next, scraperhelper.AddMetricsScraper(settings.ID.Type(), scraped))
	if err != nil {
		interrupt()
		return nil, err
	}
	return &interruptible{Metrics: controller, interrupt: interrupt}, nil
}

// interruptible ends a scrape in progress, for which the controller waits.
type interruptible struct {
	receiver.Metrics
	interrupt context.CancelFunc
}

func (i *interruptible) Shutdown(ctx context.Context) error {
	i.interrupt()
	return i.Metrics.Shutdown(ctx)
}
