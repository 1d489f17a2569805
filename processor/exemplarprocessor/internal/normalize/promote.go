// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
)

// Promoter makes exemplars of data point attributes that are trace and span
// IDs, and so brings back together the series that such attributes split. It is
// safe for concurrent use.
//
// What it can merge is the points of one metric in one batch. A cumulative
// series of a trace that is no longer told leaves the sum of the others, which
// then falls, and looks like a reset; and points of a series that come in
// several batches at the same time still overwrite one another. Programs should
// not put IDs into attributes; this mends it best for delta temporality.
type Promoter struct {
	names        names
	maxExemplars int
}

// NewPromoter returns a Promoter for these attributes. A merged point takes
// exemplars from others as long as it has fewer than maxExemplars.
func NewPromoter(traceIDs, spanIDs []string, maxExemplars int) *Promoter {
	return &Promoter{names: namesOf(Aliases{TraceIDs: traceIDs, SpanIDs: spanIDs}), maxExemplars: maxExemplars}
}

// Metric removes the attributes from the data points of sums, histograms and
// exponential histograms, and gives each point an exemplar instead, at the time
// of the point. Its value is one that was measured as far as the point tells:
//
//   - of a sum its value, as all of it is this trace's; none when it is
//     monotonic and zero.
//   - of a histogram with a count of 1 its sum; else its maximum; else, when all
//     values are in one bucket, their mean. In other cases there is no exemplar:
//     it could lie in a bucket that counted nothing.
//
// Points whose attributes then are equal become one, in the place of the first:
// values and counts are added, of the times it has the earliest start and the
// latest end. Points of a cumulative metric must have the same time for this.
//
// Where that is not possible points are left as they are, attributes included:
// those of gauges, summaries and metrics without a temporality, and those whose
// buckets or kind of value differ from the first point's.
func (p *Promoter) Metric(metric pmetric.Metric, c *Counts) {
	if len(p.names) == 0 {
		return
	}
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, point := range metric.Gauge().DataPoints().All() {
			p.leave(point.Attributes(), c)
		}
	case pmetric.MetricTypeSummary:
		for _, point := range metric.Summary().DataPoints().All() {
			p.leave(point.Attributes(), c)
		}
	case pmetric.MetricTypeSum:
		sum := metric.Sum()
		promote(p, sum.DataPoints(), sum.AggregationTemporality(), numbers{monotonic: sum.IsMonotonic()}, c)
	case pmetric.MetricTypeHistogram:
		promote(p, metric.Histogram().DataPoints(), metric.Histogram().AggregationTemporality(), histograms{}, c)
	case pmetric.MetricTypeExponentialHistogram:
		promote(p, metric.ExponentialHistogram().DataPoints(), metric.ExponentialHistogram().AggregationTemporality(), exponentials{}, c)
	}
}

func (p *Promoter) leave(attrs pcommon.Map, c *Counts) {
	if p.touches(attrs) {
		c.Unmerged++
	}
}

func (p *Promoter) touches(attrs pcommon.Map) bool {
	for name := range attrs.All() {
		if p.names.has(name) {
			return true
		}
	}
	return false
}

// point is what the data points of all kinds have in common.
type point[P any] interface {
	Attributes() pcommon.Map
	Exemplars() pmetric.ExemplarSlice
	Flags() pmetric.DataPointFlags
	StartTimestamp() pcommon.Timestamp
	SetStartTimestamp(pcommon.Timestamp)
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
	CopyTo(P)
}

type points[P any] interface {
	Len() int
	At(int) P
	RemoveIf(func(P) bool)
}

// shape is what they have not in common.
type shape[P any] interface {
	// measured sets the exemplar's value to one that the point has measured. It
	// returns false when none is known.
	measured(point P, exemplar pmetric.Exemplar) bool

	// fits says whether the points can be merged.
	fits(into, from P) bool

	// merge adds the values of a point that fits to another.
	merge(into, from P)
}

// group is the points whose attributes are equal but for the IDs.
type group struct {
	attrs uint64
	at    pcommon.Timestamp // of cumulative points only
}

// member is a point with its IDs.
type member struct {
	group
	whole uint64
}

func promote[P point[P]](p *Promoter, all points[P], temporality pmetric.AggregationTemporality, shape shape[P], c *Counts) {
	if temporality == pmetric.AggregationTemporalityUnspecified {
		for i := range all.Len() {
			p.leave(all.At(i).Attributes(), c)
		}
		return
	}
	i := 0
	for i < all.Len() && !p.touches(all.At(i).Attributes()) {
		i++
	}
	if i == all.Len() {
		return
	}
	first := make(map[group]int, all.Len())
	members := make(map[member]struct{}, all.Len())
	gone := make([]bool, all.Len())
	for i := range gone {
		from := all.At(i)
		touched := p.touches(from.Attributes())
		key := group{attrs: identity.Except(from.Attributes(), p.names.has)}
		whole := key.attrs
		if touched {
			whole = identity.Except(from.Attributes(), func(string) bool { return false })
		}
		if temporality == pmetric.AggregationTemporalityCumulative {
			key.at = from.Timestamp()
		}
		// Two points of one series in one batch are two points in time, or a
		// mistake of the source: only deltas of them can be added.
		_, again := members[member{key, whole}]
		members[member{key, whole}] = struct{}{}
		target, merged := first[key]
		switch {
		case !merged:
			first[key] = i
			promotePoint(p, from, shape, c)
		case again && (!touched || temporality == pmetric.AggregationTemporalityCumulative),
			!stale(all.At(target)) && !stale(from) && !shape.fits(all.At(target), from):
			if touched {
				c.Unmerged++
			}
		default:
			promotePoint(p, from, shape, c)
			mergePoint(p, all.At(target), from, shape, c)
			gone[i] = true
			c.Merged++
		}
	}
	i = -1
	all.RemoveIf(func(P) bool { i++; return gone[i] })
}

// stale points say that their series has ended, and have no value.
func stale[P point[P]](p P) bool { return p.Flags().NoRecordedValue() }

// promotePoint takes the IDs out of the attributes and makes an exemplar of them.
func promotePoint[P point[P]](p *Promoter, point P, shape shape[P], c *Counts) {
	var f found
	point.Attributes().RemoveIf(func(name string, value pcommon.Value) bool {
		return f.read(p.names, name, value)
	})
	c.Invalid += f.invalid
	traceID, spanID, padded, _ := f.resolve(pcommon.TraceID{}, pcommon.SpanID{})
	if traceID.IsEmpty() || stale(point) {
		return
	}
	exemplar := pmetric.NewExemplar()
	if !shape.measured(point, exemplar) {
		c.Unmeasured++
		return
	}
	exemplar.SetTimestamp(point.Timestamp())
	exemplar.SetTraceID(traceID)
	exemplar.SetSpanID(spanID)
	exemplar.MoveTo(point.Exemplars().AppendEmpty())
	c.Promoted++
	if padded {
		c.Padded++
	}
}

// mergePoint adds a point to another. A stale one adds nothing: it was the
// series of one trace that has ended.
func mergePoint[P point[P]](p *Promoter, into, from P, shape shape[P], c *Counts) {
	switch {
	case stale(from):
		return
	case stale(into):
		from.CopyTo(into)
		return
	}
	shape.merge(into, from)
	into.SetStartTimestamp(min(into.StartTimestamp(), from.StartTimestamp()))
	into.SetTimestamp(max(into.Timestamp(), from.Timestamp()))
	for _, exemplar := range from.Exemplars().All() {
		if into.Exemplars().Len() < p.maxExemplars {
			exemplar.MoveTo(into.Exemplars().AppendEmpty())
		} else {
			c.Capped++
		}
	}
}

type numbers struct{ monotonic bool }

func (n numbers) measured(p pmetric.NumberDataPoint, e pmetric.Exemplar) bool {
	switch p.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		e.SetIntValue(p.IntValue())
		return !n.monotonic || p.IntValue() > 0
	case pmetric.NumberDataPointValueTypeDouble:
		e.SetDoubleValue(p.DoubleValue())
		return p.DoubleValue() > 0 || !n.monotonic && !math.IsNaN(p.DoubleValue())
	default:
		return false
	}
}

func (numbers) fits(into, from pmetric.NumberDataPoint) bool {
	if into.ValueType() != from.ValueType() {
		return false
	}
	a, b := into.IntValue(), from.IntValue() // Both are 0 of doubles.
	if b > 0 {
		return a <= math.MaxInt64-b
	}
	return a >= math.MinInt64-b
}

func (numbers) merge(into, from pmetric.NumberDataPoint) {
	if into.ValueType() == pmetric.NumberDataPointValueTypeInt {
		into.SetIntValue(into.IntValue() + from.IntValue())
	} else {
		into.SetDoubleValue(into.DoubleValue() + from.DoubleValue())
	}
}
