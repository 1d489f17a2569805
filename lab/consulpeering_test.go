// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConsulPeering(t *testing.T) {
	needsServers(t)
	one := startConsul(t, ServerOptions{Peering: true, Token: "11111111-2222-3333-4444-555555555555"})
	two := startConsul(t, ServerOptions{Peering: true, Datacenter: "dc2"})
	require.NoError(t, one.Peer(t.Context(), two))

	require.NoError(t, two.Put(t.Context(), "/v1/agent/service/register", map[string]any{"Name": "billing"}))
	require.NoError(t, two.Put(t.Context(), "/v1/config", map[string]any{
		"Kind": "exported-services", "Name": "default",
		"Services": []any{map[string]any{"Name": "billing", "Consumers": []any{map[string]any{"Peer": "dc1"}}}},
	}))
	require.Eventually(t, func() bool {
		var instances []struct{ Service struct{ PeerName string } }
		err := one.ask(t.Context(), one.Addr, "/v1/health/service/billing?peer=dc2", &instances)
		return err == nil && len(instances) == 1 && instances[0].Service.PeerName == "dc2"
	}, time.Minute, 50*time.Millisecond, "dc1 imports the service")
}

func TestConsulNodeHasItsName(t *testing.T) {
	needsServers(t)
	c := startConsul(t, ServerOptions{Node: "srv-1.example.com"})
	requireSoon(t, c, c.Addr, passingNodes, "srv-1.example.com")
}
