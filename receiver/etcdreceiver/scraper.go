// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/telemetry"
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
	if w.record(ctx, m); id == 0 {
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

// record records what the watches know, where there are any. Of what is not up
// to date, only what counts up is recorded.
func (w *watcher) record(ctx context.Context, m collect.Metrics) {
	covering := w.cfg.prefixes().Covering()
	if len(covering) == 0 && !w.cfg.Leases.listed() {
		return
	}
	w.mu.Lock()
	counts, current := w.machine.Counts(), maps.Clone(w.current)
	w.mu.Unlock()
	answers, stalled := m.Answers, w.Delivery().Stalled()
	if answers && stalled {
		counts = counts.At(w.present(ctx, m.Now, current))
	}
	mb, ts := m.MetricsBuilder, m.TS()
	telemetry.RecordCounts(mb, ts, counts, func(prefix string) bool {
		return answers && slices.ContainsFunc(covering, func(c string) bool { return current[c] && strings.HasPrefix(prefix, c) })
	})
	if w.cfg.Leases.Mode != LeasesOff {
		unknown := func(c string) bool { return !current[c] }
		known := current[leasesAsked] && (!w.cfg.Leases.listed() || current[leasesList]) && (w.cfg.Leases.Mode != LeasesWatched || !slices.ContainsFunc(covering, unknown))
		telemetry.RecordLeases(mb, ts, counts.Leases, w.cfg.Leases.each(), answers && !stalled && known)
	}
	w.durations.AppendTo(m.More, ts)
}

// present returns what is counted of the keys that are there now, for the metrics
// alone: the watches wait for a consumer, and do not know. It marks in current
// which prefixes could be listed.
func (w *watcher) present(ctx context.Context, now time.Time, current map[string]bool) state.Counts {
	prefixes := w.cfg.prefixes()
	machine := state.NewMachine(prefixes, state.Limits{Keys: w.cfg.Watch.Limit, Leases: w.cfg.Leases.Limit}, false)
	for _, prefix := range prefixes.Covering() {
		observed, _, err := list(ctx, w.env.API, w.pick, prefix, 0)
		if current[prefix] = err == nil; err == nil {
			machine.Step(now, observed)
		}
	}
	return machine.Counts()
}
