// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// migrated is a service that has OpenTelemetry's SDK and calls others.
type migrated struct {
	provider *trace.TracerProvider
	since    time.Time
}

func startMigrated(t *testing.T, otlpHTTP string) *migrated {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL("http://"+otlpHTTP+"/v1/traces"))
	require.NoError(t, err)
	m := &migrated{since: time.Now(), provider: trace.NewTracerProvider(trace.WithBatcher(exporter, trace.WithBatchTimeout(100*time.Millisecond)),
		trace.WithResource(resource.NewSchemaless(semconv.ServiceName("caller"))))}
	t.Cleanup(func() { assert.NoError(t, m.provider.Shutdown(context.Background())) })
	return m
}

// call sends one request with the headers of the propagators, and returns the ID of its trace.
func (m *migrated) call(t require.TestingT, url string, want int, propagators ...propagation.TextMapPropagator) string {
	ctx, span := m.provider.Tracer("caller").Start(context.Background(), "call")
	defer span.End()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	client := http.Client{Transport: otelhttp.NewTransport(transport, otelhttp.WithTracerProvider(m.provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagators...)))}
	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, want, response.StatusCode)
	return span.SpanContext().TraceID().String()
}

// startLegacy starts instances of a service with the Jaeger client, each with a
// variable of the environment, and returns their addresses.
func startLegacy(t *testing.T, consul string, instances map[string]string) map[string]string {
	t.Helper()
	bin, err := lab.BuildExample(t.Context(), "../examples/order", os.Stderr)
	require.NoError(t, err)
	addrs := map[string]string{}
	for instance, env := range instances {
		require.NoError(t, lab.OnFreePorts(t.Context(), 1, func(ports []int) error {
			addrs[instance] = fmt.Sprintf("127.0.0.1:%d", ports[0])
			program, err := lab.StartProgram(t.Context(), lab.ProgramOptions{
				Name: instance, Binary: filepath.Join(bin, "users"), Dir: t.TempDir(),
				Env:      []string{"CONSUL_HTTP_ADDR=" + consul, "ADDR=" + addrs[instance], "INSTANCE=" + instance, env},
				ReadyURL: "http://" + addrs[instance] + "/healthz",
			})
			if err == nil {
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("%s:\n%s", instance, program.LogTail(30))
					}
					assert.NoError(t, program.Stop(context.Background()), "SIGTERM must end it")
					assert.NotContains(t, ask(t, "http://"+consul+"/v1/agent/services"), instance, "it deregisters")
				})
			}
			return err
		}))
	}
	return addrs
}

// A service that nobody has migrated takes part in the traces of those that are:
// over the UDP port of an agent, and over the HTTP port of a collector. Its
// metrics, which know no traces, lead to them. With the configuration of the
// example, and with that of the guide.
func TestALegacyServiceJoinsTheTraceAndItsMetricsLeadToIt(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Consul, Jaeger and Prometheus; run make test")
	}
	t.Parallel()
	var l legacy
	var err error
	l.consul, err = lab.StartConsul(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.consul.Stop(context.Background())) })
	l.jaeger, err = lab.StartJaeger(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.jaeger.Stop(context.Background())) })
	l.prometheus, err = lab.StartPrometheus(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.prometheus.Stop(context.Background())) })
	t.Run("example", func(t *testing.T) { l.run(t, "../examples/order/collector.yaml") })
	t.Run("guide", func(t *testing.T) { l.run(t, snippetsOf(t, "../docs/guides/legacy-jaeger.md")...) })
}

// legacy is what the services of the test need.
type legacy struct {
	consul     *lab.Consul
	jaeger     *lab.Jaeger
	prometheus *lab.Prometheus
}

func (l *legacy) run(t *testing.T, configs ...string) {
	ports, err := lab.FreePorts(4)
	require.NoError(t, err)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	targets := filepath.Join(t.TempDir(), "targets.json")
	collector := startConfigured(t, configs,
		"CONSUL_HTTP_ADDR="+l.consul.Addr, "JAEGER_OTLP_ENDPOINT="+l.jaeger.OTLPGRPC, "SCRAPE_TARGETS_FILE="+targets,
		"JAEGER_THRIFT_COMPACT_ENDPOINT="+at(0), "JAEGER_THRIFT_HTTP_ENDPOINT="+at(1),
		"JAEGER_THRIFT_BINARY_ENDPOINT="+at(2), "JAEGER_GRPC_ENDPOINT="+at(3))
	require.NoError(t, l.prometheus.Scrape(collector.applications))
	users := startLegacy(t, l.consul.Addr, map[string]string{
		"users-udp":  fmt.Sprintf("JAEGER_AGENT_PORT=%d", ports[0]),
		"users-http": fmt.Sprintf("JAEGER_ENDPOINT=http://%s/api/traces", at(1)),
	})
	scrape(t, targets, users)
	caller := startMigrated(t, collector.otlpHTTP)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		passing := ask(c, "http://"+l.consul.Addr+"/v1/health/service/users?passing")
		for instance := range users {
			assert.Contains(c, passing, instance)
		}
	}, soon, 200*time.Millisecond)

	t.Run("a child in the caller's trace", func(t *testing.T) {
		for instance, addr := range users {
			id := caller.call(t, "http://"+addr+"/users/ann", http.StatusOK, propagation.TraceContext{}, jaeger.Jaeger{})
			require.NotEqual(t, strings.Repeat("0", 16), id[:16], "a trace ID of 128 bits")
			require.EventuallyWithT(t, func(t *assert.CollectT) {
				spans, err := readback.Jaeger(l.jaeger.QueryURL).Trace(context.Background(), id)
				require.NoError(t, err)
				require.Len(t, spans, 3, "of %s: call, the client's span and the server's", instance)
				byName := map[string]readback.Span{}
				for _, span := range spans {
					byName[span.Service+" "+span.Name] = span
				}
				served := byName["users GET /users/{id}"]
				assert.Equal(t, byName["caller HTTP GET"].SpanID, served.ParentSpanID)
				assert.Equal(t, "Server", served.Kind)
				assert.EqualValues(t, http.StatusOK, served.Attributes["http.status_code"])
			}, soon, 200*time.Millisecond)
		}
		received := ask(t, "http://"+collector.telemetry+"/metrics")
		for _, transport := range []string{"udp_thrift_compact", "collector_http"} {
			assert.Contains(t, received, fmt.Sprintf("otelcol_receiver_accepted_spans{receiver=\"jaeger\",transport=%q}", transport))
		}
	})

	t.Run("a trace of its own without uber-trace-id", func(t *testing.T) {
		id := caller.call(t, "http://"+users["users-udp"]+"/users/ben", http.StatusOK, propagation.TraceContext{})
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			spans, err := readback.Jaeger(l.jaeger.QueryURL).Spans(context.Background(), "users", caller.since)
			require.NoError(t, err)
			alone := slices.DeleteFunc(spans, func(s readback.Span) bool { return s.Service != "users" || s.ParentSpanID != "" })
			require.Len(t, alone, 1)
			assert.NotEqual(t, id, alone[0].TraceID)
			assert.NotEqual(t, strings.Repeat("0", 16), alone[0].TraceID[:16], "a trace ID of 128 bits")
		}, soon, 200*time.Millisecond)
	})

	t.Run("exemplars lead to the traces of the same instance", func(t *testing.T) {
		called := map[string]string{} // instance and status by trace ID
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			for instance, addr := range users {
				for user, status := range map[string]int{"ann": http.StatusOK, "zoe": http.StatusNotFound} {
					id := caller.call(c, "http://"+addr+"/users/"+user, status, propagation.TraceContext{}, jaeger.Jaeger{})
					called[id] = fmt.Sprintf("%s %d", instance, status)
				}
			}
			exemplars, err := readback.Prometheus(l.prometheus.URL).Exemplars(t.Context(), "users_request_duration_seconds_bucket", caller.since)
			require.NoError(c, err)
			led := map[string]bool{}
			for _, exemplar := range exemplars {
				series := exemplar.Series.Labels["instance"] + " " + exemplar.Series.Labels["code"]
				if of, ok := called[exemplar.TraceID]; ok && assert.Equal(t, of, series, "not a span of this instance and status") {
					spans, err := readback.Jaeger(l.jaeger.QueryURL).Trace(t.Context(), exemplar.TraceID)
					require.NoError(c, err)
					led[series] = led[series] || slices.ContainsFunc(spans, func(s readback.Span) bool {
						return s.Service == "users" && s.SpanID == exemplar.SpanID
					})
				}
			}
			for instance := range users {
				assert.True(c, led[instance+" 200"] && led[instance+" 404"], "of %s: %v", instance, led)
			}
		}, soon, 500*time.Millisecond)
	})
}

// ask returns the answer to a GET.
func ask(t require.TestingT, url string) string {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode, url)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// scrape has the collector scrape the instances, each with its own name.
func scrape(t *testing.T, file string, instances map[string]string) {
	t.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	var groups []group
	for _, instance := range slices.Sorted(maps.Keys(instances)) {
		groups = append(groups, group{[]string{instances[instance]}, map[string]string{"job": "users", "instance": instance}})
	}
	content, err := json.Marshal(groups)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, content, 0o600))
}
