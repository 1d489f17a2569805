// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const consulMetricsGuide = "../docs/guides/consul-metrics.md"

// The guide's configuration scrapes a Consul that denies by default, with a token
// from a file that is rotated while the collector runs.
func TestTheMetricsOfConsulItself(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Consul; run make test")
	}
	const token = "11111111-2222-3333-4444-555555555555"
	consul, err := lab.StartConsul(t.Context(), lab.ServerOptions{
		Token: token, ExtraHCL: `telemetry {
			prometheus_retention_time = "1m"
			disable_hostname          = true
		}`,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, consul.Stop(context.Background())) })
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("not yet a token\n"), 0o600))
	snippets := snippetsOf(t, consulMetricsGuide)
	require.Len(t, snippets, 1)
	a := startConfigured(t, snippets, "CONSUL_AGENT_ADDRESS="+consul.Addr, "CONSUL_HTTP_ADDR="+consul.Addr, "CONSUL_HTTP_TOKEN_FILE="+file)

	requireExported(t, a.applications, `(?m)^up\{.*job="consul-agent".*\} 0(\.0)?$`)
	require.NoError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	for _, metric := range []string{
		`up\{.*job="consul-agent".*\} 1(\.0)?`,
		`consul_raft_commitTime_count\{.*`,
		`consul_raft_commitTime_sum\{.*`,
		`consul_agent_tls_cert_expiry\{.*job="consul-agent".*`,
		`consul_mesh_active_signing_ca_expiry\{.*`,
	} {
		requireExported(t, a.applications, `(?m)^`+metric+`$`)
	}
	// Autopilot comes from the receiver alone, in the other exporter.
	requireExported(t, a.metrics, `(?m)^consul_autopilot_healthy\{`)
	exported := read("http://" + a.applications + "/metrics")
	assert.NotContains(t, exported, "consul_autopilot_healthy")
	assert.NotContains(t, exported, "quantile=")
}

// requireExported waits until an exporter of Prometheus has a series.
func requireExported(t *testing.T, address, pattern string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Regexp(c, pattern, read("http://"+address+"/metrics"))
	}, soon, 200*time.Millisecond)
}
