// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"fmt"
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
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// soon is ample for Vault too, which aggregates its own metrics for 20 s.
const soon = 40 * time.Second

// observed is a running receiver of all three signals, and what it made.
type observed struct {
	traces  consumertest.TracesSink
	logs    consumertest.LogsSink
	metrics consumertest.MetricsSink
	log     *observer.ObservedLogs
}

// observe starts a receiver, which ends with the test. Whatever it observes,
// it must not tell its token.
func observe(t *testing.T, cfg *Config, tokens ...string) *observed {
	t.Helper()
	o := &observed{}
	core, log := observer.New(zap.DebugLevel)
	o.log = log
	settings := receivertest.NewNopSettings(metadata.Type)
	settings.Logger = zap.New(core)
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0

	f := NewFactory()
	metrics, err := f.CreateMetrics(t.Context(), settings, cfg, &o.metrics)
	require.NoError(t, err)
	logs, err := f.CreateLogs(t.Context(), settings, cfg, &o.logs)
	require.NoError(t, err)
	traces, err := f.CreateTraces(t.Context(), settings, cfg, &o.traces)
	require.NoError(t, err)
	t.Cleanup(func() { o.assertNotTold(t, tokens) })
	for _, r := range []receiver.Metrics{logs, traces, metrics} {
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
	}
	return o
}

func (o *observed) assertNotTold(t *testing.T, tokens []string) {
	var told strings.Builder
	for _, entry := range o.log.All() {
		fmt.Fprintln(&told, entry.Message, entry.ContextMap())
	}
	for _, md := range o.metrics.AllMetrics() {
		json, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
		require.NoError(t, err)
		told.Write(json)
	}
	for _, ld := range o.logs.AllLogs() {
		json, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
		require.NoError(t, err)
		told.Write(json)
	}
	for _, td := range o.traces.AllTraces() {
		json, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
		require.NoError(t, err)
		told.Write(json)
	}
	for _, token := range tokens {
		assert.NotContains(t, told.String(), token)
	}
}

// span returns the first span of that name, if there is one.
func (o *observed) span(name string) (ptrace.Span, bool) {
	for _, td := range o.traces.AllTraces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					if span.Name() == name {
						return span, true
					}
				}
			}
		}
	}
	return ptrace.NewSpan(), false
}

// event returns the first event of that name, if there is one.
func (o *observed) event(name string) (plog.LogRecord, bool) {
	for _, ld := range o.logs.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, record := range sl.LogRecords().All() {
					if record.EventName() == name {
						return record, true
					}
				}
			}
		}
	}
	return plog.NewLogRecord(), false
}

// value returns a metric's value in the newest batch.
func (o *observed) value(name string) (int64, bool) {
	all := o.metrics.AllMetrics()
	if len(all) == 0 {
		return 0, false
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() == name {
					return valueOf(m), true
				}
			}
		}
	}
	return 0, false
}

func valueOf(m pmetric.Metric) int64 {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints().At(0).IntValue()
	}
	return m.Gauge().DataPoints().At(0).IntValue()
}

// attribute returns an attribute of the newest batch's resource.
func (o *observed) attribute(key string) string {
	all := o.metrics.AllMetrics()
	value, _ := all[len(all)-1].ResourceMetrics().At(0).Resource().Attributes().Get(key)
	return value.Str()
}

func (o *observed) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, 20*time.Millisecond, what)
}

func (o *observed) has(name string, want int64) func() bool {
	return func() bool {
		got, ok := o.value(name)
		return ok && got == want
	}
}

func (o *observed) failed(endpoint string) func() bool {
	return func() bool {
		return o.log.FilterMessage("cannot observe, will keep trying").FilterField(zap.String("endpoint", endpoint)).Len() > 0
	}
}

// startVault returns a real Vault and a client of it with the root token.
func startVault(t *testing.T) (*lab.Vault, *api.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Vault; run without -short")
	}
	vault, err := lab.StartVault(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, vault.Stop(context.Background())) })
	client, err := api.NewClient(&api.Config{Address: vault.Addr})
	require.NoError(t, err)
	client.SetToken(vault.RootToken)
	return vault, client
}

// policy is the one that the README shows.
func policy(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(readme), "```hcl\n")
	require.True(t, found)
	rules, _, found := strings.Cut(after, "```")
	require.True(t, found)
	return rules
}

// newToken returns a token with the README's policy, which is a lease itself.
func newToken(t *testing.T, client *api.Client) string {
	t.Helper()
	require.NoError(t, client.Sys().PutPolicy("otelcol", policy(t)))
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
	o.eventually(t, "an active server", o.has("vault.active", 1))
	o.eventually(t, "the token's own lease", o.has("vault.leases", 1))
	o.eventually(t, "no irrevocable lease", o.has("vault.leases.irrevocable", 0))
	for name, want := range map[string]int64{"vault.up": 1, "vault.initialized": 1, "vault.sealed": 0, "vault.info": 1} {
		got, _ := o.value(name)
		assert.Equal(t, want, got, name)
	}
	cluster := o.attribute("vault.cluster.id")
	assert.NotEmpty(t, cluster)

	require.NoError(t, vault.Seal(t.Context()))
	o.eventually(t, "the marker of the sealed time, while it lasts", func() bool {
		_, ok := o.span(telemetry.SpanSealed + ".start")
		return ok
	})
	_, over := o.span(telemetry.SpanSealed)
	assert.False(t, over)
	o.eventually(t, "a sealed server", o.has("vault.sealed", 1))
	assert.Equal(t, cluster, o.attribute("vault.cluster.id"), "the identity of the series does not change")
	active, _ := o.value("vault.active")
	assert.Zero(t, active)
	_, ok := o.value("vault.leases")
	assert.False(t, ok, "a sealed server tells no leases")

	require.NoError(t, vault.Unseal(t.Context()))
	o.eventually(t, "the span of the sealed time", func() bool { _, ok := o.span(telemetry.SpanSealed); return ok })
	span, _ := o.span(telemetry.SpanSealed)
	marker, _ := o.span(telemetry.SpanSealed + ".start")
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	for name, severity := range map[string]plog.SeverityNumber{
		"vault.sealed":   plog.SeverityNumberError,
		"vault.unsealed": plog.SeverityNumberInfo,
	} {
		o.eventually(t, name, func() bool { _, ok := o.event(name); return ok })
		event, _ := o.event(name)
		assert.Equal(t, severity, event.SeverityNumber(), name)
		assert.Equal(t, span.TraceID(), event.TraceID(), name)
		assert.Equal(t, span.SpanID(), event.SpanID(), name)
	}
	o.eventually(t, "an active server again", o.has("vault.active", 1))
	for _, endpoint := range []string{endpointHealth, endpointMetrics, endpointLeases, watchServer} {
		assert.False(t, o.failed(endpoint)(), "a sealed server is no failure: %s", endpoint)
	}
}

func TestLeasesOfARealVault(t *testing.T) {
	vault, client := startVault(t)
	cfg := configFor(vault.Addr)
	token := newToken(t, client)
	cfg.Token = configopaque.String(token)
	o := observe(t, cfg, token)
	o.eventually(t, "the token's own lease", o.has("vault.leases", 1))

	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	_, err := client.Logical().Write("auth/userpass/users/ann", map[string]any{"password": "p"})
	require.NoError(t, err)
	for range 3 {
		_, err = client.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "p"})
		require.NoError(t, err)
	}
	o.eventually(t, "a lease for each login", o.has("vault.leases", 4))
}

func TestAWrongTokenCostsOnlyTheLeases(t *testing.T) {
	vault, client := startVault(t)
	const wrong = "hvs.00000000000000000000planted"
	cfg := configFor(vault.Addr)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(wrong), 0o600))
	token := newToken(t, client)
	o := observe(t, cfg, wrong, token)
	o.eventually(t, "the state", o.has("vault.active", 1))
	o.eventually(t, "the refusal of sys/metrics", o.failed(endpointMetrics))
	o.eventually(t, "the refusal of sys/leases/count", o.failed(endpointLeases))
	_, ok := o.value("vault.leases")
	assert.False(t, ok)
	assert.False(t, o.failed(endpointHealth)())
	assert.False(t, o.failed(watchServer)())

	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(token+"\n"), 0o600))
	o.eventually(t, "the rotated token counts", o.has("vault.leases", 1))
	o.eventually(t, "the rotated token counts here too", o.has("vault.leases.irrevocable", 0))
}

func TestAVaultThatIsAbsentComesAndGoes(t *testing.T) {
	vault, _ := startVault(t)
	require.NoError(t, vault.Kill())
	o := observe(t, configFor(vault.Addr))
	o.eventually(t, "up is 0", o.has("vault.up", 0))
	_, ok := o.value("vault.sealed")
	assert.False(t, ok, "absent is not sealed")
	o.eventually(t, "the failure of the watch", o.failed(watchServer))

	require.NoError(t, vault.Restart(t.Context()))
	o.eventually(t, "an active server", o.has("vault.active", 1))
	o.eventually(t, "the watch goes on", func() bool {
		return o.log.FilterMessage("observing again").FilterField(zap.String("endpoint", watchServer)).Len() > 0
	})
	require.NoError(t, vault.Seal(t.Context()))
	o.eventually(t, "the watch sees", func() bool { _, ok := o.event("vault.sealed"); return ok })

	require.NoError(t, vault.Kill())
	o.eventually(t, "up is 0 again", o.has("vault.up", 0))
	_, ok = o.event("vault.unsealed")
	assert.False(t, ok)
	require.NoError(t, vault.Restart(t.Context()))
	o.eventually(t, "the end", func() bool { _, ok := o.event("vault.unsealed"); return ok })
	assert.Equal(t, 1, o.log.FilterMessage("leases are not counted: set token or token_file").Len())
}

func TestASealedTimeThatBeganBeforeTheReceiver(t *testing.T) {
	vault, _ := startVault(t)
	require.NoError(t, vault.Seal(t.Context()))
	o := observe(t, configFor(vault.Addr))
	o.eventually(t, "the baseline", o.has("vault.sealed", 1))
	require.NoError(t, vault.Unseal(t.Context()))
	o.eventually(t, "its end", func() bool { _, ok := o.span(telemetry.SpanSealed); return ok })
	span, _ := o.span(telemetry.SpanSealed)
	before, _ := span.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.True(t, before.Bool())
	_, ok := o.event("vault.sealed")
	assert.False(t, ok, "the baseline is not news")
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
	core, log := observer.New(zap.DebugLevel)
	settings := receivertest.NewNopSettings(metadata.Type)
	settings.Logger = zap.New(core)
	var sink consumertest.MetricsSink
	f := NewFactory()
	metrics, err := f.CreateMetrics(t.Context(), settings, cfg, &sink)
	require.NoError(t, err)
	logs, err := f.CreateLogs(t.Context(), settings, cfg, consumertest.NewNop())
	require.NoError(t, err)
	for _, r := range []receiver.Metrics{metrics, logs} {
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	}
	require.Eventually(t, func() bool { return requests() == 2 }, soon, time.Millisecond, "both wait")
	begin := time.Now()
	for _, r := range []receiver.Metrics{metrics, logs} {
		require.NoError(t, r.Shutdown(context.Background()))
	}
	assert.Less(t, time.Since(begin), time.Second)
	assert.Zero(t, sink.DataPointCount(), "what was cut off says nothing")
	assert.Zero(t, log.FilterMessage("cannot observe, will keep trying").Len())
}
