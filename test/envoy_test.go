// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const (
	envoyGuide  = "../docs/guides/envoy.md"
	envoyConfig = "../examples/order/envoy.yaml"
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

// envoyRequests are in three buckets of Envoy's histograms, and two have a cause elsewhere.
var envoyRequests = []envoyRequest{
	{method: "POST", path: "/orders", status: http.StatusCreated, upstream: 6 * time.Millisecond},
	{method: "POST", path: "/orders", status: http.StatusCreated, upstream: 180 * time.Millisecond, parent: "00-" + callerTrace + "-" + callerSpan + "-01"},
	{method: "GET", path: "/orders/order-1", status: http.StatusOK, upstream: 30 * time.Millisecond},
	{method: "POST", path: "/orders", status: http.StatusServiceUnavailable, upstream: 800 * time.Millisecond},
}

// watched is a collector with the shipped configuration, and what it exports to.
type watched struct {
	*alone
	jaeger     readback.Jaeger
	prometheus readback.Prometheus
	since      time.Time
}

func watch(t *testing.T, env ...string) *watched {
	t.Helper()
	servers, err := lab.Start(t.Context(), lab.Options{Servers: []string{"jaeger", "prometheus"}, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Stop()) })
	a := startAlone(t, append(env, "JAEGER_OTLP_ENDPOINT="+servers.Jaeger.OTLPGRPC)...)
	require.NoError(t, servers.Prometheus.Scrape(a.applications))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(a.collector.LogTail(50))
		}
	})
	return &watched{a, readback.Jaeger(servers.Jaeger.QueryURL), readback.Prometheus(servers.Prometheus.URL), time.Now().Add(-time.Minute)}
}

// What a real Envoy sends with the example's configuration, where there is one.
func TestEnvoy(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Jaeger and Prometheus; run make test")
	}
	if _, err := lab.FindEnvoy(t.Context()); err != nil {
		t.Skipf("only the stand-in is tested: %v", err)
	}
	w := watch(t)
	envoy, err := lab.StartEnvoy(t.Context(), lab.EnvoyOptions{Config: envoyConfig, Clusters: map[string]string{"orders": serve(t, http.HandlerFunc(obeyOrders)), "collector": w.otlp}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, envoy.Stop(context.Background())) })
	for _, r := range envoyRequests {
		request, err := http.NewRequestWithContext(t.Context(), r.method, "http://"+envoy.Addr+r.path+"?token=secret", nil)
		require.NoError(t, err)
		request.Header.Set("Took", r.upstream.String())
		request.Header.Set("Status", strconv.Itoa(r.status))
		if r.parent != "" {
			request.Header.Set("Traceparent", r.parent)
		}
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, r.status, answer.StatusCode)
	}
	w.judge(t, "edge", nil)
	stats, err := http.Get("http://" + envoy.Admin + "/stats/prometheus")
	require.NoError(t, err)
	defer stats.Body.Close()
	text, err := io.ReadAll(stats.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), `envoy_cluster_upstream_rq_time_count{envoy_cluster_name="orders"} 4`)
	assert.Contains(t, string(text), `envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="edge"} 4`)
	assert.NotContains(t, string(text), `envoy_http_conn_manager_prefix="admin"`)
}

// What Envoy sends by its sources, once with its stats over OTLP and once with its stats scraped as the guide says.
func TestWhatEnvoySends(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Jaeger and Prometheus; run make test")
	}
	t.Log("the Envoy is a stand-in that sends what Envoy's sources say")
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	w := watch(t, "SCRAPE_TARGETS_FILE="+targets)
	pushed, scraped := newEnvoyStandIn(t, "edge", w.otlp), newEnvoyStandIn(t, "edge-scraped", w.otlp)
	content := strings.NewReplacer("127.0.0.1:9901", serve(t, scraped), "job: edge", "job: edge-scraped").Replace(scrapeSnippet(t))
	require.NoError(t, os.WriteFile(targets, []byte(content), 0o600))
	// What counts since an unknown time begins with a baseline, so it has to be there before the requests.
	w.counts(t, `envoy_http_downstream_rq_completed_total{job="edge-scraped"}`, 0)

	sent := map[*envoyStandIn][]handled{}
	for e := range map[*envoyStandIn]bool{pushed: true, scraped: true} {
		for _, r := range envoyRequests {
			sent[e] = append(sent[e], e.handle(r))
		}
	}
	// Stats come before the spans that they count: Envoy sends spans when it has five, or after five seconds.
	require.NoError(t, pushed.sendStats(t.Context()))
	for e, all := range sent {
		require.NoError(t, e.sendLogs(t.Context(), all))
		w.counts(t, fmt.Sprintf(`envoy_http_downstream_rq_completed_total{job=%q}`, e.service), len(all))
		require.NoError(t, e.sendSpans(t.Context(), all))
	}
	for e, all := range sent {
		t.Run(e.service, func(t *testing.T) {
			w.judge(t, e.service, func() error { return pushed.sendStats(t.Context()) })
			servers, clients := w.spansOf(t, e.service)
			for _, h := range all {
				server := servers[h.server.SpanID().String()]
				client := clients[server.SpanID]
				assert.Equal(t, "ingress", server.Name)
				assert.Equal(t, h.server.ParentSpanID().String(), server.ParentSpanID)
				assert.Equal(t, h.server.Attributes().AsRaw(), server.Attributes)
				assert.Equal(t, "router orders egress", client.Name)
				assert.Equal(t, h.client.SpanID().String(), client.SpanID)
				assert.Equal(t, h.client.Attributes().AsRaw(), client.Attributes)
			}
		})
	}
	t.Run("the series are the same", func(t *testing.T) {
		for _, metric := range []string{"envoy_http_downstream_rq_completed_total", "envoy_http_downstream_rq_time_bucket", "envoy_cluster_upstream_rq_time_bucket"} {
			series := func(service string) (labels []map[string]string) {
				all, err := w.prometheus.Query(t.Context(), fmt.Sprintf(`%s{job=%q}`, metric, service))
				require.NoError(t, err)
				for _, s := range all {
					for _, own := range []string{"job", "instance", "otel_scope_name", "otel_scope_version", "otel_scope_schema_url"} {
						delete(s.Labels, own)
					}
					labels = append(labels, s.Labels)
				}
				return labels
			}
			require.NotEmpty(t, series("edge"))
			assert.ElementsMatch(t, series("edge"), series("edge-scraped"), metric)
		}
	})
}

// judge checks that the requests of a service arrived as spans, access logs and histograms, and that the exemplars of
// the histograms lead to these spans. flush has more stats sent; it may be nil.
func (w *watched) judge(t *testing.T, service string, flush func() error) {
	t.Helper()
	servers, clients := w.spansOf(t, service)
	statuses := map[string]int{}
	for id, s := range servers {
		assert.Equal(t, "proxy", s.Attributes["component"])
		statuses[fmt.Sprint(s.Attributes["http.status_code"])]++
		child := clients[id]
		assert.Equal(t, s.SpanID, child.ParentSpanID)
		assert.Equal(t, s.TraceID, child.TraceID)
		assert.Equal(t, "orders", child.Attributes["upstream_cluster"])
		assert.LessOrEqual(t, child.Duration, s.Duration)
		if s.TraceID == callerTrace {
			assert.Equal(t, callerSpan, s.ParentSpanID)
		} else {
			assert.Empty(t, s.ParentSpanID)
		}
		assert.Equal(t, s.Attributes["http.status_code"] == "503", s.Attributes["error"] == "true")
		assert.Equal(t, s.Attributes["http.status_code"] == "503", s.Failed && child.Failed)
	}
	assert.Equal(t, map[string]int{"200": 1, "201": 2, "503": 1}, statuses)
	w.accessLogs(t, service, servers)

	for query, spans := range map[string]map[string]readback.Span{
		`envoy_http_downstream_rq_time_bucket{job=%q,envoy_http_conn_manager_prefix="edge"}`: servers,
		`envoy_cluster_upstream_rq_time_bucket{job=%q,envoy_cluster_name="orders"}`:          clients,
	} {
		query = fmt.Sprintf(query, service)
		w.counts(t, strings.Replace(query, "_bucket", "_count", 1), len(envoyRequests))
		led := map[string]readback.Span{}
		for _, s := range spans {
			led[s.SpanID] = s
		}
		var exemplars []readback.Exemplar
		require.Eventually(t, func() bool {
			var err error
			if flush != nil {
				err = flush()
			}
			if err == nil {
				exemplars, err = w.prometheus.Exemplars(t.Context(), query, w.since)
			}
			return err == nil && len(buckets(exemplars)) >= 3
		}, soon, 300*time.Millisecond, "exemplars in three buckets of %s", query)
		for _, e := range exemplars {
			span, ok := led[e.SpanID]
			if assert.True(t, ok, "%s leads to a span of %s", query, service) {
				assert.Equal(t, span.TraceID, e.TraceID)
				assert.InDelta(t, float64(span.Duration)/float64(time.Millisecond), e.Value, 1e-6, "in ms")
				assert.LessOrEqual(t, e.Value, number(t, e.Series.Labels["le"]))
			}
		}
		t.Logf("%d exemplars in buckets %v of %s", len(exemplars), buckets(exemplars), query)
	}
	// Envoy's own requests to the collector are counted too, and are no spans.
	others, err := w.prometheus.Exemplars(t.Context(), fmt.Sprintf(`envoy_cluster_upstream_rq_time_bucket{job=%q,envoy_cluster_name="collector"}`, service), w.since)
	require.NoError(t, err)
	assert.Empty(t, others)
}

// spansOf waits for the spans of all requests; both are by the ID of the server span.
func (w *watched) spansOf(t *testing.T, service string) (servers, clients map[string]readback.Span) {
	t.Helper()
	require.Eventually(t, func() bool {
		spans, err := w.jaeger.Spans(t.Context(), service, w.since)
		servers, clients = map[string]readback.Span{}, map[string]readback.Span{}
		for _, s := range spans { // of all services in the traces of this one
			delete(s.Attributes, "@jaeger@warnings") // of the caller, whose spans are not there
			switch {
			case s.Service != service:
			case s.Kind == "Server":
				servers[s.SpanID] = s
			case s.Kind == "Client":
				clients[s.ParentSpanID] = s
			}
		}
		return err == nil && len(servers) == len(envoyRequests) && len(clients) == len(envoyRequests)
	}, soon, 200*time.Millisecond, "the spans of %s", service)
	return servers, clients
}

// accessLogs checks that each server span has a log record that leads to it.
func (w *watched) accessLogs(t *testing.T, service string, servers map[string]readback.Span) {
	t.Helper()
	var logs []readback.Event
	require.Eventually(t, func() bool {
		events, err := readback.Events(w.events).Read()
		logs = nil
		for _, e := range events {
			if e.Service == service {
				logs = append(logs, e)
			}
		}
		return err == nil && len(logs) == len(envoyRequests)
	}, soon, 100*time.Millisecond, "the access logs of %s", service)
	linked := map[string]bool{}
	for _, log := range logs {
		span, ok := servers[log.SpanID]
		require.True(t, ok, "%v leads to no span", log)
		linked[log.SpanID] = true
		assert.Equal(t, span.TraceID, log.TraceID)
		assert.Equal(t, span.Attributes["http.status_code"], log.Attributes["http.response.status_code"])
		assert.Equal(t, span.Attributes["http.method"], log.Attributes["http.request.method"])
		assert.Contains(t, span.Attributes["http.url"], log.Attributes["url.path"])
		assert.NotContains(t, log.Attributes["url.path"], "secret")
	}
	assert.Len(t, linked, len(envoyRequests))
}

// counts waits until a query has this value.
func (w *watched) counts(t *testing.T, query string, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		series, err := w.prometheus.Query(t.Context(), query)
		return err == nil && len(series) == 1 && int(series[0].Value) == want
	}, soon, 200*time.Millisecond, "%s is %d", query, want)
}

// buckets are those that have an exemplar.
func buckets(exemplars []readback.Exemplar) map[string]int {
	found := map[string]int{}
	for _, e := range exemplars {
		found[e.Series.Labels["le"]]++
	}
	return found
}

var scrapeFile = regexp.MustCompile("(?ms)^```text\n(- targets: .*?)^```$")

// scrapeSnippet is the file of targets that the guide gives.
func scrapeSnippet(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile(envoyGuide)
	require.NoError(t, err)
	found := scrapeFile.FindAllStringSubmatch(string(guide), -1)
	require.Len(t, found, 1)
	require.Contains(t, found[0][1], "127.0.0.1:9901")
	return found[0][1]
}

// obeyOrders is an order service that takes as long, and answers with the status, as the request says.
func obeyOrders(w http.ResponseWriter, r *http.Request) {
	took, err := time.ParseDuration(r.Header.Get("Took"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status, err := strconv.Atoi(r.Header.Get("Status"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(took)
	w.WriteHeader(status)
}

// serve serves on loopback until the test ends.
func serve(t *testing.T, handler http.Handler) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return listener.Addr().String()
}
