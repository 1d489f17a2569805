// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Whatever comes, in whatever order: nothing but exemplars is changed, what is
// attached is true, and what is remembered is bounded.
func FuzzWhatIsAttachedIsTrue(f *testing.F) {
	for seed := range uint64(150) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := &generator{rand: rand.New(rand.NewPCG(seed, 0))}
		cfg := g.config(t)
		w := wire(t, cfg)
		truth := newTruth(cfg)
		for range 60 {
			g.goOn(w)
			truth.goOn(at(g.now))
			if g.rand.IntN(2) == 0 {
				td := g.traces(t)
				truth.saw(td)
				require.NoError(t, w.traces.ConsumeTraces(t.Context(), td))
			} else {
				before, after := g.metrics(t), pmetric.NewMetrics()
				before.CopyTo(after)
				require.NoError(t, w.metrics.ConsumeMetrics(t.Context(), after))
				truth.requireHolds(t, before, after)
			}
			e := w.metrics.(*metrics).Observer
			held := e.store.Stats().Candidates
			require.LessOrEqual(t, held, cfg.Attach.Candidates)
			series, _ := e.tables.stats()
			require.LessOrEqual(t, series, int64(cfg.Attach.Series))
		}
	})
}

// The generator has to get somewhere, or the properties hold of nothing.
func TestTheGeneratorMakesWhatIsAttachedTo(t *testing.T) {
	byType := map[pmetric.MetricType]int{}
	for seed := range uint64(50) {
		g := &generator{rand: rand.New(rand.NewPCG(seed, 0))}
		w := wire(t, g.config(t))
		for range 60 {
			g.goOn(w)
			require.NoError(t, w.traces.ConsumeTraces(t.Context(), g.traces(t)))
			require.NoError(t, w.metrics.ConsumeMetrics(t.Context(), g.metrics(t)))
		}
		for _, md := range w.out.AllMetrics() {
			eachExemplars(md, func(_ pcommon.Map, m pmetric.Metric, _ dataPoint, exemplars pmetric.ExemplarSlice) {
				for _, x := range exemplars.All() {
					if isAttached(x) {
						byType[m.Type()]++
					}
				}
			})
		}
	}
	t.Log(byType)
	for _, kind := range []pmetric.MetricType{pmetric.MetricTypeHistogram, pmetric.MetricTypeExponentialHistogram, pmetric.MetricTypeSum} {
		require.Greater(t, byType[kind], 50, kind)
	}
	require.Zero(t, byType[pmetric.MetricTypeGauge])
}

// generator makes spans and metrics of a few services, most of them sound.
type generator struct {
	rand  *rand.Rand
	now   float64
	ahead bool // the clock of all is
	spans uint16
	held  map[string]*counted
}

// counted is what a series has counted.
type counted struct {
	start, last float64
	counts      []uint64
	scale       int32
	kind        int
	delta       bool
}

func (g *generator) pick(values ...string) string { return values[g.rand.IntN(len(values))] }

// seldom is true one time in n.
func (g *generator) seldom(n int) bool { return g.rand.IntN(n) == 0 }

// goOn sets the clock, seldom ahead or back.
func (g *generator) goOn(w *wired) {
	g.now += g.rand.Float64() * 15
	if g.seldom(30) {
		g.ahead = !g.ahead
		if g.ahead {
			g.now += year
		} else {
			g.now -= year
		}
	}
	w.clock.Store(int64(at(g.now)))
	w.metrics.(*metrics).Observer.store.Expire(int64(at(g.now))) // As it does every second.
}

func (g *generator) config(t testing.TB) *Config {
	settings := requests(fmt.Sprintf("existing: %s, prefer: %s, max_per_point: %d, max_per_second: %d, ttl: %ds, candidates: %d, series: %d, repeat: %s",
		g.pick(existingKeep, existingMerge, existingReplace), g.pick(preferNewest, preferErrors, preferSlowest),
		1+g.rand.IntN(8), g.rand.IntN(2)*g.rand.IntN(20), 10+g.rand.IntN(300), 1+g.rand.IntN(200), 1+g.rand.IntN(30),
		g.pick("0s", "0s", "20s")))
	return configured(t, strings.Replace(settings, "{metric: service.name}", g.pick("{metric: service.name}", "{metric: service.name}, {metric: path, optional: true}"), 1))
}

func (g *generator) traces(t testing.TB) ptrace.Traces {
	var spans []span
	for range 1 + g.rand.IntN(10) {
		spans = append(spans, span{
			end: g.now - g.rand.ExpFloat64()*10 + 1, took: math.Exp(g.rand.NormFloat64()*3 - 2), failed: g.seldom(5),
			resource: map[string]any{"service.name": g.pick("a", "b", "c")}, attrs: map[string]any{"path": g.pick("", "/", "/x")},
		})
	}
	if g.seldom(5) {
		spans[0].took = 0
	}
	if g.seldom(5) {
		spans[0].flags = 0x102
	}
	td := tracesOf(t, spans...)
	for _, rs := range td.ResourceSpans().All() {
		g.spans++
		span := rs.ScopeSpans().At(0).Spans().At(0)
		span.SetTraceID(pcommon.TraceID{14: byte(g.spans >> 8), 15: byte(g.spans)})
		span.SetSpanID(pcommon.SpanID{6: byte(g.spans >> 8), 7: byte(g.spans)})
		if g.seldom(30) {
			span.SetSpanID(pcommon.SpanID{})
		}
	}
	return td
}

func (g *generator) metrics(t testing.TB) pmetric.Metrics {
	if g.held == nil {
		g.held = map[string]*counted{}
	}
	md := pmetric.NewMetrics()
	for range 1 + g.rand.IntN(5) {
		service, name, path := g.pick("a", "b", "c", "d"), g.pick("requests", "requests.b"), g.pick("", "/", "/x")
		id := service + " " + name + " " + path
		c := g.held[id]
		if c == nil || g.seldom(20) { // It is new, or it is another one now.
			c = &counted{start: g.now - 10*g.rand.Float64(), kind: g.rand.IntN(4), delta: g.seldom(3), counts: make([]uint64, 3+g.rand.IntN(6)), scale: g.rand.Int32N(7) - 3}
			if g.seldom(4) {
				c.start = -1e6 // It is not known.
			}
			g.held[id] = c
		}
		if g.seldom(15) {
			clear(c.counts)
			if g.seldom(2) {
				c.start = c.last
			}
		}
		if c.delta {
			clear(c.counts)
			c.start = max(c.start, c.last)
		}
		for i := range c.counts {
			if g.seldom(2) {
				c.counts[i] += uint64(g.rand.IntN(3))
			}
		}
		c.last = g.now
		p := point{name: name, unit: "s", started: c.start, delta: c.delta, resource: map[string]any{"service.name": service}, metric: func(m pmetric.Metric) { g.values(m, c) }}
		if path != "" {
			p.attrs = map[string]any{"path": path}
		}
		if c.kind != 3 && g.seldom(5) {
			for range 1 + g.rand.IntN(3) {
				p.exemplars = append(p.exemplars, exemplar{n: 200, value: g.rand.ExpFloat64(), at: g.now - g.rand.NormFloat64()*5})
			}
		}
		one := metricsOf(t, g.now, p)
		g.spoil(one)
		one.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	}
	return md
}

func (g *generator) values(m pmetric.Metric, c *counted) {
	switch c.kind {
	case 0:
		p := m.SetEmptyHistogram().DataPoints().AppendEmpty()
		for i := range len(c.counts) - 1 {
			p.ExplicitBounds().Append(.01 * math.Pow(4, float64(i)))
		}
		p.BucketCounts().FromRaw(c.counts)
	case 1:
		p := m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
		p.SetScale(c.scale)
		if c.scale > -5 && !c.delta && g.seldom(20) {
			c.scale--
		}
		p.Positive().SetOffset(-3)
		p.Positive().BucketCounts().FromRaw(c.counts)
		p.SetZeroCount(c.counts[0])
		p.SetZeroThreshold(.001)
	case 2:
		m.SetEmptySum().SetIsMonotonic(true)
		m.Sum().DataPoints().AppendEmpty().SetIntValue(int64(c.counts[0]))
	default:
		m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1)
	}
}

// spoil makes a few of the points what they should not be.
func (g *generator) spoil(md pmetric.Metrics) {
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	eachExemplars(md, func(_ pcommon.Map, _ pmetric.Metric, d dataPoint, exemplars pmetric.ExemplarSlice) {
		for i, x := range exemplars.All() {
			x.SetTraceID(pcommon.TraceID{1, 15: byte(i)}) // They are told from those that are attached.
		}
		switch g.rand.IntN(60) {
		case 0:
			d.SetTimestamp(at(g.now - 100))
		case 1:
			d.SetStartTimestamp(d.Timestamp() + 1 + pcommon.Timestamp(g.rand.IntN(2)*year*1e9))
		case 2:
			d.SetTimestamp(0)
		case 3:
			switch p := d.(type) {
			case pmetric.HistogramDataPoint:
				p.ExplicitBounds().Append(math.NaN())
			case pmetric.ExponentialHistogramDataPoint:
				p.SetScale(1000)
			case pmetric.NumberDataPoint:
				p.SetDoubleValue(math.NaN())
			}
		case 4:
			switch p := d.(type) {
			case pmetric.HistogramDataPoint:
				p.BucketCounts().FromRaw(nil)
			case pmetric.ExponentialHistogramDataPoint:
				p.Positive().SetOffset(math.MaxInt32)
			case pmetric.NumberDataPoint:
				p.SetIntValue(-1)
			}
		case 7, 8:
			d.SetTimestamp(at(g.now + year))
		case 5:
			m.SetUnit("By")
		case 6:
			if h, ok := d.(pmetric.HistogramDataPoint); ok && h.ExplicitBounds().Len() > 1 {
				h.ExplicitBounds().SetAt(1, -1)
			}
		}
	})
}
