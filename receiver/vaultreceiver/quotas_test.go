// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
)

// limitSecrets makes a mount with a quota.
func limitSecrets(t *testing.T, client *api.Client) {
	t.Helper()
	client.SetMaxRetries(0)
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))
	_, err := client.Logical().Write("sys/quotas/rate-limit/small", map[string]any{"rate": 20, "interval": "10s", "path": "kv"})
	require.NoError(t, err)
}

// hammer reads until at least so many requests were refused, and returns how many.
func hammer(t *testing.T, client *api.Client, atLeast int64) (refused int64) {
	t.Helper()
	for refused < atLeast {
		_, err := client.Logical().Read("kv/absent")
		var answer *api.ResponseError
		if errors.As(err, &answer) && answer.StatusCode == http.StatusTooManyRequests {
			refused++
		} else {
			require.NoError(t, err)
		}
	}
	return refused
}

// exceeded sums up what the events of a quota tell.
func exceeded(o *observedtest.Receiver, name string) (sum int64) {
	for _, event := range o.Events("vault.quota.exceeded", "vault.quota.name", name) {
		refused, _ := event.Attributes().Get("vault.quota.refused")
		sum += refused.Int()
	}
	return sum
}

// beginOfRefusals returns when the counter of a quota begins.
func beginOfRefusals(o *observedtest.Receiver) (begin pcommon.Timestamp) {
	all := o.Metrics.AllMetrics()
	for _, m := range all[len(all)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Name() == "vault.quota.refusals" {
			begin = m.Sum().DataPoints().At(0).StartTimestamp()
		}
	}
	return begin
}

func TestQuotas(t *testing.T) {
	vault, client := startVault(t)
	limitSecrets(t, client)
	before := hammer(t, client, 3)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Quotas")))
	cfg.Quotas.Enabled = true
	began := time.Now()
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the limit", func() bool {
		limit, _ := o.Float("vault.quota.rate_limit", "vault.quota.name", "small", "vault.quota.path", "kv/")
		return limit == 2
	})
	o.Eventually(t, "what was refused before", o.HasValue(before, "vault.quota.refusals", "vault.quota.name", "small"))
	assert.Empty(t, o.Events("vault.quota.exceeded"), "the baseline is not news")
	assert.True(t, beginOfRefusals(o).AsTime().Before(began), "it counts since Vault was started")
	assert.WithinDuration(t, began, beginOfRefusals(o).AsTime(), 10*time.Minute)

	first := hammer(t, client, 5)
	o.Eventually(t, "they are counted", o.HasValue(before+first, "vault.quota.refusals", "vault.quota.name", "small"))
	o.Eventually(t, "they are told", func() bool { return exceeded(o, "small") == first })
	event := o.Events("vault.quota.exceeded")[0]
	refused, _ := event.Attributes().Get("vault.quota.refused")
	assert.Equal(t, map[string]any{"vault.quota.name": "small", "vault.quota.path": "kv/", "vault.quota.refused": refused.Int()}, event.Attributes().AsRaw())
	assert.Equal(t, plog.SeverityNumberWarn, event.SeverityNumber())
	assert.Contains(t, event.Body().Str(), fmt.Sprintf("quota small refused %d request", refused.Int()))

	_, err := client.Logical().Write("sys/quotas/rate-limit/calm", map[string]any{"rate": 1000})
	require.NoError(t, err)
	o.Eventually(t, "another quota, which refused nothing", o.HasValue(0, "vault.quota.refusals", "vault.quota.name", "calm"))
	_, ok := o.Float("vault.quota.rate_limit", "vault.quota.name", "calm", "vault.quota.path", "")
	assert.True(t, ok)
	_, err = client.Logical().Delete("sys/quotas/rate-limit/small")
	require.NoError(t, err)
	o.Eventually(t, "it has gone", func() bool {
		_, ok := o.Float("vault.quota.rate_limit", "vault.quota.name", "small")
		return !ok && o.HasMetric("vault.quota.rate_limit")
	})
	assert.Zero(t, o.Warnings(endpointQuotas))
	assert.Zero(t, o.Warnings(endpointMetrics))
	assert.Zero(t, o.Warnings(quotasState))
}

func TestRefusalsWhileEventsAreNotAccepted(t *testing.T) {
	vault, client := startVault(t)
	limitSecrets(t, client)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Quotas")))
	cfg.Quotas.Enabled = true
	o := observe(t, cfg)
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.quota.refusals"))
	looks := func() int64 {
		return o.Own(t, "otelcol_vault_requests", "request", endpointQuotas)
	}
	after := looks()
	o.Eventually(t, "it was taken in", func() bool { return looks() > after+4 })

	o.Refuse(true)
	refused := int64(0)
	for range 4 {
		refused += hammer(t, client, 2)
		o.Eventually(t, "they are counted meanwhile", o.HasValue(refused, "vault.quota.refusals"))
	}
	o.Refuse(false)
	o.Eventually(t, "all are reported", func() bool { return exceeded(o, "small") == refused })
	times := map[pcommon.Timestamp]bool{}
	for _, event := range o.Events("vault.quota.exceeded") {
		times[event.Timestamp()] = true
	}
	assert.GreaterOrEqual(t, len(times), 4, "each at the time it was observed")
	assert.Empty(t, o.Events("vault.watch.gap"))
}

func TestAQuotaIsToldOverARestartOfVault(t *testing.T) {
	vault, client := startVault(t)
	limitSecrets(t, client)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Quotas")))
	cfg.Quotas.Enabled = true
	o := observe(t, cfg)
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.quota.refusals"))
	before := hammer(t, client, 8)
	o.Eventually(t, "they are told", func() bool { return exceeded(o, "small") == before })
	begin := beginOfRefusals(o)
	require.NoError(t, vault.Restart(t.Context()))
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "it counts from 0", o.HasValue(0, "vault.quota.refusals"))
	assert.Greater(t, beginOfRefusals(o), begin)
	after := hammer(t, client, 2)
	o.Eventually(t, "they are told, too", func() bool { return exceeded(o, "small") == before+after })
}

func TestQuotasWithoutTheMetricsOfVault(t *testing.T) {
	vault, client := startVault(t)
	limitSecrets(t, client)
	rules, _, found := strings.Cut(policyOf(t, "Quotas"), "# vault.quota.refusals")
	require.True(t, found)
	cfg := only(vault.Addr, tokenFor(t, client, rules))
	cfg.Quotas.Enabled = true
	o := observe(t, cfg)
	o.Eventually(t, "the limit", func() bool { return o.HasMetric("vault.quota.rate_limit") })
	o.Eventually(t, "the denial", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointMetrics))
	assert.False(t, o.HasMetric("vault.quota.refusals"))
	assert.Zero(t, o.Warnings(endpointQuotas))

	hammer(t, client, 2)
	require.NoError(t, client.Sys().PutPolicy("part", policyOf(t, "Quotas")))
	o.Eventually(t, "they are counted", func() bool { return o.HasMetric("vault.quota.refusals") })
	later := hammer(t, client, 2)
	o.Eventually(t, "what is refused since then is told", func() bool { return exceeded(o, "small") == later })
}

func TestAVaultWithoutQuotas(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Quotas")))
	cfg.Quotas.Enabled = true
	o := observe(t, cfg)
	o.Eventually(t, "it was asked", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointQuotas))
	assert.False(t, o.HasMetric("vault.quota.rate_limit"))
	limitSecrets(t, client)
	o.Eventually(t, "a quota", o.HasValue(0, "vault.quota.refusals"))
	assert.Zero(t, o.Warnings(endpointQuotas))
	assert.Zero(t, o.Warnings(endpointMetrics))
}

func TestQuotasWithoutTheFormatOfPrometheus(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{ExtraHCL: `telemetry {
  disable_hostname = true
  prometheus_retention_time = "0s"
}`})
	client, err := vault.Client(0)
	require.NoError(t, err)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Quotas")))
	cfg.Quotas.Enabled, cfg.ScrapeServerMetrics, cfg.Leases.Mode = true, true, ModeCount
	o := observe(t, cfg)
	o.Eventually(t, "the leases nevertheless", o.HasValue(1, "vault.lease.count"))
	o.Eventually(t, "what to do", func() bool {
		return strings.Contains(o.Trouble(), "server metrics: vault does not tell its metrics in the format of prometheus: "+
			"set prometheus_retention_time to more than 0 in its telemetry stanza, or scrape_server_metrics to false")
	})
	assert.NotContains(t, o.Trouble(), "quotas", "there are none")
	limitSecrets(t, client)
	o.Eventually(t, "the limit", func() bool { return o.HasMetric("vault.quota.rate_limit") })
	o.Eventually(t, "what to do for quotas", func() bool {
		return strings.Contains(o.Trouble(), "quotas: what they refused is not known: vault does not tell")
	})
	assert.False(t, o.HasMetric("vault.quota.refusals"))
	assert.Zero(t, o.Warnings(endpointMetrics))
}

func TestOfManyQuotasTheFirstAreTold(t *testing.T) {
	var asked atomic.Int32
	names := make([]string, maxQuotas+5)
	for i := range names {
		names[i] = fmt.Sprintf(`"q%03d"`, len(names)-i)
	}
	server := serve(t, map[string]http.Handler{
		"sys/health": recorded{200, "health_200_active.json"},
		"sys/leader": recorded{200, "leader_active.json"},
		"sys/quotas/rate-limit": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "true", r.URL.Query().Get("list"))
			_, _ = fmt.Fprintf(w, `{"data":{"keys":[%s]}}`, strings.Join(names, ","))
		}),
		"sys/quotas/rate-limit/{name}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.PathValue("name") == "q007" {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"errors":[]}`))
				return
			}
			_, _ = w.Write([]byte(`{"data":{"path":"kv/","rate":30,"interval":60}}`))
		}),
	})
	cfg := only(server.URL, "a-token")
	limits, all, err := clientOf(t, cfg).RateLimits(t.Context())
	require.NoError(t, err)
	assert.Equal(t, maxQuotas+5, all)
	assert.Len(t, limits, maxQuotas-1)
	assert.NotContains(t, limits, "q007", "it has gone meanwhile")
	assert.Contains(t, limits, "q200")
	assert.NotContains(t, limits, "q201")
	assert.Equal(t, 0.5, limits["q001"].PerSecond)
	assert.EqualValues(t, maxQuotas, asked.Load())

	cfg.Quotas.Enabled = true
	o := observe(t, cfg)
	o.Eventually(t, "it is said", func() bool {
		return strings.Contains(o.Trouble(), "quotas: there are 205 rate-limit quotas, and only the first 200 of them are told")
	})
}

// Vault forgets what a quota refused when it refuses nothing for as long as
// prometheus_retention_time, and counts from 0 again.
func TestRefusalsThatVaultForgetsAreCountedOn(t *testing.T) {
	var counted atomic.Int64
	vault := serve(t, map[string]http.Handler{
		"sys/health":            recorded{200, "health_200_active.json"},
		"sys/quotas/rate-limit": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"data":{"keys":["small"]}}`) }),
		"sys/quotas/rate-limit/small": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":{"path":"kv/","rate":1}}`)
		}),
		"sys/metrics": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answerPage(w, r)
			_, _ = fmt.Fprintf(w, "vault_barrier_get 1\n# TYPE vault_quota_rate_limit_violation counter\nvault_quota_rate_limit_violation{name=\"small\"} %d\n", counted.Load())
		}),
	})
	cfg := only(vault.URL, "planted")
	cfg.Quotas.Enabled = true
	dir := t.TempDir()
	counted.Store(100)
	o := startStored(t, cfg, dir)
	o.Eventually(t, "the baseline", o.HasValue(100, "vault.quota.refusals"))
	counted.Store(1)
	o.Eventually(t, "they are counted on", o.HasValue(101, "vault.quota.refusals"))
	o.Eventually(t, "it is told", func() bool { return exceeded(o, "small") == 1 })
	o.Shutdown(t)
	counted.Store(3)
	o = startStored(t, cfg, dir)
	o.Eventually(t, "they are counted on after a restart", o.HasValue(103, "vault.quota.refusals"))
	o.Eventually(t, "it is told", func() bool { return exceeded(o, "small") == 2 })
}
