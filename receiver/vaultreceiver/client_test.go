// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"net"
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
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	clusterID   = "4918743f-55df-2a47-44e8-9cf7ea6fe779"
	clusterName = "vault-cluster-f7fd1fec"
	leader      = "http://127.0.0.1:18200"
)

// recorded is a recorded answer of Vault.
type recorded struct {
	status int
	file   string
}

func (r recorded) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	body, err := os.ReadFile(filepath.Join("testdata", "api", r.file))
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = w.Write(body)
}

// nothing answers as Vault does where there is nothing to list or to read.
func nothing(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"errors":[]}`))
}

// serve returns a server with the handlers of the paths below /v1/.
func serve(t *testing.T, handlers map[string]http.Handler) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for path, handler := range handlers {
		mux.Handle("GET /v1/"+path, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func clientOf(t *testing.T, cfg *Config) *client {
	t.Helper()
	c, err := newClient(t.Context(), cfg, componenttest.NewNopHost(), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	t.Cleanup(c.close)
	return c
}

func configFor(endpoint string) *Config {
	cfg := defaultConfig()
	cfg.HTTP.Endpoint = endpoint
	return cfg
}

func TestServerInEveryState(t *testing.T) {
	standby := state.Server{
		Initialized: true, Standby: true, HAEnabled: true, Connection: state.Healthy, LeaderAddress: leader,
		Version: "1.19.5", ClusterID: clusterID, ClusterName: clusterName,
	}
	active := standby
	active.Standby, active.Connection = false, state.Unknown
	performanceStandby, replica, noActive := standby, active, standby
	performanceStandby.PerformanceStandby = true
	performanceStandby.Version, replica.Version = "1.19.5+ent", "1.19.5+ent"
	replica.DRSecondary = true
	noActive.Connection = state.Broken
	alone := active
	alone.HAEnabled, alone.LeaderAddress = false, ""
	sealed := state.Server{Initialized: true, Sealed: true, Standby: true, Version: "1.19.5"}
	removed := sealed
	removed.Removed = true
	fresh := sealed
	fresh.Initialized = false

	for name, tc := range map[string]struct {
		health, leader recorded
		want           state.Server
	}{
		"active":                            {recorded{200, "health_200_active.json"}, recorded{200, "leader_active.json"}, active},
		"active without high availability":  {recorded{200, "health_200_active.json"}, recorded{200, "leader_not_ha.json"}, alone},
		"standby":                           {recorded{429, "health_429_standby.json"}, recorded{200, "leader_standby.json"}, standby},
		"replica for disaster recovery":     {recorded{472, "health_472_dr_secondary.json"}, recorded{200, "leader_active.json"}, replica},
		"performance standby":               {recorded{473, "health_473_performance_standby.json"}, recorded{200, "leader_standby.json"}, performanceStandby},
		"standby without an active node":    {recorded{474, "health_474_no_active.json"}, recorded{200, "leader_no_active.json"}, noActive},
		"not initialized":                   {recorded{501, "health_501_uninitialized.json"}, recorded{503, "leader_503_sealed.json"}, fresh},
		"sealed":                            {recorded{503, "health_503_sealed.json"}, recorded{503, "leader_503_sealed.json"}, sealed},
		"removed from the cluster":          {recorded{530, "health_530_removed.json"}, recorded{503, "leader_503_sealed.json"}, removed},
		"a proxy that makes every code 200": {recorded{200, "health_503_sealed.json"}, recorded{503, "leader_503_sealed.json"}, sealed},
	} {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, configFor(serve(t, map[string]http.Handler{"sys/health": tc.health, "sys/leader": tc.leader}).URL))
			got, err := c.Look(t.Context())
			require.NoError(t, err)
			require.NoError(t, got.leaderErr)
			require.Error(t, got.sealErr, "it is not served")
			assert.Equal(t, tc.want, got.Server)
			assert.False(t, got.contradicts)
		})
	}
}

func TestLeases(t *testing.T) {
	none := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"Timestamp":"2026-11-22 18:37:20 +0000 UTC","Gauges":[],"Points":[],"Counters":[],"Samples":[]}`))
	})
	for name, want := range map[string]struct {
		metrics http.Handler
		leases  int64
		known   bool
	}{
		"metrics":              {recorded{200, "metrics.json"}, 0, true},
		"with the host's name": {recorded{200, "metrics_hostname.json"}, 3, true},
		"of the first seconds": {none, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configFor(serve(t, map[string]http.Handler{"sys/metrics": want.metrics}).URL)
			cfg.Token = "t"
			leases, known, err := clientOf(t, cfg).Leases(t.Context())
			require.NoError(t, err)
			assert.Equal(t, want.leases, leases)
			assert.Equal(t, want.known, known)
		})
	}
}

func TestIrrevocableLeases(t *testing.T) {
	var asked *http.Request
	server := serve(t, map[string]http.Handler{"sys/leases/count": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		recorded{200, "leases_count.json"}.ServeHTTP(w, r)
	})})
	cfg := configFor(server.URL)
	cfg.Token, cfg.Namespace = "planted", "team"
	leases, err := clientOf(t, cfg).countIrrevocable(t.Context())
	require.NoError(t, err)
	assert.Zero(t, leases.LeaseCount)
	assert.Equal(t, "type=irrevocable", asked.URL.RawQuery)
	assert.Equal(t, "planted", asked.Header.Get(api.AuthHeaderName))
	assert.Equal(t, "team", asked.Header.Get(api.NamespaceHeaderName))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome</html>")) })
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>oops</html>", code) })
	}
	says := func(code int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); _, _ = w.Write([]byte(body)) })
	}
	health := func(c *client) error { _, err := c.Health(t.Context()); return err }
	leases := func(c *client) error { _, _, err := c.Leases(t.Context()); return err }
	irrevocable := func(c *client) error { _, err := c.countIrrevocable(t.Context()); return err }
	for name, tc := range map[string]struct {
		path    string
		handler http.Handler
		call    func(*client) error
		want    string
	}{
		"a web page": {"sys/health", page, health,
			"sys/health: the answer is not Vault's, check endpoint: jsontext: invalid character '<' at start of value"},
		"the error page of a proxy": {"sys/health", status(http.StatusBadGateway), health,
			"sys/health: the answer is not Vault's, check endpoint: status 502"},
		"another API": {"sys/health", says(http.StatusOK, `{"status":"ok"}`), health,
			"sys/health: the answer is not Vault's, check endpoint: it lacks initialized"},
		"a rate limit": {"sys/health", says(http.StatusTooManyRequests, `{"errors":["request path \"sys/health\": rate limit quota exceeded"]}`), health,
			"sys/health: the answer is not Vault's, check endpoint: it lacks initialized"},
		"an internal error": {"sys/health", says(http.StatusInternalServerError, `{"errors":["failed to check initialization"]}`), health,
			"sys/health: status 500: failed to check initialization"},
		"a redirect": {"sys/metrics", http.RedirectHandler("http://127.0.0.1:1/v1/sys/metrics", http.StatusTemporaryRedirect), leases,
			"sys/metrics: redirected to http://127.0.0.1:1, which is not followed: set endpoint to it if that is the server to observe"},
		"a wrong token": {"sys/leases/count", recorded{403, "denied_403.json"}, irrevocable,
			"sys/leases/count: the token is not or no longer valid: status 403: 2 errors occurred: * permission denied * invalid token"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configFor(serve(t, map[string]http.Handler{tc.path: tc.handler}).URL)
			cfg.Token = "planted"
			require.EqualError(t, tc.call(clientOf(t, cfg)), tc.want)
		})
	}
}

func TestAServerThatHangs(t *testing.T) {
	address, _ := hang(t)
	cfg := configFor(address)
	cfg.HTTP.Timeout = 50 * time.Millisecond
	_, err := clientOf(t, cfg).Look(t.Context())
	require.ErrorContains(t, err, "sys/health: ")
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
}

// What was refused while the server was active cannot be asked of one that is
// not, and must not be said to fail for ever. A server that is sealed between
// two requests does not fail either.
func TestARefusalEndsWithTheRole(t *testing.T) {
	var health atomic.Pointer[recorded]
	health.Store(&recorded{200, "health_200_active.json"})
	var metrics atomic.Pointer[recorded]
	metrics.Store(&recorded{403, "denied_403.json"})
	now := func(r *atomic.Pointer[recorded]) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) { r.Load().ServeHTTP(w, req) }
	}
	server := serve(t, map[string]http.Handler{
		"sys/health":       now(&health),
		"sys/leader":       recorded{200, "leader_active.json"},
		"sys/metrics":      now(&metrics),
		"sys/leases/count": recorded{200, "leases_count.json"},
	})
	cfg := configFor(server.URL)
	cfg.Token = "a-token"
	o := observe(t, cfg, "a-token")
	o.Eventually(t, "the refusal", func() bool { return o.Warnings(endpointMetrics) == 1 })
	health.Store(&recorded{503, "health_503_sealed.json"})
	o.Eventually(t, "its end", func() bool { return !strings.Contains(o.Trouble(), endpointMetrics) })

	metrics.Store(&recorded{503, "leader_503_sealed.json"})
	health.Store(&recorded{200, "health_200_active.json"})
	before := len(o.Metrics.AllMetrics())
	o.Eventually(t, "more cycles", func() bool { return len(o.Metrics.AllMetrics()) > before+3 })
	assert.Equal(t, 1, o.Warnings(endpointMetrics))
}
