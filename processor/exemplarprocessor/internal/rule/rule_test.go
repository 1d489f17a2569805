// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func attrs(t testing.TB, raw map[string]any) pcommon.Map {
	t.Helper()
	m := pcommon.NewMap()
	require.NoError(t, m.FromRaw(raw))
	return m
}

// made is a span of 250 ms.
func made(t testing.TB, kind ptrace.SpanKind, raw map[string]any) ptrace.Span {
	t.Helper()
	span := ptrace.NewSpan()
	span.SetName("GET /cart")
	span.SetKind(kind)
	span.SetTraceID(pcommon.TraceID{1})
	span.SetSpanID(pcommon.SpanID{2})
	span.SetStartTimestamp(1e9)
	span.SetEndTimestamp(125e7)
	attrs(t, raw).CopyTo(span.Attributes())
	return span
}

// pair is of a data point and a span, and whether a rule says that the one
// counts the other.
type pair struct {
	name            string
	preset          string
	metric          string
	resource, point map[string]any
	others          map[string]any // attributes of another data point of the metric
	of              map[string]any // the span's resource
	kind            ptrace.SpanKind
	span            map[string]any
	want            bool
}

func TestPairs(t *testing.T) {
	server := map[string]any{"http.request.method": "GET", "http.route": "/cart", "http.response.status_code": 200}
	shop := map[string]any{"service.name": "shop", "service.namespace": "emea"}
	for _, p := range []pair{
		{
			name: "in the words of OpenTelemetry", preset: "http", metric: "http.server.request.duration",
			resource: shop, point: server, of: shop, kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "in the words of Prometheus", preset: "http", metric: "http_server_request_duration_seconds",
			point: map[string]any{"job": "emea/shop", "http_request_method": "GET", "http_route": "/cart", "http_response_status_code": "200"},
			of:    shop, kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "the job is of the resource", preset: "http", metric: "http_server_request_duration_seconds",
			resource: map[string]any{"service.name": "shop"}, point: map[string]any{"http_request_method": "GET", "http_route": "/cart", "http_response_status_code": "200"},
			of: shop, kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "a name with a slash", preset: "http", metric: "http.server.request.duration",
			resource: map[string]any{"service.name": "team/shop"}, point: server, of: map[string]any{"service.name": "team/shop"},
			kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "a job with a slash is not the service behind it", preset: "http", metric: "http.server.request.duration",
			resource: map[string]any{"service.name": "team/shop"}, point: server, of: map[string]any{"service.name": "shop"},
			kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "the same name in another namespace", preset: "http", metric: "http.server.request.duration",
			resource: map[string]any{"service.name": "shop", "service.namespace": "apac"}, point: server, of: shop, kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "a job that leaves out the namespace", preset: "http", metric: "http_server_request_duration_seconds",
			point: map[string]any{"job": "shop", "http_request_method": "GET", "http_route": "/cart", "http_response_status_code": "200"},
			of:    shop, kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "the point says itself of which service it is", preset: "http", metric: "http_server_request_duration_seconds",
			resource: map[string]any{"service.name": "gateway"},
			point:    map[string]any{"service_name": "shop", "http_request_method": "GET", "http_route": "/cart", "http_response_status_code": "200"},
			of:       shop, kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "its job is another thing", preset: "http", metric: "http.server.request.duration",
			resource: shop, point: map[string]any{"job": "till", "http.request.method": "GET"},
			of: map[string]any{"service.name": "till"}, kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "another service", preset: "http", metric: "http.server.request.duration",
			resource: map[string]any{"service.name": "till"}, point: server, of: shop, kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "another route", preset: "http", metric: "http.server.request.duration", resource: shop,
			point: map[string]any{"http.request.method": "GET", "http.route": "/till", "http.response.status_code": 200}, of: shop, kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "the metric has no routes", preset: "http", metric: "http.server.request.duration", resource: shop,
			point: map[string]any{"http.request.method": "GET", "http.response.status_code": 200}, of: shop, kind: ptrace.SpanKindServer, span: server, want: true,
		},
		{
			name: "the metric has routes, the point has none", preset: "http", metric: "http.server.request.duration", resource: shop,
			point: map[string]any{"http.request.method": "GET", "http.response.status_code": 200}, others: server, of: shop, kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "neither has a route", preset: "http", metric: "http.server.request.duration", resource: shop,
			point: map[string]any{"http.request.method": "GET", "http.response.status_code": 200}, others: server, of: shop, kind: ptrace.SpanKindServer,
			span: map[string]any{"http.request.method": "GET", "http.response.status_code": 200}, want: true,
		},
		{
			name: "a client's span", preset: "http", metric: "http.server.request.duration",
			resource: shop, point: server, of: shop, kind: ptrace.SpanKindClient, span: server,
		},
		{
			name: "the point does not say what is not optional", preset: "http", metric: "http.server.request.duration",
			point: server, of: shop, kind: ptrace.SpanKindServer, span: server,
		},
		{
			name: "an HTTP client", preset: "http", metric: "http.client.request.duration", resource: shop,
			point: map[string]any{"http.request.method": "GET", "server.address": "till", "server.port": 80}, of: shop, kind: ptrace.SpanKindClient,
			span: map[string]any{"http.request.method": "GET", "server.address": "till", "server.port": 80, "http.response.status_code": 200}, want: true,
		},
		{
			name: "older names", preset: "http", metric: "http_server_duration_milliseconds", resource: shop,
			point: map[string]any{"http_method": "GET", "http_status_code": "200"}, of: shop, kind: ptrace.SpanKindServer,
			span: map[string]any{"http.method": "GET", "http.status_code": 200}, want: true,
		},
		{
			name: "go-grpc-prometheus, as in etcd", preset: "rpc", metric: "grpc_server_handling_seconds", resource: map[string]any{"service.name": "etcd"},
			point: map[string]any{"grpc_service": "etcdserverpb.KV", "grpc_method": "Range", "grpc_type": "unary"}, of: map[string]any{"service.name": "etcd"},
			kind: ptrace.SpanKindServer, span: map[string]any{"rpc.service": "etcdserverpb.KV", "rpc.method": "Range"}, want: true,
		},
		{
			name: "an RPC", preset: "rpc", metric: "rpc.server.duration", resource: shop,
			point: map[string]any{"rpc.service": "Cart", "rpc.method": "Add", "rpc.grpc.status_code": 0}, of: shop, kind: ptrace.SpanKindServer,
			span: map[string]any{"rpc.service": "Cart", "rpc.method": "Add", "rpc.grpc.status_code": 0}, want: true,
		},
		{
			name: "spanmetrics", preset: "spanmetrics", metric: "traces.span.metrics.duration",
			point: map[string]any{"service.name": "shop", "span.name": "GET /cart", "span.kind": "SPAN_KIND_SERVER", "status.code": "STATUS_CODE_UNSET"},
			of:    shop, kind: ptrace.SpanKindServer, want: true,
		},
		{
			name: "calls of spanmetrics, by way of Prometheus", preset: "spanmetrics", metric: "traces_span_metrics_calls_total",
			point: map[string]any{"service_name": "shop", "span_name": "GET /cart", "span_kind": "SPAN_KIND_SERVER", "status_code": "STATUS_CODE_UNSET"},
			of:    shop, kind: ptrace.SpanKindServer, want: true,
		},
		{
			name: "Envoy, upstream", preset: "envoy", metric: "envoy_cluster_upstream_rq_time", resource: map[string]any{"service.name": "edge"},
			point: map[string]any{"envoy_cluster_name": "shop"}, of: map[string]any{"service.name": "edge"}, kind: ptrace.SpanKindClient,
			span: map[string]any{"component": "proxy", "upstream_cluster": "shop"}, want: true,
		},
		{
			name: "not of Envoy", preset: "envoy", metric: "envoy_cluster_upstream_rq_time", resource: map[string]any{"service.name": "edge"},
			point: map[string]any{"envoy_cluster_name": "shop"}, of: map[string]any{"service.name": "edge"}, kind: ptrace.SpanKindClient,
			span: map[string]any{"upstream_cluster": "shop"},
		},
	} {
		t.Run(p.name, func(t *testing.T) {
			s, err := Compile(Preset(p.preset))
			require.NoError(t, err)
			r := s.Metric(p.metric)
			require.NotNil(t, r)
			resource, point := attrs(t, p.resource), attrs(t, p.point)
			mask, _ := r.Mask(0, resource, point)
			if p.others != nil {
				mask, _ = r.Mask(mask, resource, attrs(t, p.others))
			}
			key, ok := keyOf(r, mask, resource, point)

			found := false
			var scratch Scratch
			s.Begin(attrs(t, p.of), &scratch, false)
			s.Spans(attrs(t, p.of), made(t, p.kind, p.span), &scratch, func(f Found) {
				assert.InDelta(t, 0.25, f.Value, 1e-9)
				for _, k := range f.Keys {
					found = found || ok && k == key
				}
			}, func(*Rule, Refusal) {})
			assert.Equal(t, p.want, found)
		})
	}
}

func TestEachPresetIsValid(t *testing.T) {
	for _, preset := range Presets() {
		require.NotEmpty(t, Preset(preset))
		require.NoError(t, Check(preset, Preset(preset)))
		for _, c := range Preset(preset) {
			assert.NotEmpty(t, c.Name)
		}
	}
}

func TestScale(t *testing.T) {
	s, err := Compile([]Config{
		{Metrics: []string{"sizes"}, Value: "size", Join: []JoinConfig{{Metric: "a"}}},
		{Metrics: []string{"rq_time"}, Unit: "ms", Join: []JoinConfig{{Metric: "a"}}},
		{Metrics: []string{".*"}, Join: []JoinConfig{{Metric: "a"}}},
	})
	require.NoError(t, err)
	for _, c := range []struct {
		name, unit string
		want       float64
		ok         bool
	}{
		{"duration", "s", 1, true},
		{"duration", "ms", 1e3, true},
		{"duration", "us", 1e6, true},
		{"duration", "ns", 1e9, true},
		{"duration", "seconds", 1, true},
		{"duration_seconds", "", 1, true},
		{"duration_milliseconds", "", 1e3, true},
		{"work_seconds_total", "", 1, true},
		{"duration", "", 0, false},
		{"traces_spanmetrics_latency", "", 1, true},
		{"duration", "By", 0, false},
		{"sizes", "By", 1, true},
		{"rq_time", "", 1e3, true},
	} {
		got, ok := s.Metric(c.name).Scale(c.name, c.unit)
		assert.Equal(t, c.ok, ok, c)
		assert.InDelta(t, c.want, got, 0, c)
	}
}

func TestSpansThatAreRefused(t *testing.T) {
	s, err := Compile([]Config{{
		Metrics: []string{".*"}, Spans: SpansConfig{Names: []string{"GET .*"}, Attributes: map[string]string{"env": "prod"}},
		Join: []JoinConfig{{Metric: "route", Span: "http.route"}},
	}})
	require.NoError(t, err)
	require.NotNil(t, s.Metric("any"))
	good := func() ptrace.Span {
		return made(t, ptrace.SpanKindServer, map[string]any{"env": "prod", "http.route": "/cart"})
	}
	for name, c := range map[string]struct {
		change  func(ptrace.Span)
		flagged bool
		taken   int
		want    []Refusal
	}{
		"good":                       {func(ptrace.Span) {}, false, 1, nil},
		"another name":               {func(s ptrace.Span) { s.SetName("POST /cart") }, false, 0, nil},
		"another environment":        {func(s ptrace.Span) { s.Attributes().PutStr("env", "test") }, false, 0, nil},
		"not sampled, but another":   {func(s ptrace.Span) { s.SetFlags(0x100) }, true, 0, []Refusal{Unsampled}},
		"of an SDK with upper flags": {func(s ptrace.Span) { s.SetFlags(0x100) }, false, 1, nil},
		"the same, from elsewhere":   {func(s ptrace.Span) { s.SetFlags(0x300) }, false, 1, nil},
		"no flags, but of another":   {func(s ptrace.Span) { s.SetFlags(0) }, true, 1, nil},
		"not sampled, but random":    {func(s ptrace.Span) { s.SetFlags(0x102) }, false, 0, []Refusal{Unsampled}},
		"known to be sampled":        {func(s ptrace.Span) { s.SetFlags(0x101) }, true, 1, nil},
		"it ended before it started": {func(s ptrace.Span) { s.SetEndTimestamp(1) }, false, 0, []Refusal{Invalid}},
		"no trace":                   {func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) }, false, 0, []Refusal{Invalid}},
		"no route":                   {func(s ptrace.Span) { s.Attributes().Remove("http.route") }, false, 0, []Refusal{Unkeyed}},
	} {
		t.Run(name, func(t *testing.T) {
			span := good()
			c.change(span)
			taken := 0
			var refused []Refusal
			var scratch Scratch
			s.Begin(pcommon.NewMap(), &scratch, c.flagged)
			s.Spans(pcommon.NewMap(), span, &scratch, func(Found) { taken++ }, func(_ *Rule, r Refusal) { refused = append(refused, r) })
			assert.Equal(t, c.taken, taken)
			assert.Equal(t, c.want, refused)
		})
	}
}

func TestFlagsThatTellWhatWasSampled(t *testing.T) {
	for _, c := range []struct {
		flags []uint32
		want  bool
	}{
		{nil, false},
		{[]uint32{0, 0}, false},
		{[]uint32{0x100, 0x300}, false},
		{[]uint32{0x102}, false},
		{[]uint32{0x100, 0x101}, true},
		{[]uint32{1}, true},
	} {
		rs := ptrace.NewResourceSpans()
		for _, flags := range c.flags {
			rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetFlags(flags)
		}
		assert.Equal(t, c.want, Flagged(rs), "%x", c.flags)
	}
}

// What was looked up for a span is not of the next one, nor that of its resource.
func TestEachSpanHasItsOwnKeys(t *testing.T) {
	s, err := Compile([]Config{
		{Name: "a", Metrics: []string{"a"}, Join: []JoinConfig{{Metric: "service.name"}, {Metric: "route"}}},
		{Name: "b", Metrics: []string{"b"}, Join: []JoinConfig{{Metric: "route"}, {Metric: "service.name"}}},
		{Name: "as a", Metrics: []string{"c"}, Join: []JoinConfig{{Metric: "service.name"}, {Metric: "route"}}},
	})
	require.NoError(t, err)
	var scratch Scratch
	keys := map[uint64]string{}
	spans := 0
	for _, resource := range []map[string]any{{"service.name": "shop"}, {"service.name": "stock"}, {"service.name": "shop", "route": "/all"}} {
		s.Begin(attrs(t, resource), &scratch, false)
		for _, own := range []map[string]any{{"route": "/cart"}, {"route": "/pay"}, {"route": "/cart", "service.name": "till"}, {}} {
			of := fmt.Sprint(resource, own)
			s.Spans(attrs(t, resource), made(t, ptrace.SpanKindServer, own), &scratch, func(f Found) {
				spans++
				for _, key := range f.Keys {
					keys[key] = of
				}
			}, func(_ *Rule, r Refusal) { assert.Equal(t, Unkeyed, r, of) })
		}
	}
	assert.Equal(t, 3*(3*3+1), spans, "by each rule, all but those without a route")
	// till /cart is three times the same, and shop /cart and /pay twice.
	assert.Len(t, keys, 3*(10-2-2))
}

func TestKindsThatThereAreNot(t *testing.T) {
	s, err := Compile([]Config{
		{Metrics: []string{"a"}, Spans: SpansConfig{Kinds: []string{"server"}}, Join: []JoinConfig{{Metric: "span.kind"}}},
		{Metrics: []string{"b"}, Join: []JoinConfig{{Metric: "span.kind"}}},
	})
	require.NoError(t, err)
	for _, kind := range []ptrace.SpanKind{-1, math.MinInt32, 6, 32, 34, math.MaxInt32} {
		taken := 0
		var scratch Scratch
		s.Begin(pcommon.NewMap(), &scratch, false)
		s.Spans(pcommon.NewMap(), made(t, kind, nil), &scratch, func(Found) { taken++ }, func(_ *Rule, r Refusal) { t.Error(kind, r) })
		assert.Equal(t, 1, taken, "only by the rule that takes all kinds: %d", kind)
	}
}

func TestWhatIsOptionalIsNotMistaken(t *testing.T) {
	s, err := Compile([]Config{{Metrics: []string{"m"}, Join: []JoinConfig{{Metric: "a"}, {Metric: "b", Optional: true}, {Metric: "c", Optional: true}}}})
	require.NoError(t, err)
	r, keys := s.Metric("m"), map[uint64]bool{}
	for _, point := range []map[string]any{{"a": "x"}, {"a": "x", "b": "y"}, {"a": "x", "c": "y"}, {"a": "x", "b": "y", "c": "y"}} {
		of := attrs(t, point)
		mask, _ := r.Mask(0, pcommon.NewMap(), of)
		key, ok := keyOf(r, mask, pcommon.NewMap(), of)
		require.True(t, ok)
		keys[key] = true
	}
	assert.Len(t, keys, 4)
}

func TestNamesAreBounded(t *testing.T) {
	s, err := Compile([]Config{{Name: "all", Metrics: []string{"m.*"}, Join: []JoinConfig{{Metric: "a"}}}})
	require.NoError(t, err)
	for i := range mostNames + 10 {
		require.NotNil(t, s.Metric(fmt.Sprint("m", i)))
	}
	require.Nil(t, s.Metric("other"))
	held := 0
	s.names.Range(func(any, any) bool { held++; return true })
	assert.Equal(t, mostNames, held)
}

func BenchmarkSpans(b *testing.B) {
	s, err := Compile(append(Preset("http"), Preset("rpc")...))
	require.NoError(b, err)
	resource := attrs(b, map[string]any{"service.name": "shop"})
	span := made(b, ptrace.SpanKindServer, map[string]any{"http.request.method": "GET", "http.route": "/cart", "http.response.status_code": 200})
	scratch, taken := new(Scratch), 0
	take, refuse := func(Found) { taken++ }, func(*Rule, Refusal) {}
	b.ReportAllocs()
	for b.Loop() {
		s.Begin(resource, scratch, false)
		s.Spans(resource, span, scratch, take, refuse)
	}
}

// keyOf returns the key of a data point of a metric of its own.
func keyOf(r *Rule, mask Mask, resource, attrs pcommon.Map) (uint64, bool) {
	var points Points
	points.Begin(r, mask)
	return points.Key(resource, attrs)
}

func BenchmarkKey(b *testing.B) {
	s, err := Compile(Preset("http"))
	require.NoError(b, err)
	r := s.Metric("http.server.request.duration")
	resource := attrs(b, map[string]any{"service.name": "shop"})
	point := attrs(b, map[string]any{"http.request.method": "GET", "http.route": "/cart", "http.response.status_code": 200, "url.scheme": "http"})
	var points Points
	mask, _ := r.Mask(0, resource, point)
	points.Begin(r, mask)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := points.Key(resource, point); !ok {
			b.Fatal("no key")
		}
	}
}

// The receiver for Prometheus makes other names of job and instance.
func TestTheWordsOfPrometheusForAService(t *testing.T) {
	s, err := Compile([]Config{{Metrics: []string{"m"}, Join: []JoinConfig{{Metric: "job"}, {Metric: "instance"}}}})
	require.NoError(t, err)
	r := s.Metric("m")
	of := attrs(t, map[string]any{"service.name": "shop", "service.instance.id": "10.0.0.1:80"})
	scraped, ok := keyOf(r, 0, of, pcommon.NewMap())
	require.True(t, ok)
	labeled, ok := keyOf(r, 0, pcommon.NewMap(), attrs(t, map[string]any{"job": "shop", "instance": "10.0.0.1:80"}))
	require.True(t, ok)
	assert.Equal(t, scraped, labeled)
	other, ok := keyOf(r, 0, pcommon.NewMap(), attrs(t, map[string]any{"job": "shop", "instance": "10.0.0.2:80"}))
	require.True(t, ok)
	assert.NotEqual(t, scraped, other)

	var scratch Scratch
	s.Begin(pcommon.NewMap(), &scratch, false)
	var keys []uint64
	s.Spans(of, made(t, ptrace.SpanKindServer, nil), &scratch, func(f Found) { keys = append(keys, f.Keys...) }, func(_ *Rule, r Refusal) { t.Error(r) })
	assert.Contains(t, keys, scraped)
}

// Presets have rules for several versions of the conventions, of which a
// service has one.
func TestNoSpanLacksWhatNoMetricAsksFor(t *testing.T) {
	s, err := Compile(Preset("http"))
	require.NoError(t, err)
	span := made(t, ptrace.SpanKindServer, map[string]any{"http.request.method": "GET"})
	of := attrs(t, map[string]any{"service.name": "shop"})
	refused := func() (names []string) {
		var scratch Scratch
		s.Begin(pcommon.NewMap(), &scratch, false)
		s.Spans(of, span, &scratch, func(Found) {}, func(r *Rule, _ Refusal) { names = append(names, r.Name) })
		return names
	}
	assert.Empty(t, refused())
	require.NotNil(t, s.Metric("http.server.duration"))
	assert.Equal(t, []string{"http.server.old"}, refused())
}

func TestASpanIsKeptForWhatMetricsHadAndForAll(t *testing.T) {
	s, err := Compile([]Config{{Metrics: []string{"m"}, Join: []JoinConfig{{Metric: "a"}, {Metric: "b", Optional: true}, {Metric: "c", Optional: true}}}})
	require.NoError(t, err)
	r := s.Metric("m")
	of := func(attributes map[string]any) uint64 {
		mask, _ := r.Mask(0, pcommon.NewMap(), attrs(t, attributes))
		key, ok := keyOf(r, mask, pcommon.NewMap(), attrs(t, attributes))
		require.True(t, ok)
		return key
	}
	kept := func() (keys []uint64) {
		var scratch Scratch
		s.Begin(pcommon.NewMap(), &scratch, false)
		s.Spans(pcommon.NewMap(), made(t, ptrace.SpanKindServer, map[string]any{"a": "x", "b": "y", "c": "z"}), &scratch,
			func(f Found) { keys = append(keys, f.Keys...) }, func(_ *Rule, r Refusal) { t.Error(r) })
		return keys
	}
	first := kept()
	require.Len(t, first, 2)
	some := of(map[string]any{"a": "x", "b": "y"})
	second := kept()
	assert.Equal(t, []uint64{some, of(map[string]any{"a": "x", "b": "y", "c": "z"})}, second)
	assert.Equal(t, first[1], second[1], "it was all")
	none := of(map[string]any{"a": "x"})
	assert.Equal(t, none, first[0], "it was none")
	assert.Equal(t, []uint64{none, second[0], second[1]}, kept())
}
