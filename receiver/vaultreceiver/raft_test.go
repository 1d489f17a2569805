// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

func TestWhatTheActiveNodeTells(t *testing.T) {
	cfg := configFor(serve(t, map[string]http.Handler{
		endpointNodes: recorded{200, "ha_status.json"}, endpointPeers: recorded{200, "raft_configuration.json"},
		endpointAutopilot: recorded{200, "raft_autopilot.json"},
	}).URL)
	cfg.Token = "planted"
	c := clientOf(t, cfg)

	nodes, err := c.Nodes(t.Context())
	require.NoError(t, err)
	require.Len(t, nodes, 3)
	assert.True(t, nodes[0].Active)
	assert.Equal(t, -20*time.Millisecond, nodes[1].ClockSkew)

	peers, err := c.Peers(t.Context())
	require.NoError(t, err)
	require.Len(t, peers.Peers, 3)
	assert.Equal(t, peers.Peers["lab-1"].Address, peers.Leader)
	assert.True(t, peers.Peers["lab-2"].Voter)

	autopilot, err := c.Autopilot(t.Context())
	require.NoError(t, err)
	assert.Equal(t, peers.Leader, autopilot.Leader)
	assert.False(t, autopilot.Healthy)
	assert.Equal(t, map[string]bool{"lab-1": true, "lab-2": false, "lab-3": true}, autopilot.Health())
	assert.Equal(t, state.RaftServer{Healthy: true, LagKnown: true}, autopilot.Servers["lab-1"])
	assert.False(t, autopilot.Servers["lab-2"].LagKnown, "it was not heard of")
	assert.Equal(t, 17500772708*time.Nanosecond, autopilot.Servers["lab-2"].LastContact)
}

func TestHowAServerIsSealed(t *testing.T) {
	c := clientOf(t, configFor(serve(t, map[string]http.Handler{
		endpointHealth: recorded{503, "health_503_sealed.json"}, endpointSeal: recorded{200, "seal_status_sealed.json"},
	}).URL))
	r, err := c.Look(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.sealErr)
	assert.Equal(t, state.Seal{Known: true, Type: "shamir", Storage: "raft", Shares: 5, Threshold: 3, Progress: 2}, r.Seal)
	assert.False(t, r.contradicts)
}

func TestAnswersThatContradictEachOther(t *testing.T) {
	for name, handlers := range map[string]map[string]http.Handler{
		"unsealed, sealed":       {endpointHealth: recorded{200, "health_200_active.json"}, endpointSeal: recorded{200, "seal_status_sealed.json"}, endpointLeader: recorded{200, "leader_active.json"}},
		"active, not the leader": {endpointHealth: recorded{200, "health_200_active.json"}, endpointLeader: recorded{200, "leader_standby.json"}},
		"standby, the leader":    {endpointHealth: recorded{429, "health_429_standby.json"}, endpointLeader: recorded{200, "leader_active.json"}},
		"active, sealed":         {endpointHealth: recorded{200, "health_200_active.json"}, endpointLeader: recorded{503, "leader_503_sealed.json"}},
		"of two clusters":        {endpointHealth: recorded{200, "health_200_active.json"}, endpointSeal: recorded{200, "seal_status_unsealed.json"}, endpointLeader: recorded{200, "leader_active.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := clientOf(t, configFor(serve(t, handlers).URL)).Look(t.Context())
			require.NoError(t, err)
			assert.True(t, r.contradicts)
		})
	}
}

// A load balancer that takes the servers in turn shows one that is sealed again
// and again.
func TestALoadBalancerIsNoNews(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{
		Members: 3, ExtraHCL: "enable_response_header_raft_node_id = true",
	})
	active := leaderOf(t, vault, -1)
	require.NoError(t, vault.Seal(t.Context(), (active+1)%3))
	for name, keep := range map[string]bool{"that tells the nodes": true, "that does not": false} {
		t.Run(name, func(t *testing.T) {
			leads := leaderOf(t, vault, -1)
			term := termOf(t, vault, leads)
			o := observe(t, configFor(balance(t, vault.Addrs, keep)))
			o.Eventually(t, "it is said", func() bool { return o.Warnings(severalServers) > 0 })
			before := len(o.Metrics.AllMetrics())
			o.Eventually(t, "more polls", func() bool { return len(o.Metrics.AllMetrics()) > before+10 })
			assert.Contains(t, o.Trouble(), "name the server itself")
			for _, event := range []string{"vault.sealed", "vault.unsealed", "vault.stepped_down"} {
				assert.Empty(t, o.Events(event), event)
			}
			if changes := o.Events("vault.leader.changed"); !term.IsZero() && termOf(t, vault, leads).Equal(term) {
				assert.Empty(t, changes)
			}
			assert.Empty(t, o.Spans(telemetry.SpanSealed))
		})
	}
}

// balance returns the URL of a proxy that takes the servers in turn.
func balance(t *testing.T, addrs []string, keepNode bool) string {
	t.Helper()
	var proxies []*httputil.ReverseProxy
	for _, addr := range addrs {
		u, err := url.Parse(addr)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(u)
		if !keepNode {
			proxy.ModifyResponse = func(r *http.Response) error {
				r.Header.Del(headerNode)
				return nil
			}
		}
		proxies = append(proxies, proxy)
	}
	var turn atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxies[int(turn.Add(1))%len(proxies)].ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return server.URL
}

func TestWhatIsDeniedIsOffUntilItIsAllowed(t *testing.T) {
	vault, client := startVault(t)
	token := newToken(t, client)
	rules := func(endpoints ...string) string {
		var all strings.Builder
		for _, endpoint := range endpoints {
			fmt.Fprintf(&all, "path %q { capabilities = [\"read\"] }\n", endpoint)
		}
		return all.String()
	}
	require.NoError(t, client.Sys().PutPolicy("otelcol", rules(endpointPeers, endpointMetrics, endpointLeases)))
	cfg := configFor(vault.Addr)
	cfg.Token = configopaque.String(token)
	o := observe(t, cfg, token)
	for _, endpoint := range []string{endpointNodes, endpointAutopilot} {
		o.Eventually(t, endpoint+" is denied", o.HasValue(0, "vault.endpoint.up", "vault.endpoint", endpoint))
		o.Eventually(t, "one line says it", func() bool { return o.Warnings(endpoint) == 1 })
	}
	o.Eventually(t, "the others come", o.HasValue(1, "vault.raft.peer.count", "vault.raft.peer.role", "voter"))
	assert.False(t, o.HasMetric("vault.raft.healthy"))
	assert.False(t, o.HasMetric("vault.ha.node.count"))

	require.NoError(t, client.Sys().PutPolicy("otelcol", policyOf(t, "Cluster")))
	for _, endpoint := range []string{endpointNodes, endpointAutopilot} {
		o.Eventually(t, endpoint+" is allowed", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpoint))
		assert.Equal(t, 1, o.Warnings(endpoint))
	}
	o.Eventually(t, "autopilot", o.HasValue(1, "vault.raft.healthy"))
}

func TestDeniedRequestsAreRare(t *testing.T) {
	asked := make(chan time.Time, 2)
	cfg := configFor(serve(t, map[string]http.Handler{
		endpointHealth: recorded{200, "health_200_active.json"}, endpointLeader: recorded{200, "leader_active.json"},
		endpointNodes: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case asked <- time.Now():
			default:
			}
			recorded{403, "denied_403.json"}.ServeHTTP(w, r)
		}),
	}).URL)
	cfg.Token = "planted"
	cfg.Raft.Enabled = false
	o := observe(t, cfg, "planted")
	first, second := <-asked, <-asked
	assert.GreaterOrEqual(t, second.Sub(first), deniedEvery*cfg.Scrape.CollectionInterval)
	assert.Zero(t, o.Warnings(endpointPeers), "it is not wanted")
}

func TestWithoutRaftThereAreNoPeersAndNoFailure(t *testing.T) {
	for name, handlers := range map[string]map[string]http.Handler{
		"the storage is told": {endpointSeal: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"type":"shamir","initialized":true,"sealed":false,"t":1,"n":1,"storage_type":"inmem","cluster_id":%q}`, clusterID)
		})},
		"it is not": {},
	} {
		t.Run(name, func(t *testing.T) {
			handlers[endpointHealth], handlers[endpointLeader] = recorded{200, "health_200_active.json"}, recorded{200, "leader_not_ha.json"}
			handlers["sys/storage/raft/"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `{"errors":["no handler for route \"sys/storage/raft/configuration\". route entry not found."]}`)
			})
			cfg := configFor(serve(t, handlers).URL)
			cfg.Token = "planted"
			o := observe(t, cfg, "planted")
			o.Eventually(t, "cycles", func() bool { return len(o.Metrics.AllMetrics()) > 3 })
			assert.Zero(t, o.Warnings(endpointPeers))
			assert.Zero(t, o.Warnings(endpointAutopilot))
			_, said := o.Value("vault.endpoint.up", "vault.endpoint", endpointPeers)
			assert.False(t, said)
		})
	}
}
