// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exemplarprocessor

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadata"
)

// benchStart is when the spans of the benchmarks begin to end.
var benchStart = time.Unix(1_800_000_000, 0)

// cpu returns the processor time of this process so far.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func heap() float64 {
	runtime.GC()
	runtime.GC() // The second empties pools.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// cost is the processor time and the allocations of what was measured.
type cost struct {
	of       string // what is counted
	n        int
	used     time.Duration
	mallocs  uint64
	bytes    uint64
	from, to runtime.MemStats
}

// measure runs what handles so many of what is counted. It should take a
// millisecond at least, as what is asked before and after takes some time too.
func (c *cost) measure(n int, run func()) {
	runtime.GC() // What was made for it is not its garbage.
	runtime.ReadMemStats(&c.from)
	used := cpu()
	run()
	c.used += cpu() - used
	runtime.ReadMemStats(&c.to)
	c.mallocs += c.to.Mallocs - c.from.Mallocs
	c.bytes += c.to.TotalAlloc - c.from.TotalAlloc
	c.n += n
}

func (c *cost) each() float64 { return float64(c.used.Nanoseconds()) / float64(c.n) }

// report tells it, with a prefix if there are several in one benchmark.
func (c *cost) report(b *testing.B, prefix string) {
	b.ReportMetric(0, "ns/op") // It has in it what is not measured.
	b.ReportMetric(c.each(), prefix+"cpu-ns/"+c.of)
	b.ReportMetric(float64(c.mallocs)/float64(c.n), prefix+"allocs/"+c.of)
	b.ReportMetric(float64(c.bytes)/float64(c.n), prefix+"B/"+c.of)
}

// bench is a processor with the rules for HTTP and RPC, whose clock is that of
// the spans and data points.
type bench struct {
	now     time.Time
	shared  *exemplars
	traces  consumer.Traces
	metrics consumer.Metrics
}

func newBench(tb testing.TB, spans consumer.Traces, points consumer.Metrics) *bench {
	cfg := defaultConfig()
	cfg.Attach.Presets = []string{"http", "rpc"}
	factory, settings := NewFactory(), processortest.NewNopSettings(metadata.Type)
	t, err := factory.CreateTraces(tb.Context(), settings, cfg, spans)
	require.NoError(tb, err)
	m, err := factory.CreateMetrics(tb.Context(), settings, cfg, points)
	require.NoError(tb, err)
	h := &bench{now: benchStart, shared: t.(*traces).Observer, traces: t, metrics: m}
	h.shared.now = func() time.Time { return h.now }
	return h
}

// stream is spans as SDKs tell them: ten attributes each, of a service with six.
// Those that are selected are of HTTP servers, an HTTP client and a gRPC server in
// turn, with so many routes in all; from is the number of the first span.
func stream(spans, from, routes int, selected bool) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	serviceOf(rs.Resource().Attributes())
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp")
	ss.Spans().EnsureCapacity(spans)
	for i := from; i < from+spans; i++ {
		of := within
		if selected {
			of = [...]spanOf{httpServer, httpServer, httpClient, rpcServer}[i%4]
		}
		of(ss.Spans().AppendEmpty(), i, i%routes)
	}
	return td
}

// spanOf makes a span with a number and a route.
type spanOf func(span ptrace.Span, i, route int)

// begin begins a span, and returns what puts attributes.
func begin(span ptrace.Span, kind ptrace.SpanKind, name string) (text func(string, string), number func(string, int64)) {
	span.SetFlags(0x101)
	span.SetKind(kind)
	span.SetName(name)
	span.Attributes().EnsureCapacity(10)
	return span.Attributes().PutStr, span.Attributes().PutInt
}

func within(span ptrace.Span, i, _ int) {
	put, _ := begin(span, ptrace.SpanKindInternal, "Cart.Total")
	for n := range 10 {
		put(fmt.Sprintf("app.cart.field_%d", n), fmt.Sprintf("value-%d", i%7))
	}
}

func httpServer(span ptrace.Span, i, route int) {
	put, number := begin(span, ptrace.SpanKindServer, fmt.Sprintf("GET /api/v1/things_%d/{id}", route))
	put("http.request.method", "GET")
	put("url.scheme", "https")
	put("url.path", fmt.Sprintf("/api/v1/things_%d/%d", route, i))
	put("http.route", fmt.Sprintf("/api/v1/things_%d/{id}", route))
	put("network.protocol.version", "2")
	put("client.address", "10.4.8.15")
	put("server.address", "shop.example.com")
	number("server.port", 443)
	put("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)")
	number("http.response.status_code", statusOf(i))
}

func httpClient(span ptrace.Span, i, route int) {
	put, number := begin(span, ptrace.SpanKindClient, "GET")
	put("http.request.method", "GET")
	put("server.address", fmt.Sprintf("stock_%d.example.com", route))
	number("server.port", 443)
	put("url.full", fmt.Sprintf("https://stock_%d.example.com/things/%d", route, i))
	put("network.protocol.version", "1.1")
	put("network.peer.address", "10.4.8.16")
	number("network.peer.port", 443)
	put("user_agent.original", "Go-http-client/1.1")
	put("peer.service", "stock")
	number("http.response.status_code", statusOf(i))
}

func rpcServer(span ptrace.Span, _, route int) {
	put, number := begin(span, ptrace.SpanKindServer, fmt.Sprintf("shop.Things/Get_%d", route))
	put("rpc.system", "grpc")
	put("rpc.service", "shop.Things")
	put("rpc.method", fmt.Sprintf("Get_%d", route))
	number("rpc.grpc.status_code", 0)
	put("client.address", "10.4.8.15")
	number("client.port", 51515)
	put("server.address", "things.example.com")
	number("server.port", 50051)
	put("network.transport", "tcp")
	put("network.type", "ipv4")
}

// scrape is a metric with so many data points, each a histogram of 15 buckets;
// from is the number of the first.
func scrape(points, from int, name string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	serviceOf(rm.Resource().Attributes())
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	m.SetUnit("s")
	histogram := m.SetEmptyHistogram()
	histogram.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	histogram.DataPoints().EnsureCapacity(points)
	for i := from; i < from+points; i++ {
		p := histogram.DataPoints().AppendEmpty()
		labels(p.Attributes(), i)
		p.SetStartTimestamp(pcommon.NewTimestampFromTime(benchStart.Add(-time.Hour)))
		p.ExplicitBounds().FromRaw([]float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10})
		p.BucketCounts().FromRaw(make([]uint64, 15))
	}
	return md
}

// count is a sum with so many data points.
func count(points, from int, name string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	serviceOf(rm.Resource().Attributes())
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.DataPoints().EnsureCapacity(points)
	for i := from; i < from+points; i++ {
		p := sum.DataPoints().AppendEmpty()
		labels(p.Attributes(), i)
		p.SetStartTimestamp(pcommon.NewTimestampFromTime(benchStart.Add(-time.Hour)))
	}
	return md
}

func labels(attrs pcommon.Map, series int) {
	attrs.PutStr("http.request.method", "GET")
	attrs.PutStr("http.route", fmt.Sprintf("/api/v1/things_%d/{id}", series))
	attrs.PutInt("http.response.status_code", 200)
	attrs.PutStr("network.protocol.version", "2")
	attrs.PutStr("url.scheme", "https")
}

func serviceOf(resource pcommon.Map) {
	resource.PutStr("service.name", "shop")
	resource.PutStr("service.version", "1.14.2")
	resource.PutStr("service.instance.id", "5ac9a4d8-8f0e-4f0b-a4c6-6a2a3f7d6f0e")
	resource.PutStr("host.name", "node-17")
	resource.PutStr("k8s.namespace.name", "shop")
	resource.PutStr("k8s.pod.name", "shop-6bdcf9c5d8-x2x7z")
}

func statusOf(i int) int64 {
	if i%50 == 0 {
		return 500
	}
	return 200
}

// ask brings a data point of each metric that counts spans of a stream, as it is
// only then known which of their attributes count. Spans come before, as they are
// told more often: so it is known whose instance they are.
func (h *bench) ask(tb testing.TB) {
	require.NoError(tb, h.traces.ConsumeTraces(tb.Context(), stream(4, 0, 1, true)))
	for name, labels := range map[string]map[string]any{
		"http.server.request.duration": {"http.request.method": "GET", "http.route": "/", "http.response.status_code": 200},
		"http.client.request.duration": {"http.request.method": "GET", "server.address": "a", "server.port": 443, "http.response.status_code": 200},
		"rpc.server.duration":          {"rpc.service": "shop.Things", "rpc.method": "Get", "rpc.grpc.status_code": 0},
	} {
		md := scrape(1, 0, name)
		point := metricIn(md).Histogram().DataPoints().At(0)
		require.NoError(tb, point.Attributes().FromRaw(labels))
		point.SetTimestamp(pcommon.NewTimestampFromTime(h.now))
		require.NoError(tb, h.metrics.ConsumeMetrics(tb.Context(), md))
	}
}

// spansPerSecond is the rate at which spans come by the clock of a bench. It
// matters, as of spans that are alike about one in a second is kept.
const spansPerSecond = 10_000

// date gives the spans of a batch IDs of their own, and ends from now on. It
// returns the last of them.
func date(td ptrace.Traces, now time.Time) time.Time {
	for i, span := range spansIn(td).All() {
		now = now.Add(time.Second / spansPerSecond)
		stamp(span, i, now)
	}
	return now
}

// stamp gives a span its end, and the ID of it.
func stamp(span ptrace.Span, i int, at time.Time) {
	var trace pcommon.TraceID
	var id pcommon.SpanID
	end := pcommon.NewTimestampFromTime(at)
	binary.BigEndian.PutUint64(trace[:], uint64(end))
	binary.BigEndian.PutUint64(id[:], uint64(i)+1)
	span.SetTraceID(trace)
	span.SetSpanID(id)
	span.SetEndTimestamp(end)
	// Most take some milliseconds, and one of a hundred three seconds.
	span.SetStartTimestamp(end - pcommon.Timestamp(1_000_000+i*i%97*400_000+i%100/99*3_000_000_000))
}

func spansIn(td ptrace.Traces) ptrace.SpanSlice {
	return td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
}

func metricIn(md pmetric.Metrics) pmetric.Metric {
	return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
}

// grow gives the data points of a batch a time, and what was counted then. A
// third of the buckets have grown since the number before.
func grow(md pmetric.Metrics, now time.Time, number int) {
	m := metricIn(md)
	none := func(pmetric.Exemplar) bool { return true }
	at := pcommon.NewTimestampFromTime(now)
	if m.Type() == pmetric.MetricTypeSum {
		for _, p := range m.Sum().DataPoints().All() {
			p.SetTimestamp(at)
			p.SetIntValue(int64(number))
			p.Exemplars().RemoveIf(none)
		}
		return
	}
	for _, p := range m.Histogram().DataPoints().All() {
		p.SetTimestamp(at)
		p.Exemplars().RemoveIf(none)
		for bucket := range 15 {
			p.BucketCounts().SetAt(bucket, uint64(number+bucket)/3)
		}
	}
}

// BenchmarkSpans tells what a span costs, without what comes before and after.
func BenchmarkSpans(b *testing.B) {
	const each = 10_000 // are measured at once
	for _, batch := range []int{100, 1000} {
		for _, row := range []struct {
			name     string
			series   int
			selected bool
		}{{"unselected", 1, false}, {"series=1", 1, true}, {"series=100", 100, true}, {"series=100000", 100_000, true}} {
			b.Run(fmt.Sprintf("%s/batch=%d", row.name, batch), func(b *testing.B) {
				h := newBench(b, consumertest.NewNop(), consumertest.NewNop())
				h.ask(b)
				tds, nows := make([]ptrace.Traces, each/batch), make([]time.Time, each/batch)
				now, number := benchStart, 0
				turn := func(c *cost) {
					for i := range tds {
						if number < len(tds) || row.series > each {
							tds[i] = stream(batch, number*batch, row.series, row.selected)
						}
						now = date(tds[i], now)
						nows[i] = now
						number++
					}
					c.measure(each, func() {
						for i, td := range tds {
							h.now = nows[i]
							_ = h.traces.ConsumeTraces(b.Context(), td)
						}
					})
				}
				c := cost{of: "span"}
				for range max(2, row.series/each) {
					turn(new(cost))
				}
				for b.Loop() {
					turn(&c)
				}
				c.report(b, "")
			})
		}
	}
}

// BenchmarkPoints tells what a data point costs, without what comes before and
// after: of a metric that no rule selects, of one for which there are no spans,
// and after ten spans for each series or, where there are many series, one.
func BenchmarkPoints(b *testing.B) {
	for _, row := range []struct {
		name   string
		metric func(points, from int, name string) pmetric.Metrics
		of     string
		spans  bool
	}{
		{"histogram/unselected", scrape, "app.cart.duration", false},
		{"histogram/no-spans", scrape, "http.server.request.duration", false},
		{"histogram/spans", scrape, "http.server.request.duration", true},
		{"sum/no-spans", count, "http.server.request.duration", false},
		{"sum/spans", count, "http.server.request.duration", true},
	} {
		for _, series := range []int{1, 100, 100_000} {
			if row.spans && series == 1 {
				continue // One point is too little to be measured at once.
			}
			b.Run(fmt.Sprintf("%s/series=%d", row.name, series), func(b *testing.B) {
				h := newBench(b, consumertest.NewNop(), consumertest.NewNop())
				h.shared.limiter.SetLimit(rate.Inf)
				batch := min(series, 1000)
				mds := make([]pmetric.Metrics, 10_000/batch)
				if row.spans {
					mds = mds[:10]
				}
				now, number := benchStart, 0
				turn := func(c *cost) {
					for i := range mds {
						from := number * batch % series
						if row.spans {
							td := stream(1000, from, series, true)
							now = date(td, now)
							h.now = now
							_ = h.traces.ConsumeTraces(b.Context(), td)
						}
						if from == 0 { // The next sweep over all series.
							now = now.Add(time.Second)
						}
						if number < len(mds) || series > len(mds)*batch {
							mds[i] = row.metric(batch, from, row.of)
						}
						grow(mds[i], now, number*batch/series+1)
						number++
					}
					h.now = now
					c.measure(len(mds)*batch, func() {
						for _, md := range mds {
							_ = h.metrics.ConsumeMetrics(b.Context(), md)
						}
					})
				}
				c := cost{of: "point"}
				for range max(2, series/len(mds)/batch) {
					turn(new(cost))
				}
				got := 0
				for b.Loop() {
					turn(&c)
					for _, md := range mds {
						got += exemplarsOf(md)
					}
				}
				c.report(b, "")
				b.ReportMetric(float64(got)/float64(c.n), "exemplars/point")
			})
		}
	}
}

func exemplarsOf(md pmetric.Metrics) (n int) {
	m := metricIn(md)
	if m.Type() == pmetric.MetricTypeSum {
		for _, p := range m.Sum().DataPoints().All() {
			n += p.Exemplars().Len()
		}
		return n
	}
	for _, p := range m.Histogram().DataPoints().All() {
		n += p.Exemplars().Len()
	}
	return n
}

// BenchmarkSpanmetrics compares with the connector that makes metrics with
// exemplars of spans, on the same stream.
func BenchmarkSpanmetrics(b *testing.B) {
	for _, series := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			factory := spanmetricsconnector.NewFactory()
			cfg := factory.CreateDefaultConfig()
			require.NoError(b, confmap.NewFromStringMap(map[string]any{
				"exemplars":  map[string]any{"enabled": true},
				"dimensions": []any{map[string]any{"name": "http.route"}, map[string]any{"name": "http.response.status_code"}},
			}).Unmarshal(cfg))
			peer, err := factory.CreateTracesToMetrics(b.Context(), connector.Settings{
				ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(),
			}, cfg, consumertest.NewNop())
			require.NoError(b, err)
			require.NoError(b, peer.Start(b.Context(), componenttest.NewNopHost()))
			defer func() { require.NoError(b, peer.Shutdown(context.Background())) }()

			h := newBench(b, consumertest.NewNop(), consumertest.NewNop())
			h.ask(b)
			const batch = 500
			tds, nows := make([]ptrace.Traces, 20), make([]time.Time, 20)
			for i := range tds {
				tds[i] = stream(batch, i*batch, series, true)
			}
			ours, theirs := cost{of: "span"}, cost{of: "span"}
			for b.Loop() {
				now := h.now
				for i, td := range tds {
					now = date(td, now)
					nows[i] = now
				}
				ours.measure(len(tds)*batch, func() {
					for i, td := range tds {
						h.now = nows[i]
						_ = h.traces.ConsumeTraces(b.Context(), td)
					}
				})
				theirs.measure(len(tds)*batch, func() {
					for _, td := range tds {
						_ = peer.ConsumeTraces(b.Context(), td)
					}
				})
			}
			ours.report(b, "exemplar-")
			theirs.report(b, "spanmetrics-")
			b.ReportMetric(ours.each()/theirs.each(), "cpu/spanmetrics")
		})
	}
}

// BenchmarkMemory tells what is held at the default bounds: 100,000 candidates
// and 100,000 series of 15 buckets.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		h := newBench(b, consumertest.NewNop(), consumertest.NewNop())
		empty := heap()
		held := 0
		for from := 0; held < h.shared.cfg.Attach.Candidates; from += 1000 {
			td := stream(1000, from, 10_000, true)
			h.now = date(td, h.now)
			require.NoError(b, h.traces.ConsumeTraces(b.Context(), td))
			held = h.shared.store.Stats().Candidates
		}
		candidates := heap()
		b.ReportMetric((candidates-empty)/float64(held), "B/candidate")
		for turn := range 20 {
			h.now = h.now.Add(15 * time.Second)
			for from := 0; from < h.shared.cfg.Attach.Series; from += 1000 {
				md := scrape(1000, from, "http.server.request.duration")
				grow(md, h.now, turn+1)
				require.NoError(b, h.metrics.ConsumeMetrics(b.Context(), md))
			}
		}
		series, _ := h.shared.tables.stats()
		b.ReportMetric((heap()-candidates)/float64(series), "B/series")
		b.ReportMetric((heap()-empty)/1e6, "MB")
		b.ReportMetric(0, "ns/op")
		runtime.KeepAlive(h)
	}
}
