// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const (
	attrPeering      = "consul.peer.name"
	attrPeeringState = "consul.peering.state"
	peeringChanged   = "consul.peering.transition"
)

func TestAPeeringOfTwoConsuls(t *testing.T) {
	t.Parallel()
	one, here := startConsul(t, lab.ServerOptions{Peering: true})
	two, there := startConsul(t, lab.ServerOptions{Peering: true, Datacenter: "dc2"})
	o := observe(t, configFor(one.Addr))
	watching(t, o, endpointPeerings)
	require.NoError(t, one.Peer(t.Context(), two))
	inState := func(state string) {
		t.Helper()
		for _, other := range []string{"pending", "establishing", "active", "failing", "deleting", "terminated"} {
			want := int64(0)
			if other == state {
				want = 1
			}
			o.Eventually(t, state+": "+other, o.HasValue(want, "consul.peering.state", attrPeering, "dc2", attrPeeringState, other))
		}
	}
	inState("active")
	o.Eventually(t, "the event", o.HasEvent("consul.peering.created", attrPeering, "dc2"))

	require.NoError(t, two.Put(t.Context(), "/v1/agent/service/register", map[string]any{"Name": "billing"}))
	_, _, err := there.ConfigEntries().Set(&api.ExportedServicesConfigEntry{
		Name: "default", Services: []api.ExportedService{{Name: "billing", Consumers: []api.ServiceConsumer{{Peer: "dc1"}}}},
	}, nil)
	require.NoError(t, err)
	for direction, want := range map[string]int64{"imported": 1, "exported": 0} {
		o.Eventually(t, direction, o.HasValue(want, "consul.peering.service.count", attrPeering, "dc2", "consul.peering.direction", direction))
	}

	require.NoError(t, two.Kill())
	inState("failing")
	o.Eventually(t, "the failure", o.HasEvent(peeringChanged, attrPeeringState, "failing", "consul.peering.old_state", "active"))
	assert.Equal(t, plog.SeverityNumberError, o.Events(peeringChanged, attrPeeringState, "failing")[0].SeverityNumber())
	require.NoError(t, two.Restart(t.Context()))
	inState("active")
	o.Eventually(t, "its end", o.HasEvent(peeringChanged, attrPeeringState, "active", "consul.peering.old_state", "failing"))

	_, err = there.Peerings().Delete(t.Context(), "dc1", nil)
	require.NoError(t, err)
	inState("terminated")
	o.Eventually(t, "that the peer deleted it", o.HasEvent(peeringChanged, attrPeeringState, "terminated"))
	_, err = here.Peerings().Delete(t.Context(), "dc2", nil)
	require.NoError(t, err)
	o.Eventually(t, "it is gone", o.HasEvent("consul.peering.deleted", attrPeering, "dc2"))
	o.Eventually(t, "its metrics too", func() bool { return !o.HasMetric("consul.peering.state") })
}

// Without peering, without Consul Enterprise and without a service mesh there is nothing
// to report, and nothing is wrong.
func TestAConsulWithoutTheseFeatures(t *testing.T) {
	t.Parallel()
	consul, _ := startConsul(t, lab.ServerOptions{ExtraHCL: `peering { enabled = false }`})
	o := observe(t, configFor(consul.Addr))
	watching(t, o, endpointPeerings, endpointLicense, endpointRoots)
	assert.Empty(t, o.Trouble())
	assert.False(t, o.HasMetric("consul.peering.state"))
	assert.False(t, o.HasMetric("consul.license.expiry_timestamp"))
}

func TestALeafCertificate(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	cfg := configFor(consul.Addr)
	cfg.LeafCertificates.Services = []string{"web", "db"}
	token := newToken(t, client, "leaf", `service "web" { policy = "write" } service "db" { policy = "read" }`)
	cfg.TokenFile = string(newTokenFile(t, token))
	o := observe(t, cfg)
	o.Eventually(t, "web's", isUp(t, o, 1, endpointLeaf+"web"))
	o.Eventually(t, "db's is refused", isUp(t, o, 0, endpointLeaf+"db"))
	o.Eventually(t, "the expiry", func() bool { return o.HasMetric("consul.leaf_certificate.expiry_timestamp") })
	leaf, _, err := client.Agent().ConnectCALeaf("web", &api.QueryOptions{Token: token})
	require.NoError(t, err)
	expiry, found := o.Float("consul.leaf_certificate.expiry_timestamp", "consul.service.name", "web")
	assert.True(t, found)
	assert.InDelta(t, leaf.ValidBefore.Unix(), expiry, 1)
	_, found = o.Float("consul.leaf_certificate.expiry_timestamp", "consul.service.name", "db")
	assert.False(t, found)
	o.RequireNotTold(t, leaf.PrivateKeyPEM)
}
