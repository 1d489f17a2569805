// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// observe starts a receiver, which ends with the test. Whatever it observes,
// it must not tell its token.
func observe(t *testing.T, cfg *Config, tokens ...string) *observedtest.Receiver {
	t.Helper()
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0
	o := observedtest.Start(t, NewFactory(), cfg)
	t.Cleanup(func() { o.RequireNotTold(t, tokens...) })
	return o
}

// cluster returns the cluster of the newest metrics.
func cluster(o *observedtest.Receiver) string {
	all := o.Metrics.AllMetrics()
	id, _ := all[len(all)-1].ResourceMetrics().At(0).Resource().Attributes().Get("vault.cluster.id")
	return id.Str()
}

// startVault returns a real Vault and a client of it with the root token.
func startVault(t *testing.T) (*lab.Vault, *api.Client) {
	t.Helper()
	return startVaultWith(t, "")
}

// startVaultWith starts one with more in its configuration.
func startVaultWith(t *testing.T, hcl string) (*lab.Vault, *api.Client) {
	t.Helper()
	t.Parallel() // They wait more than they work.
	if testing.Short() {
		t.Skip("needs a real Vault; run without -short")
	}
	vault, err := lab.StartVault(t.Context(), lab.ServerOptions{ExtraHCL: hcl})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, vault.Stop(context.Background())) })
	client, err := api.NewClient(&api.Config{Address: vault.Addr})
	require.NoError(t, err)
	client.SetToken(vault.RootToken)
	return vault, client
}

// shipped is the policy that is shipped, for all domains.
func shipped(t *testing.T) string {
	t.Helper()
	rules, err := os.ReadFile("../../distribution/vault-policy.hcl")
	require.NoError(t, err)
	return string(rules)
}

// policyOf returns the sections of the shipped policy that have the headings.
func policyOf(t *testing.T, headings ...string) string {
	t.Helper()
	var rules strings.Builder
	for _, heading := range headings {
		_, section, found := strings.Cut(shipped(t), "\n## "+heading+"\n")
		require.True(t, found, heading)
		section, _, _ = strings.Cut(section, "\n## ")
		rules.WriteString(section)
	}
	return rules.String()
}

// newToken returns a token with the README's policy, which is a lease itself.
func newToken(t *testing.T, client *api.Client) string {
	t.Helper()
	require.NoError(t, client.Sys().PutPolicy("otelcol", policyOf(t, "Cluster")))
	secret, err := client.Auth().Token().Create(&api.TokenCreateRequest{
		Policies: []string{"otelcol"}, NoDefaultPolicy: true, TTL: "1h", NoParent: true,
	})
	require.NoError(t, err)
	return secret.Auth.ClientToken
}

func TestASealedTimeOfARealVault(t *testing.T) {
	vault, client := startVault(t)
	cfg := configFor(vault.Addr)
	token := newToken(t, client)
	cfg.Token = configopaque.String(token)
	o := observe(t, cfg, token, vault.RootToken)
	o.Eventually(t, "an active server", o.HasValue(1, "vault.active"))
	o.Eventually(t, "the token's own lease", o.HasValue(1, "vault.lease.count"))
	o.Eventually(t, "no irrevocable lease", o.HasValue(0, "vault.lease.irrevocable.count"))
	for name, want := range map[string]int64{"vault.up": 1, "vault.initialized": 1, "vault.sealed": 0, "vault.info": 1} {
		got, _ := o.Value(name)
		assert.Equal(t, want, got, name)
	}
	id := cluster(o)
	assert.NotEmpty(t, id)

	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the marker of the sealed time, while it lasts", o.HasSpan(telemetry.SpanSealed+".start"))
	assert.Empty(t, o.Spans(telemetry.SpanSealed), "it lasts")
	o.Eventually(t, "a sealed server", o.HasValue(1, "vault.sealed"))
	assert.Equal(t, id, cluster(o), "the identity of the series does not change")
	active, _ := o.Value("vault.active")
	assert.Zero(t, active)
	_, ok := o.Value("vault.lease.count")
	assert.False(t, ok, "a sealed server tells no leases")

	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "the span of the sealed time", o.HasSpan(telemetry.SpanSealed))
	span := o.Spans(telemetry.SpanSealed)[0]
	marker := o.Spans(telemetry.SpanSealed + ".start")[0]
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	for name, severity := range map[string]plog.SeverityNumber{
		"vault.sealed":   plog.SeverityNumberError,
		"vault.unsealed": plog.SeverityNumberInfo,
	} {
		o.Eventually(t, name, o.HasEvent(name))
		event := o.Events(name)[0]
		assert.Equal(t, severity, event.SeverityNumber(), name)
		assert.Equal(t, span.TraceID(), event.TraceID(), name)
		assert.Equal(t, span.SpanID(), event.SpanID(), name)
	}
	o.Eventually(t, "an active server again", o.HasValue(1, "vault.active"))
	for _, endpoint := range []string{endpointHealth, endpointMetrics, endpointLeases, endpointSeal, endpointLeader} {
		assert.Zero(t, o.Warnings(endpoint), "a sealed server is no failure: %s", endpoint)
	}
}

func TestLeasesOfARealVault(t *testing.T) {
	vault, client := startVault(t)
	cfg := configFor(vault.Addr)
	token := newToken(t, client)
	cfg.Token = configopaque.String(token)
	o := observe(t, cfg, token)
	o.Eventually(t, "the token's own lease", o.HasValue(1, "vault.lease.count"))

	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	_, err := client.Logical().Write("auth/userpass/users/ann", map[string]any{"password": "p"})
	require.NoError(t, err)
	for range 3 {
		_, err = client.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "p"})
		require.NoError(t, err)
	}
	o.Eventually(t, "a lease for each login", o.HasValue(4, "vault.lease.count"))
}

func TestAWrongTokenCostsOnlyTheLeases(t *testing.T) {
	vault, client := startVault(t)
	const wrong = "hvs.00000000000000000000planted"
	cfg := configFor(vault.Addr)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(wrong), 0o600))
	token := newToken(t, client)
	o := observe(t, cfg, wrong, token)
	o.Eventually(t, "the state", o.HasValue(1, "vault.active"))
	o.Eventually(t, "the refusal of sys/metrics", func() bool { return o.Warnings(endpointMetrics) > 0 })
	o.Eventually(t, "the refusal of sys/leases/count", func() bool { return o.Warnings(endpointLeases) > 0 })
	_, ok := o.Value("vault.lease.count")
	assert.False(t, ok)
	assert.Zero(t, o.Warnings(endpointHealth))
	assert.Zero(t, o.Warnings(endpointLeader))

	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(token+"\n"), 0o600))
	o.Eventually(t, "the rotated token counts", o.HasValue(1, "vault.lease.count"))
	o.Eventually(t, "the rotated token counts here too", o.HasValue(0, "vault.lease.irrevocable.count"))
}

func TestAVaultThatIsAbsentComesAndGoes(t *testing.T) {
	vault, _ := startVault(t)
	require.NoError(t, vault.Kill())
	o := observe(t, configFor(vault.Addr))
	o.Eventually(t, "up is 0", o.HasValue(0, "vault.up"))
	_, ok := o.Value("vault.sealed")
	assert.False(t, ok, "absent is not sealed")
	assert.Equal(t, 1, o.Warnings(endpointHealth), "one line says it")

	require.NoError(t, vault.Restart(t.Context()))
	o.Eventually(t, "an active server", o.HasValue(1, "vault.active"))
	o.Eventually(t, "the watch goes on", func() bool { return o.Recoveries(endpointHealth) > 0 })
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the watch sees", o.HasEvent("vault.sealed"))
	unsealed := len(o.Events("vault.unsealed")) // It starts sealed, which may be the first that is seen of it.

	require.NoError(t, vault.Kill())
	o.Eventually(t, "up is 0 again", o.HasValue(0, "vault.up"))
	assert.Len(t, o.Events("vault.unsealed"), unsealed)
	require.NoError(t, vault.Restart(t.Context()))
	o.Eventually(t, "the gap", o.HasEvent("vault.watch.gap"))
	o.Eventually(t, "the end", func() bool { return len(o.Events("vault.unsealed")) > unsealed })
	assert.Equal(t, 1, o.Log.FilterMessage("nothing but the state of the server is told, as there is no token: set token, token_file, approle or kubernetes").Len())
}

func TestASealedTimeThatBeganBeforeTheReceiver(t *testing.T) {
	vault, _ := startVault(t)
	require.NoError(t, vault.Seal(t.Context()))
	o := observe(t, configFor(vault.Addr))
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.sealed"))
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "its end", o.HasSpan(telemetry.SpanSealed))
	span := o.Spans(telemetry.SpanSealed)[0]
	before, _ := span.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.True(t, before.Bool())
	assert.Empty(t, o.Events("vault.sealed"), "the baseline is not news")
}

// hang is a server that never answers. It returns its address, and a function
// that tells how many requests there were.
func hang(t *testing.T) (string, func() int) {
	t.Helper()
	var requests atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		<-release
	}))
	t.Cleanup(func() { close(release); server.Close() })
	return server.URL, func() int { return int(requests.Load()) }
}

func TestShutdownDoesNotWaitForAServerThatHangs(t *testing.T) {
	address, requests := hang(t)
	cfg := configFor(address)
	cfg.HTTP.Timeout = time.Hour
	cfg.Scrape.InitialDelay = 0
	o := observedtest.Start(t, NewFactory(), cfg)
	o.Eventually(t, "it waits", func() bool { return requests() == 1 })
	o.Shutdown(t)
	assert.Zero(t, o.Metrics.DataPointCount(), "what was cut off says nothing")
	assert.Equal(t, 1, o.Log.FilterLevelExact(zap.WarnLevel).Len(), "there is no token")
}
