// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

const attrDatacenter = "consul.datacenter"

func TestTwoDatacenters(t *testing.T) {
	t.Parallel()
	one, here := startConsul(t, lab.ServerOptions{})
	two, there := startConsul(t, lab.ServerOptions{Datacenter: "dc2", JoinWAN: []string{one.WAN}})
	require.Eventually(t, func() bool {
		found, err := here.Catalog().Datacenters()
		return err == nil && len(found) == 2
	}, 90*time.Second, 50*time.Millisecond)
	registerService(t, here, "web")
	registerService(t, there, "web")
	registerService(t, there, "db")

	all := configForKeys(one.Addr)
	all.Datacenters = []string{everyDatacenter}
	some := configForKeys(one.Addr)
	some.Datacenters = []string{"dc2", "nowhere"}
	both, second := observe(t, all), observe(t, some)
	for datacenter, checks := range map[string]int64{"dc1": 2, "dc2": 3} {
		for name, want := range map[string]int64{
			"consul.catalog.service.count": checks, "consul.catalog.node.count": 1, "consul.raft.has_leader": 1,
			"consul.raft.peer.count": 1, "consul.session.count": 0, "consul.up": 1,
		} {
			both.Eventually(t, name+" of "+datacenter, both.HasValue(want, name, attrDatacenter, datacenter))
		}
		both.Eventually(t, "the checks of "+datacenter, both.HasValue(checks, "consul.health.check.count", attrStatus, "passing", attrDatacenter, datacenter))
		both.Eventually(t, "the keys of "+datacenter, both.HasValue(0, "consul.kv.key.count", attrDatacenter, datacenter))
	}
	both.Eventually(t, "servers of both", both.HasValue(2, "consul.member.count", "consul.member.pool", "wan", "consul.member.status", "alive"))
	second.Eventually(t, "the checks of dc2", second.HasValue(3, "consul.health.check.count", attrStatus, "passing", attrDatacenter, "dc2"))
	second.Eventually(t, "that which is not there", second.HasValue(0, "consul.up", attrDatacenter, "nowhere"))
	of := endpointChecks + " of datacenter nowhere"
	second.Eventually(t, "it is said", func() bool { return second.Warnings(of) == 1 })
	assert.Contains(t, second.Trouble(), of)

	set(t, here, "web", api.HealthCritical)
	set(t, there, "web", api.HealthCritical)
	put(t, there, "config/there", nil)
	for _, datacenter := range []string{"dc1", "dc2"} {
		both.Eventually(t, "the event in "+datacenter, both.HasEvent(transition, attrCheck, "web", attrDatacenter, datacenter))
		both.Eventually(t, "the span in "+datacenter, both.HasSpan(health.SpanOutage+".start", attrCheck, "web", attrDatacenter, datacenter))
	}
	both.Eventually(t, "the key", both.HasEvent("consul.kv.created", "consul.kv.key.name", "config/there", attrDatacenter, "dc2"))
	second.Eventually(t, "the event in dc2", second.HasEvent(transition, attrCheck, "web", attrDatacenter, "dc2"))
	second.Eventually(t, "the span in dc2", second.HasSpan(health.SpanOutage+".start", attrDatacenter, "dc2"))
	assert.NotEqual(t,
		both.Spans(health.SpanOutage+".start", attrDatacenter, "dc1")[0].TraceID(),
		both.Spans(health.SpanOutage+".start", attrDatacenter, "dc2")[0].TraceID())
	assert.Equal(t,
		both.Spans(health.SpanOutage+".start", attrDatacenter, "dc2")[0].TraceID(),
		second.Spans(health.SpanOutage + ".start")[0].TraceID(), "of dc2 only")
	assert.Empty(t, second.Events(transition, attrDatacenter, "dc1"))
	_, found := second.Value("consul.health.check.count", attrDatacenter, "dc1")
	assert.False(t, found)

	require.NoError(t, two.Kill())
	both.Eventually(t, "dc2 is down", both.HasValue(0, "consul.up", attrDatacenter, "dc2"))
	both.Eventually(t, "dc1 is not", both.HasValue(1, "consul.up", attrDatacenter, "dc1"))
	set(t, here, "web", api.HealthPassing)
	both.Eventually(t, "it goes on", both.HasSpan(health.SpanOutage, attrDatacenter, "dc1"))
	require.NoError(t, two.Restart(t.Context()))
	both.Eventually(t, "dc2 is up", both.HasValue(1, "consul.up", attrDatacenter, "dc2"))
	set(t, there, "web", api.HealthPassing)
	both.Eventually(t, "it goes on too", both.HasSpan(health.SpanOutage, attrCheck, "web", attrDatacenter, "dc2"))
	for _, name := range []string{"consul.service.deregistered", "consul.node.deregistered", "consul.kv.deleted", "consul.member.left"} {
		assert.Empty(t, both.Events(name), name)
	}
}
