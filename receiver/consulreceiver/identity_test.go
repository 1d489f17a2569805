// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

// Two receivers make the same IDs, whatever their tokens may read, and whether they name
// the datacenter. So it is also of a Consul that has no ID.
func TestTwoReceiversMakeTheSameIDs(t *testing.T) {
	t.Parallel()
	for name, hcl := range map[string]string{"of a cluster with an ID": "", "of one without": "connect { enabled = false }"} {
		t.Run(name, func(t *testing.T) {
			consul, client := startConsul(t, lab.ServerOptions{Token: management, ExtraHCL: hcl})
			registerService(t, client, "web")
			wide, narrow, named := configFor(consul.Addr), configFor(consul.Addr), configFor(consul.Addr)
			wide.Token, named.Token = management, management
			narrow.Token = configopaque.String(newToken(t, client, "narrow", `node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }`))
			named.Datacenters = []string{"dc1"}
			receivers := []*observedtest.Receiver{observe(t, wide), observe(t, narrow), observe(t, named)}
			for _, o := range receivers {
				o.Eventually(t, "the baseline", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
				watching(t, o, endpointChecks)
			}
			set(t, client, "web", api.HealthCritical)
			ids := map[pcommon.TraceID]int{}
			for _, o := range receivers {
				o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", attrDatacenter, "dc1"))
				ids[o.Spans(health.SpanOutage + ".start")[0].TraceID()]++
			}
			assert.Len(t, ids, 1)
		})
	}
}

// A server that has never had a leader belongs to no cluster yet. What it knows without
// one is reported.
func TestAServerThatHasNeverHadALeader(t *testing.T) {
	t.Parallel()
	startConsul(t, lab.ServerOptions{}) // It is built, if need be.
	o := observe(t, configFor(startAgent(t, "-server", "-bootstrap-expect=3")))
	o.Eventually(t, "it has no leader", o.HasValue(0, "consul.raft.has_leader"))
	o.Eventually(t, "it is alone", o.HasValue(1, "consul.member.count", "consul.member.pool", "lan", "consul.member.status", "alive"))
	require.Empty(t, o.Events(transition))
}
