// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConsulThreeServers(t *testing.T) {
	needsServers(t)
	_, err := StartConsul(t.Context(), ServerOptions{Members: 2})
	require.ErrorContains(t, err, "choose 1 or 3")
	c := startConsul(t, ServerOptions{Members: 3})
	require.Len(t, c.Members, 3)
	require.Equal(t, c.Addr, c.Addrs[0])
	for _, addr := range c.Addrs {
		requireSoon(t, c, addr, passingNodes, "lab-1", "lab-2", "lab-3")
	}
	dir := c.Cluster.ownDir
	require.DirExists(t, dir)
	require.NoError(t, c.Stop(t.Context()))
	require.NoDirExists(t, dir)
	for _, member := range c.Members {
		require.True(t, member.Process().ended())
	}
	_, err = c.Leader(t.Context())
	require.ErrorContains(t, err, "no consul server leads")
}

func TestConsulElectsAnotherLeader(t *testing.T) {
	needsServers(t)
	c := startConsul(t, ServerOptions{Members: 3})
	first := leaderAfter(t, c, -1)
	require.NoError(t, c.Members[first].Kill())
	leaderAfter(t, c, first)
	require.NoError(t, c.Members[first].Restart(t.Context()))
	requireSoon(t, c, c.Addrs[first], voters, "lab-1", "lab-2", "lab-3")
}

func TestConsulServersStopWithoutLeaving(t *testing.T) {
	needsServers(t)
	c := startConsul(t, ServerOptions{Members: 3})
	leader := leaderAfter(t, c, -1)
	for _, i := range []int{(leader + 1) % 3, leader} {
		require.NoError(t, c.Members[i].Stop(t.Context()))
		other := leaderAfter(t, c, i)
		requireSoon(t, c, c.Addrs[other], voters, "lab-1", "lab-2", "lab-3")
		require.NoError(t, c.Members[i].Restart(t.Context()))
		requireSoon(t, c, c.Addrs[i], passingNodes, "lab-1", "lab-2", "lab-3")
	}
}

func TestConsulWithTLS(t *testing.T) {
	needsServers(t)
	for name, mutual := range map[string]bool{"of the server": false, "of both": true} {
		t.Run(name, func(t *testing.T) {
			c := startConsul(t, ServerOptions{TLS: &TLS{Mutual: mutual}})
			requireSoon(t, c, c.Addr, passingNodes, "lab")
			require.NoError(t, c.Restart(t.Context()))

			_, _, err := get(t.Context(), "https://"+c.Addr, nil)
			require.ErrorContains(t, err, "certificate signed by unknown authority")
			status, _, err := get(t.Context(), "http://"+c.Addr, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, status, "it speaks TLS only")

			transport := c.client.Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.Certificates = nil
			_, _, err = getBy(t.Context(), &http.Client{Transport: transport}, "https://"+c.Addr+"/v1/status/leader", nil)
			if mutual {
				require.ErrorContains(t, err, "certificate required")
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestConsulSecondDatacenter(t *testing.T) {
	needsServers(t)
	one := startConsul(t, ServerOptions{})
	two := startConsul(t, ServerOptions{Datacenter: "dc2", JoinWAN: []string{one.WAN}})
	for _, c := range []*Consul{one, two} {
		require.Eventually(t, func() bool {
			var datacenters []string
			err := c.ask(t.Context(), c.Addr, "/v1/catalog/datacenters", &datacenters)
			slices.Sort(datacenters)
			return err == nil && slices.Equal(datacenters, []string{"dc1", "dc2"})
		}, time.Minute, 50*time.Millisecond)
	}
}

func TestConsulExtraHCLWins(t *testing.T) {
	needsServers(t)
	c := startConsul(t, ServerOptions{ExtraHCL: "autopilot { cleanup_dead_servers = true }"})
	var autopilot struct{ CleanupDeadServers bool }
	require.NoError(t, c.ask(t.Context(), c.Addr, "/v1/operator/autopilot/configuration", &autopilot))
	require.True(t, autopilot.CleanupDeadServers)
}

// startConsul stops it with the test, and shows the logs if that has failed.
func startConsul(t *testing.T, opts ServerOptions) *Consul {
	t.Helper()
	c, err := StartConsul(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, member := range c.Members {
				t.Logf("--- %s\n%s", member.Name(), member.LogTail(40))
			}
		}
		require.NoError(t, c.Stop(context.Background()))
	})
	return c
}

// leaderAfter waits for a leader that is not the one before.
func leaderAfter(t *testing.T, c *Consul, before int) int {
	t.Helper()
	leads := before
	require.Eventually(t, func() bool {
		i, err := c.Leader(t.Context())
		leads = i
		return err == nil && i != before
	}, time.Minute, 50*time.Millisecond)
	return leads
}

// requireSoon requires that the server at addr names these nodes. It may have no
// leader to ask: a server that is back may have another elected.
func requireSoon(t *testing.T, c *Consul, addr string, named func(context.Context, *Consul, string) ([]string, error), want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		nodes, err := named(t.Context(), c, addr)
		require.NoError(collect, err)
		slices.Sort(nodes)
		require.Equal(collect, want, nodes)
	}, time.Minute, 50*time.Millisecond)
}

// passingNodes are the nodes that gossip finds alive.
func passingNodes(ctx context.Context, c *Consul, addr string) (nodes []string, err error) {
	var checks []struct{ CheckID, Node string }
	err = c.ask(ctx, addr, "/v1/health/state/passing", &checks)
	for _, check := range checks {
		if check.CheckID == "serfHealth" {
			nodes = append(nodes, check.Node)
		}
	}
	return nodes, err
}

func voters(ctx context.Context, c *Consul, addr string) (nodes []string, err error) {
	var raft struct {
		Servers []struct {
			Node  string
			Voter bool
		}
	}
	err = c.ask(ctx, addr, "/v1/operator/raft/configuration", &raft)
	for _, server := range raft.Servers {
		if server.Voter {
			nodes = append(nodes, server.Node)
		}
	}
	return nodes, err
}
