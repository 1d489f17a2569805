// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// metricsScraper makes the metrics of what the watcher knows. It asks only for
// the members' own metrics itself.
type metricsScraper struct {
	*sharedcomponent.Shared[*watcher]
	cfg     *Config
	builder *metadata.MetricsBuilder
	own     *memberMetrics // nil when they are not wanted
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{Shared: watcher, cfg: cfg, builder: metadata.NewMetricsBuilder(cfg.Metrics, settings)}
}

// Start starts the watcher, too.
func (s *metricsScraper) Start(ctx context.Context, host component.Host) error {
	if s.cfg.ScrapeMemberMetrics {
		tlsConfig, err := s.cfg.loadTLS(ctx)
		if err != nil {
			return err
		}
		s.own = newMemberMetrics(s.cfg, tlsConfig)
	}
	return s.Shared.Start(ctx, host)
}

// Shutdown ends the watcher, too.
func (s *metricsScraper) Shutdown(ctx context.Context) error {
	if s.own != nil {
		s.own.close()
	}
	return s.Shared.Shutdown(ctx)
}

// Scrape returns what is known now, by member and of their cluster. The first
// cycle waits until the members were asked.
func (s *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	w, metrics := s.Observer, pmetric.NewMetrics()
	if !w.cluster.WaitForFirst(ctx) {
		return metrics
	}
	own := s.readOwn(ctx)
	m := collect.Metrics{MetricsBuilder: s.builder, Now: time.Now(), Answers: w.cluster.Answers(), More: pmetric.NewMetricSlice()}
	w.cluster.EachMember(m.Now, func(endpoint string, status etcdapi.Status, up bool) {
		member.RecordUp(m, up)
		if up {
			member.RecordStatus(m, status)
		}
		s.emit(metrics, member.Resource(s.builder.NewResourceBuilder(), endpoint, status), own[endpoint])
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

// emit adds what was recorded, and more, of a resource. When a filter leaves out
// the resource, it leaves out all of it.
func (s *metricsScraper) emit(metrics pmetric.Metrics, res pcommon.Resource, more pmetric.MetricSlice) {
	part := s.builder.Emit(metadata.WithResource(res))
	if part.ResourceMetrics().Len() > 0 {
		more.MoveAndAppendTo(part.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics())
	}
	part.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
}

// readOwn reads the members' own metrics, if they are wanted, by endpoint.
func (s *metricsScraper) readOwn(ctx context.Context) map[string]pmetric.MetricSlice {
	own, errs := make([]pmetric.MetricSlice, len(s.cfg.Endpoints)), make([]error, len(s.cfg.Endpoints))
	var answers sync.WaitGroup
	for i, endpoint := range s.cfg.Endpoints {
		own[i] = pmetric.NewMetricSlice()
		if s.own != nil {
			answers.Go(func() { own[i], errs[i] = s.own.collect(ctx, endpoint) })
		}
	}
	answers.Wait()
	byEndpoint := map[string]pmetric.MetricSlice{}
	for i, endpoint := range s.cfg.Endpoints {
		byEndpoint[endpoint] = own[i]
		if s.own != nil && ctx.Err() == nil { // What Shutdown cut off says nothing about the members.
			s.Observer.Condition.Set(metricsOf+address.HostPort(endpoint), errs[i])
		}
	}
	return byEndpoint
}
