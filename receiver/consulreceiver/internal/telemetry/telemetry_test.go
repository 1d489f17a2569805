// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

var (
	web  = state.CheckID{Node: "n1", Check: "service:web"}
	serf = state.CheckID{Node: "n1", Check: "serfHealth"}
)

// checks is a snapshot of a service's check and of one of its node.
func checks(service, node state.Status, index uint64) state.Observation[state.CheckID, state.Check] {
	return state.Observation[state.CheckID, state.Check]{
		Seen: state.Seen{Index: index},
		Objects: state.Checks{
			web:  {Name: "web alive", Service: "web", ServiceID: "web-1", Status: service, Index: index},
			serf: {Name: "Serf Health Status", Status: node, Index: index},
		},
	}
}

func behindGap[K, V comparable](o state.Observation[K, V]) state.Observation[K, V] {
	o.Gap = true
	return o
}

func resource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("consul")
	rb.SetServiceInstanceID("127.0.0.1:8500")
	rb.SetConsulDatacenter("dc1")
	return rb.Emit()
}

// tale renders steps, one every ten seconds.
type tale struct {
	story  *Story
	now    time.Time
	traces ptrace.Traces
	logs   plog.Logs
}

func newTale(config metadata.LogsBuilderConfig) *tale {
	return &tale{
		story:  NewStory(config, receivertest.NewNopSettings(metadata.Type)),
		now:    time.Unix(1_000_000, 0),
		traces: ptrace.NewTraces(), logs: plog.NewLogs(),
	}
}

func (c *tale) tell(gap *state.Gap, effects []state.Effect) {
	if gap != nil {
		effects = append([]state.Effect{state.Missed{Gap: *gap, What: "the endpoint"}}, effects...)
	}
	told := c.story.Render(c.now, "dc1", resource(), effects)
	told.Traces.ResourceSpans().MoveAndAppendTo(c.traces.ResourceSpans())
	told.Logs.ResourceLogs().MoveAndAppendTo(c.logs.ResourceLogs())
	c.now = c.now.Add(10 * time.Second)
}

func (c *tale) requireGolden(t *testing.T, scenario string) {
	t.Helper()
	if c.traces.SpanCount() > 0 {
		goldentest.Traces(t, scenario, c.traces)
	}
	goldentest.Logs(t, scenario, c.logs)
}

func health(config metadata.LogsBuilderConfig, observations ...state.Observation[state.CheckID, state.Check]) *tale {
	c := newTale(config)
	var machine state.Health
	for _, o := range observations {
		c.tell(machine.Step(c.now, o))
	}
	return c
}

func TestAnIncidentOpensWorsensAndCloses(t *testing.T) {
	health(metadata.DefaultLogsBuilderConfig(),
		checks(state.Passing, state.Passing, 5),
		checks(state.Warning, state.Passing, 6),
		behindGap(checks(state.Critical, state.Passing, 7)),
		checks(state.Passing, state.Passing, 8),
	).requireGolden(t, "an incident opens, worsens and closes")
}

func TestANodeFailsUnderAService(t *testing.T) {
	health(metadata.DefaultLogsBuilderConfig(),
		checks(state.Passing, state.Passing, 5),
		checks(state.Passing, state.Critical, 6),
		checks(state.Passing, state.Passing, 7),
	).requireGolden(t, "a node fails under a service")
}

func TestAnIncidentThatBeganBefore(t *testing.T) {
	health(metadata.DefaultLogsBuilderConfig(),
		checks(state.Critical, state.Passing, 5),
		checks(state.Passing, state.Passing, 6),
	).requireGolden(t, "an incident that began before is told at its end")
}

func TestADisabledEventLeavesTheSpans(t *testing.T) {
	config := metadata.DefaultLogsBuilderConfig()
	config.Events.ConsulCheckTransition.Enabled = false
	c := health(config, checks(state.Passing, state.Passing, 5), checks(state.Critical, state.Passing, 6))
	require.Equal(t, 2, c.traces.SpanCount(), "of the incident, and of the outage in it")
	require.Zero(t, c.logs.LogRecordCount())
}

func TestHoldsOfALock(t *testing.T) {
	c := newTale(metadata.DefaultLogsBuilderConfig())
	var machine state.Keys
	for i, key := range []state.Key{
		{CreateIndex: 3, ModifyIndex: 3, Flags: api.LockFlagValue},
		{CreateIndex: 3, ModifyIndex: 4, Flags: api.LockFlagValue, LockIndex: 1, Session: "s1"},
		{CreateIndex: 3, ModifyIndex: 5, Flags: api.LockFlagValue, LockIndex: 1},
		{CreateIndex: 3, ModifyIndex: 6, Flags: api.LockFlagValue, LockIndex: 2, Session: "s2"},
		{CreateIndex: 3, ModifyIndex: 7, Flags: api.LockFlagValue, LockIndex: 2},
	} {
		o := state.Observation[string, state.Key]{Seen: state.Seen{Index: key.ModifyIndex}, Objects: map[string]state.Key{"jobs/nightly": key}}
		alive := map[string]bool{"s1": true, "s2": i < 4}
		c.tell(machine.Step(c.now, o, state.Sessions{Known: true, Alive: alive, Index: 7}))
	}
	c.requireGolden(t, "a lock is held, released, held by another and invalidated")
}

func TestKeysComeAndGo(t *testing.T) {
	c := newTale(metadata.DefaultLogsBuilderConfig())
	var machine state.Keys
	key := state.Key{CreateIndex: 3, ModifyIndex: 3, Value: state.Fingerprint{SHA256: "ab", Size: 2}}
	for i, keys := range []map[string]state.Key{{}, {"rate": key}, {"rate": {CreateIndex: 3, ModifyIndex: 4}}, {}} {
		o := state.Observation[string, state.Key]{Seen: state.Seen{Index: uint64(i)}, Objects: keys}
		c.tell(machine.Step(c.now, o, state.Sessions{}))
	}
	c.requireGolden(t, "a key is created, updated and deleted")
}

func TestTheLeaderIsLost(t *testing.T) {
	c := newTale(metadata.DefaultLogsBuilderConfig())
	var machine state.Leader
	for _, address := range []string{"10.0.0.1:8300", "", "10.0.0.2:8300", "10.0.0.3:8300"} {
		c.tell(nil, machine.Step(c.now, address, false))
	}
	c.requireGolden(t, "the leader is lost, another one follows, and another one at once")
}

// Every effect has telemetry of its own.
func TestObjectsComeChangeAndGo(t *testing.T) {
	c := newTale(metadata.DefaultLogsBuilderConfig())
	comeAndGo(c, "web", state.Service{}, state.Service{})
	comeAndGo(c, "n1", state.Node{Address: "10.0.0.1"}, state.Node{Address: "10.0.0.2"})
	comeAndGo(c, "s1", state.Session{Name: "job", Node: "n1", Behavior: "release", TTL: "10s"}, state.Session{Name: "job", Node: "n1", Behavior: "release", TTL: "20s"})
	comeAndGo(c, "n1.dc1", state.Member{Pool: state.WAN, Status: state.Alive, Address: "10.0.0.1:8302"}, state.Member{Pool: state.WAN, Status: state.Failed, Address: "10.0.0.1:8302"})
	comeAndGo(c, "n2", state.Member{Pool: state.LAN, Status: state.Alive, Address: "10.0.0.2:8301"}, state.Member{Pool: state.LAN, Status: state.Left, Address: "10.0.0.2:8301"})
	comeAndGo(c, "service-defaults/web", state.ConfigEntry{Kind: "service-defaults", Name: "web", Index: 1}, state.ConfigEntry{Kind: "service-defaults", Name: "web", Index: 2})
	comeAndGo(c, "active", state.Root{ID: "r1"}, state.Root{ID: "r2"})
	comeAndGo(c, "1 e1", state.UserEvent{ID: "e1", Name: "deploy", Size: 3}, state.UserEvent{ID: "e1", Name: "deploy", Size: 3})
	c.tell(nil, []state.Effect{
		state.Filtered{What: "health/state/any"},
		state.Expiring{Token: state.Token{Accessor: "a1"}, Left: time.Hour},
	})
	c.requireGolden(t, "objects come, change and go")
}

func comeAndGo[V comparable](c *tale, key string, first, then V) {
	var r state.Register[V]
	for i, objects := range []map[string]V{{}, {key: first}, {key: then}, {}} {
		c.tell(r.Step(state.Observation[string, V]{Seen: state.Seen{Index: uint64(i)}, Objects: objects}))
	}
}

func metrics(record func(Metrics)) pmetric.Metrics {
	mb := metadata.NewMetricsBuilder(allMetrics(), receivertest.NewNopSettings(metadata.Type))
	record(Metrics{Builder: mb, Now: time.Unix(1_000_000, 0)})
	return mb.Emit(metadata.WithResource(resource()))
}

func allMetrics() metadata.MetricsBuilderConfig {
	config := metadata.NewDefaultMetricsBuilderConfig()
	config.Metrics.ConsulHealthCheckState.Enabled = true
	return config
}

func TestMetricsOfAConsulThatAnswers(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	observed := checks(state.Critical, state.Passing, 5).Objects
	goldentest.Metrics(t, "metrics of a Consul that answers", metrics(func(m Metrics) {
		m.Up(true)
		m.Endpoints(map[string]bool{"health/state/any": true, "session/list": false})
		m.Unobserved(metadata.AttributeConsulObjectCheck, 3)
		m.Checks(observed)
		m.CheckStates(observed)
		m.Instances(state.InstancesByHealth(observed, map[string]int64{"web": 3, "db": 1}))
		m.Transitions(map[state.Counted]int64{{Service: "web", Status: state.Critical}: 2, {Status: state.Passing}: 1, {Service: "web", Status: state.None}: 1})
		m.Usage(state.Usage{Datacenter: "dc1", Nodes: 3, Services: 2, Instances: 5, LastContact: 20 * time.Millisecond})
		m.Leader(true)
		m.LeaderChanges(2)
		m.Peers(3)
		m.Autopilot(state.Autopilot{Healthy: true, FailureTolerance: 1, Voters: 2, Servers: []state.Server{
			{ID: "1", Name: "n1", Leader: true, Healthy: true, Voter: true, LastIndex: 90, StableSince: now.Add(-time.Minute)},
			{ID: "2", Name: "n2", Voter: true, LastIndex: 80, LastContact: 30 * time.Millisecond, StableSince: now.Add(-time.Second)},
		}})
		m.Members(state.LAN, map[string]state.Member{"n1": {Status: state.Alive}, "n2": {Status: state.Failed}})
		m.RoundTrips(state.RoundTrips{Min: time.Millisecond, Median: 2 * time.Millisecond, P95: 3 * time.Millisecond, Max: 4 * time.Millisecond})
		m.Sessions(4)
		m.Keys("jobs/", 3, 1)
		m.KeyChanges("jobs/", state.KeyChanges{Created: 4, Updated: 5, Deleted: 1}, 7)
		m.Root(state.Root{NotAfter: now.Add(time.Hour)})
		m.Token(state.Token{Expires: now.Add(time.Minute)})
		m.Token(state.Token{}) // It does not expire.
	}))
}

func TestMetricsOfAConsulThatIsAbsent(t *testing.T) {
	goldentest.Metrics(t, "metrics of a Consul that is absent", metrics(func(m Metrics) { m.Up(false) }))
}
