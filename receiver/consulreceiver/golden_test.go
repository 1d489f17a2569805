// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/acltoken"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/ca"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/catalog"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/configentry"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leaf"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/license"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/network"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/peering"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/server"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/session"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/userevent"
)

// Every effect has telemetry of its own.
func TestObjectsComeChangeAndGo(t *testing.T) {
	s := collecttest.NewScenario(metadata.DefaultLogsBuilderConfig())
	comeAndGo(s, "web", catalog.Service{}, catalog.Service{}, catalog.RenderService)
	comeAndGo(s, "n1", catalog.Node{Address: "10.0.0.1"}, catalog.Node{Address: "10.0.0.2"}, catalog.RenderNode)
	comeAndGo(s, "s1", session.Session{Name: "job", Node: "n1", Behavior: "release", TTL: "10s"},
		session.Session{Name: "job", Node: "n1", Behavior: "release", TTL: "20s"}, session.Render)
	comeAndGo(s, "n1.dc1", member.Member{Pool: member.WAN, Status: member.Alive, Address: "10.0.0.1:8302"},
		member.Member{Pool: member.WAN, Status: member.Failed, Address: "10.0.0.1:8302"}, member.Render)
	comeAndGo(s, "n2", member.Member{Pool: member.LAN, Status: member.Alive, Address: "10.0.0.2:8301"},
		member.Member{Pool: member.LAN, Status: member.Left, Address: "10.0.0.2:8301"}, member.Render)
	comeAndGo(s, "service-defaults/web", configentry.Entry{Kind: "service-defaults", Name: "web", Index: 1},
		configentry.Entry{Kind: "service-defaults", Name: "web", Index: 2}, configentry.Render)
	comeAndGo(s, "active", ca.Root{ID: "r1"}, ca.Root{ID: "r2"}, ca.Render)
	comeAndGo(s, "1 e1", userevent.UserEvent{ID: "e1", Name: "deploy", Size: 3}, userevent.UserEvent{ID: "e1", Name: "deploy", Size: 3}, userevent.Render)
	expiring := []acltoken.Expiring{{Token: acltoken.Token{Accessor: "a1"}, Left: time.Hour}}
	collecttest.Step(s, nil, expiring, func(r *collect.Renderer, expiring []acltoken.Expiring) {
		r.Filtered("health/state/any")
		acltoken.Render(r, expiring)
	})
	s.RequireGolden(t, "objects come, change and go")
}

func comeAndGo[V comparable](s *collecttest.Scenario, key string, first, then V, render func(*collect.Renderer, snapshot.Change[string, V])) {
	var c snapshot.Catalog[V]
	for i, objects := range []map[string]V{{}, {key: first}, {key: then}, {}} {
		gap, changes := c.Step(snapshot.Observation[string, V]{Continuity: snapshot.Continuity{Index: uint64(i)}, Objects: objects})
		collecttest.Step(s, gap, changes, func(r *collect.Renderer, changes []snapshot.Change[string, V]) {
			for _, change := range changes {
				render(r, change)
			}
		})
	}
}

func recorded(record func(collect.Metrics)) pmetric.Metrics {
	config := metadata.NewDefaultMetricsBuilderConfig()
	config.Metrics.ConsulHealthCheckState.Enabled = true
	mb := metadata.NewMetricsBuilder(config, receivertest.NewNopSettings(metadata.Type))
	record(collect.Metrics{MetricsBuilder: mb, Now: time.Unix(1_000_000, 0)})
	return mb.Emit(metadata.WithResource(collecttest.Resource()))
}

func TestMetricsOfAConsulThatAnswers(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	checks := health.Checks{
		{Node: "n1", Check: "service:web"}: {Name: "web alive", Service: "web", ServiceID: "web-1", Status: health.Critical, Index: 5},
		{Node: "n1", Check: "serfHealth"}:  {Name: "Serf Health Status", Status: health.Passing, Index: 5},
	}
	goldentest.Metrics(t, "metrics of a Consul that answers", recorded(func(m collect.Metrics) {
		m.Up(true)
		health.RecordChecks(m, health.CountByStatus(checks))
		health.RecordStates(m, checks)
		health.RecordInstances(m, health.InstancesByHealth(checks, map[string]int64{"web": 3, "db": 1}))
		h := health.Health{MaxServices: 1}
		for _, status := range []health.Status{health.Passing, health.Critical, health.Passing, health.Critical} {
			check := checks[health.CheckID{Node: "n1", Check: "service:web"}]
			check.Status = status
			h.Step(now, snapshot.Observation[health.CheckID, health.Check]{Objects: health.Checks{{Node: "n1", Check: "service:web"}: check}})
		}
		health.RecordTransitions(m, h.TransitionsOfAll())
		catalog.RecordUsage(m, consulapi.Usage{Datacenter: "dc1", Nodes: 3, Services: 2, Instances: 5})
		catalog.RecordLastContact(m, 20*time.Millisecond)
		catalog.RecordLastContact(m, consulapi.Never) // It started alone.
		leader.RecordLeader(m, true)
		leader.RecordChanges(m, 2)
		server.RecordPeers(m, 3)
		server.RecordAutopilot(m, server.Autopilot{Healthy: true, FailureTolerance: 1, Voters: 2, Servers: []server.Server{
			{ID: "1", Name: "n1", Leader: true, Healthy: true, Voter: true, LastIndex: 90, StableSince: now.Add(-time.Minute)},
			{ID: "2", Name: "n2", Voter: true, LastIndex: 80, LastContact: 30 * time.Millisecond, StableSince: now.Add(-time.Second)},
		}})
		member.RecordCounts(m, member.LAN, map[string]member.Member{"n1": {Status: member.Alive}, "n2": {Status: member.Failed}})
		network.RecordRoundTrips(m, network.RoundTrips{Min: time.Millisecond, Median: 2 * time.Millisecond, P95: 3 * time.Millisecond, Max: 4 * time.Millisecond})
		session.RecordCount(m, 4)
		kv.RecordKeys(m, "jobs/", 3, 1)
		kv.RecordSemaphores(m, []kv.Semaphore{{Prefix: "jobs/nightly", Limit: 2, Holders: 2, Waiters: 1}})
		kv.RecordChanges(m, "jobs/", kv.KeyChanges{Created: 4, Updated: 5, Deleted: 1}, 7)
		ca.RecordRoot(m, ca.Root{NotAfter: now.Add(time.Hour), SigningNotAfter: now.Add(time.Minute)})
		acltoken.RecordToken(m, acltoken.Token{Expires: now.Add(time.Minute)})
		acltoken.RecordToken(m, acltoken.Token{}) // It does not expire.
		leaf.RecordCertificate(m, "web", leaf.Certificate{Expires: now.Add(time.Hour)})
		license.RecordLicense(m, license.License{Expires: now.Add(time.Hour)})
		license.RecordLicense(m, license.License{}) // There is none.
		peering.RecordPeerings(m, map[string]peering.Peering{
			"dc2": {State: peering.Active, Heartbeat: now.Add(-time.Second), Imported: 2, Exported: 1},
			"dc3": {State: peering.Pending},
		})
	}))
}

func TestMetricsOfAConsulThatIsAbsent(t *testing.T) {
	goldentest.Metrics(t, "metrics of a Consul that is absent", recorded(func(m collect.Metrics) { m.Up(false) }))
}
