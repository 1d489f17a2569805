// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// metricsScraper makes the metrics: three requests a cycle to an active server,
// one to any other.
type metricsScraper struct {
	*sharedcomponent.Shared[*watcher]
	cfg       *Config
	settings  receiver.Settings
	condition *condition.Reporter
	builder   *metadata.MetricsBuilder
	client    *client
	cluster   identity
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{
		Shared:    watcher,
		cfg:       cfg,
		settings:  settings,
		condition: watcher.Observer.Condition,
		builder:   metadata.NewMetricsBuilder(cfg.Metrics, settings),
	}
}

// Start starts what the signals share; an absent server is found at the first
// scrape.
func (s *metricsScraper) Start(ctx context.Context, host component.Host) error {
	if err := s.Shared.Start(ctx, host); err != nil {
		return err
	}
	s.client = s.Observer.client
	if !s.client.session.configured() {
		s.settings.Logger.Info("leases are not counted: set token, token_file, approle or kubernetes")
	}
	return nil
}

// Scrape reports each endpoint that fails as this component's condition; the
// metrics of the others still come.
func (s *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	now := pcommon.NewTimestampFromTime(time.Now())

	server, err := s.client.Health(ctx)
	s.condition.Set(endpointHealth, err)
	telemetry.RecordUp(s.builder, now, err == nil)
	if err == nil {
		s.cluster.learn(server)
		telemetry.RecordServer(s.builder, now, server)
		s.client.session.record(s.builder, now)
		if server.AcceptsTokens() && s.client.hasToken() {
			s.scrapeLeases(ctx, now)
		} else {
			// What cannot be asked of this server does not fail either.
			s.condition.Set(endpointMetrics, nil)
			s.condition.Set(endpointLeases, nil)
		}
	}
	return s.builder.Emit(metadata.WithResource(resource(s.builder.NewResourceBuilder(), s.cfg.HTTP.Endpoint, s.cluster)))
}

// scrapeLeases asks for what needs a token, unless nobody wants it.
func (s *metricsScraper) scrapeLeases(ctx context.Context, now pcommon.Timestamp) {
	if s.cfg.Metrics.Metrics.VaultLeaseCount.Enabled {
		leases, known, err := s.client.Leases(ctx)
		s.condition.Set(endpointMetrics, err)
		if known {
			telemetry.RecordLeases(s.builder, now, leases)
		}
	}
	if s.cfg.Metrics.Metrics.VaultLeaseIrrevocableCount.Enabled {
		leases, known, err := s.client.IrrevocableLeases(ctx)
		s.condition.Set(endpointLeases, err)
		if known {
			telemetry.RecordIrrevocableLeases(s.builder, now, leases)
		}
	}
}
