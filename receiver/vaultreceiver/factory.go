// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/scrape"
	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// NewFactory returns the factory of the vault receiver.
func NewFactory() receiver.Factory {
	stability := watch.Stability{Metrics: metadata.MetricsStability, Logs: metadata.LogsStability, Traces: metadata.TracesStability}
	return watch.NewFactory(metadata.Type, stability, defaultConfig, newWatcher, newMetrics)
}

func newMetrics(cfg *Config, settings receiver.Settings, next consumer.Metrics, shared *sharedcomponent.Shared[*watcher]) (receiver.Metrics, error) {
	return scrape.NewReceiver(cfg.Scrape, settings, next, newScraper(cfg, settings, shared))
}
