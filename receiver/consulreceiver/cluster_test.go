// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

const attrNode = "consul.node.name"

// startCluster returns three servers: which one leads, and one that follows and
// has caught up, with a client of it.
func startCluster(t *testing.T) (consul *lab.Consul, leader, follower int, client *api.Client) {
	t.Helper()
	// Servers that do not get to run for a moment should not elect another leader.
	consul, _ = startConsul(t, lab.ServerOptions{Members: 3, ExtraHCL: "performance { raft_multiplier = 2 }"})
	require.Eventually(t, func() (ok bool) {
		var err error
		leader, err = consul.Leader(t.Context())
		return err == nil
	}, 90*time.Second, 50*time.Millisecond)
	follower = (leader + 1) % 3
	client, err := api.NewClient(&api.Config{Address: consul.Addrs[follower]})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		checks, _, err := client.Health().State(api.HealthPassing, &api.QueryOptions{AllowStale: true})
		return err == nil && len(checks) == 3
	}, 90*time.Second, 50*time.Millisecond)
	return consul, leader, follower, client
}

func nodeName(member int) string { return fmt.Sprintf("lab-%d", member+1) }

func TestAClusterLosesItsLeaderAndItsQuorum(t *testing.T) {
	t.Parallel()
	consul, leader, here, client := startCluster(t)
	other := (leader + 2) % 3
	registerService(t, client, "web")
	registered := registeredAt(t, client)
	lead(t, consul, client, leader)
	elections := term(t, client)
	o := observe(t, configFor(consul.Addrs[here]))
	o.Eventually(t, "checks", o.HasValue(4, "consul.health.check.count", attrStatus, "passing"))
	for name, want := range map[string]int64{
		"consul.raft.peer.count": 3, "consul.raft.voter.count": 3, "consul.raft.has_leader": 1,
		"consul.autopilot.healthy": 1, "consul.autopilot.failure_tolerance": 1,
		"consul.catalog.node.count": 3, "consul.catalog.service.count": 2,
	} {
		o.Eventually(t, name, o.HasValue(want, name))
	}
	o.Eventually(t, "the same leader", func() bool { // or there was an election
		return o.HasValue(0, "consul.raft.leader.changes")() || term(t, client) != elections
	})
	for _, pool := range []string{"lan", "wan"} {
		o.Eventually(t, "members", o.HasValue(3, "consul.member.count", "consul.member.pool", pool, "consul.member.status", "alive"))
	}
	for member := range 3 {
		o.Eventually(t, "a healthy server", o.HasValue(1, "consul.server.healthy", "consul.server.name", nodeName(member)))
		o.Eventually(t, "a voter", o.HasValue(1, "consul.server.voter", "consul.server.name", nodeName(member)))
		o.Eventually(t, "who leads", func() bool {
			leads, err := consul.Leader(t.Context())
			return err == nil && o.HasValue(map[bool]int64{true: 1, false: 0}[member == leads], "consul.server.leader", "consul.server.name", nodeName(member))()
		})
	}
	o.Eventually(t, "an instance without a check", o.HasValue(3, "consul.health.service.instance.count", "consul.service.name", "consul", attrStatus, "passing"))

	for _, statistic := range []string{"min", "median", "p95", "max"} { // The nodes have coordinates after some seconds.
		o.Eventually(t, "round trips", func() bool { return o.HasMetric("consul.network.round_trip." + statistic) })
	}

	led := lead(t, consul, client, leader)
	elected := func() string { // as last reported
		reported := o.Events("consul.leader.elected")
		if len(reported) == 0 {
			return led
		}
		return attribute(t, reported[len(reported)-1], "consul.leader.address")
	}
	o.Eventually(t, "that it leads", func() bool { return elected() == led })
	require.NoError(t, consul.Members[leader].Kill())
	o.Eventually(t, "another leader", func() bool {
		now, err := client.Status().Leader()
		return err == nil && now != led && now == elected()
	})
	o.Eventually(t, "that is counted", func() bool {
		changes, _ := o.Value("consul.raft.leader.changes")
		return changes >= 1
	})
	o.Eventually(t, "the member has failed", o.HasEvent("consul.member.failed", "consul.member.pool", "lan", "consul.member.name", nodeName(leader)))
	o.Eventually(t, "its node is out", o.HasSpan(health.SpanNodeOutage+".start", attrNode, nodeName(leader)))
	o.Eventually(t, "its check is", o.HasSpan(health.SpanOutage+".start", attrNode, nodeName(leader), attrCheck, "serfHealth"))
	for name, want := range map[string]int64{"consul.autopilot.healthy": 0, "consul.autopilot.failure_tolerance": 0, "consul.raft.peer.count": 3, "consul.raft.has_leader": 1} {
		o.Eventually(t, name, o.HasValue(want, name))
	}
	o.Eventually(t, "an unhealthy server", o.HasValue(0, "consul.server.healthy", "consul.server.name", nodeName(leader)))
	o.Eventually(t, "a failed member", o.HasValue(1, "consul.member.count", "consul.member.pool", "lan", "consul.member.status", "failed"))
	// leaderless means that each time without a leader was reported: its beginning, and its
	// end except of so many that last. Each election may have one, which may be too
	// short to be seen.
	leaderless := func(lasting int) func() bool {
		return func() bool {
			lost := len(o.Events("consul.leader.lost"))
			return len(o.Spans(spanLeaderless+".start")) == lost && len(o.Spans(spanLeaderless)) == lost-lasting
		}
	}
	o.Eventually(t, "the leaderless times have ended", leaderless(0))

	require.NoError(t, consul.Members[other].Kill())
	o.Eventually(t, "there is no leader", o.HasValue(0, "consul.raft.has_leader"))
	o.Eventually(t, "it is reported, and lasts", leaderless(1))
	before := len(o.Events("consul.leader.elected"))
	markers := o.Spans(spanLeaderless + ".start")
	lasts := markers[len(markers)-1].ParentSpanID()
	o.Eventually(t, "stale reads are answered", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))
	o.Eventually(t, "the agent is up", o.HasValue(1, "consul.up"))
	late := observe(t, configFor(consul.Addrs[here]))
	late.Eventually(t, "who comes late sees it too", late.HasValue(0, "consul.raft.has_leader"))
	late.Eventually(t, "and the checks", late.HasValue(3, "consul.health.check.count", attrStatus, "passing"))

	require.NoError(t, consul.Members[other].Restart(t.Context()))
	o.Eventually(t, "a leader", o.HasValue(1, "consul.raft.has_leader"))
	o.Eventually(t, "the leaderless time has ended", leaderless(0))
	o.Eventually(t, "it is reported", func() bool { return len(o.Events("consul.leader.elected")) > before })
	late.Eventually(t, "who came late reports it", late.HasSpan(spanLeaderless, period.AttrBeganBeforeObservation, "true"))
	ended := slices.IndexFunc(o.Spans(spanLeaderless), func(span ptrace.Span) bool { return span.SpanID() == lasts })
	require.GreaterOrEqual(t, ended, 0)
	assert.Equal(t, ptrace.StatusCodeError, o.Spans(spanLeaderless)[ended].Status().Code())

	require.NoError(t, consul.Members[leader].Restart(t.Context()))
	o.Eventually(t, "the member is back", o.HasEvent("consul.member.joined", "consul.member.pool", "lan", "consul.member.name", nodeName(leader)))
	o.Eventually(t, "the end of the node's outage", o.HasSpan(health.SpanNodeOutage, attrNode, nodeName(leader)))
	node := o.Spans(health.SpanNodeOutage, attrNode, nodeName(leader))[0]
	check := o.Spans(health.SpanOutage, attrNode, nodeName(leader))[0]
	assert.Equal(t, node.TraceID(), check.TraceID())
	assert.Equal(t, node.SpanID(), check.ParentSpanID())
	o.Eventually(t, "autopilot finds all healthy", o.HasValue(1, "consul.autopilot.healthy"))
	o.Eventually(t, "a server more than needed", o.HasValue(1, "consul.autopilot.failure_tolerance"))
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the watch goes on", o.HasEvent(transition, attrCheck, "web"))
	assert.Empty(t, o.Events("consul.member.left"))
	// Consul deregisters a node whose agent a new leader has not heard of since it
	// started; it is registered again when that is back.
	now := registeredAt(t, client)
	for node, index := range now {
		if index == registered[node] {
			assert.Empty(t, o.Events("consul.node.deregistered", attrNode, node), node)
		}
	}
	if now[nodeName(here)] == registered[nodeName(here)] { // It has an instance of each.
		assert.Empty(t, o.Events("consul.service.deregistered"))
	}
}

// lead has a member lead, as Consul may elect another at any time, and returns its address.
func lead(t *testing.T, consul *lab.Consul, client *api.Client, member int) (address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		servers, err := client.Operator().RaftGetConfiguration(nil)
		if err != nil {
			return false
		}
		for _, server := range servers.Servers {
			if server.Node == nodeName(member) {
				address = server.Address
				if leads, err := consul.Leader(t.Context()); err == nil && leads == member {
					return true
				}
				_, _ = client.Operator().RaftLeaderTransfer(server.ID, nil) // It is tried again.
			}
		}
		return false
	}, 90*time.Second, 50*time.Millisecond)
	return address
}

// term returns that of raft, which is another after each election.
func term(t *testing.T, client *api.Client) any {
	t.Helper()
	self, err := client.Agent().Self()
	require.NoError(t, err)
	return self["Stats"]["raft"].(map[string]any)["term"]
}

// registeredAt returns the index of each node's registration, once all are known.
func registeredAt(t *testing.T, client *api.Client) map[string]uint64 {
	t.Helper()
	at := map[string]uint64{}
	require.Eventually(t, func() bool {
		nodes, _, err := client.Catalog().Nodes(nil)
		for _, node := range nodes {
			at[node.Node] = node.CreateIndex
		}
		return err == nil && len(nodes) == 3
	}, 90*time.Second, 50*time.Millisecond)
	return at
}

func TestTheServerThatIsAskedRestarts(t *testing.T) {
	t.Parallel()
	consul, leader, here, _ := startCluster(t)
	client, err := api.NewClient(&api.Config{Address: consul.Addrs[leader]})
	require.NoError(t, err)
	p := startProxy(t, consul.Addrs[here])
	o := observe(t, configForKeys(p.addr()))
	watching(t, o, append([]string{endpointMembers, endpointMembersWAN, endpointKV + "locks/"}, watched...)...)
	registerService(t, client, "web")
	set(t, client, "web", api.HealthPassing)
	acquire(t, client, newSession(t, client, "holder"))
	_, _, err = client.Event().Fire(&api.UserEvent{Name: "before"}, nil)
	require.NoError(t, err)
	o.Eventually(t, "the check", o.HasEvent(transition, attrCheck, "web", "consul.check.new_status", "passing"))
	o.Eventually(t, "the lock", o.HasEvent("consul.lock.acquired"))
	o.Eventually(t, "the service", o.HasEvent("consul.service.registered"))
	o.Eventually(t, "the session", o.HasEvent("consul.session.created"))
	o.Eventually(t, "the user event", o.HasEvent("consul.user_event.fired"))

	// A server that ends before it has noted what it heard hears it again.
	p.fail(times(1, endpointUserEvents, `[]`))
	for outages := range 3 {
		require.NoError(t, consul.Members[here].Kill())
		o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
		// At first it is alone, as long as it may take it to find the others.
		p.fail(times(5, endpointMembers, fmt.Sprintf(`[{"Name": %q, "Status": 1}]`, nodeName(here))))
		set(t, client, "web", api.HealthWarning)
		require.NoError(t, consul.Members[here].Restart(t.Context()))
		o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))
		o.Eventually(t, "the change meanwhile", o.HasValue(1, "consul.health.check.count", attrStatus, "warning"))
		o.Eventually(t, "the others", o.HasValue(3, "consul.member.count", "consul.member.pool", "lan", "consul.member.status", "alive"))
		set(t, client, "web", api.HealthPassing)
		o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
		o.Eventually(t, "the change after", o.HasValue(0, "consul.health.check.count", attrStatus, "warning"))
		o.Eventually(t, "that it is reported", func() bool { return len(o.Spans(health.SpanOutage, attrCheck, "web")) > outages })
	}
	assert.Len(t, o.Spans(health.SpanOutage, attrCheck, "web"), 3)
	for name, n := range map[string]int{
		"consul.service.registered": 1, "consul.node.registered": 0, "consul.session.created": 1,
		"consul.kv.created": 1, "consul.lock.acquired": 1, "consul.user_event.fired": 1, "consul.member.joined": 0,
	} {
		assert.Len(t, o.Events(name), n, name)
	}
	requireNothingGone(t, o)
}

// times answers so many requests for a part of the API.
func times(n int32, endpoint, answer string) fault {
	var asked atomic.Int32
	return only(endpoint, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("wan") || asked.Add(1) > n {
			return false
		}
		_, _ = io.WriteString(w, answer)
		return true
	})
}
