// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadatatest"
)

// year is how far ahead a clock is that is wrong.
const year = 365 * 24 * 3600

// at is a time of a test, in seconds after its begin.
func at(seconds float64) pcommon.Timestamp {
	const begin = 1_000_000_000_000_000 // nanoseconds of Unix time
	return pcommon.Timestamp(begin + int64(math.Round(seconds*1e9)))
}

// configured is the default configuration with these settings, in YAML.
func configured(t testing.TB, settings string) *Config {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(settings))
	require.NoError(t, err)
	conf, err := retrieved.AsConf()
	require.NoError(t, err)
	cfg := defaultConfig()
	require.NoError(t, conf.Unmarshal(cfg))
	require.NoError(t, xconfmap.Validate(cfg))
	return cfg
}

// requests is a configuration with one rule, for the metrics and spans that the
// builders below make, and more settings of attach.
func requests(settings string) string {
	return "attach: {rules: [{name: requests, metrics: [requests.*], join: [{metric: service.name}]}], " + settings + "}"
}

// wired is a processor in a traces and a metrics pipeline, with a clock.
type wired struct {
	factory processor.Factory
	cfg     *Config
	set     processor.Settings
	own     *componenttest.Telemetry
	log     *observer.ObservedLogs
	host    *statusHost
	clock   atomic.Int64

	traces  processor.Traces
	metrics processor.Metrics
	spans   consumertest.TracesSink
	out     consumertest.MetricsSink
}

// unwired is a processor that no pipeline has yet.
func unwired(t testing.TB, cfg *Config) *wired {
	w := &wired{cfg: cfg, own: componenttest.NewTelemetry(), host: &statusHost{Host: componenttest.NewNopHost()}}
	w.factory = newFactory(w.now)
	t.Cleanup(func() { require.NoError(t, w.own.Shutdown(context.Background())) })
	w.set = metadatatest.NewSettings(w.own)
	core, log := observer.New(zap.DebugLevel)
	w.set.Logger, w.log = zap.New(core), log
	w.clock.Store(int64(at(0)))
	return w
}

func wire(t testing.TB, cfg *Config) *wired {
	t.Helper()
	w := unwired(t, cfg)
	w.traces = w.newTraces(t, &w.spans)
	w.metrics = w.newMetrics(t, &w.out)
	w.start(t, w.traces, w.metrics)
	return w
}

func (w *wired) newTraces(t testing.TB, next consumer.Traces) processor.Traces {
	t.Helper()
	p, err := w.factory.CreateTraces(t.Context(), w.set, w.cfg, next)
	require.NoError(t, err)
	return p
}

func (w *wired) newMetrics(t testing.TB, next consumer.Metrics) processor.Metrics {
	t.Helper()
	p, err := w.factory.CreateMetrics(t.Context(), w.set, w.cfg, next)
	require.NoError(t, err)
	return p
}

func (w *wired) now() time.Time { return time.Unix(0, w.clock.Load()) }

func (w *wired) start(t testing.TB, all ...component.Component) {
	t.Helper()
	for _, c := range all {
		require.NoError(t, c.Start(t.Context(), w.host))
	}
	t.Cleanup(func() {
		for _, c := range all {
			require.NoError(t, c.Shutdown(context.Background()))
		}
	})
}

// feed passes spans at a time.
func (w *wired) feed(t testing.TB, seconds float64, spans ...span) {
	t.Helper()
	w.clock.Store(int64(at(seconds)))
	require.NoError(t, w.traces.ConsumeTraces(t.Context(), tracesOf(t, spans...)))
}

// pass passes data points at a time, and returns what came out.
func (w *wired) pass(t testing.TB, seconds float64, points ...point) pmetric.Metrics {
	t.Helper()
	w.clock.Store(int64(at(seconds)))
	require.NoError(t, w.metrics.ConsumeMetrics(t.Context(), metricsOf(t, seconds, points...)))
	all := w.out.AllMetrics()
	return all[len(all)-1]
}

// statusHost keeps the complaints that components report.
type statusHost struct {
	component.Host
	events []*componentstatus.Event
}

// Report implements componentstatus.Reporter.
func (h *statusHost) Report(event *componentstatus.Event) { h.events = append(h.events, event) }

// span is one of the service shop, unless its resource says otherwise.
type span struct {
	n         byte    // of its trace and span IDs
	end, took float64 // seconds
	name      string
	kind      ptrace.SpanKind
	failed    bool
	flags     uint32
	resource  map[string]any
	attrs     map[string]any
}

func tracesOf(t testing.TB, spans ...span) ptrace.Traces {
	t.Helper()
	td := ptrace.NewTraces()
	for _, s := range spans {
		rs := td.ResourceSpans().AppendEmpty()
		fill(t, rs.Resource().Attributes(), orShop(s.resource))
		to := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		to.SetTraceID(pcommon.TraceID{15: s.n})
		to.SetSpanID(pcommon.SpanID{7: s.n})
		to.SetName(s.name)
		to.SetKind(s.kind)
		to.SetFlags(s.flags)
		to.SetEndTimestamp(at(s.end))
		to.SetStartTimestamp(at(s.end) - pcommon.Timestamp(math.Round(s.took*1e9)))
		if s.failed {
			to.Status().SetCode(ptrace.StatusCodeError)
		}
		fill(t, to.Attributes(), s.attrs)
	}
	return td
}

// fill adds attributes, in the order of their names.
func fill(t testing.TB, attrs pcommon.Map, raw map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		require.NoError(t, attrs.PutEmpty(name).FromRaw(raw[name]))
	}
}

func orShop(resource map[string]any) map[string]any {
	if resource == nil {
		return map[string]any{"service.name": "shop"}
	}
	return resource
}

// point is a data point of a metric of its own, of the service shop unless its
// resource says otherwise. It is cumulative and began at 0 unless it says
// otherwise.
type point struct {
	name, unit string
	resource   map[string]any
	attrs      map[string]any
	exemplars  []exemplar
	metric     func(pmetric.Metric) // sets the type and the values
	started    float64
	startless  bool
	clockAhead float64 // of the client that made it, in seconds
	delta      bool
	noTime     bool // neither delta nor cumulative
}

// exemplar is one that the point has when it comes.
type exemplar struct {
	n     byte
	value float64
	at    float64
	attrs map[string]any
}

// durations is a histogram in seconds with the bounds 0.1 and 1.
func durations(counts ...uint64) point {
	return point{name: "requests.duration", unit: "s", metric: func(m pmetric.Metric) {
		p := m.SetEmptyHistogram().DataPoints().AppendEmpty()
		p.ExplicitBounds().FromRaw([]float64{.1, 1})
		p.BucketCounts().FromRaw(counts)
		for _, count := range counts {
			p.SetCount(p.Count() + count)
		}
	}}
}

// exponential is a histogram in seconds whose buckets are between the powers of
// two from 1/8 on.
func exponential(counts ...uint64) point {
	return point{name: "requests.duration", unit: "s", metric: func(m pmetric.Metric) {
		p := m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
		p.Positive().SetOffset(-3)
		p.Positive().BucketCounts().FromRaw(counts)
		for _, count := range counts {
			p.SetCount(p.Count() + count)
		}
	}}
}

func sum(value int64) point {
	return point{name: "requests", unit: "{request}", metric: func(m pmetric.Metric) {
		m.SetEmptySum().SetIsMonotonic(true)
		m.Sum().DataPoints().AppendEmpty().SetIntValue(value)
	}}
}

func doubles(value float64) point {
	return point{name: "requests", unit: "{request}", metric: func(m pmetric.Metric) {
		m.SetEmptySum().SetIsMonotonic(true)
		m.Sum().DataPoints().AppendEmpty().SetDoubleValue(value)
	}}
}

func upAndDown(value int64) point {
	return point{name: "requests.active", metric: func(m pmetric.Metric) { m.SetEmptySum().DataPoints().AppendEmpty().SetIntValue(value) }}
}

func gauge(value int64) point {
	return point{name: "requests.limit", metric: func(m pmetric.Metric) { m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(value) }}
}

func summary(count uint64) point {
	return point{name: "requests.summary", unit: "s", metric: func(m pmetric.Metric) {
		m.SetEmptySummary().DataPoints().AppendEmpty().SetCount(count)
	}}
}

func (p point) named(name, unit string) point { p.name, p.unit = name, unit; return p }

func (p point) of(resource map[string]any) point { p.resource = resource; return p }

func (p point) with(attrs map[string]any) point { p.attrs = attrs; return p }

func (p point) having(exemplars ...exemplar) point { p.exemplars = exemplars; return p }

func (p point) timeless() point { p.noTime = true; return p }

func (p point) withMax(value float64) point {
	metric := p.metric
	p.metric = func(m pmetric.Metric) { metric(m); m.Histogram().DataPoints().At(0).SetMax(value) }
	return p
}

// stale says that there is no value.
func (p point) stale() point {
	metric := p.metric
	p.metric = func(m pmetric.Metric) {
		metric(m)
		each(m, func(d dataPoint) { d.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)) })
	}
	return p
}

func (p point) since(seconds float64) point { p.started = seconds; return p }

func (p point) withoutStart() point { p.startless = true; return p }

// ahead has a client make the point whose clock is so many seconds ahead.
func (p point) ahead(seconds float64) point { p.clockAhead = seconds; return p }

func (p point) deltaSince(seconds float64) point { p.delta, p.started = true, seconds; return p }

func metricsOf(t testing.TB, seconds float64, points ...point) pmetric.Metrics {
	t.Helper()
	md := pmetric.NewMetrics()
	for _, p := range points {
		rm := md.ResourceMetrics().AppendEmpty()
		fill(t, rm.Resource().Attributes(), orShop(p.resource))
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(p.name)
		m.SetUnit(p.unit)
		p.metric(m)
		each(m, func(d dataPoint) {
			fill(t, d.Attributes(), p.attrs)
			d.SetTimestamp(at(seconds + p.clockAhead))
			if !p.startless {
				d.SetStartTimestamp(at(p.started))
			}
			for _, x := range p.exemplars {
				to := d.(interface{ Exemplars() pmetric.ExemplarSlice }).Exemplars().AppendEmpty()
				to.SetDoubleValue(x.value)
				to.SetTimestamp(at(x.at))
				if x.n != 0 {
					to.SetTraceID(pcommon.TraceID{15: x.n})
					to.SetSpanID(pcommon.SpanID{7: x.n})
				}
				fill(t, to.FilteredAttributes(), x.attrs)
			}
		})
		temporality := pmetric.AggregationTemporalityCumulative
		if p.delta {
			temporality = pmetric.AggregationTemporalityDelta
		}
		if p.noTime {
			temporality = pmetric.AggregationTemporalityUnspecified
		}
		switch m.Type() {
		case pmetric.MetricTypeSum:
			m.Sum().SetAggregationTemporality(temporality)
		case pmetric.MetricTypeHistogram:
			m.Histogram().SetAggregationTemporality(temporality)
		case pmetric.MetricTypeExponentialHistogram:
			m.ExponentialHistogram().SetAggregationTemporality(temporality)
		}
	}
	return md
}

// dataPoint is what those of all types have.
type dataPoint interface {
	Attributes() pcommon.Map
	StartTimestamp() pcommon.Timestamp
	SetStartTimestamp(pcommon.Timestamp)
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
	SetFlags(pmetric.DataPointFlags)
}

func each(m pmetric.Metric, do func(dataPoint)) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			do(p)
		}
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			do(p)
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			do(p)
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			do(p)
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			do(p)
		}
	}
}

// eachExemplars calls do with the exemplars of each data point that can have
// any.
func eachExemplars(md pmetric.Metrics, do func(pcommon.Map, pmetric.Metric, dataPoint, pmetric.ExemplarSlice)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				each(m, func(d dataPoint) {
					if has, ok := d.(interface{ Exemplars() pmetric.ExemplarSlice }); ok {
						do(rm.Resource().Attributes(), m, d, has.Exemplars())
					}
				})
			}
		}
	}
}

func exemplarsIn(md pmetric.Metrics) (n int) {
	eachExemplars(md, func(_ pcommon.Map, _ pmetric.Metric, _ dataPoint, exemplars pmetric.ExemplarSlice) {
		n += exemplars.Len()
	})
	return n
}

// sums are the data points of one of the processor's own metrics.
func sums(t testing.TB, m metricdata.Metrics) []metricdata.DataPoint[int64] {
	t.Helper()
	sum, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok)
	return sum.DataPoints
}
