// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
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
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

const soon = 20 * time.Second

// observed is a running receiver of all three signals, and what it made.
type observed struct {
	traces  consumertest.TracesSink
	logs    consumertest.LogsSink
	metrics consumertest.MetricsSink
	log     *observer.ObservedLogs
}

// observe starts a receiver, which ends with the test.
func observe(t *testing.T, cfg *Config) *observed {
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
	for _, r := range []receiver.Metrics{metrics, logs, traces} {
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
	}
	return o
}

// span returns the first span of that name for the check, if there is one.
func (o *observed) span(name, check string) (ptrace.Span, bool) {
	for _, td := range o.traces.AllTraces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					id, _ := span.Attributes().Get("consul.check.id")
					if span.Name() == name && id.Str() == check {
						return span, true
					}
				}
			}
		}
	}
	return ptrace.NewSpan(), false
}

// transitions returns the new statuses that the events of the check tell.
func (o *observed) transitions(check string) (records []plog.LogRecord) {
	for _, ld := range o.logs.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, record := range sl.LogRecords().All() {
					if id, _ := record.Attributes().Get("consul.check.id"); id.Str() == check {
						records = append(records, record)
					}
				}
			}
		}
	}
	return records
}

// value returns the newest value of a metric, of the data point with the status.
func (o *observed) value(name, status string) (int64, bool) {
	all := o.metrics.AllMetrics()
	for i := len(all) - 1; i >= 0; i-- {
		for _, rm := range all[i].ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() == name {
						return valueOf(m, status)
					}
				}
			}
		}
	}
	return 0, false
}

func valueOf(m pmetric.Metric, status string) (int64, bool) {
	var points pmetric.NumberDataPointSlice
	if m.Type() == pmetric.MetricTypeSum {
		points = m.Sum().DataPoints()
	} else {
		points = m.Gauge().DataPoints()
	}
	for _, p := range points.All() {
		if s, _ := p.Attributes().Get("consul.check.status"); s.Str() == status {
			return p.IntValue(), true
		}
	}
	return 0, false
}

func (o *observed) eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, 20*time.Millisecond, what)
}

func (o *observed) has(name, status string, want int64) func() bool {
	return func() bool {
		got, ok := o.value(name, status)
		return ok && got == want
	}
}

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
	o.eventually(t, "the baseline", o.has("consul.health.checks", "passing", 2))
	o.eventually(t, "the catalog", o.has("consul.catalog.services", "", 2)) // consul and web

	set(t, client, "web", api.HealthCritical)
	o.eventually(t, "the marker of the outage, while it lasts", func() bool {
		_, ok := o.span(telemetry.SpanOutage+".start", "web")
		return ok
	})
	_, over := o.span(telemetry.SpanOutage, "web")
	assert.False(t, over)
	o.eventually(t, "the critical check as a metric", o.has("consul.health.checks", "critical", 1))

	set(t, client, "web", api.HealthPassing)
	o.eventually(t, "the span of the outage", func() bool { _, ok := o.span(telemetry.SpanOutage, "web"); return ok })
	span, _ := o.span(telemetry.SpanOutage, "web")
	marker, _ := o.span(telemetry.SpanOutage+".start", "web")
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	assert.Equal(t, 2, span.Events().Len())

	o.eventually(t, "both events", func() bool { return len(o.transitions("web")) == 2 })
	for i, want := range []struct {
		status   string
		severity plog.SeverityNumber
	}{{"critical", plog.SeverityNumberError}, {"passing", plog.SeverityNumberInfo}} {
		event := o.transitions("web")[i]
		status, _ := event.Attributes().Get("consul.check.status.new")
		assert.Equal(t, want.status, status.Str())
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
	o.eventually(t, "up is 0", o.has("consul.up", "", 0))

	require.NoError(t, consul.Restart(t.Context()))
	o.eventually(t, "up is 1", o.has("consul.up", "", 1))
	set(t, client, "web", api.HealthPassing) // a TTL check starts critical
	o.eventually(t, "the metrics", o.has("consul.health.checks", "passing", 2))
	o.eventually(t, "the baseline of the watch", func() bool {
		return o.log.FilterMessage("observing again").FilterField(zap.String("endpoint", watchChecks)).Len() == 1
	})
	set(t, client, "web", api.HealthCritical)
	o.eventually(t, "the watch goes on", func() bool { return len(o.transitions("web")) > 0 })

	for _, endpoint := range []string{endpointChecks, watchChecks} {
		warnings := o.log.FilterMessage("cannot observe, will keep trying").FilterField(zap.String("endpoint", endpoint))
		assert.Equal(t, 1, warnings.Len(), "however often it tried: %s", endpoint)
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
	o.eventually(t, "a wrong token is refused", o.has("consul.up", "", 0))

	require.NoError(t, os.WriteFile(cfg.TokenFile, []byte(management+"\n"), 0o600))
	o.eventually(t, "the new token counts", o.has("consul.health.checks", "passing", 2))
	for _, entry := range o.log.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), management)
	}
}

func TestChecksBeyondTheLimitAreSaid(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web")
	cfg := configFor(consul.Addr)
	cfg.MaxChecks = 1
	o := observe(t, cfg)
	o.eventually(t, "the first check only", o.has("consul.health.checks", "passing", 1))
	o.eventually(t, "the rest is said", func() bool {
		return o.log.FilterField(zap.String("endpoint", limitChecks)).Len() > 0
	})
	said := o.log.FilterField(zap.String("endpoint", limitChecks)).All()[0].ContextMap()["error"]
	assert.Equal(t, "1 of 2 checks are not observed: raise max_checks above 1", said)
}

func TestAnOutageThatBeganBeforeTheReceiver(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	register(t, client, "web")
	set(t, client, "web", api.HealthCritical)
	o := observe(t, configFor(consul.Addr))
	o.eventually(t, "the baseline", o.has("consul.health.checks", "critical", 1))
	// The watch has its baseline too once it has told a later change.
	register(t, client, "other")
	o.eventually(t, "the watch", func() bool { return len(o.transitions("other")) > 0 })
	assert.Empty(t, o.transitions("web"), "the baseline is not news")

	set(t, client, "web", api.HealthPassing)
	o.eventually(t, "its end", func() bool { _, ok := o.span(telemetry.SpanOutage, "web"); return ok })
	span, _ := o.span(telemetry.SpanOutage, "web")
	before, _ := span.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.True(t, before.Bool())
}

// hang accepts connections and never answers.
func hang(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

func TestShutdownDoesNotWaitForAServerThatHangs(t *testing.T) {
	cfg := configFor(hang(t))
	cfg.HTTP.Timeout = time.Hour
	f, settings := NewFactory(), receivertest.NewNopSettings(metadata.Type)
	logs, err := f.CreateLogs(t.Context(), settings, cfg, consumertest.NewNop())
	require.NoError(t, err)
	metrics, err := f.CreateMetrics(t.Context(), settings, cfg, consumertest.NewNop())
	require.NoError(t, err)
	for _, r := range []component.Component{logs, metrics} {
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	}
	time.Sleep(1100 * time.Millisecond) // the first scrape comes after a second
	for _, r := range []component.Component{logs, metrics} {
		ended := make(chan error)
		go func() { ended <- r.Shutdown(context.Background()) }()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(soon):
			t.Fatal("Shutdown waits for the server")
		}
	}
}

func TestAnEndpointThatIsNotConsul(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome</html>"))
	}))
	t.Cleanup(server.Close)
	o := observe(t, configFor(server.Listener.Addr().String()))
	o.eventually(t, "up is 0", o.has("consul.up", "", 0))
	said := o.log.FilterField(zap.String("endpoint", endpointChecks)).All()[0].ContextMap()["error"]
	assert.Contains(t, said, "health/state/any: the answer is not Consul's, check endpoint")
}
