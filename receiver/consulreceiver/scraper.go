// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"maps"
	"strings"
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
	cfg     *Config
	builder *metadata.MetricsBuilder
}

func newScraper(cfg *Config, settings receiver.Settings, watcher *sharedcomponent.Shared[*watcher]) *metricsScraper {
	return &metricsScraper{Shared: watcher, cfg: cfg, builder: metadata.NewMetricsBuilder(cfg.Metrics, settings)}
}

var _ component.Component = (*metricsScraper)(nil)

// Scrape collects from every scope. Each endpoint that fails is reported as
// this component's condition; the metrics of the others still come.
func (m *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	agent := pmetric.NewMetrics()
	for _, s := range m.Observer.Scopes() {
		own := s.agentMetrics(ctx)
		s.scrape(ctx, telemetry.Metrics{Builder: m.builder, Now: time.Now()})
		res := s.resource(m.builder.NewResourceBuilder())
		if own.Len() > 0 {
			rm := agent.ResourceMetrics().AppendEmpty()
			res.CopyTo(rm.Resource())
			sm := rm.ScopeMetrics().AppendEmpty()
			sm.Scope().SetName(telemetry.AgentScope)
			own.MoveAndAppendTo(sm.Metrics())
		}
		m.builder.EmitForResource(metadata.WithResource(res))
	}
	metrics := m.builder.Emit()
	agent.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
	return metrics
}

// scrape records what is known. What was watched counts only while Consul
// answers: a watch that hangs is noticed late.
func (s *scope) scrape(ctx context.Context, m telemetry.Metrics) {
	peers, _, err := get[[]string](ctx, s.client, endpointPeers, question{})
	s.set(endpointPeers, err)
	up := err == nil
	m.Up(up)
	totals := s.collect(ctx, m, len(peers), up)
	s.mu.Lock()
	defer s.mu.Unlock()
	unobserved := maps.Clone(s.beyond)
	if up {
		services := s.recordState(m, totals)
		unobserved[metadata.AttributeConsulObjectService] = max(services, unobserved[metadata.AttributeConsulObjectService])
	}
	s.recordCounts(m)
	m.Endpoints(s.up)
	for object, beyond := range unobserved {
		m.Unobserved(object, beyond)
	}
}

// collect asks for what cannot be watched. It returns the instances by service,
// where known.
func (s *scope) collect(ctx context.Context, m telemetry.Metrics, peers int, up bool) (totals map[string]int64) {
	if !up || !s.datacenter {
		return nil
	}
	if s.cfg.Catalog.Enabled {
		usage, err := s.client.Usage(ctx)
		s.set(endpointUsage, err)
		if err == nil {
			s.learn(usage.Datacenter)
			m.Usage(usage)
		}
		totals, err = s.pick.instances(ctx, s.client)
		s.set(endpointOverview, err)
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
		trips, err := s.pick.roundTrips(ctx, s.client)
		s.set(endpointCoordinates, err)
		if err == nil && trips != (state.RoundTrips{}) {
			m.RoundTrips(trips)
		}
	}
	return totals
}

// recordState records what the watches know. It returns how many services are
// beyond their limit.
func (s *scope) recordState(m telemetry.Metrics, totals map[string]int64) (beyond int) {
	if s.up[endpointChecks] {
		checks := s.health.Checks()
		m.Checks(checks)
		if s.cfg.Metrics.Metrics.ConsulHealthCheckState.Enabled {
			m.CheckStates(checks)
		}
		instances := state.InstancesByHealth(checks, totals)
		beyond = bound(instances, nil, s.cfg.Services.Limit, strings.Compare)
		m.Instances(instances)
	}
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
	return beyond
}

// recordCounts records what grows, also while Consul does not answer.
func (s *scope) recordCounts(m telemetry.Metrics) {
	m.Transitions(s.health.Transitions())
	if has, known := s.leader.Known(); known {
		m.Leader(has, s.leader.Changes())
	}
	for prefix, keys := range s.keys {
		if all, held, known := keys.Count(); known {
			m.Keys(prefix, all, held, keys.Changes(), keys.Acquisitions())
		}
	}
}
