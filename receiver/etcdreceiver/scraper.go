// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// metricsScraper makes the metrics of what the watcher knows.
type metricsScraper struct {
	*sharedcomponent.Shared[*watcher]
	cfg     *Config
	builder *metadata.MetricsBuilder
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{Shared: watcher, cfg: cfg, builder: metadata.NewMetricsBuilder(cfg.Metrics, settings)}
}

// Scrape returns what is known now, by member and of their cluster. The first
// cycle waits until the members were asked.
func (s *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	w, metrics := s.Observer, pmetric.NewMetrics()
	if !w.cluster.WaitForFirst(ctx) {
		return metrics
	}
	m := collect.Metrics{MetricsBuilder: s.builder, Now: time.Now(), Answers: w.cluster.Answers(), More: pmetric.NewMetricSlice()}
	w.cluster.EachMember(m.Now, func(endpoint string, status etcdapi.Status, up bool) {
		member.RecordUp(m, up)
		if up {
			member.RecordStatus(m, status)
		}
		s.emit(metrics, member.Resource(s.builder.NewResourceBuilder(), endpoint, status))
	})
	id := w.cluster.Record(m)
	if w.keys.Record(ctx, m); id == 0 {
		id = w.env.ClusterID.Load()
	}
	if id != 0 {
		s.emit(metrics, collect.ClusterResource(s.builder.NewResourceBuilder(), collect.Hex(id)), m.More)
	} else {
		s.builder.Emit() // of nothing that has a name yet
	}
	return metrics
}

// emit adds what was recorded of a resource, and more. When a filter leaves out
// the resource, it leaves out all of it.
func (s *metricsScraper) emit(metrics pmetric.Metrics, res pcommon.Resource, more ...pmetric.MetricSlice) {
	part := s.builder.Emit(metadata.WithResource(res))
	if part.ResourceMetrics().Len() > 0 {
		for _, metrics := range more {
			metrics.MoveAndAppendTo(part.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics())
		}
	}
	part.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
}
