// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package redirect_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/recordtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver"
)

// secret is in each token, password and header of the configurations.
const secret = "planted-secret"

// A server that redirects gets no receiver to send anything to another one: not its token, its login or its
// configured headers. The operator learns what to do.
func TestAReceiverIsRedirected(t *testing.T) {
	headers := map[string]any{"X-Planted": secret}
	active := map[string]string{
		"/v1/sys/health":      ofVault(t, "health_200_active.json"),
		"/v1/sys/seal-status": ofVault(t, "seal_status_unsealed.json"),
		"/v1/sys/leader":      ofVault(t, "leader_active.json"),
	}
	for name, tc := range map[string]struct {
		factory receiver.Factory
		key     string
		config  map[string]any
		answers map[string]string // by path; other paths are redirected
		paths   []string          // that are asked for
	}{
		"consul": {
			factory: consulreceiver.NewFactory(), key: "endpoint",
			config: map[string]any{
				"token": secret, "headers": headers, "kv": map[string]any{"prefixes": []any{"locks/"}},
			},
			paths: []string{"/v1/catalog/datacenters", "/v1/status/peers"},
		},
		"a consul that redirects all that is watched": {
			factory: consulreceiver.NewFactory(), key: "endpoint",
			config: map[string]any{"token": secret, "headers": headers, "kv": map[string]any{"prefixes": []any{"locks/"}}},
			answers: map[string]string{
				"/v1/catalog/datacenters": `["dc1"]`,
				"/v1/operator/usage":      `{"Usage":{"dc1":{"Nodes":1,"Services":1,"ServiceInstances":1}}}`,
				"/v1/status/peers":        `["127.0.0.1:8300"]`,
			},
			paths: []string{
				"/v1/acl/token/self", "/v1/agent/members", "/v1/catalog/nodes", "/v1/catalog/services", "/v1/config/mesh",
				"/v1/connect/ca/roots", "/v1/coordinate/nodes", "/v1/event/list", "/v1/health/state/any", "/v1/internal/ui/catalog-overview",
				"/v1/kv/locks/", "/v1/operator/autopilot/state", "/v1/session/list", "/v1/status/leader",
			},
		},
		"vault": {
			factory: vaultreceiver.NewFactory(), key: "endpoint",
			config: map[string]any{"token": secret, "headers": headers, "namespace": "team"},
			paths:  []string{"/v1/sys/health"},
		},
		"a vault that redirects what needs a token": {
			factory: vaultreceiver.NewFactory(), key: "endpoint",
			config: map[string]any{
				"token": secret, "headers": headers, "scrape_server_metrics": true,
				"leases": map[string]any{"mode": "prefixes", "prefixes": []any{"database/creds"}},
				"tokens": map[string]any{"mode": "accessors"},
				"pki":    map[string]any{"mounts": []any{"pki"}},
			},
			answers: active,
			paths: []string{
				"/v1/auth/token/accessors", "/v1/auth/token/lookup-self", "/v1/sys/audit", "/v1/sys/auth", "/v1/sys/ha-status",
				"/v1/sys/in-flight-req", "/v1/sys/internal/counters/activity/monthly", "/v1/sys/internal/counters/entities",
				"/v1/sys/internal/counters/tokens", "/v1/sys/internal/ui/mounts/pki", "/v1/sys/leases/count",
				"/v1/sys/leases/lookup/database/creds", "/v1/sys/locked-users", "/v1/sys/metrics", "/v1/sys/mounts", "/v1/sys/policies/acl",
				"/v1/sys/quotas/rate-limit", "/v1/sys/storage/raft/autopilot/state", "/v1/sys/storage/raft/configuration",
			},
		},
		"a vault that redirects logins": {
			factory: vaultreceiver.NewFactory(), key: "endpoint",
			config:  map[string]any{"approle": map[string]any{"role_id": secret, "secret_id": secret}, "headers": headers},
			answers: active,
			paths:   []string{"/v1/auth/approle/login"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var elsewhere recordtest.Recorder
			other := httptest.NewServer(elsewhere.Handler(http.NotFoundHandler()))
			t.Cleanup(other.Close)
			t.Cleanup(func() { assert.Empty(t, elsewhere.Requests(), "requests to the other server") })

			asked := recordtest.Recorder{}
			var redirects atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if answer, answered := tc.answers[r.URL.Path]; answered {
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, answer)
					return
				}
				asked.Add(r.URL.Path)
				codes := []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}
				http.Redirect(w, r, other.URL+r.URL.String(), codes[int(redirects.Add(1))%len(codes)])
			}))
			t.Cleanup(server.Close)

			cfg := tc.factory.CreateDefaultConfig()
			config := map[string]any{"collection_interval": "200ms", "initial_delay": "0s"}
			for key, value := range tc.config {
				config[key] = value
			}
			config[tc.key] = server.URL
			require.NoError(t, confmap.NewFromStringMap(config).Unmarshal(cfg))
			require.NoError(t, xconfmap.Validate(cfg))
			o := observedtest.Start(t, tc.factory, cfg)
			require.EventuallyWithT(t, func(t *assert.CollectT) {
				assert.Subset(t, asked.Requests(), tc.paths, "paths that are asked for")
			}, 90*time.Second, 20*time.Millisecond)
			advice := "redirected to " + other.URL + ", which is not followed: set " + tc.key + " to it if that is the server to observe"
			o.Eventually(t, "the status names the setting", func() bool { return strings.Contains(o.Trouble(), advice) })
			o.Eventually(t, "the log names the setting", func() bool {
				for _, entry := range o.Log.All() {
					if text, ok := entry.ContextMap()["error"].(string); ok && strings.Contains(text, advice) {
						return true
					}
				}
				return false
			})
			assert.NotContains(t, o.Trouble(), secret)
			o.RequireNotTold(t, secret)
		})
	}
}

// ofVault returns an answer of a real Vault.
func ofVault(t *testing.T, file string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "receiver", "vaultreceiver", "testdata", "api", file))
	require.NoError(t, err)
	return string(body)
}
