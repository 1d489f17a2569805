// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"math"
	"sort"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxWidth bounds the buckets of a merged exponential histogram. SDKs make 160.
// Without a bound two points with one bucket each could need gigabytes.
const maxWidth = 2048

// distribution is what histograms of both kinds have in common.
type distribution interface {
	Count() uint64
	SetCount(uint64)
	HasSum() bool
	Sum() float64
	SetSum(float64)
	HasMin() bool
	Min() float64
	SetMin(float64)
	RemoveMin()
	HasMax() bool
	Max() float64
	SetMax(float64)
	RemoveMax()
}

// measured returns a value that was measured, or the mean of values that are all
// in one bucket, which is in it too. A mean may be off by a rounding.
func measured(d distribution, oneBucket bool) (float64, bool) {
	value := math.NaN()
	switch {
	case d.Count() == 0:
	case d.Count() == 1 && d.HasSum():
		value = d.Sum()
	case d.HasMax():
		value = d.Max()
	case oneBucket && d.HasSum():
		value = d.Sum() / float64(d.Count())
	}
	return value, !math.IsNaN(value)
}

// mergeCounts adds all but the buckets. A minimum or maximum that only one of
// them has is not that of both. One that counted nothing has none, and takes
// away none.
func mergeCounts(into, from distribution) {
	if from.Count() > 0 {
		switch {
		case !from.HasMin() || into.Count() > 0 && !into.HasMin():
			into.RemoveMin()
		case into.Count() == 0 || from.Min() < into.Min():
			into.SetMin(from.Min())
		}
		switch {
		case !from.HasMax() || into.Count() > 0 && !into.HasMax():
			into.RemoveMax()
		case into.Count() == 0 || from.Max() > into.Max():
			into.SetMax(from.Max())
		}
	}
	if into.HasSum() {
		into.SetSum(into.Sum() + from.Sum())
	}
	into.SetCount(into.Count() + from.Count())
}

type histograms struct{}

func (histograms) measured(p pmetric.HistogramDataPoint, e pmetric.Exemplar) bool {
	value, ok := measured(p, filled(p.BucketCounts()) <= 1)
	e.SetDoubleValue(value)
	if counts := p.BucketCounts(); ok && counts.Len() > 1 {
		// A sum that does not fit its bucket was made up by somebody before.
		bounds := p.ExplicitBounds()
		bucket := sort.Search(bounds.Len(), func(i int) bool { return bounds.At(i) >= value })
		return bucket < counts.Len() && counts.At(bucket) > 0
	}
	return ok
}

func (histograms) fits(into, from pmetric.HistogramDataPoint) bool {
	return into.HasSum() == from.HasSum() && into.BucketCounts().Len() == from.BucketCounts().Len() &&
		into.ExplicitBounds().Equal(from.ExplicitBounds())
}

func (histograms) merge(into, from pmetric.HistogramDataPoint) {
	mergeCounts(into, from)
	counts := into.BucketCounts()
	for i, count := range from.BucketCounts().All() {
		counts.SetAt(i, counts.At(i)+count)
	}
}

type exponentials struct{}

func (exponentials) measured(p pmetric.ExponentialHistogramDataPoint, e pmetric.Exemplar) bool {
	buckets := filled(p.Positive().BucketCounts()) + filled(p.Negative().BucketCounts())
	if p.ZeroCount() > 0 {
		buckets++
	}
	value, ok := measured(p, buckets == 1)
	e.SetDoubleValue(value)
	return ok
}

func (exponentials) fits(into, from pmetric.ExponentialHistogramDataPoint) bool {
	return into.HasSum() == from.HasSum() && into.Scale() == from.Scale() && into.ZeroThreshold() == from.ZeroThreshold() &&
		width(into.Positive(), from.Positive()) <= maxWidth && width(into.Negative(), from.Negative()) <= maxWidth
}

func (exponentials) merge(into, from pmetric.ExponentialHistogramDataPoint) {
	mergeCounts(into, from)
	into.SetZeroCount(into.ZeroCount() + from.ZeroCount())
	mergeBuckets(into.Positive(), from.Positive())
	mergeBuckets(into.Negative(), from.Negative())
}

// width returns how many buckets both take together.
func width(a, b pmetric.ExponentialHistogramDataPointBuckets) int64 {
	if a.BucketCounts().Len() == 0 || b.BucketCounts().Len() == 0 {
		return 0 // Nothing is made wider.
	}
	return max(endOf(a), endOf(b)) - min(int64(a.Offset()), int64(b.Offset()))
}

func endOf(b pmetric.ExponentialHistogramDataPointBuckets) int64 {
	return int64(b.Offset()) + int64(b.BucketCounts().Len())
}

func mergeBuckets(into, from pmetric.ExponentialHistogramDataPointBuckets) {
	switch {
	case from.BucketCounts().Len() == 0:
		return
	case into.BucketCounts().Len() == 0:
		from.CopyTo(into)
		return
	}
	offset := min(into.Offset(), from.Offset())
	counts := make([]uint64, width(into, from))
	for _, buckets := range []pmetric.ExponentialHistogramDataPointBuckets{into, from} {
		for i, count := range buckets.BucketCounts().All() {
			counts[int64(buckets.Offset())-int64(offset)+int64(i)] += count
		}
	}
	into.SetOffset(offset)
	into.BucketCounts().FromRaw(counts)
}

func filled(counts pcommon.UInt64Slice) int {
	n := 0
	for _, count := range counts.All() {
		if count > 0 {
			n++
		}
	}
	return n
}
