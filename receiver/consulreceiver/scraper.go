// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

// metricsScraper makes the metrics: two requests a cycle, however many
// services and checks there are.
type metricsScraper struct {
	cfg        *Config
	settings   receiver.Settings
	condition  *condition.Reporter
	builder    *metadata.MetricsBuilder
	client     *client
	datacenter string
}

func newScraper(cfg *Config, settings receiver.Settings) *metricsScraper {
	return &metricsScraper{
		cfg:       cfg,
		settings:  settings,
		condition: condition.NewReporter(settings.Logger),
		builder:   metadata.NewMetricsBuilder(cfg.Metrics, settings),
	}
}

// Start makes the client; an absent server is found at the first scrape.
func (s *metricsScraper) Start(ctx context.Context, host component.Host) (err error) {
	s.condition.AddHost(host)
	s.client, err = newClient(ctx, s.cfg, host, s.settings.TelemetrySettings)
	return err
}

// Shutdown ends the connections.
func (s *metricsScraper) Shutdown(context.Context) error {
	s.client.close()
	return nil
}

// Scrape reports each endpoint that fails as this component's condition; the
// metrics of the others still come.
func (s *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	now := pcommon.NewTimestampFromTime(time.Now())

	answer, err := s.client.AnyChecks(ctx)
	s.condition.Set(endpointChecks, err)
	telemetry.RecordUp(s.builder, now, err == nil)
	if err == nil {
		s.condition.Set(limitChecks, answer.Limit)
		s.condition.Set(viewChecks, answer.partial())
		telemetry.RecordChecks(s.builder, now, answer.Checks)
	}

	usage, err := s.client.Usage(ctx)
	s.condition.Set(endpointUsage, err)
	if err == nil {
		s.datacenter = usage.Datacenter
		telemetry.RecordUsage(s.builder, now, usage)
	}
	return s.builder.Emit(metadata.WithResource(resource(s.builder.NewResourceBuilder(), s.cfg.endpoint(), s.datacenter)))
}
