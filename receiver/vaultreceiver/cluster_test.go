// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// startVaults starts a Vault as it is asked for.
func startVaults(t *testing.T, opts lab.ServerOptions) *lab.Vault {
	t.Helper()
	t.Parallel() // They wait more than they work.
	if testing.Short() {
		t.Skip("needs a real Vault; run without -short")
	}
	vault, err := lab.StartVault(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, vault.Stop(context.Background())) })
	return vault
}

// leaderOf waits for the active server, other than the one before. Who has stepped
// down is a candidate again after ten seconds: should the others not have come to
// it until then, it has to do so once more.
func leaderOf(t *testing.T, vault *lab.Vault, before int) int {
	t.Helper()
	active, asked := before, time.Now()
	require.Eventually(t, func() bool {
		i, err := vault.Leader(t.Context())
		if active = i; err == nil && i == before && time.Since(asked) > 15*time.Second {
			asked = time.Now()
			_ = vault.StepDown(t.Context())
		}
		return err == nil && i != before
	}, 2*time.Minute, 20*time.Millisecond)
	return active
}

// termOf returns since when a server leads, as it says itself; zero if it does not.
// A server that does not get to run, or that the others do not hear, loses that
// without anybody asking for it.
func termOf(t *testing.T, vault *lab.Vault, i int) time.Time {
	t.Helper()
	said, err := mustClient(t, vault, i).Sys().LeaderWithContext(t.Context())
	if err != nil || !said.IsSelf {
		return time.Time{}
	}
	return said.ActiveTime
}

// observeAll starts a receiver for each server, with the README's policy.
func observeAll(t *testing.T, vault *lab.Vault) []*observedtest.Receiver {
	t.Helper()
	client, err := vault.Client(leaderOf(t, vault, -1))
	require.NoError(t, err)
	token := newToken(t, client)
	var all []*observedtest.Receiver
	for _, addr := range vault.Addrs {
		cfg := configFor(addr)
		cfg.Token = configopaque.String(token)
		all = append(all, observe(t, cfg, token, vault.RootToken))
	}
	return all
}

// observeStored starts a receiver that keeps its state in dir.
func observeStored(t *testing.T, endpoint, dir string) *observedtest.Receiver {
	t.Helper()
	cfg := configFor(endpoint)
	storage, host := observedtest.FileStorage(t, dir)
	cfg.Storage = &storage
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0
	return observedtest.StartOn(t, host, NewFactory(), cfg)
}

func TestThreeServers(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3})
	first := leaderOf(t, vault, -1)
	client, err := vault.Client(first)
	require.NoError(t, err)
	_, err = client.Logical().WriteWithContext(t.Context(), "sys/storage/raft/autopilot/configuration", map[string]any{"last_contact_threshold": "7s"})
	require.NoError(t, err)
	all := observeAll(t, vault)
	active := all[first]

	active.Eventually(t, "the peers", active.HasValue(3, "vault.raft.peer.count", "vault.raft.peer.role", "voter"))
	active.Eventually(t, "autopilot", active.HasValue(1, "vault.raft.healthy"))
	for name, want := range map[string]int64{
		"vault.active": 1, "vault.has_leader": 1, "vault.sealed": 0, "vault.removed": 0, "vault.seal.info": 1,
		"vault.unseal.threshold": 1, "vault.unseal.shares": 1, "vault.unseal.progress": 0, "vault.raft.failure_tolerance": 1,
	} {
		got, ok := active.Value(name)
		assert.True(t, ok, name)
		assert.Equal(t, want, got, name)
	}
	for _, id := range []string{"lab-1", "lab-2", "lab-3"} {
		assert.True(t, active.HasValue(1, "vault.raft.peer.healthy", "vault.raft.peer.id", id)(), id)
		contact, ok := active.Float("vault.raft.peer.last_contact", "vault.raft.peer.id", id)
		assert.True(t, ok && contact < 7, id)
		_, ok = active.Value("vault.raft.peer.log_lag", "vault.raft.peer.id", id)
		assert.True(t, ok, id)
	}
	active.Eventually(t, "the nodes", active.HasValue(2, "vault.ha.node.count", "vault.node.role", "standby"))
	_, ok := active.Float("vault.ha.node.clock.skew", "vault.node.address", vault.Addrs[(first+1)%3])
	assert.True(t, ok)
	assert.True(t, active.HasValue(1, "vault.replication.mode", "vault.replication.kind", "dr", "vault.replication.mode", "disabled")())
	for _, endpoint := range []string{
		endpointHealth, endpointSeal, endpointLeader, endpointNodes, endpointPeers, endpointAutopilot, endpointMetrics, endpointLeases,
	} {
		active.Eventually(t, endpoint, active.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpoint))
	}
	standby := all[(first+1)%3]
	standby.Eventually(t, "it stands by", standby.HasValue(0, "vault.active"))
	standby.Eventually(t, "it has a leader", standby.HasValue(1, "vault.has_leader"))
	assert.False(t, standby.HasMetric("vault.raft.peer.count"), "the active node tells")
	assert.False(t, standby.HasMetric("vault.ha.node.count"), "the active node tells")

	t.Run("the active one steps down", func(t *testing.T) {
		require.NoError(t, vault.StepDown(t.Context()))
		active.Eventually(t, "that it did", active.HasEvent("vault.stepped_down"))
		second := leaderOf(t, vault, first)
		term := termOf(t, vault, second)
		for _, o := range all {
			o.Eventually(t, "who leads", o.HasEvent("vault.leader.changed", "vault.leader.address.new", vault.Addrs[second]))
			o.Eventually(t, "that it changed", func() bool { changes, _ := o.Value("vault.leader.changes"); return changes > 0 })
		}
		if told := len(all[second].Events("vault.stepped_down")); !term.IsZero() && termOf(t, vault, second).Equal(term) {
			assert.Zero(t, told, "it leads since")
		}
		all[second].Eventually(t, "its peers", all[second].HasValue(3, "vault.raft.peer.count", "vault.raft.peer.role", "voter"))
		active.Eventually(t, "it tells of them no more", func() bool { return !active.HasMetric("vault.raft.peer.count") })
	})

	second := leaderOf(t, vault, -1)
	t.Run("the active one is killed", func(t *testing.T) {
		steppedDown := len(all[second].Events("vault.stepped_down"))
		require.NoError(t, vault.Members[second].Kill())
		third := leaderOf(t, vault, second)
		o := all[third]
		o.Eventually(t, "who leads", o.HasEvent("vault.leader.changed", "vault.leader.address.new", vault.Addrs[third]))
		id := []string{"lab-1", "lab-2", "lab-3"}[second]
		o.Eventually(t, "who is lost", o.HasEvent("vault.raft.peer.unhealthy", "vault.raft.peer.id", id))
		o.Eventually(t, "nobody may be lost any more", o.HasValue(0, "vault.raft.failure_tolerance"))
		all[second].Eventually(t, "it is down", all[second].HasValue(0, "vault.up"))

		require.NoError(t, vault.Restart(t.Context(), second))
		o.Eventually(t, "who is back", o.HasEvent("vault.raft.peer.healthy", "vault.raft.peer.id", id))
		all[second].Eventually(t, "it is up", all[second].HasValue(0, "vault.active"))
		assert.Len(t, all[second].Events("vault.stepped_down"), steppedDown, "it did not run meanwhile")
	})

	t.Run("a peer is removed", func(t *testing.T) {
		leads := leaderOf(t, vault, -1)
		gone := (leads + 1) % 3
		id := []string{"lab-1", "lab-2", "lab-3"}[gone]
		client, err := vault.Client(leads)
		require.NoError(t, err)
		_, err = client.Logical().WriteWithContext(t.Context(), "sys/storage/raft/remove-peer", map[string]any{"server_id": id})
		require.NoError(t, err)
		all[gone].Eventually(t, "what it learns", all[gone].HasEvent("vault.removed"))
		all[gone].Eventually(t, "what it is", all[gone].HasValue(1, "vault.removed"))
		all[gone].Eventually(t, "that it is sealed", all[gone].HasEvent("vault.sealed"))
		all[leads].Eventually(t, "what the others tell", all[leads].HasEvent("vault.raft.peer.removed", "vault.raft.peer.id", id))
		all[leads].Eventually(t, "who is left", all[leads].HasValue(2, "vault.raft.peer.count", "vault.raft.peer.role", "voter"))
	})
	told := 0
	for _, o := range all {
		told += len(o.Events("vault.raft.peer.removed"))
		assert.Zero(t, o.Warnings(severalServers))
	}
	assert.Equal(t, 1, told, "one tells for all")
}

func TestAQuorumThatIsLost(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3})
	active := leaderOf(t, vault, -1)
	left := (active + 1) % 3
	dir := t.TempDir()
	start := func() *observedtest.Receiver { return observeStored(t, vault.Addrs[left], dir) }
	o := start()
	o.Eventually(t, "it stands by", o.HasValue(1, "vault.has_leader"))
	require.NoError(t, vault.Members[active].Kill())
	require.NoError(t, vault.Members[(active+2)%3].Kill())
	o.Eventually(t, "no leader", o.HasValue(0, "vault.has_leader"))
	var markers []ptrace.Span
	o.Eventually(t, "the marker of the time that lasts", func() bool {
		markers = o.Spans(telemetry.SpanLeaderless + ".start")
		return len(markers) > len(o.Spans(telemetry.SpanLeaderless))
	})
	o.Eventually(t, "the event", o.HasEvent("vault.leader.changed"))
	o.Shutdown(t)
	marker := markers[len(markers)-1] // Vault can have been without a leader before.

	again := start()
	again.Eventually(t, "still none", again.HasValue(0, "vault.has_leader"))
	require.NoError(t, vault.Restart(t.Context(), active, (active+2)%3))
	again.Eventually(t, "its end", again.HasSpan(telemetry.SpanLeaderless))
	span := again.Spans(telemetry.SpanLeaderless)[0]
	assert.Equal(t, marker.TraceID(), span.TraceID())
	assert.Equal(t, marker.StartTimestamp(), span.StartTimestamp())
	assert.Equal(t, marker.ParentSpanID(), span.SpanID())
	_, before := span.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.False(t, before)
	for _, other := range again.Spans(telemetry.SpanLeaderless + ".start") {
		assert.NotEqual(t, marker.ParentSpanID(), other.ParentSpanID(), "it was told before")
	}
}

func TestAServerThatIsSetUp(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Uninitialised: true})
	o := observe(t, configFor(vault.Addr))
	o.Eventually(t, "it is not initialized", o.HasValue(0, "vault.initialized"))
	assert.False(t, o.HasMetric("vault.unseal.threshold"), "there is no key yet")
	assert.False(t, o.HasMetric("vault.has_leader"), "it does not know")
	require.NoError(t, vault.Initialise(t.Context()))
	o.Eventually(t, "it is initialized", o.HasEvent("vault.initialized"))
	o.Eventually(t, "it is unsealed", o.HasEvent("vault.unsealed"))
	o.Eventually(t, "it is active", o.HasValue(1, "vault.active"))
}

func TestAServerThatStartsSealedWithTLS(t *testing.T) {
	for name, tls := range map[string]*lab.TLS{"of the server": {}, "of both": {Mutual: true}} {
		t.Run(name, func(t *testing.T) {
			vault := startVaults(t, lab.ServerOptions{
				Sealed: true, TLS: tls,
				ExtraHCL: "enable_response_header_raft_node_id = true\nenable_response_header_hostname = true",
			})
			cfg := configFor(vault.Addr)
			cfg.HTTP.TLS.CAFile = vault.TLS.CA
			if tls.Mutual {
				without := observe(t, configFor(vault.Addr))
				without.Eventually(t, "it is refused", without.HasValue(0, "vault.up"))
				cfg.HTTP.TLS.Config = configtls.Config{CAFile: vault.TLS.CA, CertFile: vault.TLS.Cert, KeyFile: vault.TLS.Key}
			}
			o := observe(t, cfg)
			o.Eventually(t, "it is sealed", o.HasValue(1, "vault.sealed"))
			assert.True(t, o.HasValue(1, "vault.unseal.threshold")())
			require.NoError(t, vault.Unseal(t.Context()))
			o.Eventually(t, "it is active", o.HasValue(1, "vault.active"))
			o.Eventually(t, "its end", o.HasSpan(telemetry.SpanSealed))
			assert.Zero(t, o.Warnings(severalServers), "sealed or not, it is the same node")
		})
	}
}

func TestASealedTimeSurvivesARestart(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{})
	dir := t.TempDir()
	start := func() *observedtest.Receiver { return observeStored(t, vault.Addr, dir) }
	o := start()
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.active"))
	id := cluster(o)
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the marker", o.HasSpan(telemetry.SpanSealed+".start"))
	marker := o.Spans(telemetry.SpanSealed + ".start")[0]
	o.Shutdown(t)

	o = start()
	o.Eventually(t, "it is sealed", o.HasValue(1, "vault.sealed"))
	assert.Equal(t, id, cluster(o), "the cluster is remembered")
	o.Shutdown(t)
	require.NoError(t, vault.Unseal(t.Context()))

	o = start()
	o.Eventually(t, "its end", o.HasSpan(telemetry.SpanSealed))
	span := o.Spans(telemetry.SpanSealed)[0]
	assert.Equal(t, marker.ParentSpanID(), span.SpanID())
	assert.Equal(t, marker.StartTimestamp(), span.StartTimestamp())
	reconciled, _ := span.Attributes().Get(period.AttrReconciled)
	assert.True(t, reconciled.Bool(), "it ended at an unknown time")
	assert.Empty(t, o.Events("vault.watch.gap"))
}
