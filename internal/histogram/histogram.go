// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package histogram makes cumulative histograms with explicit bounds, whose
// exemplars lead to spans. The generated builders make none.
package histogram

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// DefaultLimit is the largest number of series unless Config says otherwise.
const DefaultLimit = 1000

// Config is what a Histogram is made of.
type Config struct {
	Name, Description, Unit string

	// Attributes are the names of the attributes that distinguish the series.
	// An empty name stands for no attribute.
	Attributes [3]string

	// Bounds are the upper bounds of the buckets, which belong to them; a last
	// bucket without a bound is added. Without any it is DurationBounds.
	Bounds []float64

	// Limit is the largest number of series; without one it is DefaultLimit.
	Limit int

	// Start is when counting began.
	Start time.Time
}

// Key is the values of the attributes of a series, in the order of
// Config.Attributes.
type Key [3]string

// Histogram counts values in buckets, apart for each Key. It is safe for
// concurrent use.
type Histogram struct {
	config Config

	mu      sync.Mutex
	series  map[Key]*series
	dropped uint64
}

type series struct {
	counts        []uint64
	exemplars     []exemplar // the last one of each bucket
	count         uint64
	sum, min, max float64
}

type exemplar struct {
	value float64
	at    time.Time
	trace pcommon.TraceID
	span  pcommon.SpanID
}

// New returns a Histogram without series. Bounds that CheckBounds refuses are a
// mistake of the program: it panics.
func New(config Config) *Histogram {
	if len(config.Bounds) == 0 {
		config.Bounds = DurationBounds()
	}
	if err := CheckBounds(config.Name, config.Bounds); err != nil {
		panic(err)
	}
	if config.Limit <= 0 {
		config.Limit = DefaultLimit
	}
	config.Bounds = slices.Clone(config.Bounds)
	return &Histogram{config: config, series: map[Key]*series{}}
}

// DurationBounds returns bounds for waits and holds in seconds: from 1 ms to
// 4 hours, each about the double of the one before.
func DurationBounds() []float64 {
	return []float64{
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400,
	}
}

// CheckBounds checks that the bounds are finite and each is above the one
// before. The error names the YAML key under which they are set.
func CheckBounds(key string, bounds []float64) error {
	for i, bound := range bounds {
		if math.IsNaN(bound) || math.IsInf(bound, 0) {
			return fmt.Errorf("%s[%d] is %v: set it to a finite number", key, i, bound)
		}
		if i > 0 && bound <= bounds[i-1] {
			return fmt.Errorf("%s[%d] is %v, which is not above %v before it: list the bounds in rising order", key, i, bound, bounds[i-1])
		}
	}
	return nil
}

// Declare adds series that are reported before they have a value, so that the first
// value counts as a change. Those beyond the limit are left out.
func (h *Histogram) Declare(keys ...Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, key := range keys {
		h.find(key)
	}
}

// Record counts a value in the series of the key. Trace and span become its
// exemplar, unless one of them is empty. A value that is not a finite number or
// is negative, or for whose key there are too many series, is counted by
// Dropped only.
func (h *Histogram) Record(key Key, value float64, at time.Time, trace pcommon.TraceID, span pcommon.SpanID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !(value >= 0 && value <= math.MaxFloat64) { // Written so that NaN is refused too.
		h.dropped++
		return
	}
	s := h.find(key)
	if s == nil {
		h.dropped++
		return
	}
	bucket := sort.SearchFloat64s(h.config.Bounds, value)
	s.counts[bucket]++
	if s.count == 0 || value < s.min {
		s.min = value
	}
	s.max = max(s.max, value)
	s.count++
	s.sum += value
	if !trace.IsEmpty() && !span.IsEmpty() {
		s.exemplars[bucket] = exemplar{value: value, at: at, trace: trace, span: span}
	}
}

// find returns nil when there are too many series for a new one.
func (h *Histogram) find(key Key) *series {
	s, ok := h.series[key]
	if !ok && len(h.series) < h.config.Limit {
		buckets := len(h.config.Bounds) + 1
		s = &series{counts: make([]uint64, buckets), exemplars: make([]exemplar, buckets)}
		h.series[key] = s
	}
	return s
}

// Dropped returns how many values Record refused.
func (h *Histogram) Dropped() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dropped
}

// AppendTo appends the metric, with a data point for each series in the order
// of their keys; nothing while there are none.
func (h *Histogram) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.series) == 0 {
		return
	}
	metric := metrics.AppendEmpty()
	metric.SetName(h.config.Name)
	metric.SetDescription(h.config.Description)
	metric.SetUnit(h.config.Unit)
	histogram := metric.SetEmptyHistogram()
	histogram.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	points := histogram.DataPoints()
	points.EnsureCapacity(len(h.series))
	keys := slices.SortedFunc(maps.Keys(h.series), func(a, b Key) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		point := points.AppendEmpty()
		point.SetStartTimestamp(pcommon.NewTimestampFromTime(h.config.Start))
		point.SetTimestamp(now)
		for i, name := range h.config.Attributes {
			if name != "" {
				point.Attributes().PutStr(name, key[i])
			}
		}
		point.ExplicitBounds().FromRaw(h.config.Bounds)
		h.series[key].fill(point)
	}
}

func (s *series) fill(point pmetric.HistogramDataPoint) {
	point.SetCount(s.count)
	point.SetSum(s.sum)
	if s.count > 0 {
		point.SetMin(s.min)
		point.SetMax(s.max)
	}
	point.BucketCounts().FromRaw(s.counts)
	for _, e := range s.exemplars {
		if e.trace.IsEmpty() {
			continue
		}
		to := point.Exemplars().AppendEmpty()
		to.SetDoubleValue(e.value)
		to.SetTimestamp(pcommon.NewTimestampFromTime(e.at))
		to.SetTraceID(e.trace)
		to.SetSpanID(e.span)
	}
}
