// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// envoyStandIn sends what an Envoy with examples/order/envoy.yaml sends, in the shapes that Envoy's sources give it.
// It receives no requests: it makes them up.
type envoyStandIn struct {
	service string
	started time.Time
	conn    *grpc.ClientConn

	mu         sync.Mutex
	downstream *envoyHistogram // of the connection manager "edge"
	upstream   *envoyHistogram // of the cluster "orders"
	exports    *envoyHistogram // of the cluster "collector", which has no spans
	completed  uint64
}

// envoyRequest is one request that an Envoy handled.
type envoyRequest struct {
	method, path string
	status       int
	upstream     time.Duration // how long the order service took
	parent       string        // traceparent of the caller; may be empty
	at           time.Time
}

// handled is what Envoy has sent of a request, except its stats.
type handled struct {
	server, client ptrace.Span
	log            plog.LogRecord
}

func newEnvoyStandIn(t *testing.T, service, otlp string) *envoyStandIn {
	t.Helper()
	conn, err := grpc.NewClient(otlp, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return &envoyStandIn{
		service: service, started: time.Now(), conn: conn,
		downstream: newEnvoyHistogram(), upstream: newEnvoyHistogram(), exports: newEnvoyHistogram(),
	}
}

// handle counts a request that ends now, and makes its spans and its log record.
func (e *envoyStandIn) handle(r envoyRequest) handled {
	const inEnvoy = 2 * time.Millisecond
	r.at = time.Now()
	e.mu.Lock()
	// Envoy measures both in whole milliseconds: source/common/router/router.cc, source/common/http/conn_manager_impl.cc.
	e.upstream.record(float64(r.upstream.Milliseconds()))
	e.downstream.record(float64((r.upstream + inEnvoy).Milliseconds()))
	e.completed++
	e.mu.Unlock()

	server, client, log := ptrace.NewSpan(), ptrace.NewSpan(), plog.NewLogRecord()
	// The names of source/common/tracing/tracer_impl.cc and source/common/router/upstream_request.cc; the kinds of
	// source/extensions/tracers/opentelemetry, with spawn_upstream_span.
	server.SetName("ingress")
	server.SetKind(ptrace.SpanKindServer)
	client.SetName("router orders egress")
	client.SetKind(ptrace.SpanKindClient)
	server.SetSpanID(newSpanID())
	client.SetSpanID(newSpanID())
	server.SetTraceID(newTraceID())
	if parts := strings.Split(r.parent, "-"); len(parts) == 4 {
		server.SetTraceID(pcommon.TraceID(unhex(parts[1])))
		server.SetParentSpanID(pcommon.SpanID(unhex(parts[2])))
	}
	client.SetTraceID(server.TraceID())
	client.SetParentSpanID(server.SpanID())
	start := r.at.Add(-r.upstream - inEnvoy)
	server.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	server.SetEndTimestamp(pcommon.NewTimestampFromTime(r.at))
	client.SetStartTimestamp(pcommon.NewTimestampFromTime(start.Add(inEnvoy / 2)))
	client.SetEndTimestamp(pcommon.NewTimestampFromTime(r.at.Add(-inEnvoy / 2)))

	// All attributes are strings, also numbers, and http.status_code decides the status: setTag of
	// source/extensions/tracers/opentelemetry/tracer.cc. The attributes: source/common/tracing/http_tracer_impl.cc.
	common := map[string]string{
		"component": "proxy", "upstream_cluster": "orders", "upstream_cluster.name": "orders",
		"http.protocol": "HTTP/1.1", "http.status_code": strconv.Itoa(r.status), "response_flags": "-",
	}
	if r.status >= http.StatusInternalServerError {
		common["error"] = "true"
		server.Status().SetCode(ptrace.StatusCodeError)
		client.Status().SetCode(ptrace.StatusCodeError)
	} else if r.status >= http.StatusBadRequest {
		client.Status().SetCode(ptrace.StatusCodeError)
	}
	put(server.Attributes(), common, map[string]string{
		"node_id": "edge-1", "zone": "", "guid:x-request-id": "00000000-0000-4000-8000-" + hex.EncodeToString(newBytes(6)),
		"http.url": "http://127.0.0.1:10000" + r.path, "http.method": r.method, "downstream_cluster": "-", "user_agent": "test",
		"peer.address": "127.0.0.1", "request_size": "64", "response_size": "128",
	})
	put(client.Attributes(), common, map[string]string{"upstream_address": "127.0.0.1:8080", "peer.address": "127.0.0.1:8080"})

	// source/extensions/access_loggers/open_telemetry: the time is that of the start, and the span is the server span.
	log.SetTimestamp(pcommon.NewTimestampFromTime(start))
	log.SetTraceID(server.TraceID())
	log.SetSpanID(server.SpanID())
	log.Body().SetStr(fmt.Sprintf("%s %s %d %dms", r.method, r.path, r.status, (r.upstream + inEnvoy).Milliseconds()))
	put(log.Attributes(), map[string]string{
		"http.request.method": r.method, "url.path": r.path, "http.response.status_code": strconv.Itoa(r.status),
		"envoy.response_flags": "-", "envoy.upstream_cluster": "orders",
	})
	return handled{server, client, log}
}

// sendSpans sends spans as source/extensions/tracers/opentelemetry/tracer.cc does.
func (e *envoyStandIn) sendSpans(ctx context.Context, all []handled) error {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	e.resource(rs.Resource())
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for _, h := range all {
		h.client.CopyTo(spans.AppendEmpty()) // It ends first.
		h.server.CopyTo(spans.AppendEmpty())
	}
	_, err := ptraceotlp.NewGRPCClient(e.conn).Export(ctx, ptraceotlp.NewExportRequestFromTraces(traces))
	e.exported()
	return err
}

// sendLogs sends access logs. Their resource has neither SDK nor built-in labels.
func (e *envoyStandIn) sendLogs(ctx context.Context, all []handled) error {
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	put(rl.Resource().Attributes(), map[string]string{"service.name": e.service, "service.instance.id": "edge-1"})
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for _, h := range all {
		h.log.CopyTo(records.AppendEmpty())
	}
	_, err := plogotlp.NewGRPCClient(e.conn).Export(ctx, plogotlp.NewExportRequestFromLogs(logs))
	e.exported()
	return err
}

// sendStats sends what source/extensions/stat_sinks/open_telemetry makes of the stats: each point in a metric of its
// own, cumulative since the start of the sink, with the tags as attributes; no unit, no minimum and no maximum.
func (e *envoyStandIn) sendStats(ctx context.Context) error {
	e.mu.Lock()
	metrics := pmetric.NewMetrics()
	rm := metrics.ResourceMetrics().AppendEmpty()
	e.resource(rm.Resource())
	scope := rm.ScopeMetrics().AppendEmpty()
	start, now := pcommon.NewTimestampFromTime(e.started), pcommon.NewTimestampFromTime(time.Now())
	histogram := func(name string, h *envoyHistogram, tag, value string) {
		if h.count == 0 {
			return // Envoy makes a histogram with its first value.
		}
		m := scope.Metrics().AppendEmpty()
		m.SetName("envoy." + name)
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		point := m.Histogram().DataPoints().AppendEmpty()
		point.SetStartTimestamp(start)
		point.SetTimestamp(now)
		point.SetCount(h.count)
		point.SetSum(h.sum)
		point.ExplicitBounds().FromRaw(envoyBounds)
		point.BucketCounts().FromRaw(h.buckets)
		point.Attributes().PutStr(tag, value)
	}
	histogram("http.downstream_rq_time", e.downstream, "envoy.http_conn_manager_prefix", "edge")
	histogram("cluster.upstream_rq_time", e.upstream, "envoy.cluster_name", "orders")
	histogram("cluster.upstream_rq_time", e.exports, "envoy.cluster_name", "collector")
	m := scope.Metrics().AppendEmpty()
	m.SetName("envoy.http.downstream_rq_completed")
	m.SetEmptySum().SetIsMonotonic(true)
	m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	point := m.Sum().DataPoints().AppendEmpty()
	point.SetStartTimestamp(start)
	point.SetTimestamp(now)
	point.SetIntValue(int64(e.completed))
	point.Attributes().PutStr("envoy.http_conn_manager_prefix", "edge")
	e.mu.Unlock()
	_, err := pmetricotlp.NewGRPCClient(e.conn).Export(ctx, pmetricotlp.NewExportRequestFromMetrics(metrics))
	return err
}

// exported counts a request to the collector, which is one of a cluster too.
func (e *envoyStandIn) exported() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.exports.record(7) // into the bucket of the fast requests to the order service
}

// ServeHTTP is /stats/prometheus of the admin interface: source/server/admin/prometheus_stats.cc and utils.cc.
func (e *envoyStandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/stats/prometheus" {
		http.NotFound(w, r)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	fmt.Fprintf(w, "# TYPE envoy_http_downstream_rq_completed counter\nenvoy_http_downstream_rq_completed{envoy_http_conn_manager_prefix=\"edge\"} %d\n", e.completed)
	fmt.Fprint(w, "# TYPE envoy_cluster_upstream_rq_time histogram\n")
	e.exports.print(w, "envoy_cluster_upstream_rq_time", `envoy_cluster_name="collector"`)
	e.upstream.print(w, "envoy_cluster_upstream_rq_time", `envoy_cluster_name="orders"`)
	fmt.Fprint(w, "# TYPE envoy_http_downstream_rq_time histogram\n")
	e.downstream.print(w, "envoy_http_downstream_rq_time", `envoy_http_conn_manager_prefix="edge"`)
}

// resource is that of spans and stats: source/extensions/tracers/opentelemetry/resource_detectors/resource_provider.cc.
func (e *envoyStandIn) resource(r pcommon.Resource) {
	put(r.Attributes(), map[string]string{
		"service.name": e.service, "service.instance.id": "edge-1",
		"telemetry.sdk.language": "cpp", "telemetry.sdk.name": "envoy", "telemetry.sdk.version": "0123456789abcdef/1.37.0/Clean/RELEASE/BoringSSL",
	})
}

// envoyBounds are those of source/common/stats/histogram_impl.cc.
var envoyBounds = []float64{
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
}

type envoyHistogram struct {
	count   uint64
	sum     float64
	buckets []uint64 // the last one is what is over all bounds
}

func newEnvoyHistogram() *envoyHistogram {
	return &envoyHistogram{buckets: make([]uint64, len(envoyBounds)+1)}
}

func (h *envoyHistogram) record(value float64) {
	i, _ := slices.BinarySearch(envoyBounds, value)
	h.buckets[i]++
	h.count++
	h.sum += value
}

func (h *envoyHistogram) print(w http.ResponseWriter, name, tag string) {
	var below uint64
	for i, bound := range envoyBounds {
		below += h.buckets[i]
		fmt.Fprintf(w, "%s_bucket{%s,le=\"%s\"} %d\n", name, tag, strconv.FormatFloat(bound, 'f', -1, 64), below)
	}
	fmt.Fprintf(w, "%[1]s_bucket{%[2]s,le=\"+Inf\"} %[3]d\n%[1]s_sum{%[2]s} %[4]v\n%[1]s_count{%[2]s} %[3]d\n", name, tag, h.count, h.sum)
}

func put(to pcommon.Map, all ...map[string]string) {
	for _, attributes := range all {
		for _, key := range slices.Sorted(maps.Keys(attributes)) {
			to.PutStr(key, attributes[key])
		}
	}
}

func newTraceID() pcommon.TraceID { return pcommon.TraceID(newBytes(16)) }
func newSpanID() pcommon.SpanID   { return pcommon.SpanID(newBytes(8)) }

func newBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func unhex(text string) []byte {
	b, _ := hex.DecodeString(text) // of a constant
	return b
}
