// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
)

const (
	otherTrace = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	otherSpan  = "bbbbbbbbbbbbbbbb"
)

func traceID(s string) pcommon.TraceID {
	id, _, ok := traceFromText(s, false)
	if !ok {
		panic(s)
	}
	return id
}

func spanID(s string) pcommon.SpanID {
	id, ok := spanFromText(s, false)
	if !ok {
		panic(s)
	}
	return id
}

// labels are filtered attributes in their order: a name, a value, and so on.
type labels []any

// add appends an exemplar with these IDs, which may be empty.
func add(t testing.TB, to pmetric.ExemplarSlice, trace, span string, l ...any) pmetric.Exemplar {
	e := to.AppendEmpty()
	e.SetDoubleValue(0.5)
	e.SetTimestamp(1_000_000_000)
	if trace != "" {
		e.SetTraceID(traceID(trace))
	}
	if span != "" {
		e.SetSpanID(spanID(span))
	}
	for i := 0; i < len(l); i += 2 {
		require.NoError(t, e.FilteredAttributes().PutEmpty(l[i].(string)).FromRaw(l[i+1]))
	}
	return e
}

func TestAliasesBecomeIDs(t *testing.T) {
	header := "00-" + traceHex + "-" + spanHex + "-01"
	for name, test := range map[string]struct {
		trace, span         string // of its own
		labels              labels
		wantTrace, wantSpan string
		want                Counts
	}{
		"both": {
			labels:    labels{"traceID", traceHex, "spanID", spanHex},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1},
		},
		"a trace ID only": {labels: labels{"TraceID", traceHex}, wantTrace: traceHex, want: Counts{Aliased: 1}},
		"a span ID only is missing": {
			trace: traceHex, labels: labels{"span.id", spanHex},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1},
		},
		"a traceparent": {labels: labels{"traceparent", header}, wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1}},
		"a traceparent wins over the others": {
			labels:    labels{"trace_id", otherTrace, "span_id", otherSpan, "traceparent", header},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1, Redundant: 2},
		},
		"a traceparent gives the span of the trace that is known": {
			trace: traceHex, labels: labels{"traceparent", header},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1},
		},
		"a traceparent gives no span of another trace": {
			trace: otherTrace, labels: labels{"traceparent", header},
			wantTrace: otherTrace, want: Counts{Redundant: 1},
		},
		"a traceparent gives the trace of the span that is known": {
			span: otherSpan, labels: labels{"traceparent", header},
			wantTrace: traceHex, wantSpan: otherSpan, want: Counts{Aliased: 1},
		},
		"64 bits are padded": {
			labels: labels{"trace_id", spanHex}, wantTrace: zeros + spanHex, want: Counts{Aliased: 1, Padded: 1},
		},
		"upper case is taken": {labels: labels{"trace_id", strings.ToUpper(traceHex)}, wantTrace: traceHex, want: Counts{Aliased: 1}},
		"Datadog's are decimal": {
			labels:    labels{"dd.trace_id", "255", "dd_span_id", "16"},
			wantTrace: zeros + "00000000000000ff", wantSpan: "0000000000000010", want: Counts{Aliased: 1, Padded: 1},
		},
		"Datadog's may be numbers": {
			labels:    labels{"dd.trace_id", int64(255), "dd.span_id", int64(-1)},
			wantTrace: zeros + "00000000000000ff", wantSpan: "ffffffffffffffff", want: Counts{Aliased: 1, Padded: 1},
		},
		"the first of the list wins, wherever it stands": {
			labels:    labels{"dd.trace_id", "255", "dd.span_id", "16", "trace_id", traceHex, "span_id", spanHex},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1, Redundant: 2},
		},
		"and when it stands first": {
			labels:    labels{"trace_id", traceHex, "span_id", spanHex, "dd.trace_id", "255", "dd.span_id", "16"},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1, Redundant: 2},
		},
		"a traceparent of the lower half is of the same trace": {
			trace: traceHex[16:], labels: labels{"traceparent", header},
			wantTrace: zeros + traceHex[16:], wantSpan: spanHex, want: Counts{Aliased: 1},
		},
		"a span beside a traceparent of another trace may be of that": {
			trace: otherTrace, labels: labels{"traceparent", header, "span_id", otherSpan},
			wantTrace: otherTrace, want: Counts{Redundant: 2},
		},
		"one that is invalid does not win": {
			labels:    labels{"trace_id", "none", "traceID", traceHex},
			wantTrace: traceHex, want: Counts{Aliased: 1, Invalid: 1},
		},
		"the same again is removed": {
			trace: traceHex, span: spanHex, labels: labels{"trace_id", traceHex, "span_id", spanHex},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Redundant: 2},
		},
		"another one does not win over the exemplar's own": {
			trace: traceHex, span: spanHex, labels: labels{"trace_id", otherTrace, "span_id", otherSpan},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Redundant: 2},
		},
		"a span goes with its trace": {
			trace: traceHex, labels: labels{"trace_id", otherTrace, "span_id", otherSpan},
			wantTrace: traceHex, want: Counts{Redundant: 2},
		},
		"a span of the lower half of the trace is its own": {
			trace: traceHex, labels: labels{"traceID", traceHex[16:], "spanID", spanHex},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Aliased: 1, Redundant: 1},
		},
		"an invalid one leaves the exemplar's own": {
			trace: traceHex, span: spanHex, labels: labels{"trace_id", zeros + zeros, "span_id", "x"},
			wantTrace: traceHex, wantSpan: spanHex, want: Counts{Invalid: 2},
		},
		"a traceparent that is not text": {trace: traceHex, labels: labels{"traceparent", true}, wantTrace: traceHex, want: Counts{Invalid: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			es := pmetric.NewExemplarSlice()
			add(t, es, test.trace, test.span, append(labels{"kept", "yes", "Trace_Id", "not an alias"}, test.labels...)...)
			var c Counts
			New(DefaultAliases()).Exemplars(es, &c)
			require.Equal(t, 1, es.Len())
			assert.Equal(t, test.wantTrace, es.At(0).TraceID().String())
			assert.Equal(t, test.wantSpan, es.At(0).SpanID().String())
			assert.Equal(t, map[string]any{"kept": "yes", "Trace_Id": "not an alias"}, es.At(0).FilteredAttributes().AsRaw())
			assert.Equal(t, test.want, c)
		})
	}
}

func TestEveryDefaultAliasIsTaken(t *testing.T) {
	aliases := DefaultAliases()
	for i := range aliases.TraceIDs {
		es := pmetric.NewExemplarSlice()
		add(t, es, "", "", aliases.TraceIDs[i], traceHex, aliases.SpanIDs[i], spanHex)
		New(aliases).Exemplars(es, &Counts{})
		assert.Equal(t, traceHex, es.At(0).TraceID().String(), aliases.TraceIDs[i])
		assert.Equal(t, spanHex, es.At(0).SpanID().String(), aliases.SpanIDs[i])
		assert.Zero(t, es.At(0).FilteredAttributes().Len())
	}
}

func TestOwnAliasesReplaceTheDefaultsButForTheNamesThatExportersWrite(t *testing.T) {
	n := New(Aliases{TraceIDs: []string{"request"}})
	es := pmetric.NewExemplarSlice()
	add(t, es, "", "", "request", traceHex, "span_id", spanHex, "trace_id", otherTrace, "traceID", otherTrace, "traceparent", "x")
	n.Exemplars(es, &Counts{})
	assert.Equal(t, traceHex, es.At(0).TraceID().String())
	assert.Equal(t, spanHex, es.At(0).SpanID().String())
	assert.Equal(t, map[string]any{"traceID": otherTrace, "traceparent": "x"}, es.At(0).FilteredAttributes().AsRaw())
}

func TestTheFirstTraceparentOfTheListWins(t *testing.T) {
	n := New(Aliases{Traceparents: []string{"own", "parent"}})
	own, other := "00-"+traceHex+"-"+spanHex+"-01", "00-"+otherTrace+"-"+otherSpan+"-01"
	es := pmetric.NewExemplarSlice()
	add(t, es, "", "", "own", own, "parent", other)
	add(t, es, "", "", "parent", other, "own", own).SetIntValue(1)
	n.Exemplars(es, &Counts{})
	for _, e := range es.All() {
		assert.Equal(t, traceHex, e.TraceID().String())
		assert.Equal(t, spanHex, e.SpanID().String())
	}
}

func TestExemplarsThatSayNothingAreRemoved(t *testing.T) {
	es := pmetric.NewExemplarSlice()
	add(t, es, "", "")
	add(t, es, "", spanHex)
	add(t, es, "", "", "trace_id", "none")
	add(t, es, "", "", "too long", strings.Repeat("x", 128))
	add(t, es, "", "", "kept", "yes")
	add(t, es, traceHex, "")
	var c Counts
	New(DefaultAliases()).Exemplars(es, &c)
	assert.Equal(t, 2, es.Len())
	assert.Equal(t, Counts{Empty: 4, Invalid: 1, Cut: 1}, c)
}

func TestAttributesAreCutToWhatOpenMetricsTakes(t *testing.T) {
	// 40 characters are the trace ID's and 23 the span ID's: 65 are left.
	for name, test := range map[string]struct {
		trace, span string
		labels      labels
		want        []string
	}{
		"exactly":                     {traceHex, spanHex, labels{"a", strings.Repeat("x", 64)}, []string{"a"}},
		"one too many":                {traceHex, spanHex, labels{"a", strings.Repeat("x", 65)}, nil},
		"more without a span":         {traceHex, "", labels{"a", strings.Repeat("x", 87)}, []string{"a"}},
		"one too many without a span": {traceHex, "", labels{"a", strings.Repeat("x", 88)}, nil},
		"all without IDs":             {"", "", labels{"a", strings.Repeat("x", 127)}, []string{"a"}},
		"characters, not bytes":       {traceHex, spanHex, labels{"é", strings.Repeat("ü", 64)}, []string{"é"}},
		"the first ones":              {traceHex, spanHex, labels{"a", strings.Repeat("x", 32), "b", strings.Repeat("x", 31), "c", ""}, []string{"a", "b"}},
		"a shorter one still fits":    {traceHex, spanHex, labels{"a", strings.Repeat("x", 32), "b", strings.Repeat("x", 40), "c", "x"}, []string{"a", "c"}},
		"numbers as they are written": {traceHex, spanHex, labels{"a", -100, "b", strings.Repeat("x", 59)}, []string{"a", "b"}},
		"and not more":                {traceHex, spanHex, labels{"a", -100, "b", strings.Repeat("x", 60)}, []string{"a"}},
		"others too":                  {traceHex, spanHex, labels{"a", true, "b", strings.Repeat("x", 59), "c", 1.5}, []string{"a", "b"}},
		"a name that gets longer":     {traceHex, spanHex, labels{"1", strings.Repeat("x", 60)}, []string{"1"}},
		"a name that gets too long":   {traceHex, spanHex, labels{"1", strings.Repeat("x", 61)}, nil},
		"what an alias gives counts":  {"", "", labels{"traceID", traceHex, "a", strings.Repeat("x", 88)}, nil},
		"no name":                     {traceHex, spanHex, labels{"", "x"}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			es := pmetric.NewExemplarSlice()
			add(t, es, test.trace, test.span, test.labels...)
			New(DefaultAliases()).Exemplars(es, &Counts{})
			var got []string
			for name := range es.At(0).FilteredAttributes().All() {
				got = append(got, name)
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestDuplicatesAreRemoved(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 34, 100} {
		es := pmetric.NewExemplarSlice()
		for range 2 {
			for i := range n {
				add(t, es, traceHex, spanHex, "round", 1).SetTimestamp(pcommon.Timestamp(i))
			}
			add(t, es, "", "", "traceID", traceHex, "spanID", spanHex).SetTimestamp(0)
			add(t, es, "", "", "a", 1)
			add(t, es, "", "", "a", 2)
		}
		var c Counts
		New(DefaultAliases()).Exemplars(es, &c)
		require.Equal(t, n+2, es.Len())
		assert.Equal(t, Counts{Duplicate: int64(n + 4), Aliased: 2}, c)
		for i := range n {
			assert.Equal(t, pcommon.Timestamp(i), es.At(i).Timestamp())
		}
	}
}

// random returns a metric of each kind, with whatever exemplars.
func random(t testing.TB, r *rand.Rand) pmetric.Metrics {
	metrics := pmetric.NewMetrics()
	slice := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	of := func(list ...any) any { return list[r.IntN(len(list))] }
	fill := func(attrs pcommon.Map, es pmetric.ExemplarSlice) {
		attrs.PutStr("route", strconv.Itoa(r.IntN(3)))
		if r.IntN(2) == 0 {
			attrs.PutStr("trace_id", of(traceHex, otherTrace, "none", "").(string))
		}
		for range r.IntN(4) {
			e := add(t, es, of("", traceHex, otherTrace).(string), of("", spanHex).(string))
			e.SetTimestamp(pcommon.Timestamp(r.IntN(2)))
			for _, name := range []string{"traceID", "dd.trace_id", "spanID", "traceparent", "a", "b", "1"} {
				if r.IntN(3) == 0 {
					v := of(traceHex, spanHex, "1", "", 1, 1.5, true, nil, strings.Repeat("é", 30), strings.Repeat("x", 70), "00-"+otherTrace+"-"+otherSpan+"-01")
					require.NoError(t, e.FilteredAttributes().PutEmpty(name).FromRaw(v))
				}
			}
		}
	}
	gauge, summary, sum := slice.AppendEmpty(), slice.AppendEmpty(), slice.AppendEmpty()
	histogram, exponential := slice.AppendEmpty(), slice.AppendEmpty()
	for i, m := range slice.All() {
		m.SetName(fmt.Sprint("m", i))
	}
	temporality := pmetric.AggregationTemporality(r.IntN(3))
	gauge.SetEmptyGauge()
	summary.SetEmptySummary()
	sum.SetEmptySum().SetAggregationTemporality(temporality)
	sum.Sum().SetIsMonotonic(r.IntN(2) == 0)
	histogram.SetEmptyHistogram().SetAggregationTemporality(temporality)
	exponential.SetEmptyExponentialHistogram().SetAggregationTemporality(temporality)
	for range r.IntN(8) {
		at := pcommon.Timestamp(1 + r.IntN(2))
		g := gauge.Gauge().DataPoints().AppendEmpty()
		g.SetDoubleValue(r.Float64())
		fill(g.Attributes(), g.Exemplars())
		s := summary.Summary().DataPoints().AppendEmpty()
		fill(s.Attributes(), pmetric.NewExemplarSlice())
		n := sum.Sum().DataPoints().AppendEmpty()
		n.SetTimestamp(at)
		n.SetIntValue(r.Int64N(10))
		fill(n.Attributes(), n.Exemplars())
		h := histogram.Histogram().DataPoints().AppendEmpty()
		h.SetTimestamp(at)
		h.ExplicitBounds().FromRaw([]float64{1, float64(2 + r.IntN(2))})
		h.BucketCounts().FromRaw([]uint64{0, 0, 0})
		x := exponential.ExponentialHistogram().DataPoints().AppendEmpty()
		x.SetTimestamp(at)
		x.SetScale(int32(r.IntN(2)))
		x.Positive().SetOffset(int32(r.IntN(10) - 5))
		x.Positive().BucketCounts().FromRaw(make([]uint64, 1+r.IntN(4)))
		x.SetZeroCount(uint64(r.IntN(2)))
		x.SetCount(x.ZeroCount())
		h.SetSum(0)
		x.SetSum(0)
		for range r.IntN(3) {
			v := []float64{0.5, 1.5, 4}[r.IntN(3)]
			bucket := []int{0, 1, 2}[r.IntN(3)]
			h.BucketCounts().SetAt(bucket, h.BucketCounts().At(bucket)+1)
			h.SetCount(h.Count() + 1)
			h.SetSum(h.Sum() + v)
			i := r.IntN(x.Positive().BucketCounts().Len())
			x.Positive().BucketCounts().SetAt(i, x.Positive().BucketCounts().At(i)+1)
			x.SetCount(x.Count() + 1)
			x.SetSum(x.Sum() + v)
		}
		fill(h.Attributes(), h.Exemplars())
		fill(x.Attributes(), x.Exemplars())
	}
	return metrics
}

func each(metrics pmetric.Metrics, do func(pmetric.Metric)) {
	for _, m := range metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		do(m)
	}
}

func exemplarsOf(m pmetric.Metric) (all []pmetric.ExemplarSlice) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			all = append(all, p.Exemplars())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			all = append(all, p.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			all = append(all, p.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			all = append(all, p.Exemplars())
		}
	}
	return all
}

func bytesOf(t testing.TB, metrics pmetric.Metrics) string {
	b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(metrics)
	require.NoError(t, err)
	return string(b)
}

func TestWhateverComesIsNormalizedOnceAndNothingElseChanges(t *testing.T) {
	n := New(DefaultAliases())
	for i := range uint64(500) {
		metrics := random(t, rand.New(rand.NewPCG(1, i)))
		before := pmetric.NewMetrics()
		metrics.CopyTo(before)
		each(metrics, func(m pmetric.Metric) { n.Metric(1, m, nil, &Counts{}) })
		again := pmetric.NewMetrics()
		metrics.CopyTo(again)
		var c Counts
		each(again, func(m pmetric.Metric) { n.Metric(1, m, nil, &c) })
		require.Equal(t, Counts{}, c)
		require.Equal(t, bytesOf(t, metrics), bytesOf(t, again))

		each(metrics, func(m pmetric.Metric) {
			for _, es := range exemplarsOf(m) {
				for _, e := range es.All() {
					runes := 0
					if !e.TraceID().IsEmpty() {
						runes += len("trace_id") + 32
					}
					if !e.SpanID().IsEmpty() {
						runes += len("span_id") + 16
					}
					for name, v := range e.FilteredAttributes().All() {
						runes += utf8.RuneCountInString(name) + utf8.RuneCountInString(v.AsString())
					}
					require.LessOrEqual(t, runes, 128)
					require.Positive(t, runes)
				}
			}
		})
		for _, both := range []pmetric.Metrics{metrics, before} {
			each(both, func(m pmetric.Metric) {
				for _, es := range exemplarsOf(m) {
					es.RemoveIf(func(pmetric.Exemplar) bool { return true })
				}
			})
		}
		require.Equal(t, bytesOf(t, before), bytesOf(t, metrics))
	}
}

func TestExemplarsAreNormalized(t *testing.T) {
	n := New(DefaultAliases())
	for scenario, fill := range map[string]func(pmetric.ExemplarSlice){
		"aliases become the trace and span ID": func(es pmetric.ExemplarSlice) {
			add(t, es, "", "", "traceID", traceHex, "spanId", spanHex, "user", "a")
			add(t, es, "", "", "traceparent", "00-"+otherTrace+"-"+otherSpan+"-01")
			add(t, es, "", "", "dd.trace_id", "255", "dd.span_id", "16")
			add(t, es, "", "", "TraceID", strings.ToUpper(spanHex))
		},
		"labels that repeat or contradict the IDs are removed": func(es pmetric.ExemplarSlice) {
			add(t, es, traceHex, spanHex, "trace_id", traceHex, "span_id", spanHex, "user", "a")
			add(t, es, otherTrace, otherSpan, "trace_id", traceHex, "span_id", spanHex)
		},
		"invalid IDs are removed, and exemplars without a label": func(es pmetric.ExemplarSlice) {
			add(t, es, "", "", "trace_id", zeros+zeros)
			add(t, es, "", "", "trace_id", "none", "user", "a")
			add(t, es, "", "")
			add(t, es, traceHex, "", "span_id", "1234")
		},
		"attributes beyond 128 characters are left out": func(es pmetric.ExemplarSlice) {
			add(t, es, traceHex, spanHex, "first", strings.Repeat("x", 40), "second", strings.Repeat("y", 40), "third", "z")
		},
		"duplicates in a point are dropped": func(es pmetric.ExemplarSlice) {
			add(t, es, traceHex, spanHex)
			add(t, es, otherTrace, otherSpan)
			add(t, es, traceHex, spanHex, "user", "a")
		},
	} {
		t.Run(scenario, func(t *testing.T) {
			metrics := pmetric.NewMetrics()
			m := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			m.SetName("requests")
			m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			p := m.Sum().DataPoints().AppendEmpty()
			p.SetIntValue(7)
			fill(p.Exemplars())
			n.Metric(1, m, nil, &Counts{})
			goldentest.MetricsExactly(t, scenario, metrics)
		})
	}
}
