// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package agentmetrics

import (
	"maps"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Scope is the scope of the agent's own metrics.
const Scope = "consul/agent"

// Convert converts the agent's own metrics, under the names that Consul gives
// them. Summaries keep their sum and count only: their quantiles are not a
// number whenever nothing happened of late. The first series up to limit are
// converted, in the order of the metrics' names; the rest is counted.
func Convert(families map[string]*dto.MetricFamily, now time.Time, limit int) (metrics pmetric.MetricSlice, beyond int) {
	metrics = pmetric.NewMetricSlice()
	start := startOf(families)
	for _, name := range slices.Sorted(maps.Keys(families)) {
		family := families[name]
		if ours[name] {
			continue
		}
		series := family.GetMetric()
		if len(series) > limit {
			beyond += len(series) - limit
			series = series[:limit]
		}
		limit -= len(series)
		if len(series) == 0 {
			continue
		}
		metric := metrics.AppendEmpty()
		metric.SetName(name)
		metric.SetDescription(family.GetHelp())
		convert(metric, family.GetType(), series, start, pcommon.NewTimestampFromTime(now))
	}
	metrics.RemoveIf(func(m pmetric.Metric) bool { return m.Type() == pmetric.MetricTypeEmpty })
	return metrics, beyond
}

// ours are the names that Prometheus gives metrics of the receiver. Two of the
// agent's own are called the same and mean the same.
var ours = map[string]bool{"consul_autopilot_healthy": true, "consul_autopilot_failure_tolerance": true}

// startOf returns when the agent began to count, or zero.
func startOf(families map[string]*dto.MetricFamily) pcommon.Timestamp {
	for _, m := range families["process_start_time_seconds"].GetMetric() {
		return pcommon.Timestamp(m.GetGauge().GetValue() * float64(time.Second))
	}
	return 0
}

func convert(to pmetric.Metric, kind dto.MetricType, series []*dto.Metric, start, now pcommon.Timestamp) {
	switch kind {
	case dto.MetricType_COUNTER:
		sum := to.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for _, s := range series {
			toNumber(sum.DataPoints().AppendEmpty(), s, s.GetCounter().GetValue(), start, now)
		}
	case dto.MetricType_GAUGE:
		points := to.SetEmptyGauge().DataPoints()
		for _, s := range series {
			if value := s.GetGauge().GetValue(); !math.IsNaN(value) {
				toNumber(points.AppendEmpty(), s, value, 0, now)
			}
		}
	case dto.MetricType_SUMMARY:
		points := to.SetEmptySummary().DataPoints()
		for _, s := range series {
			point := points.AppendEmpty()
			point.SetSum(s.GetSummary().GetSampleSum())
			point.SetCount(s.GetSummary().GetSampleCount())
			point.SetStartTimestamp(start)
			point.SetTimestamp(now)
			labels(point.Attributes(), s)
		}
	}
}

func toNumber(point pmetric.NumberDataPoint, s *dto.Metric, value float64, start, now pcommon.Timestamp) {
	point.SetDoubleValue(value)
	point.SetStartTimestamp(start)
	point.SetTimestamp(now)
	labels(point.Attributes(), s)
}

func labels(attrs pcommon.Map, s *dto.Metric) {
	for _, l := range s.GetLabel() {
		attrs.PutStr(l.GetName(), l.GetValue())
	}
}
