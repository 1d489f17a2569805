// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/sharedcomponent"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

// metricsScraper makes the metrics: of what the watcher knows, and of what a
// cycle asks for, which is five requests a datacenter, however many services
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
	scopes := m.Observer.Scopes()
	parts := make([]pmetric.Metrics, len(scopes))
	var cycle sync.WaitGroup
	for i, s := range scopes {
		if m.builders[s] == nil {
			m.builders[s] = metadata.NewMetricsBuilder(m.cfg.Metrics, m.settings)
		}
		builder := m.builders[s]
		cycle.Go(func() { parts[i] = s.scrape(ctx, builder) })
	}
	cycle.Wait()
	metrics := pmetric.NewMetrics()
	for _, part := range parts {
		part.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
	}
	return metrics
}

func (s *scope) scrape(ctx context.Context, builder *metadata.MetricsBuilder) pmetric.Metrics {
	s.record(ctx, telemetry.Metrics{Builder: builder, Now: time.Now()})
	res := s.resource(builder.NewResourceBuilder())
	metrics := builder.Emit(metadata.WithResource(res))
	if own := s.agentMetrics(ctx); own.Len() > 0 {
		rm := metrics.ResourceMetrics().AppendEmpty()
		res.CopyTo(rm.Resource())
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName(telemetry.AgentScope)
		own.MoveAndAppendTo(sm.Metrics())
	}
	return metrics
}

// record records what is known. What was watched counts only while Consul
// answers: a watch that hangs is noticed late.
func (s *scope) record(ctx context.Context, m telemetry.Metrics) {
	peers, err := s.client.Peers(ctx)
	s.set(endpointPeers, err)
	m.Up(err == nil)
	var totals map[string]int64
	if err == nil {
		totals = s.collect(ctx, m, len(peers))
	} else {
		s.notAsked(endpointUsage, endpointOverview, endpointAutopilot, endpointCoordinates)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	unobserved := map[metadata.AttributeConsulObject]int{}
	for _, b := range s.beyond {
		unobserved[b.object] += b.count
	}
	if err == nil {
		services := s.recordHealth(m, totals)
		unobserved[metadata.AttributeConsulObjectService] = max(services, unobserved[metadata.AttributeConsulObjectService])
		s.recordLeader(m)
		s.recordState(m)
	}
	s.recordCounts(m)
	m.Endpoints(s.up)
	for object, count := range unobserved {
		m.Unobserved(object, count)
	}
}

// collect asks for what cannot be watched. It returns the instances by service,
// where known.
func (s *scope) collect(ctx context.Context, m telemetry.Metrics, peers int) (totals map[string]int64) {
	if !s.datacenter {
		return nil
	}
	if s.cfg.Catalog.Enabled {
		totals = s.collectCatalog(ctx, m)
	}
	if s.cfg.Cluster.Enabled {
		m.Peers(peers)
		servers, err := s.client.Autopilot(ctx)
		s.set(endpointAutopilot, err)
		if err == nil {
			m.Autopilot(servers)
		}
	}
	if s.cfg.Coordinates.Enabled {
		trips, a, err := s.pick.roundTrips(ctx, s.client)
		s.set(endpointCoordinates, err)
		if err == nil {
			s.partial(endpointCoordinates, a.Filtered)
		}
		if err == nil && trips != (state.RoundTrips{}) {
			m.RoundTrips(trips)
		}
	}
	return totals
}

// collectCatalog asks for the size of the catalog, and returns the instances by
// service.
func (s *scope) collectCatalog(ctx context.Context, m telemetry.Metrics) map[string]int64 {
	totals, usage, err := s.pick.overview(ctx, s.client)
	s.set(endpointOverview, err)
	if s.name == "" {
		usage, err = s.client.Usage(ctx)
		s.set(endpointUsage, err)
		s.learn(usage.Datacenter)
	}
	if err == nil && usage.Nodes > 0 { // else it has not counted yet
		m.Usage(usage)
	}
	return totals
}

// recordHealth records checks and instances. It returns how many services are
// beyond their limit.
func (s *scope) recordHealth(m telemetry.Metrics, totals map[string]int64) (beyond int) {
	checks := s.health.Checks()
	if checks == nil || !s.up[endpointChecks] {
		return 0
	}
	m.Checks(checks)
	if s.cfg.Metrics.Metrics.ConsulHealthCheckState.Enabled {
		m.CheckStates(checks)
	}
	if !s.pick.allNodes || s.partly[endpointChecks] || s.beyond[endpointChecks].count > 0 {
		totals = nil // They would count as well what is not observed.
	}
	instances := state.InstancesByHealth(checks, totals)
	beyond = bound(instances, nil, s.cfg.Services.Limit, strings.Compare)
	m.Instances(instances)
	return beyond
}

func (s *scope) recordLeader(m telemetry.Metrics) {
	if has, known := s.leader.Known(); known && s.up[endpointLeader] {
		m.Leader(has)
	}
}

// recordState records what else the watches know.
func (s *scope) recordState(m telemetry.Metrics) {
	if s.up[endpointSessions] {
		m.Sessions(len(s.sessions.Known()))
	}
	if root, ok := s.roots.Known()["active"]; ok && s.up[endpointRoots] {
		m.Root(root)
	}
	for pool, endpoint := range pools {
		if s.up[endpoint] {
			m.Members(pool, s.members[pool].Known())
		}
	}
	if s.up[endpointToken] {
		m.Token(s.token)
	}
	for prefix, keys := range s.keys {
		if all, holds := keys.Count(); s.up[endpointKV+prefix] {
			m.Keys(prefix, all, holds)
		}
	}
}

// recordCounts records what grows, also while Consul does not answer.
func (s *scope) recordCounts(m telemetry.Metrics) {
	if !s.datacenter {
		return
	}
	if s.cfg.Checks.Enabled {
		m.Transitions(s.health.Transitions())
	}
	if s.cfg.Cluster.Enabled {
		m.LeaderChanges(s.leader.Changes())
	}
	for prefix, keys := range s.keys {
		m.KeyChanges(prefix, keys.Changes(), keys.Acquisitions())
	}
}
