// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVaultSealUnseal(t *testing.T) {
	needsServers(t)
	v := startVault(t, ServerOptions{})
	require.Equal(t, []int{http.StatusOK}, vaultHealth(t, v))
	require.NoError(t, v.Seal(t.Context()))
	require.NoError(t, v.Seal(t.Context()), "it is sealed already")
	require.Equal(t, []int{http.StatusServiceUnavailable}, vaultHealth(t, v))
	require.NoError(t, v.Unseal(t.Context()))
	require.NoError(t, v.Unseal(t.Context()), "it is unsealed already")
	require.Equal(t, []int{http.StatusOK}, vaultHealth(t, v))
	require.NoError(t, v.Restart(t.Context()))
	require.Equal(t, []int{http.StatusOK}, vaultHealth(t, v))

	token := http.Header{"X-Vault-Token": {v.RootToken}}
	status, metrics, err := get(t.Context(), v.Addr+metricsPath, token)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(metrics), "vault_core_unsealed")
	status, _, err = get(t.Context(), v.Addr+metricsPath, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status, "metrics need a token")
}

func TestVaultElectsAnotherActive(t *testing.T) {
	needsServers(t)
	_, err := StartVault(t.Context(), ServerOptions{Members: 2})
	require.ErrorContains(t, err, "choose 1 or 3")
	v := startVault(t, ServerOptions{Members: 3})
	require.Equal(t, v.Addr, v.Addrs[0])
	first := activeAfter(t, v, -1)
	require.Equal(t, 1, count(vaultHealth(t, v), http.StatusOK))
	require.Equal(t, 2, count(vaultHealth(t, v), http.StatusTooManyRequests))

	require.NoError(t, v.Members[first].Kill())
	activeAfter(t, v, first)
	require.NoError(t, v.Members[first].Restart(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, vaultHealth(t, v)[first], "a server that restarts is sealed")
	require.NoError(t, v.Unseal(t.Context(), first))
	require.Equal(t, http.StatusTooManyRequests, vaultHealth(t, v)[first])

	second := activeAfter(t, v, -1)
	require.NoError(t, v.StepDown(t.Context()))
	activeAfter(t, v, second)
	require.Len(t, raftVoters(t, v), 3)

	dir := v.Cluster.ownDir
	require.NoError(t, v.Stop(t.Context()))
	require.NoDirExists(t, dir)
	_, err = v.Leader(t.Context())
	require.ErrorContains(t, err, "no vault server is active")
}

func TestVaultSealsMembers(t *testing.T) {
	needsServers(t)
	v := startVault(t, ServerOptions{Members: 3})
	active := activeAfter(t, v, -1)
	standby := (active + 1) % 3
	require.NoError(t, v.Seal(t.Context(), standby))
	require.Equal(t, http.StatusServiceUnavailable, vaultHealth(t, v)[standby])
	require.NoError(t, v.Unseal(t.Context(), standby))
	require.Equal(t, http.StatusTooManyRequests, vaultHealth(t, v)[standby])

	require.NoError(t, v.Seal(t.Context(), active))
	require.Equal(t, http.StatusServiceUnavailable, vaultHealth(t, v)[active])
	activeAfter(t, v, active)
	require.NoError(t, v.Seal(t.Context()))
	require.Equal(t, 3, count(vaultHealth(t, v), http.StatusServiceUnavailable))

	require.NoError(t, v.Unseal(t.Context(), 0))
	require.Equal(t, http.StatusTooManyRequests, vaultHealth(t, v)[0])
	_, err := v.Leader(t.Context())
	require.ErrorContains(t, err, "no vault server is active", "one of three elects none")
	require.NoError(t, v.Unseal(t.Context(), 1))
	activeAfter(t, v, 2)
	require.NoError(t, v.Restart(t.Context()))
	require.Equal(t, 1, count(vaultHealth(t, v), http.StatusOK))
}

func TestVaultRemovedPeer(t *testing.T) {
	needsServers(t)
	v := startVault(t, ServerOptions{Members: 3})
	active := activeAfter(t, v, -1)
	client, err := v.Client(active)
	require.NoError(t, err)
	removed := (active + 1) % 3
	node := raftVoters(t, v)[removed]
	_, err = client.Logical().WriteWithContext(t.Context(), "sys/storage/raft/remove-peer", map[string]any{"server_id": node})
	require.NoError(t, err)
	require.NotContains(t, raftVoters(t, v), node)
	require.Eventually(t, func() bool { return vaultHealth(t, v)[removed] == 530 }, time.Minute, 50*time.Millisecond)
}

func TestVaultWithTLS(t *testing.T) {
	needsServers(t)
	for name, opts := range map[string]ServerOptions{
		"of the server":  {TLS: &TLS{}},
		"of both":        {TLS: &TLS{Mutual: true}},
		"of both, three": {TLS: &TLS{Mutual: true}, Members: 3},
	} {
		t.Run(name, func(t *testing.T) {
			v := startVault(t, opts)
			require.FileExists(t, v.TLS.CA)
			require.NoError(t, v.Restart(t.Context(), 0))
			require.Equal(t, 1, count(vaultHealth(t, v), http.StatusOK))

			_, _, err := get(t.Context(), v.Addr+"/v1/sys/health", nil)
			require.ErrorContains(t, err, "certificate signed by unknown authority")

			transport := v.http.Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.Certificates = nil
			_, _, err = getBy(t.Context(), &http.Client{Transport: transport}, v.Addr+"/v1/sys/health", nil)
			if opts.TLS.Mutual {
				require.ErrorContains(t, err, "certificate required")
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestVaultThatIsNotInitialised(t *testing.T) {
	needsServers(t)
	v := startVault(t, ServerOptions{Uninitialised: true})
	require.Equal(t, []int{http.StatusNotImplemented}, vaultHealth(t, v))
	require.Empty(t, v.RootToken)
	require.ErrorContains(t, v.Unseal(t.Context()), "call Initialise")
	require.NoError(t, v.Members[0].Restart(t.Context()))
	require.NoError(t, v.Initialise(t.Context()))
	require.Equal(t, []int{http.StatusOK}, vaultHealth(t, v))
	require.ErrorContains(t, v.Initialise(t.Context()), "already initialized")
}

func TestVaultThatStartsSealed(t *testing.T) {
	needsServers(t)
	for name, members := range map[string]int{"alone": 1, "of three": 3} {
		t.Run(name, func(t *testing.T) {
			v := startVault(t, ServerOptions{Sealed: true, Members: members})
			require.Equal(t, members, count(vaultHealth(t, v), http.StatusServiceUnavailable))
			require.NoError(t, v.Unseal(t.Context()))
			require.Equal(t, 1, count(vaultHealth(t, v), http.StatusOK))
		})
	}
}

func TestVaultExtraConfiguration(t *testing.T) {
	needsServers(t)
	v := startVault(t, ServerOptions{
		ListenerHCL: "telemetry { unauthenticated_metrics_access = true }",
		ExtraHCL:    "telemetry {\n prometheus_retention_time = \"1h\"\n metrics_prefix = \"mine\"\n}",
	})
	status, metrics, err := get(t.Context(), v.Addr+metricsPath, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(metrics), "mine_")
}

const metricsPath = "/v1/sys/metrics?format=prometheus"

// startVault stops it with the test, and shows the logs if that has failed.
func startVault(t *testing.T, opts ServerOptions) *Vault {
	t.Helper()
	v, err := StartVault(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, member := range v.Members {
				t.Logf("--- %s\n%s", member.Name(), member.LogTail(40))
			}
		}
		require.NoError(t, v.Stop(context.Background()))
	})
	return v
}

// vaultHealth is what each member answers about its health.
func vaultHealth(t *testing.T, v *Vault) []int {
	t.Helper()
	states := make([]int, len(v.Members))
	for i := range states {
		var err error
		states[i], err = v.health(t.Context(), i)
		require.NoError(t, err)
	}
	return states
}

func count(states []int, wanted int) int {
	return len(slices.DeleteFunc(states, func(state int) bool { return state != wanted }))
}

// activeAfter waits for an active member that is not the one before.
func activeAfter(t *testing.T, v *Vault, before int) int {
	t.Helper()
	active := before
	require.Eventually(t, func() bool {
		i, err := v.Leader(t.Context())
		active = i
		return err == nil && i != before
	}, time.Minute, 50*time.Millisecond)
	return active
}

func raftVoters(t *testing.T, v *Vault) []string {
	t.Helper()
	active, err := v.Leader(t.Context())
	require.NoError(t, err)
	var raft struct {
		Data struct {
			Config struct {
				Servers []struct {
					NodeID string `json:"node_id"`
					Voter  bool
				}
			}
		}
	}
	token := http.Header{"X-Vault-Token": {v.RootToken}}
	require.NoError(t, getJSONBy(t.Context(), v.http, v.Addrs[active]+"/v1/sys/storage/raft/configuration", token, &raft))
	var nodes []string
	for _, server := range raft.Data.Config.Servers {
		if server.Voter {
			nodes = append(nodes, server.NodeID)
		}
	}
	slices.Sort(nodes)
	return nodes
}
