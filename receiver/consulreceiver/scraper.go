// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// metricsScraper makes the metrics: of what the watcher knows, and of what a
// collection reads, which is five requests a datacenter, however many services
// and checks there are.
type metricsScraper struct {
	*sharedcomponent.Shared[*watcher]
	cfg      *Config
	settings receiver.Settings
	builders map[*scope]*metadata.MetricsBuilder
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{Shared: watcher, cfg: cfg, settings: settings, builders: map[*scope]*metadata.MetricsBuilder{}}
}

var _ component.Component = (*metricsScraper)(nil)

// Scrape collects from all scopes at once, so that one that hangs leaves the
// others their interval. Each endpoint that fails is reported as this
// component's condition; the metrics of the others still come.
func (m *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	scopes := m.Observer.observed()
	parts := make([]pmetric.Metrics, len(scopes))
	var collection sync.WaitGroup
	for i, s := range scopes {
		if m.builders[s] == nil {
			m.builders[s] = metadata.NewMetricsBuilder(m.cfg.Metrics, m.settings)
		}
		builder := m.builders[s]
		collection.Go(func() { parts[i] = m.scrape(ctx, s, builder) })
	}
	collection.Wait()
	metrics := pmetric.NewMetrics()
	for _, part := range parts {
		part.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
	}
	return metrics
}

func (m *metricsScraper) scrape(ctx context.Context, s *scope, builder *metadata.MetricsBuilder) pmetric.Metrics {
	s.record(ctx, collect.Metrics{MetricsBuilder: builder, Now: time.Now()})
	return builder.Emit(metadata.WithResource(s.Resource(builder.NewResourceBuilder())))
}

// record records what is known.
func (s *scope) record(ctx context.Context, m collect.Metrics) {
	var err error
	m.Peers, err = s.API.Peers(ctx)
	s.SetEndpoint(consulapi.EndpointPeers, err)
	m.Answers = err == nil
	m.Up(m.Answers)
	for _, c := range s.collectors {
		c.Record(ctx, m)
	}
}
