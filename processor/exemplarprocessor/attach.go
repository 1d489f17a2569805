// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/normalize"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/series"
)

// pointOutcome is what became of a data point of a metric that a rule selects.
type pointOutcome int

const (
	pointAhead pointOutcome = iota
	pointAttached
	pointBackwards
	pointBaseline
	pointExisting
	pointLimited
	pointNoCandidate
	pointRefused
	pointType
	pointUnchanged
	pointUnfit
	pointUnit
	pointUnkeyed
	pointOutcomes
)

// pass is what one batch of metrics needs on its way; it is used again.
type pass struct {
	m       *metrics
	now     int64
	changes normalize.Counts
	counted map[*rule.Rule]*ruleCounts
	free    bool // the limiter had something left, and nothing was taken since

	keys     rule.Points
	counts   []uint64
	bounds   []float64
	drawn    []candidate.Candidate
	picks    []series.Pick
	existing []series.Existing
}

type ruleCounts struct {
	points   [pointOutcomes]int64
	attached int64

	// Of candidates that were not attached.
	outside, used, ungrown, surplus int64
}

func (c *ruleCounts) reject(t series.Tally) {
	c.outside += int64(t.Outside)
	c.used += int64(t.Used)
	c.ungrown += int64(t.Ungrown)
	c.surplus += int64(t.Surplus)
}

func newPass(m *metrics) *pass { return &pass{m: m, counted: map[*rule.Rule]*ruleCounts{}} }

func (p *pass) begin(now int64) {
	p.now, p.changes, p.free = now, normalize.Counts{}, false
	for _, c := range p.counted {
		*c = ruleCounts{}
	}
}

// target is what the data points of a metric have in common while they get
// exemplars.
type target struct {
	*ruleCounts

	rule     *rule.Rule
	name     string
	scope    uint64 // identity
	resource pcommon.Map
	scale    float64
	delta    bool
}

// attach attaches exemplars to the data points of a metric, if a rule selects
// it.
func (p *pass) attach(resource pcommon.Map, scope uint64, from pmetric.Metric) {
	e := p.m.Observer
	r := e.rules.Metric(from.Name())
	if r == nil {
		return
	}
	counts := p.counted[r]
	if counts == nil {
		counts = &ruleCounts{}
		p.counted[r] = counts
	}
	to := target{ruleCounts: counts, rule: r, name: from.Name(), scope: scope, resource: resource}
	switch from.Type() {
	case pmetric.MetricTypeSum:
		sum := from.Sum()
		points := sum.DataPoints()
		if !sum.IsMonotonic() {
			to.points[pointType] += int64(points.Len())
			return
		}
		if !to.over(sum.AggregationTemporality(), points.Len()) {
			return
		}
		to.scale = 1
		p.keysOf(&to, points.Len(), func(i int) pcommon.Map { return points.At(i).Attributes() })
		for _, point := range points.All() {
			p.number(&to, point)
		}
	case pmetric.MetricTypeHistogram:
		histogram := from.Histogram()
		points := histogram.DataPoints()
		if !to.over(histogram.AggregationTemporality(), points.Len()) || !to.scaled(from, points.Len()) {
			return
		}
		p.keysOf(&to, points.Len(), func(i int) pcommon.Map { return points.At(i).Attributes() })
		for _, point := range points.All() {
			p.explicit(&to, point)
		}
	case pmetric.MetricTypeExponentialHistogram:
		histogram := from.ExponentialHistogram()
		points := histogram.DataPoints()
		if !to.over(histogram.AggregationTemporality(), points.Len()) || !to.scaled(from, points.Len()) {
			return
		}
		p.keysOf(&to, points.Len(), func(i int) pcommon.Map { return points.At(i).Attributes() })
		for _, point := range points.All() {
			p.exponential(&to, point)
		}
	case pmetric.MetricTypeGauge:
		to.points[pointType] += int64(from.Gauge().DataPoints().Len())
	case pmetric.MetricTypeSummary:
		to.points[pointType] += int64(from.Summary().DataPoints().Len())
	}
}

// over finds out the time that the data points are over. Without a temporality
// nobody knows what they have counted.
func (to *target) over(temporality pmetric.AggregationTemporality, points int) (ok bool) {
	to.delta = temporality == pmetric.AggregationTemporalityDelta
	if ok = temporality != pmetric.AggregationTemporalityUnspecified; !ok {
		to.points[pointType] += int64(points)
	}
	return ok
}

// scaled finds out the unit.
func (to *target) scaled(from pmetric.Metric, points int) (ok bool) {
	if to.scale, ok = to.rule.Scale(from.Name(), from.Unit()); !ok {
		to.points[pointUnit] += int64(points)
	}
	return ok
}

// keysOf makes ready for the keys of the data points: it finds out which optional
// attributes they have, or those had that came before.
func (p *pass) keysOf(to *target, points int, attrs func(int) pcommon.Map) {
	var mask rule.Mask
	if to.rule.Optional() {
		for i, all := 0, false; i < points && !all; i++ {
			mask, all = to.rule.Mask(mask, to.resource, attrs(i))
		}
		mask = p.m.masks.Add(identity.Metric(to.scope, to.name), mask) | to.rule.Instance(to.resource)
	}
	p.keys.Begin(to.rule, mask)
}

func (p *pass) number(to *target, point pmetric.NumberDataPoint) {
	if point.Flags().NoRecordedValue() {
		return
	}
	value := point.DoubleValue()
	if point.ValueType() == pmetric.NumberDataPointValueTypeInt {
		value = float64(point.IntValue())
	}
	p.take(to, point.Attributes(), point.Exemplars(), series.Point{
		Kind: series.Sum, Delta: to.delta, Start: int64(point.StartTimestamp()), Time: int64(point.Timestamp()), Value: value,
	})
}

func (p *pass) explicit(to *target, point pmetric.HistogramDataPoint) {
	if point.Flags().NoRecordedValue() {
		return
	}
	p.counts, p.bounds = p.counts[:0], p.bounds[:0]
	for _, count := range point.BucketCounts().All() {
		p.counts = append(p.counts, count)
	}
	for _, bound := range point.ExplicitBounds().All() {
		p.bounds = append(p.bounds, bound)
	}
	if len(p.counts) == 0 { // All is in one bucket.
		p.counts = append(p.counts, point.Count())
	}
	p.take(to, point.Attributes(), point.Exemplars(), series.Point{
		Kind: series.Explicit, Delta: to.delta, Start: int64(point.StartTimestamp()), Time: int64(point.Timestamp()),
		Bounds: p.bounds, Counts: p.counts,
	})
}

func (p *pass) exponential(to *target, point pmetric.ExponentialHistogramDataPoint) {
	if point.Flags().NoRecordedValue() {
		return
	}
	p.counts = p.counts[:0]
	for _, count := range point.Positive().BucketCounts().All() {
		p.counts = append(p.counts, count)
	}
	p.take(to, point.Attributes(), point.Exemplars(), series.Point{
		Kind: series.Exponential, Delta: to.delta, Start: int64(point.StartTimestamp()), Time: int64(point.Timestamp()),
		Scale: point.Scale(), Offset: point.Positive().Offset(), Counts: p.counts,
		ZeroCount: point.ZeroCount(), ZeroThreshold: point.ZeroThreshold(),
	})
}

// take attaches exemplars to a data point. That it grew is noted in any case.
func (p *pass) take(to *target, attrs pcommon.Map, exemplars pmetric.ExemplarSlice, point series.Point) {
	e := p.m.Observer
	key, ok := p.keys.Key(to.resource, attrs)
	if !ok {
		to.points[pointUnkeyed]++
		return
	}
	p.existing = p.existing[:0]
	switch e.cfg.Attach.Existing {
	case existingReplace:
		exemplars.RemoveIf(func(pmetric.Exemplar) bool { return true })
	default:
		for _, x := range exemplars.All() {
			// A clock that is ahead must not keep spans out until it is right.
			p.existing = append(p.existing, series.Existing{Value: valueOf(x), Time: min(int64(x.Timestamp()), p.now)})
		}
	}
	kept := e.cfg.Attach.Existing == existingKeep && len(p.existing) > 0
	limited := false
	draw := func(after, upto int64) []candidate.Candidate {
		if kept {
			return nil
		}
		p.free = p.free || e.mayAttach(p.now)
		if limited = !p.free; limited {
			return nil
		}
		p.drawn = e.store.Draw(p.now, key, after, upto, p.drawn[:0])
		return p.drawn
	}
	var tally series.Tally
	p.picks, tally = p.m.series.Take(p.now, identity.Series(to.scope, to.name, attrs), point, to.scale, p.existing, draw, p.picks[:0])
	to.reject(tally)
	switch {
	case kept:
		to.points[pointExisting]++
	case limited && tally.Why == series.Empty:
		to.points[pointLimited]++
	default:
		to.points[outcomeOf[tally.Why]]++
	}
	if len(p.picks) == 0 || kept { // Nor is anything repeated beside what is kept.
		return
	}
	to.attached += int64(tally.Picked)
	p.free = false
	for range tally.Picked { // All at once, they could be more than the limiter ever gives.
		e.limiter.ReserveN(time.Unix(0, p.now), 1)
	}
	p.add(exemplars, point.Kind)
}

// outcomeOf says what became of a data point.
var outcomeOf = [...]pointOutcome{
	series.Picked: pointAttached, series.Baseline: pointBaseline, series.Still: pointUnchanged, series.Empty: pointNoCandidate,
	series.Unfit: pointUnfit, series.Backwards: pointBackwards, series.Ahead: pointAhead, series.Refused: pointRefused,
}

// add adds the picks to the exemplars of a data point, in the order of time.
func (p *pass) add(exemplars pmetric.ExemplarSlice, kind series.Kind) {
	exemplars.EnsureCapacity(exemplars.Len() + len(p.picks))
	for i := range p.picks {
		pick := &p.picks[i]
		to := exemplars.AppendEmpty()
		to.SetTraceID(pick.Trace)
		to.SetSpanID(pick.Span)
		to.SetTimestamp(pcommon.Timestamp(pick.End))
		if kind == series.Sum {
			to.SetIntValue(1)
		} else {
			to.SetDoubleValue(pick.Value)
		}
	}
	if len(p.existing) > 0 {
		byTime(exemplars)
	}
}

// byTime sorts exemplars, of which there are few and most are in order.
func byTime(exemplars pmetric.ExemplarSlice) {
	for i := 1; i < exemplars.Len(); i++ {
		for j := i; j > 0 && exemplars.At(j).Timestamp() < exemplars.At(j-1).Timestamp(); j-- {
			swap := pmetric.NewExemplar()
			exemplars.At(j).MoveTo(swap)
			exemplars.At(j - 1).MoveTo(exemplars.At(j))
			swap.MoveTo(exemplars.At(j - 1))
		}
	}
}

func valueOf(x pmetric.Exemplar) float64 {
	if x.ValueType() == pmetric.ExemplarValueTypeInt {
		return float64(x.IntValue())
	}
	return x.DoubleValue()
}
