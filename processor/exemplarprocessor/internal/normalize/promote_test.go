// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
)

const (
	delta      = pmetric.AggregationTemporalityDelta
	cumulative = pmetric.AggregationTemporalityCumulative
	third      = "cccccccccccccccccccccccccccccccc"
)

func promoter() *Promoter {
	return NewPromoter([]string{"trace_id", "dd.trace_id"}, []string{"span_id"}, 3)
}

// label sets the attributes of a data point; empty IDs are left out.
func label(attrs pcommon.Map, route, trace, span string) {
	attrs.PutStr("route", route)
	if trace != "" {
		attrs.PutStr("trace_id", trace)
	}
	if span != "" {
		attrs.PutStr("span_id", span)
	}
}

func sum(temporality pmetric.AggregationTemporality) pmetric.Metric {
	m := pmetric.NewMetric()
	m.SetName("requests")
	m.SetEmptySum().SetAggregationTemporality(temporality)
	m.Sum().SetIsMonotonic(true)
	return m
}

func number(m pmetric.Metric, route, trace, span string, value int64) pmetric.NumberDataPoint {
	p := m.Sum().DataPoints().AppendEmpty()
	label(p.Attributes(), route, trace, span)
	p.SetIntValue(value)
	p.SetStartTimestamp(5)
	p.SetTimestamp(10)
	return p
}

func histogram(temporality pmetric.AggregationTemporality) pmetric.Metric {
	m := pmetric.NewMetric()
	m.SetName("duration")
	m.SetEmptyHistogram().SetAggregationTemporality(temporality)
	return m
}

// bucketed counts the values in buckets up to 1, up to 10 and above.
func bucketed(m pmetric.Metric, route, trace, span string, values ...float64) pmetric.HistogramDataPoint {
	p := m.Histogram().DataPoints().AppendEmpty()
	label(p.Attributes(), route, trace, span)
	p.SetTimestamp(10)
	p.ExplicitBounds().FromRaw([]float64{1, 10})
	counts := []uint64{0, 0, 0}
	p.SetSum(0)
	for _, v := range values {
		p.SetSum(p.Sum() + v)
		switch {
		case v <= 1:
			counts[0]++
		case v <= 10:
			counts[1]++
		default:
			counts[2]++
		}
	}
	p.BucketCounts().FromRaw(counts)
	p.SetCount(uint64(len(values)))
	return p
}

func exponential() pmetric.Metric {
	m := pmetric.NewMetric()
	m.SetName("duration")
	m.SetEmptyExponentialHistogram().SetAggregationTemporality(delta)
	return m
}

func spread(m pmetric.Metric, trace string, offset int32, counts ...uint64) pmetric.ExponentialHistogramDataPoint {
	p := m.ExponentialHistogram().DataPoints().AppendEmpty()
	label(p.Attributes(), "/", trace, "")
	p.SetTimestamp(10)
	p.Positive().SetOffset(offset)
	p.Positive().BucketCounts().FromRaw(counts)
	for _, count := range counts {
		p.SetCount(p.Count() + count)
	}
	p.SetSum(float64(p.Count()) * 1.5)
	return p
}

func TestSeriesThatTracesSplitAreMerged(t *testing.T) {
	for scenario, build := range map[string]func() pmetric.Metric{
		"a sum of each trace becomes one sum": func() pmetric.Metric {
			m := sum(delta)
			number(m, "/a", traceHex, spanHex, 1)
			number(m, "/b", otherTrace, otherSpan, 4)
			number(m, "/a", otherTrace, "", 2)
			number(m, "/a", "", "", 10)
			return m
		},
		"a histogram of each trace becomes one histogram": func() pmetric.Metric {
			m := histogram(cumulative)
			bucketed(m, "/", traceHex, spanHex, 0.5)
			bucketed(m, "/", otherTrace, otherSpan, 2, 4)
			bucketed(m, "/", third, "", 0.5, 40)
			return m
		},
		"exponential histograms of one scale are merged": func() pmetric.Metric {
			m := exponential()
			spread(m, traceHex, -2, 1)
			spread(m, otherTrace, 1, 0, 2)
			spread(m, third, -4, 1, 1).SetScale(1)
			return m
		},
		"gauges keep their trace IDs": func() pmetric.Metric {
			m := pmetric.NewMetric()
			label(m.SetEmptyGauge().DataPoints().AppendEmpty().Attributes(), "/", traceHex, spanHex)
			return m
		},
		"summaries keep their trace IDs": func() pmetric.Metric {
			m := pmetric.NewMetric()
			label(m.SetEmptySummary().DataPoints().AppendEmpty().Attributes(), "/", traceHex, spanHex)
			return m
		},
		"a histogram with other bounds keeps its trace ID": func() pmetric.Metric {
			m := histogram(delta)
			bucketed(m, "/", traceHex, spanHex, 0.5)
			bucketed(m, "/", otherTrace, otherSpan, 0.5).ExplicitBounds().FromRaw([]float64{1, 20})
			return m
		},
	} {
		t.Run(scenario, func(t *testing.T) {
			metrics := pmetric.NewMetrics()
			m := metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			build().CopyTo(m)
			var c Counts
			promoter().Metric(m, &c)
			goldentest.MetricsExactly(t, scenario, metrics)
			before := bytesOf(t, metrics)
			unmerged := c.Unmerged
			promoter().Metric(m, &c)
			assert.Equal(t, before, bytesOf(t, metrics), "a second time changes nothing")
			assert.Equal(t, 2*unmerged, c.Unmerged)
		})
	}
}

func TestTheTimesOfMergedPoints(t *testing.T) {
	m := sum(delta)
	a, b := number(m, "/", traceHex, "", 1), number(m, "/", otherTrace, "", 2)
	b.SetStartTimestamp(3)
	b.SetTimestamp(20)
	a.SetTimestamp(15)
	promoter().Metric(m, &Counts{})
	require.Equal(t, 1, m.Sum().DataPoints().Len())
	p := m.Sum().DataPoints().At(0)
	assert.Equal(t, pcommon.Timestamp(3), p.StartTimestamp())
	assert.Equal(t, pcommon.Timestamp(20), p.Timestamp())
	assert.Equal(t, pcommon.Timestamp(15), p.Exemplars().At(0).Timestamp())
	assert.Equal(t, pcommon.Timestamp(20), p.Exemplars().At(1).Timestamp())
}

func TestWhatCountsAsOneSeries(t *testing.T) {
	for name, test := range map[string]struct {
		build func() pmetric.Metric
		want  []int64 // the values that are left
		count Counts
	}{
		"points without IDs are not touched": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", "", "", 1)
				number(m, "/", "", "", 2)
				return m
			},
			[]int64{1, 2}, Counts{},
		},
		"an invalid ID is removed all the same": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", "none", "", 1)
				number(m, "/", "-", "", 2)
				return m
			},
			[]int64{3}, Counts{Merged: 1, Invalid: 2},
		},
		"a span without a trace is no link": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", "", spanHex, 1)
				return m
			},
			[]int64{1}, Counts{},
		},
		"deltas of one trace are added": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", traceHex, "", 1)
				number(m, "/", traceHex, "", 2)
				return m
			},
			[]int64{3}, Counts{Promoted: 2, Merged: 1},
		},
		"two deltas that had no IDs stay two": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", "", "", 1)
				number(m, "/", "", "", 2)
				number(m, "/", traceHex, "", 4)
				return m
			},
			[]int64{5, 2}, Counts{Promoted: 1, Merged: 1},
		},
		"cumulative points of one time are added": {
			func() pmetric.Metric {
				m := sum(cumulative)
				number(m, "/", traceHex, "", 1)
				number(m, "/", otherTrace, "", 2)
				return m
			},
			[]int64{3}, Counts{Promoted: 2, Merged: 1},
		},
		"cumulative points of different times are points of one series": {
			func() pmetric.Metric {
				m := sum(cumulative)
				number(m, "/", traceHex, "", 1)
				number(m, "/", otherTrace, "", 2)
				number(m, "/", traceHex, "", 5).SetTimestamp(20)
				number(m, "/", otherTrace, "", 7).SetTimestamp(20)
				return m
			},
			[]int64{3, 12}, Counts{Promoted: 4, Merged: 2},
		},
		"a cumulative point that is there twice is not added": {
			func() pmetric.Metric {
				m := sum(cumulative)
				number(m, "/", traceHex, "", 1)
				number(m, "/", traceHex, "", 1)
				return m
			},
			[]int64{1, 1}, Counts{Promoted: 1, Unmerged: 1},
		},
		"without a temporality nothing can be added": {
			func() pmetric.Metric {
				m := sum(pmetric.AggregationTemporalityUnspecified)
				number(m, "/", traceHex, "", 1)
				number(m, "/", "", "", 1)
				return m
			},
			[]int64{1, 1}, Counts{Unmerged: 1},
		},
		"integers that would overflow": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", traceHex, "", math.MaxInt64)
				number(m, "/", otherTrace, "", 1)
				return m
			},
			[]int64{math.MaxInt64, 1}, Counts{Promoted: 1, Unmerged: 1},
		},
		"integers that would underflow": {
			func() pmetric.Metric {
				m := sum(delta)
				m.Sum().SetIsMonotonic(false)
				number(m, "/", traceHex, "", math.MinInt64)
				number(m, "/", otherTrace, "", -1)
				return m
			},
			[]int64{math.MinInt64, -1}, Counts{Promoted: 1, Unmerged: 1},
		},
		"integers and fractions": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", traceHex, "", 1)
				number(m, "/", otherTrace, "", 0).SetDoubleValue(1)
				return m
			},
			[]int64{1, 0}, Counts{Promoted: 1, Unmerged: 1},
		},
		"nothing was counted": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", traceHex, "", 0)
				number(m, "/", otherTrace, "", 0).SetDoubleValue(0)
				return m
			},
			[]int64{0, 0}, Counts{Unmeasured: 1, Unmerged: 1},
		},
		"no number at all": {
			func() pmetric.Metric {
				m := sum(delta)
				label(m.Sum().DataPoints().AppendEmpty().Attributes(), "/", traceHex, "")
				return m
			},
			[]int64{0}, Counts{Unmeasured: 1},
		},
		"what is not a number": {
			func() pmetric.Metric {
				m := sum(delta)
				m.Sum().SetIsMonotonic(false)
				number(m, "/", traceHex, "", 0).SetDoubleValue(math.NaN())
				return m
			},
			[]int64{0}, Counts{Unmeasured: 1},
		},
		"the end of one trace is not the end of the series": {
			func() pmetric.Metric {
				m := sum(cumulative)
				end(number(m, "/", traceHex, "", 0))
				number(m, "/", otherTrace, "", 2)
				end(number(m, "/", third, "", 0))
				return m
			},
			[]int64{2}, Counts{Promoted: 1, Merged: 2},
		},
		"the end has no value, whatever its kind": {
			func() pmetric.Metric {
				m := sum(cumulative)
				end(number(m, "/", traceHex, "", 0))
				number(m, "/", otherTrace, "", 2)
				p := number(m, "/", third, "", 0)
				p.SetDoubleValue(0)
				end(p)
				return m
			},
			[]int64{2}, Counts{Promoted: 1, Merged: 2},
		},
		"the end of all is": {
			func() pmetric.Metric {
				m := sum(cumulative)
				end(number(m, "/", traceHex, "", 0))
				end(number(m, "/", otherTrace, "", 0))
				return m
			},
			[]int64{0}, Counts{Merged: 1},
		},
		"exemplars have a bound": {
			func() pmetric.Metric {
				m := sum(delta)
				for range 5 {
					number(m, "/", traceHex, "", 1)
				}
				return m
			},
			[]int64{5}, Counts{Promoted: 5, Merged: 4, Capped: 2},
		},
		"64 bits are padded": {
			func() pmetric.Metric {
				m := sum(delta)
				number(m, "/", "", "", 1).Attributes().PutStr("dd.trace_id", "255")
				return m
			},
			[]int64{1}, Counts{Promoted: 1, Padded: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := test.build()
			var c Counts
			promoter().Metric(m, &c)
			var got []int64
			for _, p := range m.Sum().DataPoints().All() {
				got = append(got, p.IntValue())
				assert.LessOrEqual(t, p.Exemplars().Len(), 3)
			}
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.count, c)
		})
	}
}

func end(p pmetric.NumberDataPoint) {
	p.SetFlags(p.Flags().WithNoRecordedValue(true))
}

func TestTheEndOfATraceIsSeenInTheFlags(t *testing.T) {
	m := sum(cumulative)
	end(number(m, "/", traceHex, "", 0))
	number(m, "/", otherTrace, "", 2)
	promoter().Metric(m, &Counts{})
	assert.False(t, m.Sum().DataPoints().At(0).Flags().NoRecordedValue())
	m = sum(cumulative)
	end(number(m, "/", traceHex, "", 0))
	promoter().Metric(m, &Counts{})
	assert.True(t, m.Sum().DataPoints().At(0).Flags().NoRecordedValue())
	assert.Zero(t, m.Sum().DataPoints().At(0).Exemplars().Len())
}

func TestAnExemplarOfAHistogramLiesInABucketThatCounted(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		change func(pmetric.HistogramDataPoint)
		want   float64 // 0 when none
	}{
		"one value":                        {values: []float64{2}, want: 2},
		"several in one bucket":            {values: []float64{2, 4}, want: 3},
		"several in the last bucket":       {values: []float64{20, 40}, want: 30},
		"several in several":               {values: []float64{0.5, 2}},
		"of which the largest is known":    {values: []float64{0.5, 2}, change: func(p pmetric.HistogramDataPoint) { p.SetMax(2) }, want: 2},
		"a largest in no bucket":           {values: []float64{0.5, 2}, change: func(p pmetric.HistogramDataPoint) { p.SetMax(20) }},
		"a sum in no bucket":               {values: []float64{2}, change: func(p pmetric.HistogramDataPoint) { p.SetSum(20) }},
		"a sum that is no number":          {values: []float64{2}, change: func(p pmetric.HistogramDataPoint) { p.SetSum(math.NaN()) }},
		"no sum":                           {values: []float64{2}, change: func(p pmetric.HistogramDataPoint) { p.RemoveSum() }},
		"a bound belongs to the bucket":    {values: []float64{10}, want: 10},
		"nothing":                          {},
		"buckets that do not fit":          {values: []float64{20}, change: func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw([]uint64{0, 1}) }},
		"no buckets":                       {values: []float64{2, 4}, change: func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw(nil) }, want: 3},
		"one bucket without a bound":       {values: []float64{2, 4}, change: func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw([]uint64{2}) }, want: 3},
		"counts of nothing in the buckets": {values: []float64{2}, change: func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw([]uint64{0, 0, 0}) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := histogram(delta)
			p := bucketed(m, "/", traceHex, spanHex, test.values...)
			if test.change != nil {
				test.change(p)
			}
			var c Counts
			promoter().Metric(m, &c)
			assert.Equal(t, map[string]any{"route": "/"}, p.Attributes().AsRaw())
			if test.want == 0 {
				assert.Zero(t, p.Exemplars().Len())
				assert.Equal(t, Counts{Unmeasured: 1}, c)
				return
			}
			require.Equal(t, 1, p.Exemplars().Len())
			assert.Equal(t, test.want, p.Exemplars().At(0).DoubleValue())
			assert.Equal(t, p.Timestamp(), p.Exemplars().At(0).Timestamp())
			assert.Equal(t, Counts{Promoted: 1}, c)
		})
	}
}

func TestAnExemplarOfAnExponentialHistogram(t *testing.T) {
	for name, test := range map[string]struct {
		counts []uint64
		zeros  uint64
		below  []uint64
		want   float64
	}{
		"one value":             {counts: []uint64{0, 1}, want: 1.5},
		"several in one bucket": {counts: []uint64{0, 3}, want: 1.5},
		"several in several":    {counts: []uint64{1, 3}},
		"zeros too":             {counts: []uint64{0, 3}, zeros: 1},
		"below zero too":        {counts: []uint64{0, 3}, below: []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := exponential()
			p := spread(m, traceHex, 0, test.counts...)
			p.SetZeroCount(test.zeros)
			p.Negative().BucketCounts().FromRaw(test.below)
			promoter().Metric(m, &Counts{})
			if test.want == 0 {
				assert.Zero(t, p.Exemplars().Len())
				return
			}
			require.Equal(t, 1, p.Exemplars().Len())
			assert.Equal(t, test.want, p.Exemplars().At(0).DoubleValue())
		})
	}
}

func TestTheSmallestAndLargestOfMergedHistograms(t *testing.T) {
	known := func(smallest, largest float64) func(pmetric.HistogramDataPoint) {
		return func(p pmetric.HistogramDataPoint) { p.SetMin(smallest); p.SetMax(largest) }
	}
	unknown := func(pmetric.HistogramDataPoint) {}
	nothing := func(p pmetric.HistogramDataPoint) {
		p.SetCount(0)
		p.SetSum(0)
		p.BucketCounts().FromRaw([]uint64{0, 0, 0})
	}
	for name, test := range map[string]struct {
		a, b func(pmetric.HistogramDataPoint)
		want []float64
	}{
		"of both":                     {known(1, 5), known(2, 7), []float64{1, 7}},
		"of both, the other way":      {known(2, 7), known(1, 5), []float64{1, 7}},
		"known of the first only":     {known(1, 5), unknown, nil},
		"known of the second only":    {unknown, known(1, 5), nil},
		"the first counted nothing":   {nothing, known(1, 5), []float64{1, 5}},
		"the second counted nothing":  {known(1, 5), nothing, []float64{1, 5}},
		"neither counted anything":    {nothing, nothing, nil},
		"nothing, and nothing known":  {nothing, unknown, nil},
		"nothing known, and nothing":  {unknown, nothing, nil},
		"the same of both":            {known(1, 5), known(1, 5), []float64{1, 5}},
		"the first is all in between": {known(2, 3), known(1, 5), []float64{1, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			m := histogram(delta)
			test.a(bucketed(m, "/", traceHex, "", 2, 3))
			test.b(bucketed(m, "/", otherTrace, "", 2, 3))
			promoter().Metric(m, &Counts{})
			require.Equal(t, 1, m.Histogram().DataPoints().Len())
			p := m.Histogram().DataPoints().At(0)
			require.Equal(t, test.want != nil, p.HasMin())
			require.Equal(t, test.want != nil, p.HasMax())
			if test.want != nil {
				assert.Equal(t, test.want, []float64{p.Min(), p.Max()})
			}
		})
	}
}

func TestHistogramsThatDoNotFitAreLeft(t *testing.T) {
	for name, change := range map[string]func(pmetric.HistogramDataPoint){
		"without a sum":       func(p pmetric.HistogramDataPoint) { p.RemoveSum() },
		"with other bounds":   func(p pmetric.HistogramDataPoint) { p.ExplicitBounds().SetAt(0, 2) },
		"with other buckets":  func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw([]uint64{1, 1}) },
		"without any buckets": func(p pmetric.HistogramDataPoint) { p.BucketCounts().FromRaw(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			m := histogram(delta)
			bucketed(m, "/", traceHex, "", 2)
			change(bucketed(m, "/", otherTrace, "", 2))
			var c Counts
			promoter().Metric(m, &c)
			assert.Equal(t, Counts{Promoted: 1, Unmerged: 1}, c)
			assert.Equal(t, map[string]any{"route": "/", "trace_id": otherTrace}, m.Histogram().DataPoints().At(1).Attributes().AsRaw())
		})
	}
	for name, change := range map[string]func(pmetric.ExponentialHistogramDataPoint){
		"without a sum":          func(p pmetric.ExponentialHistogramDataPoint) { p.RemoveSum() },
		"with another scale":     func(p pmetric.ExponentialHistogramDataPoint) { p.SetScale(3) },
		"with another threshold": func(p pmetric.ExponentialHistogramDataPoint) { p.SetZeroThreshold(3) },
		"far away below zero": func(p pmetric.ExponentialHistogramDataPoint) {
			p.Negative().SetOffset(math.MaxInt32)
			p.Negative().BucketCounts().FromRaw([]uint64{1})
		},
		"far away":                  func(p pmetric.ExponentialHistogramDataPoint) { p.Positive().SetOffset(math.MaxInt32) },
		"far away on the other end": func(p pmetric.ExponentialHistogramDataPoint) { p.Positive().SetOffset(math.MinInt32) },
	} {
		t.Run("exponential, "+name, func(t *testing.T) {
			m := exponential()
			spread(m, traceHex, 0, 1).Negative().BucketCounts().FromRaw([]uint64{1})
			change(spread(m, otherTrace, 0, 1))
			var c Counts
			promoter().Metric(m, &c)
			assert.Equal(t, int64(1), c.Unmerged)
			assert.Equal(t, 2, m.ExponentialHistogram().DataPoints().Len())
		})
	}
}

func TestBucketsOfExponentialHistogramsAreAligned(t *testing.T) {
	for name, test := range map[string]struct {
		a, b       []uint64
		aAt, bAt   int32
		want       []uint64
		wantOffset int32
	}{
		"the same":        {[]uint64{1, 2}, []uint64{3, 4}, 5, 5, []uint64{4, 6}, 5},
		"below":           {[]uint64{1, 2}, []uint64{3, 4}, 5, 4, []uint64{3, 5, 2}, 4},
		"above":           {[]uint64{1, 2}, []uint64{3, 4}, 5, 6, []uint64{1, 5, 4}, 5},
		"with a gap":      {[]uint64{1}, []uint64{3}, -2, 1, []uint64{1, 0, 0, 3}, -2},
		"inside":          {[]uint64{1, 1, 1}, []uint64{3}, -1, 0, []uint64{1, 4, 1}, -1},
		"into nothing":    {nil, []uint64{3}, 7, 1, []uint64{3}, 1},
		"nothing into it": {[]uint64{3}, nil, 1, 7, []uint64{3}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := exponential()
			a, b := spread(m, traceHex, test.aAt, test.a...), spread(m, otherTrace, test.bAt, test.b...)
			a.Positive().CopyTo(a.Negative())
			b.Positive().CopyTo(b.Negative())
			a.SetZeroCount(2)
			b.SetZeroCount(3)
			promoter().Metric(m, &Counts{})
			require.Equal(t, 1, m.ExponentialHistogram().DataPoints().Len())
			p := m.ExponentialHistogram().DataPoints().At(0)
			for _, buckets := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
				assert.Equal(t, test.want, buckets.BucketCounts().AsRaw())
				assert.Equal(t, test.wantOffset, buckets.Offset())
			}
			assert.Equal(t, uint64(5), p.ZeroCount())
		})
	}
}

// totals adds up whatever a metric counts.
func totals(m pmetric.Metric) (t struct {
	values         int64
	count, buckets uint64
	sum            float64
	points         int
},
) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			t.values += p.IntValue()
			t.points++
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			t.points++
			t.count += p.Count()
			t.sum += p.Sum()
			for _, n := range p.BucketCounts().All() {
				t.buckets += n
			}
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			t.points++
			t.count += p.Count()
			t.sum += p.Sum()
			t.buckets += p.ZeroCount()
			for _, n := range p.Positive().BucketCounts().All() {
				t.buckets += n
			}
		}
	}
	return t
}

func TestPromotingKeepsTheTotals(t *testing.T) {
	merged := int64(0)
	for i := range uint64(500) {
		metrics := random(t, rand.New(rand.NewPCG(2, i)))
		each(metrics, func(m pmetric.Metric) {
			before, exemplars := totals(m), 0
			for _, es := range exemplarsOf(m) {
				exemplars += es.Len()
			}
			var c Counts
			promoter().Metric(m, &c)
			after := totals(m)
			for _, es := range exemplarsOf(m) {
				exemplars -= es.Len()
			}
			require.Zero(t, int64(exemplars)+c.Promoted-c.Capped)
			require.Equal(t, int64(before.points-after.points), c.Merged)
			merged += c.Merged
			before.points, after.points = 0, 0
			require.Equal(t, before, after)
		})
	}
	assert.Greater(t, merged, int64(100))
}

func TestNothingToPromoteChangesNothing(t *testing.T) {
	for i := range uint64(20) {
		metrics := random(t, rand.New(rand.NewPCG(3, i)))
		before := bytesOf(t, metrics)
		var c Counts
		for _, p := range []*Promoter{NewPromoter(nil, nil, 3), NewPromoter([]string{"absent"}, nil, 3)} {
			each(metrics, func(m pmetric.Metric) { p.Metric(m, &c) })
		}
		assert.Equal(t, before, bytesOf(t, metrics))
		assert.Equal(t, Counts{}, c)
	}
}

func BenchmarkPromote(b *testing.B) {
	const points = 1000
	for name, trace := range map[string]string{"nothing to promote": "", "all to one": traceHex} {
		b.Run(name, func(b *testing.B) {
			from, p := sum(delta), promoter()
			for range points {
				number(from, "/", trace, "", 1)
			}
			m := pmetric.NewMetric()
			var c Counts
			b.ReportAllocs()
			for b.Loop() {
				from.CopyTo(m)
				p.Metric(m, &c)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/points, "ns/point")
		})
	}
}
