// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package histogram

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
)

var (
	start = time.Unix(1_000_000, 0)
	trace = pcommon.TraceID{15: 1}
	span  = pcommon.SpanID{7: 2}
)

func waits(config Config) *Histogram {
	config.Name, config.Description, config.Unit = "x.wait.duration", "How long it waited.", "s"
	config.Attributes[0] = "x.prefix"
	config.Start = start
	return New(config)
}

// told returns the metric's data points.
func told(t *testing.T, h *Histogram) pmetric.HistogramDataPointSlice {
	t.Helper()
	metrics := pmetric.NewMetricSlice()
	h.AppendTo(metrics, pcommon.NewTimestampFromTime(start.Add(time.Minute)))
	require.Equal(t, 1, metrics.Len())
	return metrics.At(0).Histogram().DataPoints()
}

func TestHistogram(t *testing.T) {
	h := waits(Config{Bounds: []float64{0.1, 1, 10}, Attributes: [3]string{1: "x.outcome"}})
	h.Declare(Key{"/b/", "failure"})
	for i, value := range []float64{0, 0.1, 0.11, 1, 9, 11, 400} {
		h.Record(Key{"/a/", "success"}, value, start.Add(time.Duration(i)*time.Second), trace, pcommon.SpanID{7: byte(i + 1)})
	}
	h.Record(Key{"/a/", "failure"}, 2, start, trace, pcommon.SpanID{})
	h.Record(Key{"/a/", "failure"}, 2, start, pcommon.TraceID{}, span)
	metrics := pmetric.NewMetrics()
	h.AppendTo(metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics(), pcommon.NewTimestampFromTime(start))
	goldentest.Metrics(t, "three series, one of them declared only", metrics)
}

func TestSeriesAreSortedAndKeepCounting(t *testing.T) {
	h := waits(Config{})
	for range 2 {
		h.Record(Key{"/b/"}, 5, start, trace, span)
		h.Record(Key{"/a/"}, 0.002, start, trace, span)
	}
	for range 2 { // To tell it takes nothing away.
		points := told(t, h)
		require.Equal(t, 2, points.Len())
		for i, prefix := range []string{"/a/", "/b/"} {
			assert.Equal(t, map[string]any{"x.prefix": prefix}, points.At(i).Attributes().AsRaw())
			assert.Equal(t, uint64(2), points.At(i).Count())
			assert.Equal(t, start, points.At(i).StartTimestamp().AsTime().Local())
			assert.Equal(t, 1, points.At(i).Exemplars().Len())
		}
	}
}

func TestAHistogramWithoutSeriesTellsNothing(t *testing.T) {
	metrics := pmetric.NewMetricSlice()
	waits(Config{}).AppendTo(metrics, 0)
	assert.Zero(t, metrics.Len())
}

func TestADeclaredSeriesIsEmptyAndIsNotReset(t *testing.T) {
	h := waits(Config{})
	h.Declare(Key{"/a/"}, Key{"/a/"})
	point := told(t, h).At(0)
	assert.Zero(t, point.Count())
	assert.True(t, point.HasSum())
	assert.False(t, point.HasMin() || point.HasMax())
	assert.Equal(t, make([]uint64, len(DurationBounds())+1), point.BucketCounts().AsRaw())

	h.Record(Key{"/a/"}, 1, start, trace, span)
	h.Declare(Key{"/a/"})
	assert.Equal(t, uint64(1), told(t, h).At(0).Count())
}

func TestSeriesAreBounded(t *testing.T) {
	h := waits(Config{Limit: 2})
	h.Declare(Key{"/a/"}, Key{"/b/"}, Key{"/c/"})
	assert.Zero(t, h.Dropped(), "no value is lost yet")
	h.Record(Key{"/c/"}, 1, start, trace, span)
	h.Record(Key{"/a/"}, 1, start, trace, span)
	assert.Equal(t, uint64(1), h.Dropped())
	assert.Equal(t, 2, told(t, h).Len())
}

func TestWhatIsNoDurationIsDropped(t *testing.T) {
	h := waits(Config{})
	h.Declare(Key{"/a/"})
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1} {
		h.Record(Key{"/a/"}, value, start, trace, span)
		h.Record(Key{fmt.Sprint(value)}, value, start, trace, span)
	}
	assert.Equal(t, uint64(8), h.Dropped())
	require.Equal(t, 1, told(t, h).Len(), "it makes no series either")
	assert.Zero(t, told(t, h).At(0).Count())
}

func TestTheBoundsAreNotShared(t *testing.T) {
	bounds := []float64{1, 2}
	h := waits(Config{Bounds: bounds})
	bounds[0] = 3
	h.Record(Key{}, 1.5, start, trace, span)
	assert.Equal(t, []uint64{0, 1, 0}, told(t, h).At(0).BucketCounts().AsRaw())
}

func TestCheckBounds(t *testing.T) {
	require.NoError(t, CheckBounds("bounds", DurationBounds()))
	require.NoError(t, CheckBounds("bounds", nil))
	require.EqualError(t, CheckBounds("bounds", []float64{1, 1}), "bounds[1] is 1, which is not above 1 before it: list the bounds in rising order")
	require.EqualError(t, CheckBounds("bounds", []float64{math.NaN()}), "bounds[0] is NaN: set it to a finite number")
	require.Panics(t, func() { New(Config{Bounds: []float64{2, 1}}) })
}

func TestExemplarsSurviveTheWire(t *testing.T) {
	h := waits(Config{})
	h.Record(Key{"/a/"}, 1, start, trace, span)
	metrics := pmetric.NewMetrics()
	h.AppendTo(metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics(), 0)
	wire, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(metrics)
	require.NoError(t, err)
	got, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(wire)
	require.NoError(t, err)
	exemplar := got.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).Exemplars().At(0)
	assert.Equal(t, trace, exemplar.TraceID())
	assert.Equal(t, span, exemplar.SpanID())
	assert.Equal(t, 1.0, exemplar.DoubleValue())
	assert.Equal(t, start, exemplar.Timestamp().AsTime().Local())
}

func TestConcurrentUse(t *testing.T) {
	const each = 500
	h := waits(Config{})
	var users sync.WaitGroup
	for w := range 4 {
		users.Go(func() {
			for i := range each {
				h.Record(Key{strconv.Itoa(w % 2)}, float64(i), start, trace, span)
				if i%100 == 0 {
					h.AppendTo(pmetric.NewMetricSlice(), 0)
				}
			}
		})
	}
	users.Wait()
	for _, point := range told(t, h).All() {
		assert.Equal(t, uint64(2*each), point.Count())
	}
}

func BenchmarkRecord(b *testing.B) {
	h := waits(Config{})
	key := Key{"/locks/", "success"}
	b.ReportAllocs()
	for b.Loop() {
		h.Record(key, 3, start, trace, span)
	}
}

func BenchmarkAppendTo(b *testing.B) {
	h := waits(Config{})
	for i := range 100 {
		h.Record(Key{strconv.Itoa(i)}, float64(i), start, trace, span)
	}
	b.ReportAllocs()
	for b.Loop() {
		h.AppendTo(pmetric.NewMetricSlice(), 0)
	}
}
