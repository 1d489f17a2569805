// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadatatest"
)

// countedBy are data points by one attribute beside that of the processor, and of
// the rule if there is one.
func countedBy(name, rule string, values map[string]int64) (points []metricdata.DataPoint[int64]) {
	for value, n := range values {
		attributes := []attribute.KeyValue{attribute.String("processor", "exemplar")}
		if name != "" {
			attributes = append(attributes, attribute.String(name, value))
		}
		if rule != "" {
			attributes = append(attributes, attribute.String("rule", rule))
		}
		points = append(points, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attributes...), Value: n})
	}
	return points
}

func one(n int64) map[string]int64 { return map[string]int64{"": n} }

var untimed = metricdatatest.IgnoreTimestamp()

func TestTelemetryOfWhatIsAttached(t *testing.T) {
	w := wire(t, configured(t, requests("existing: keep, max_per_second: 1, candidates: 8, series: 20")))
	require.NotNil(t, w.traces.(*traces).Observer.rules.Metric("requests")) // Spans lack nothing before.
	alike := make([]span, 9)
	for i := range alike {
		alike[i] = span{n: byte(i + 1), end: 1 + float64(i)/10, took: .05}
	}
	w.feed(t, 9, alike...)
	w.feed(t, 9,
		span{n: 10, end: 2, took: .01}, // For it, another one is given up.
		span{n: 11, end: 2, took: .05, flags: 0x102},
		span{n: 0, end: 2, took: .05},
		span{n: 12, end: 2, took: .05, resource: map[string]any{"host.name": "h"}},
		span{n: 13, end: 100, took: .05},
		span{n: 14, end: -400, took: .05},
		span{n: 15, end: 2, took: -1},
	)
	metadatatest.AssertEqualExemplarCandidateCount(t, w.own, countedBy("", "", one(8)), untimed)
	metadatatest.AssertEqualExemplarCandidates(t, w.own, countedBy("outcome", "requests", map[string]int64{
		"kept": 9, "displaced": 1, "unsampled": 1, "invalid": 2, "unkeyed": 1, "ahead": 1, "expired": 1,
	}), untimed)

	w.pass(t, 10,
		sum(1),
		sum(1).named("requests.b", ""),
		durations(1, 0, 0).having(exemplar{n: 9, value: .06, at: 7}),
		gauge(1), summary(1), upAndDown(1),
		durations(1, 0, 0).named("requests.size", "By"),
		sum(1).of(map[string]any{"host.name": "h"}),
		sum(-1).named("requests.c", ""),
		sum(1).named("requests.d", "").withoutStart(),
		sum(1).named("others", ""), // No rule selects it.
	)
	w.pass(t, 20,
		sum(1),
		sum(1).of(map[string]any{"service.name": "till"}),
		durations(0, 1, 0).named("requests.e", "s"),
		sum(2).ahead(year),
	)
	w.clock.Store(int64(at(20)))
	require.NoError(t, w.metrics.ConsumeMetrics(t.Context(), metricsOf(t, 5, sum(1))))
	metadatatest.AssertEqualExemplarSeriesCount(t, w.own, countedBy("", "", one(6)), untimed)
	many := make([]point, 20)
	for i := range many {
		many[i] = sum(1).of(map[string]any{"service.name": fmt.Sprint("till ", i)})
	}
	w.pass(t, 30, many...)
	metadatatest.AssertEqualExemplarPoints(t, w.own, countedBy("outcome", "requests", map[string]int64{
		"attached": 1, "limited": 1, "existing": 1, "type": 3, "unit": 1, "unkeyed": 1, "refused": 1, "baseline": 1,
		"unchanged": 1, "no_candidate": 21, "unfit": 1, "backwards": 1, "ahead": 1,
	}), untimed)
	metadatatest.AssertEqualExemplarAttached(t, w.own, []metricdata.DataPoint[int64]{{
		Attributes: attribute.NewSet(attribute.String("processor", "exemplar"), attribute.String("rule", "requests")), Value: 1,
	}}, untimed)
	metadatatest.AssertEqualExemplarSeriesCount(t, w.own, countedBy("", "", one(20)), untimed)
	metadatatest.AssertEqualExemplarSeriesEvicted(t, w.own, countedBy("", "", one(6)), untimed)

	w.clock.Store(int64(at(1000)))
	w.traces.(*traces).Observer.store.Expire(int64(at(1000)))
	metadatatest.AssertEqualExemplarCandidateCount(t, w.own, countedBy("", "", one(0)), untimed)
	metadatatest.AssertEqualExemplarCandidatesForgotten(t, w.own, countedBy("end", "", map[string]int64{"ahead": 0, "evicted": 1, "expired": 8, "replaced": 0}), untimed)
	requireAllOf(t, w, "end", "exemplar_candidates_forgotten")
	requireAllOf(t, w, "outcome.point", "exemplar_points")
}

func TestTelemetryOfWhatIsRejected(t *testing.T) {
	w := wire(t, configured(t, requests("")))
	till := attrs{"service.name": "till"}
	w.feed(t, 9, span{n: 1, end: 5, took: .05})
	w.pass(t, 10, durations(1, 1, 0))
	w.feed(t, 19,
		span{n: 2, end: 3, took: .05}, // Not newer than the first.
		span{n: 3, end: 12, took: .5}, span{n: 4, end: 11, took: .5},
		span{n: 5, end: 13, took: 5}, // Nothing took so long.
		span{n: 6, end: 12, took: 1000, resource: till},
	)
	got := w.pass(t, 20, durations(2, 2, 0), exponential(1, 1, 1).of(till))
	require.Equal(t, 1, exemplarsIn(got))
	metadatatest.AssertEqualExemplarRejected(t, w.own, countedBy("reason", "requests", map[string]int64{
		"used": 2, "surplus": 1, "ungrown": 1, "outside": 1,
	}), untimed)
	requireAllOf(t, w, "reason", "exemplar_rejected")
}

// There is always room where a candidate is possible at all, unless others come
// at the very same time.
func TestTelemetryOfNoRoom(t *testing.T) {
	cfg := configured(t, requests(""))
	cfg.Attach.Candidates = 0
	w := wire(t, cfg)
	w.feed(t, 9, span{n: 1, end: 1, took: 1})
	metadatatest.AssertEqualExemplarCandidates(t, w.own, countedBy("outcome", "requests", map[string]int64{"no_room": 1}), untimed)
}

func TestTelemetryOfWhatIsMended(t *testing.T) {
	w := wire(t, configured(t, "promote: {trace_ids: [trace]}\nattach: {max_per_point: 1}"))
	const trace = "0123456789abcdef0123456789abcdef"
	last := exemplar{n: 3, value: .09, at: 9}
	w.pass(t, 10, durations(5, 5, 5).having(
		exemplar{value: .01, at: 1, attrs: map[string]any{"traceID": trace}},
		exemplar{value: .02, at: 2, attrs: map[string]any{"traceID": "0123456789abcdef"}},
		exemplar{n: 1, value: .03, at: 3, attrs: map[string]any{"trace_id": trace}},
		exemplar{value: .04, at: 4, attrs: map[string]any{"traceID": "no ID"}},
		exemplar{n: 2, value: .05, at: 5, attrs: map[string]any{"long": strings.Repeat("l", 128)}},
		last, last,
	))
	w.pass(t, 20, durations(6, 5, 5).having(last))
	many := make([]exemplar, 65) // More than are remembered of a point.
	for i := range many {
		many[i] = exemplar{n: byte(100 + i), value: .05, at: 21}
	}
	w.pass(t, 30, durations(7, 5, 5).having(many...))
	metadatatest.AssertEqualExemplarNormalized(t, w.own, countedBy("change", "", map[string]int64{
		"aliased": 2, "padded": 1, "redundant": 1, "invalid": 1, "empty": 1, "cut": 1, "duplicate": 1, "repeated": 1, "forgotten": 1,
	}), untimed)
	requireAllOf(t, w, "change", "exemplar_normalized")

	w.pass(t, 40,
		point{name: "jobs", metric: func(m pmetric.Metric) {
			m.SetEmptySum().SetIsMonotonic(true)
			for i := range 2 {
				p := m.Sum().DataPoints().AppendEmpty()
				p.SetIntValue(1)
				p.Attributes().PutStr("trace", trace[i:]+trace[:i])
			}
		}},
		gauge(1).with(map[string]any{"trace": trace}),
		durations(1, 1, 0).named("jobs.duration", "s").with(map[string]any{"trace": trace}),
	)
	metadatatest.AssertEqualExemplarPromoted(t, w.own, countedBy("outcome", "", map[string]int64{
		"promoted": 2, "merged": 1, "capped": 1, "unmerged": 1, "unmeasured": 1,
	}), untimed)
	requireAllOf(t, w, "outcome.promotion", "exemplar_promoted")
}

// requireAllOf requires that a metric has a data point for each value that
// metadata.yaml says its attribute has.
func requireAllOf(t *testing.T, w *wired, attr, name string) {
	t.Helper()
	metadata, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	var declared struct {
		Attributes map[string]struct {
			Name string   `mapstructure:"name_override"`
			Enum []string `mapstructure:"enum"`
		} `mapstructure:"attributes"`
	}
	require.NoError(t, metadata.Unmarshal(&declared, confmap.WithIgnoreUnused()))
	of, key := declared.Attributes[attr], attribute.Key(attr)
	if of.Name != "" {
		key = attribute.Key(of.Name)
	}
	m, err := w.own.GetMetric("otelcol_" + name)
	require.NoError(t, err)
	var got []string
	for _, p := range sums(t, m) {
		value, _ := p.Attributes.Value(key)
		got = append(got, value.AsString())
	}
	assert.ElementsMatch(t, of.Enum, got, name)
}
