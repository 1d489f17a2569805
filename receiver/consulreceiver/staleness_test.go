// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

// A server that is cut off from the others answers stale reads for ever, with what it
// knew. It is up, but what it knows is not reported.
func TestAServerThatIsCutOff(t *testing.T) {
	t.Parallel()
	consul, leader, here, client := startCluster(t)
	registerService(t, client, "web")
	set(t, client, "web", api.HealthCritical)
	cfg := configForKeys(consul.Addrs[here])
	cfg.MaxStaleness = 3 * time.Second
	o := observe(t, cfg)
	known := append([]string{endpointUsage, endpointCoordinates, endpointKV + "locks/"}, watched...)
	watching(t, o, known...)
	data := []string{
		"consul.health.check.count", "consul.health.service.instance.count", "consul.catalog.service.count",
		"consul.session.count", "consul.kv.key.count",
	}
	for _, gauge := range data {
		o.Eventually(t, gauge, func() bool { return o.HasMetric(gauge) })
	}
	o.Eventually(t, "the outage", o.HasValue(1, "consul.health.check.count", attrStatus, "critical")) // Followers lag.
	before := len(o.Events(""))

	others := []int{leader, (here + 1) % 3, (here + 2) % 3}[:0]
	for member := range consul.Members {
		if member != here {
			others = append(others, member)
			require.NoError(t, consul.Members[member].Kill())
		}
	}
	for _, endpoint := range known {
		if endpoint != endpointUserEvents { // The agent's own.
			o.Eventually(t, endpoint+" is down", isUp(t, o, 0, endpoint))
		}
	}
	assert.Contains(t, o.Trouble(), endpointChecks+": the server that answers has not heard from a leader for ")
	o.Eventually(t, "none of it is reported", func() bool {
		for _, gauge := range data {
			if o.HasMetric(gauge) {
				return false
			}
		}
		return true
	})
	o.Eventually(t, "it is up", o.HasValue(1, "consul.up"))
	o.Eventually(t, "it has no leader", o.HasValue(0, "consul.raft.has_leader"))
	o.Eventually(t, "for how long", func() bool { return o.HasMetric("consul.raft.last_contact") })
	for _, event := range o.Events("")[before:] {
		assert.Regexp(t, `^consul\.(leader|member)\.`, event.EventName(), "nothing is known of the rest")
	}

	for _, member := range others {
		require.NoError(t, consul.Members[member].Restart(t.Context()))
	}
	watching(t, o, known...)
	o.Eventually(t, "the status is well", func() bool { return !strings.Contains(o.Trouble(), "not heard from a leader") })
	for _, gauge := range data {
		o.Eventually(t, gauge, func() bool { return o.HasMetric(gauge) })
	}
	assert.Empty(t, o.Spans(health.SpanOutage, attrCheck, "web"), "it lasts")
	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "its end", o.HasSpan(health.SpanOutage, attrCheck, "web"))
	assert.Empty(t, o.Events(transition, attrCheck, "web", "observation.reconciled", "true"), "it did not change while nothing was known")
	assert.Len(t, o.Events(transition, attrCheck, "web", "consul.check.new_status", "passing"), 1)
}
