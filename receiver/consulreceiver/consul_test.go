// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

// observe starts a receiver, which ends with the test.
func observe(t *testing.T, cfg *Config) *observedtest.Receiver {
	t.Helper()
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0
	return observedtest.Start(t, NewFactory(), cfg)
}

const (
	transition = "consul.check.transition"
	attrCheck  = "consul.check.id"
	attrStatus = "consul.check.status"
)

// startConsul returns a real Consul and a client of it.
func startConsul(t *testing.T, opts lab.ServerOptions) (*lab.Consul, *api.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Consul; run without -short")
	}
	consul, err := lab.StartConsul(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, consul.Stop(context.Background())) })
	client, err := api.NewClient(&api.Config{Address: consul.Addr, Token: consul.Token})
	require.NoError(t, err)
	return consul, client
}

// register registers a service with a TTL check that passes.
func register(t *testing.T, client *api.Client, service string) {
	t.Helper()
	require.NoError(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name:  service,
		Check: &api.AgentServiceCheck{CheckID: service, TTL: "1h", Status: api.HealthPassing},
	}))
}

func set(t *testing.T, client *api.Client, check, status string) {
	t.Helper()
	require.NoError(t, client.Agent().UpdateTTL(check, "as the test says", status))
}

func configFor(endpoint string) *Config {
	cfg := defaultConfig()
	cfg.HTTP.Endpoint = "http://" + endpoint
	return cfg
}

func TestAnOutageInARealConsul(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web")
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "the catalog", o.HasValue(2, "consul.catalog.service.count")) // consul and web

	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the marker of the outage, while it lasts", o.HasSpan(telemetry.SpanOutage+".start", attrCheck, "web"))
	assert.Empty(t, o.Spans(telemetry.SpanOutage, attrCheck, "web"), "it lasts")
	o.Eventually(t, "the critical check as a metric", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))

	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "the span of the outage", o.HasSpan(telemetry.SpanOutage, attrCheck, "web"))
	span := o.Spans(telemetry.SpanOutage, attrCheck, "web")[0]
	marker := o.Spans(telemetry.SpanOutage+".start", attrCheck, "web")[0]
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	assert.Equal(t, 2, span.Events().Len())

	o.Eventually(t, "both events", func() bool { return len(o.Events(transition, attrCheck, "web")) == 2 })
	for i, want := range []struct {
		status   string
		severity plog.SeverityNumber
	}{{"critical", plog.SeverityNumberError}, {"passing", plog.SeverityNumberInfo}} {
		event := o.Events(transition, attrCheck, "web")[i]
		got, _ := event.Attributes().Get("consul.check.status.new")
		assert.Equal(t, want.status, got.Str())
		assert.Equal(t, want.severity, event.SeverityNumber())
		assert.Equal(t, span.TraceID(), event.TraceID())
		assert.Equal(t, span.SpanID(), event.SpanID())
	}
}

func TestAConsulThatIsAbsentComesAndGoes(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web")
	require.NoError(t, consul.Kill())
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))

	require.NoError(t, consul.Restart(t.Context()))
	o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))
	set(t, client, "web", api.HealthPassing) // a TTL check starts critical
	o.Eventually(t, "the metrics", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "the baseline of the watch", func() bool {
		return o.Recoveries(watchChecks) == 1
	})
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the watch goes on", func() bool { return len(o.Events(transition, attrCheck, "web")) > 0 })

	for _, endpoint := range []string{endpointChecks, watchChecks} {
		assert.Equal(t, 1, o.Warnings(endpoint), "however often it tried: %s", endpoint)
	}
}

func TestATokenThatIsRotatedInItsFile(t *testing.T) {
	const management = "6f7f8a9b-0c1d-4e2f-8a3b-4c5d6e7f8a9b"
	consul, client := startConsul(t, lab.ServerOptions{Token: management})
	register(t, client, "web")
	cfg := configFor(consul.Addr)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte("00000000-aaaa-bbbb-cccc-000000000000"), 0o600))
	o := observe(t, cfg)
	o.Eventually(t, "a wrong token is refused", o.HasValue(0, "consul.up"))

	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(management+"\n"), 0o600))
	o.Eventually(t, "the new token counts", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	o.RequireNotTold(t, management)
}

// newToken returns a token with these rules.
func newToken(t *testing.T, client *api.Client, name, rules string) string {
	t.Helper()
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	require.NoError(t, err)
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	require.NoError(t, err)
	return token.SecretID
}

func TestWhatATokenMayNotSeeHasNotVanished(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{Token: "6f7f8a9b-0c1d-4e2f-8a3b-4c5d6e7f8a9b"})
	register(t, client, "web")
	register(t, client, "db")
	set(t, client, "web", api.HealthCritical)
	wide := newToken(t, client, "wide", `node_prefix "" { policy = "read" } service_prefix "" { policy = "read" } operator = "read"`)
	narrow := newToken(t, client, "narrow", `node_prefix "" { policy = "read" } service "db" { policy = "read" }`)
	cfg := configFor(consul.Addr)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(wide), 0o600))
	o := observe(t, cfg)
	o.Eventually(t, "all checks", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	set(t, client, "db", api.HealthWarning)
	o.Eventually(t, "the watch", o.HasEvent(transition, attrCheck, "db"))
	require.Zero(t, o.Warnings(viewChecks))

	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(narrow), 0o600))
	set(t, client, "db", api.HealthPassing)
	o.Eventually(t, "the partial view is said, for metrics and for the watch", func() bool { return o.Warnings(viewChecks) == 2 })
	o.Eventually(t, "what it may see goes on", o.HasEvent(transition, attrCheck, "db", "consul.check.status.new", "passing"))
	require.Empty(t, o.Events(transition, attrCheck, "web"), "it is only out of sight")
	o.RequireNotTold(t, wide, narrow)
}

func TestTheConfigurationWinsOverTheEnvironment(t *testing.T) {
	consul, _ := startConsul(t, lab.ServerOptions{})
	t.Setenv("CONSUL_HTTP_SSL", "true")
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", "/nowhere/token")
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
	cfg := configFor(consul.Addr)
	cfg.Token = "00000000-aaaa-bbbb-cccc-000000000000"
	o := observe(t, cfg)
	o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))
}

func TestChecksBeyondTheLimitAreSaid(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web")
	cfg := configFor(consul.Addr)
	cfg.MaxChecks = 1
	o := observe(t, cfg)
	o.Eventually(t, "the first check only", o.HasValue(1, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "the rest is said", func() bool { return o.Warnings(limitChecks) > 0 })
	said := o.Log.FilterField(zap.String("endpoint", limitChecks)).All()[0].ContextMap()["error"]
	assert.Equal(t, "1 of 2 checks are not observed: raise max_checks above 1", said)
}

func TestAnOutageThatBeganBeforeTheReceiver(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web")
	set(t, client, "web", api.HealthCritical)
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))
	// The watch has its baseline too once it has told a later change.
	register(t, client, "other")
	o.Eventually(t, "the watch", func() bool { return len(o.Events(transition, attrCheck, "other")) > 0 })
	assert.Empty(t, o.Events(transition, attrCheck, "web"), "the baseline is not news")

	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "its end", o.HasSpan(telemetry.SpanOutage, attrCheck, "web"))
	span := o.Spans(telemetry.SpanOutage, attrCheck, "web")[0]
	before, _ := span.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.True(t, before.Bool())
}

func TestShutdownDoesNotWaitForAServerThatHangs(t *testing.T) {
	cfg := configFor(observedtest.Hang(t))
	cfg.HTTP.Timeout = time.Hour
	o := observe(t, cfg)
	time.Sleep(500 * time.Millisecond) // the watch and the scrape wait for an answer
	begin := time.Now()
	o.Shutdown(t)
	assert.Less(t, time.Since(begin), 5*time.Second)
}

func TestAnEndpointThatIsNotConsul(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome</html>"))
	}))
	t.Cleanup(server.Close)
	o := observe(t, configFor(server.Listener.Addr().String()))
	o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
	said := o.Log.FilterField(zap.String("endpoint", endpointChecks)).All()[0].ContextMap()["error"]
	assert.Contains(t, said, "health/state/any: the answer is not Consul's, check endpoint")
}
