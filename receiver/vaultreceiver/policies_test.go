// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

// planted are rules that must not be told.
const planted = `path "planted" { capabilities = ["read"] }`

func TestPolicies(t *testing.T) {
	vault, client := startVault(t)
	put := func(name, rules string) { require.NoError(t, client.Sys().PutPolicy(name, rules)) }
	put("hidden", planted)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Policies")+`path "sys/policies/acl/hidden" { capabilities = ["deny"] }`))
	cfg.Policies.Enabled = true
	o := observe(t, cfg, string(cfg.Token), "planted")
	o.Eventually(t, "default, root, part and hidden", o.HasValue(4, "vault.policy.count"))
	assert.True(t, o.HasValue(1, "vault.policy.unread.count")(), "one that may not be read fails no other")
	assert.Empty(t, o.Events("vault.endpoint.denied", "vault.endpoint", endpointPolicy))
	happens := func(event, name string) plog.LogRecord {
		t.Helper()
		o.Eventually(t, event+" "+name, o.HasEvent(event, "vault.policy.name", name, "observation.reconciled", "false"))
		return o.Events(event, "vault.policy.name", name)[0]
	}
	for _, name := range []string{"app", "team/a b%2f?c"} {
		put(name, `path "other" { capabilities = ["read"] }`)
		happens("vault.policy.created", name)
		put(name, planted)
		happens("vault.policy.changed", name)
		require.NoError(t, client.Sys().DeletePolicy(name))
		assert.Equal(t, plog.SeverityNumberWarn, happens("vault.policy.deleted", name).SeverityNumber())
	}
	require.NoError(t, client.Sys().DeletePolicy("hidden"))
	happens("vault.policy.deleted", "hidden")
	o.Eventually(t, "none is unread", o.HasValue(0, "vault.policy.unread.count"))
	assert.Len(t, eventsOf(o, "vault.policy."), 7)
	assert.Zero(t, o.Warnings(endpointPolicies)+o.Warnings(endpointPolicy))
	assert.True(t, o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointPolicy)())
}

func TestPoliciesThatMayOnlyBeListed(t *testing.T) {
	vault, client := startVault(t)
	list, _, _ := strings.Cut(policyOf(t, "Policies"), "# The events of policies that were changed")
	cfg := only(vault.Addr, tokenFor(t, client, list))
	cfg.Policies.Enabled = true
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "default, root and part", o.HasValue(3, "vault.policy.count"))
	o.Eventually(t, "what is denied", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointPolicy))
	assert.True(t, o.HasValue(3, "vault.policy.unread.count")())
	require.NoError(t, client.Sys().PutPolicy("app", planted))
	o.Eventually(t, "one that comes", o.HasEvent("vault.policy.created", "vault.policy.name", "app"))
	require.NoError(t, client.Sys().DeletePolicy("app"))
	o.Eventually(t, "one that goes", o.HasEvent("vault.policy.deleted", "vault.policy.name", "app"))

	asked := func(endpoint, outcome string) int64 {
		return o.Own(t, "otelcol_vault_requests", "request", endpoint, "outcome", outcome)
	}
	o.Eventually(t, "several lists", func() bool { return asked(endpointPolicies, "success") > 2*deniedEvery })
	failures, lists := asked(endpointPolicy, "failure"), asked(endpointPolicies, "success")
	assert.LessOrEqual(t, failures, 4*(lists/deniedEvery+1), "each is asked for in every sixth round")
	require.NoError(t, client.Sys().PutPolicy("part", policyOf(t, "Policies")))
	o.Eventually(t, "they may be read", o.HasValue(0, "vault.policy.unread.count"))
	o.Eventually(t, "it is told", o.HasEvent("vault.endpoint.allowed", "vault.endpoint", endpointPolicy))
}

func TestPoliciesSurviveARestart(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Policies")))
	cfg.Policies.Enabled = true
	dir := t.TempDir()
	start := func() *observedtest.Receiver { return startStored(t, cfg, dir) }
	o := start()
	o.Eventually(t, "the baseline", o.HasValue(3, "vault.policy.count"))
	o.Shutdown(t)
	require.NoError(t, client.Sys().PutPolicy("default", planted))
	require.NoError(t, client.Sys().PutPolicy("app", planted))
	o = start()
	o.Eventually(t, "one that has changed", o.HasEvent("vault.policy.changed", "vault.policy.name", "default", "observation.reconciled", "true"))
	assert.True(t, o.HasEvent("vault.policy.created", "vault.policy.name", "app", "observation.reconciled", "true")())
	assert.Len(t, eventsOf(o, "vault.policy."), 2)
}

// manyPolicies is a server that has more policies than are read.
func manyPolicies(t *testing.T, n int) (r *policyReader, read *atomic.Int32) {
	t.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("policy-%05d", i))
	}
	list, err := json.Marshal(map[string]any{"data": map[string]any{"keys": names}})
	require.NoError(t, err)
	read = &atomic.Int32{}
	server := serve(t, map[string]http.Handler{
		endpointPolicies: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(list) }),
		endpointPolicies + "/{name}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			read.Add(1)
			switch r.PathValue("name") {
			case "policy-00001": // deleted since
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"errors":[]}`))
			case "policy-00002":
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"errors":["permission denied"]}`))
			default:
				_, _ = w.Write([]byte(`{"data":{"policy":"rules"}}`))
			}
		}),
	})
	cfg := only(server.URL, "planted")
	w := &watcher{client: clientOf(t, cfg), endpoints: newEndpoints(condition.NewReporter(zap.NewNop()), time.Minute, func(access) bool { return true })}
	return &policyReader{w: w, every: time.Millisecond, turned: w.turns(), denied: map[string]int{}}, read
}

func TestAtMostAThousandPoliciesAreRead(t *testing.T) {
	r, read := manyPolicies(t, maxPolicies+500)
	got, err := r.read(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, maxPolicies, read.Load())
	assert.Equal(t, maxPolicies+499, got.Count, "one is gone")
	assert.Equal(t, 501, got.Unread(), "one is denied, and 500 are too many")
	assert.Len(t, got.Rules, maxPolicies-1)

	read.Store(0)
	again, err := r.read(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, maxPolicies-1, read.Load(), "not the one that is denied")
	assert.Empty(t, got.Compare(again))
	r.w.hasten()
	read.Store(0)
	_, err = r.read(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, maxPolicies, read.Load(), "there may be another token")
}

func TestPoliciesAreReadWithoutABurst(t *testing.T) {
	for name, c := range map[string]struct {
		policies int
		every    time.Duration
		want     float64
	}{
		"few":                       {50, 5 * time.Minute, policiesPerSecond},
		"as many as are read":       {maxPolicies, 5 * time.Minute, policiesPerSecond},
		"in an interval like this":  {maxPolicies, 20 * time.Second, 100},
		"none, as Vault has always": {0, time.Minute, policiesPerSecond},
	} {
		assert.InDelta(t, c.want, float64(policyPace(c.policies, c.every)), 0.001, name)
	}
}
