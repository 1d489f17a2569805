// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// stale is how old the state of the server may be, at least.
const stale = 3 * time.Second

// metricsScraper makes the metrics of what the watcher knows. It asks only for
// the leases and for Vault's own metrics itself.
type metricsScraper struct {
	*sharedcomponent.Shared[*watcher]
	cfg      *Config
	settings receiver.Settings
	builder  *metadata.MetricsBuilder
	client   *client
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{Shared: watcher, cfg: cfg, settings: settings, builder: metadata.NewMetricsBuilder(cfg.Metrics, settings)}
}

// Start starts the watcher, too; an absent server is found at the first scrape.
func (s *metricsScraper) Start(ctx context.Context, host component.Host) error {
	if err := s.Shared.Start(ctx, host); err != nil {
		return err
	}
	s.client = s.Observer.client
	if !s.client.session.configured() {
		s.settings.Logger.Warn("nothing but the state of the server is told, as there is no token: set token, token_file, approle or kubernetes")
	}
	return nil
}

// Scrape reports each endpoint that fails as this component's condition; the
// metrics of the others still come. The first cycle waits until the server was
// asked.
func (s *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	w := s.Observer
	select {
	case <-w.asked:
	case <-ctx.Done():
		return pmetric.NewMetrics()
	}
	own := pmetric.NewMetricSlice()
	if w.acceptsTokens() && s.client.hasToken() {
		own = s.scrapePage(ctx, pcommon.NewTimestampFromTime(time.Now()))
		s.scrapeLeases(ctx, pcommon.NewTimestampFromTime(time.Now()))
	} else {
		// What cannot be asked of this server does not fail either.
		w.endpoints.rest(endpointMetrics, endpointLeases)
	}
	now := time.Now()
	cluster := w.record(s.builder, now)
	metrics := s.builder.Emit(metadata.WithResource(resource(s.builder.NewResourceBuilder(), s.cfg.HTTP.Endpoint, cluster)))
	if metrics.ResourceMetrics().Len() == 0 {
		return metrics
	}
	more := metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	if w.audit != nil {
		w.audit.appendTo(more, now)
	}
	if w.acceptsTokens() {
		own.MoveAndAppendTo(more)
		for _, d := range w.domains {
			if r, ok := d.(recorder); ok {
				r.appendTo(more, now)
			}
		}
	}
	return metrics
}

// scrapeLeases asks for the leases that Vault has given up on, unless nobody
// wants it, or the domain of leases asks.
func (s *metricsScraper) scrapeLeases(ctx context.Context, now pcommon.Timestamp) {
	endpoints := s.Observer.endpoints
	if s.cfg.Leases.Mode != ModeCount || !s.cfg.Metrics.Metrics.VaultLeaseIrrevocableCount.Enabled || endpoints.off(now.AsTime(), endpointLeases) {
		return
	}
	leases, err := s.client.countIrrevocable(ctx)
	if err == nil {
		telemetry.RecordIrrevocableLeases(s.builder, now, leases.LeaseCount)
	}
	if errors.Is(err, errSealed) { // since a moment ago
		err = nil
	}
	endpoints.set(now.AsTime(), endpointLeases, err)
}

// acceptsTokens says whether requests with a token can be made of the server.
func (w *watcher) acceptsTokens() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server.err == nil && w.server.value.AcceptsTokens()
}

// record records what is known, and returns of which cluster. What was learnt
// too long ago is left out, and a server that said nothing since then is down.
func (w *watcher) record(mb *metadata.MetricsBuilder, now time.Time) identity {
	ts := pcommon.NewTimestampFromTime(now)
	age := max(2*w.cfg.Scrape.CollectionInterval, stale)
	telemetry.RecordEndpoints(mb, ts, w.endpoints.known())
	if w.audit != nil {
		w.audit.record(mb, now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	up := w.server.fresh(now, age)
	telemetry.RecordUp(mb, ts, up)
	telemetry.RecordLeaderChanges(mb, ts, w.machine.LeaderChanges())
	if !up {
		return w.cluster
	}
	r := w.server.value
	w.cluster.learn(r.Server)
	telemetry.RecordStatus(mb, ts, r.Status)
	w.client.session.record(mb, ts)
	if r.leaderErr == nil {
		telemetry.RecordHasLeader(mb, ts, r.Server)
	}
	if !r.AcceptsTokens() {
		return w.cluster // The active node tells for all.
	}
	if w.nodes.fresh(now, age) {
		telemetry.RecordNodes(mb, ts, w.nodes.value)
	}
	if w.peers.fresh(now, age) {
		telemetry.RecordPeers(mb, ts, w.peers.value.Peers)
	}
	if w.autopilot.fresh(now, age) && len(w.autopilot.value.Servers) > 0 {
		telemetry.RecordAutopilot(mb, ts, w.autopilot.value)
	}
	for _, d := range w.domains {
		d.record(mb, now)
	}
	return w.cluster
}
