// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry reads the own metrics of members.
package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxSeries is how many series a metric may have: peers and gRPC codes are few.
const maxSeries = 1000

// unlimited is above every count; a limit that there is not is told as more.
const unlimited = 1 << 63

var errNotEtcd = errors.New("the page is not that of an etcd: set endpoints to the client URLs of members")

// MemberMetrics converts a selection of the metrics that a member has of its own,
// sorted by name. One that the member does not have is left out. It fails when
// they are not those of an etcd, or one of them is not what it is by its name.
func MemberMetrics(families map[string]*dto.MetricFamily, now pcommon.Timestamp) (pmetric.MetricSlice, error) {
	metrics := pmetric.NewMetricSlice()
	if !isEtcd(families) {
		return metrics, errNotEtcd
	}
	start := startOf(families)
	for _, i := range instruments {
		points, err := i.read(families)
		if err != nil {
			return pmetric.NewMetricSlice(), err
		}
		if len(points) == 0 {
			continue
		}
		began := start
		if i.lasting {
			began = 0
		}
		i.render(metrics.AppendEmpty(), points, began, now)
	}
	return metrics, nil
}

func isEtcd(families map[string]*dto.MetricFamily) bool {
	for name := range families {
		if strings.HasPrefix(name, "etcd_server_") {
			return true
		}
	}
	return false
}

// startOf returns when the member began to count, or zero.
func startOf(families map[string]*dto.MetricFamily) pcommon.Timestamp {
	for _, m := range families["process_start_time_seconds"].GetMetric() {
		return pcommon.Timestamp(m.GetGauge().GetValue() * float64(time.Second))
	}
	return 0
}

// point is a data point that is being summed up.
type point struct {
	attributes []attribute
	value      float64 // the sum of a histogram's values
	bounds     []float64
	counts     []uint64
}

// read returns the points in the order of their attributes.
func (i instrument) read(families map[string]*dto.MetricFamily) ([]*point, error) {
	points := map[string]*point{}
	for _, src := range i.sources {
		family := src.in(families)
		for _, series := range family.GetMetric() {
			p := &point{attributes: src.attributes(series)}
			if err := p.set(i.kind, series, src.divisor); err != nil {
				return nil, fmt.Errorf("%s %w", family.GetName(), err)
			}
			if !(math.Abs(p.value) < unlimited) { // Written so that NaN is left out too.
				continue
			}
			key := fmt.Sprintf("%q", p.attributes)
			if err := p.add(points[key]); err != nil {
				return nil, fmt.Errorf("%s %w", family.GetName(), err)
			}
			points[key] = p
			if len(points) > maxSeries {
				return nil, fmt.Errorf("%s has more than %d series: %w", family.GetName(), maxSeries, errNotEtcd)
			}
		}
	}
	sorted := make([]*point, 0, len(points))
	for _, key := range slices.Sorted(maps.Keys(points)) {
		sorted = append(sorted, points[key])
	}
	return sorted, nil
}

func (s source) in(families map[string]*dto.MetricFamily) *dto.MetricFamily {
	for _, name := range s.names {
		if family, ok := families[name]; ok {
			return family
		}
	}
	return nil
}

func (s source) attributes(series *dto.Metric) []attribute {
	attributes := slices.Clone(s.fixed)
	for _, l := range s.labels {
		for _, pair := range series.GetLabel() {
			if pair.GetName() != l.name {
				continue
			}
			value := pair.GetValue()
			if name, ok := l.values[value]; ok {
				value = name
			}
			attributes = append(attributes, attribute{l.attribute, value})
		}
	}
	return attributes
}

func (p *point) set(k kind, series *dto.Metric, divisor float64) error {
	if divisor == 0 {
		divisor = 1
	}
	switch {
	case k == distribution && series.Histogram != nil:
		return p.setHistogram(series.GetHistogram(), divisor)
	case k == distribution:
		return fmt.Errorf("is not a histogram: %w", errNotEtcd)
	case series.Counter != nil:
		p.value = series.GetCounter().GetValue() / divisor
	case series.Gauge != nil:
		p.value = series.GetGauge().GetValue() / divisor
	case series.Untyped != nil:
		p.value = series.GetUntyped().GetValue() / divisor
	default:
		return fmt.Errorf("is not a number: %w", errNotEtcd)
	}
	return nil
}

// setHistogram takes the counts apart, each of which includes the one before.
func (p *point) setHistogram(from *dto.Histogram, divisor float64) error {
	if from.SampleCountFloat != nil {
		return fmt.Errorf("counts in fractions: %w", errNotEtcd)
	}
	p.value = from.GetSampleSum() / divisor
	last := uint64(0)
	for _, bucket := range from.GetBucket() {
		bound, count := bucket.GetUpperBound()/divisor, bucket.GetCumulativeCount()
		if math.IsInf(bound, 1) {
			continue // It has the count of the whole.
		}
		if count < last || len(p.bounds) > 0 && !(bound > p.bounds[len(p.bounds)-1]) {
			return fmt.Errorf("has buckets that do not add up: %w", errNotEtcd)
		}
		p.bounds, p.counts = append(p.bounds, bound), append(p.counts, count-last)
		last = count
	}
	if from.GetSampleCount() < last {
		return fmt.Errorf("has buckets that do not add up: %w", errNotEtcd)
	}
	p.counts = append(p.counts, from.GetSampleCount()-last)
	return nil
}

// add adds a point with the same attributes, which may be nil.
func (p *point) add(other *point) error {
	if other == nil {
		return nil
	}
	if !slices.Equal(p.bounds, other.bounds) {
		return fmt.Errorf("has buckets that differ between its series: %w", errNotEtcd)
	}
	p.value += other.value
	for i := range p.counts {
		p.counts[i] += other.counts[i]
	}
	return nil
}

func (i instrument) render(to pmetric.Metric, points []*point, start, now pcommon.Timestamp) {
	to.SetName(i.name)
	to.SetDescription(i.description)
	to.SetUnit(i.unit)
	if i.kind == distribution {
		to.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for _, p := range points {
			p.renderHistogram(to.Histogram().DataPoints().AppendEmpty(), start, now)
		}
		return
	}
	sum := to.SetEmptySum()
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	sum.SetIsMonotonic(i.kind == counter)
	for _, p := range points {
		point := sum.DataPoints().AppendEmpty()
		if i.unit == "s" {
			point.SetDoubleValue(p.value)
		} else {
			point.SetIntValue(int64(p.value))
		}
		point.SetStartTimestamp(start)
		point.SetTimestamp(now)
		p.describe(point.Attributes())
	}
}

func (p *point) renderHistogram(to pmetric.HistogramDataPoint, start, now pcommon.Timestamp) {
	count := uint64(0)
	for _, c := range p.counts {
		count += c
	}
	to.SetCount(count)
	to.SetSum(p.value)
	to.ExplicitBounds().FromRaw(p.bounds)
	to.BucketCounts().FromRaw(p.counts)
	to.SetStartTimestamp(start)
	to.SetTimestamp(now)
	p.describe(to.Attributes())
}

func (p *point) describe(attributes pcommon.Map) {
	for _, a := range p.attributes {
		attributes.PutStr(a.name, a.value)
	}
}
