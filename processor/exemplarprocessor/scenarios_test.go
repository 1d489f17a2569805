// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
)

// step is what comes into the traces or into the metrics pipeline.
type step struct {
	at     float64
	spans  []span
	points []point
}

// scenario is told by what comes in; what goes out of the metrics pipeline,
// batch after batch, is in testdata/scenarios under its name.
type scenario struct {
	name     string
	settings string
	steps    []step
	want     []int // how many exemplars each batch of metrics has in the end
}

var scenarios = []scenario{
	// What is attached to which type.
	{
		name:     "an explicit histogram gets one for each bucket that grew",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{durations(5, 5, 5).withoutStart()}},
			{at: 16, spans: []span{{n: 1, end: 12, took: .05}, {n: 2, end: 13, took: .06}, {n: 3, end: 14, took: .5}, {n: 4, end: 15, took: 5}}},
			{at: 20, points: []point{durations(7, 6, 5).withoutStart()}},
			{at: 30, points: []point{durations(7, 6, 6).withoutStart()}}, // Its span ended before it grew.
		},
		want: []int{0, 2, 0},
	},
	{
		name:     "the first point of a series that began is grown since then",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 4, took: .05}, {n: 2, end: 8, took: .5}}},
			{at: 10, points: []point{durations(1, 1, 0).since(5)}},
		},
		want: []int{1},
	},
	{
		name:     "a histogram with one bucket of which nothing is known but the count",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .05}}},
			{at: 10, points: []point{{name: "requests.duration", unit: "s", metric: func(m pmetric.Metric) {
				m.SetEmptyHistogram().DataPoints().AppendEmpty().SetCount(1)
			}}}},
		},
		want: []int{1},
	},
	{
		name:     "an exponential histogram gets them spread over its range",
		settings: requests("max_per_point: 3"),
		steps: []step{
			{at: 9, spans: []span{
				{n: 1, end: 1, took: .2}, {n: 2, end: 2, took: .4}, {n: 3, end: 3, took: .8},
				{n: 4, end: 4, took: 1.5}, {n: 5, end: 5, took: 3}, {n: 6, end: 6, took: 6}, {n: 7, end: 7, took: 100},
			}},
			{at: 10, points: []point{exponential(1, 1, 1, 1, 1, 1)}},
		},
		want: []int{3},
	},
	{
		name:     "a sum of integers gets as many as it grew by and three at most",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{sum(7)}},
			{at: 19, spans: []span{{n: 1, end: 11, took: .1}, {n: 2, end: 12, took: .2}}},
			{at: 20, points: []point{sum(8)}},
			{at: 29, spans: []span{{n: 3, end: 21, took: .1}, {n: 4, end: 22, took: .2}, {n: 5, end: 23, took: .4}, {n: 6, end: 24, took: .8}}},
			{at: 30, points: []point{sum(18)}},
		},
		want: []int{0, 1, 3},
	},
	{
		name:     "a sum of doubles gets them too",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .1}}},
			{at: 10, points: []point{doubles(1.5)}},
		},
		want: []int{1},
	},
	{
		name:     "gauges, summaries and sums that fall get none",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .1}}},
			{at: 10, points: []point{gauge(1), summary(1), upAndDown(1)}},
		},
		want: []int{0},
	},
	{
		name:     "what has no temporality gets none",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .2}}},
			{at: 10, points: []point{sum(1).timeless(), durations(0, 1, 0).timeless(), exponential(1, 1, 1).timeless()}},
		},
		want: []int{0},
	},
	{
		name:     "a point without a value does not end what was counted",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{sum(5), durations(5, 5, 5), exponential(5, 5, 5).named("requests.exponential", "s")}},
			{at: 20, points: []point{sum(0).stale(), durations(0, 0, 0).stale(), exponential(0, 0, 0).named("requests.exponential", "s").stale()}},
			{at: 29, spans: []span{{n: 1, end: 25, took: .2}}},
			{at: 30, points: []point{sum(5), durations(5, 5, 5), exponential(5, 5, 5).named("requests.exponential", "s")}},
		},
		want: []int{0, 0, 0},
	},
	{
		name:     "series of two instances of a service are two",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .2}}},
			{at: 10, points: []point{
				sum(1).of(map[string]any{"service.name": "shop", "service.instance.id": "a"}),
				sum(1).of(map[string]any{"service.name": "shop", "service.instance.id": "b"}),
			}},
		},
		want: []int{2},
	},
	{
		name:     "points of deltas have grown by what they are",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .05}, {n: 2, end: 9, took: .5}}},
			{at: 10, points: []point{durations(1, 0, 0).deltaSince(0), sum(1).deltaSince(0)}},
			{at: 19, spans: []span{{n: 3, end: 18, took: .05}}},
			{at: 20, points: []point{durations(1, 1, 0).deltaSince(10), sum(0).deltaSince(10)}},
		},
		want: []int{2, 1},
	},
	{
		name:     "points of deltas without a start have grown since those before",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{deltas[0], deltas[1], deltas[2]}},
			{at: 19, spans: []span{{n: 1, end: 15, took: .2}}},
			{at: 20, points: []point{deltas[0], deltas[1], deltas[2]}},
		},
		want: []int{0, 3},
	},
	{
		name:     "a counter that begins anew has grown by what it is",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{sum(5).withoutStart(), durations(5, 5, 5)}},
			{at: 19, spans: []span{{n: 1, end: 15, took: .05}, {n: 2, end: 18, took: .5}}},
			{at: 20, points: []point{sum(1).withoutStart(), durations(1, 0, 0).since(12)}},
		},
		want: []int{0, 2},
	},
	{
		name:     "a point that is not newer than the one before gets none",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{sum(1)}},
			{at: 11, spans: []span{{n: 1, end: 5, took: .1}}},
			{at: 10, points: []point{sum(2)}},
		},
		want: []int{0, 0},
	},
	{
		name:     "a point from the future does not keep later points from exemplars",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{sum(1), durations(1, 0, 0), exponential(1, 1, 1).named("requests.exponential", "s")}},
			{at: 15, points: []point{sum(2).ahead(year), durations(1, 1, 0).ahead(year), exponential(1, 2, 1).named("requests.exponential", "s").ahead(year)}},
			{at: 19, spans: []span{{n: 1, end: 12, took: .4}}},
			{at: 20, points: []point{sum(2), durations(1, 1, 0), exponential(1, 2, 1).named("requests.exponential", "s")}},
		},
		want: []int{0, 0, 3},
	},
	{
		name:     "a start from the future does not keep points from exemplars",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{sum(1).since(year), durations(1, 0, 0).since(year)}},
			{at: 19, spans: []span{{n: 1, end: 5, took: .4}, {n: 2, end: 12, took: .4}}},
			{at: 20, points: []point{sum(2).since(year), durations(1, 1, 0).since(year)}},
		},
		want: []int{0, 2},
	},

	// Which spans.
	{
		name:     "spans that were not sampled are not used",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 5, took: .1, flags: 0x101}, {n: 2, end: 6, took: .2, flags: 0x102}, {n: 3, end: 7, took: .4}, {n: 4, end: 8, took: .4, flags: 0x100}}},
			{at: 10, points: []point{sum(4)}},
		},
		want: []int{3},
	},
	{
		name:     "instances have their own spans where spans say of which they are",
		settings: "attach: {rules: [{metrics: [requests], join: [{metric: service.name}, {metric: service.instance.id, optional: true}]}]}",
		steps: []step{
			{at: 9, spans: []span{
				{n: 1, end: 5, took: .1, resource: attrs{"service.name": "shop", "service.instance.id": "a"}},
				{n: 2, end: 6, took: .1, resource: attrs{"service.name": "shop", "service.instance.id": "b"}},
			}},
			{at: 10, points: []point{
				sum(2).of(attrs{"service.name": "shop", "service.instance.id": "a"}),
				sum(2).of(attrs{"service.name": "shop", "service.instance.id": "b"}),
				sum(2).of(attrs{"service.name": "shop", "service.instance.id": "10.0.0.1:8080"}), // It was scraped.
			}},
		},
		want: []int{4},
	},
	{
		name:     "what is optional counts when a point had it in another batch",
		settings: "attach: {rules: [{metrics: [requests], join: [{metric: service.name}, {metric: zone, optional: true}]}]}",
		steps: []step{
			{at: 10, points: []point{sum(0).with(attrs{"zone": "a"})}},
			{at: 19, spans: []span{{n: 1, end: 11, took: .1, attrs: attrs{"zone": "a"}}, {n: 2, end: 12, took: .1}}},
			{at: 20, points: []point{sum(2)}},
		},
		want: []int{0, 1},
	},
	{
		name:     "a span that comes two points late finds the bucket that grew",
		settings: requests(""),
		steps: []step{
			{at: 10, points: []point{durations(0, 0, 0)}},
			{at: 20, points: []point{durations(0, 1, 0)}},
			{at: 30, points: []point{durations(1, 1, 0)}},
			{at: 39, spans: []span{{n: 1, end: 15, took: .5}, {n: 2, end: 25, took: .6}}},
			{at: 40, points: []point{durations(1, 1, 0)}},
			{at: 50, points: []point{durations(1, 1, 0)}},
		},
		want: []int{0, 0, 0, 1, 0},
	},
	{
		name:     "a span is used once in a series and again in another",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .05}}},
			{at: 10, points: []point{durations(1, 0, 0), durations(1, 0, 0).with(map[string]any{"route": "/"}), sum(1)}},
			{at: 20, points: []point{durations(2, 0, 0), durations(2, 0, 0).with(map[string]any{"route": "/"}), sum(2)}},
		},
		want: []int{3, 0},
	},
	{
		name:     "spans that are too old are not used",
		settings: requests("ttl: 1m"),
		steps: []step{
			{at: 70, spans: []span{{n: 1, end: 5, took: .1}, {n: 2, end: 20, took: .5}}},
			{at: 75, points: []point{durations(0, 1, 0)}},
			{at: 90, points: []point{sum(1)}},
		},
		want: []int{1, 0},
	},
	{
		name:     "only spans that share what the rule asks for are used",
		settings: "attach: {rules: [{metrics: [requests.*], spans: {kinds: [server], names: [GET .*], attributes: {tier: front}}, join: [{metric: service.name}, {metric: path, span: http.route}, {metric: zone, optional: true}]}]}",
		steps: []step{
			{at: 5, points: []point{sum(0).with(map[string]any{"path": "/a"})}},
			{at: 9, spans: []span{
				{n: 1, end: 6, took: .1, name: "GET /a", kind: ptrace.SpanKindServer, attrs: map[string]any{"http.route": "/a", "tier": "front"}},
				{n: 2, end: 7, took: .2, name: "PUT /a", kind: ptrace.SpanKindServer, attrs: map[string]any{"http.route": "/a", "tier": "front"}},
				{n: 3, end: 7, took: .4, name: "GET /a", kind: ptrace.SpanKindClient, attrs: map[string]any{"http.route": "/a", "tier": "front"}},
				{n: 4, end: 7, took: .8, name: "GET /a", kind: ptrace.SpanKindServer, attrs: map[string]any{"http.route": "/a", "tier": "back"}},
				{n: 5, end: 7, took: 1.6, name: "GET /b", kind: ptrace.SpanKindServer, attrs: map[string]any{"http.route": "/b", "tier": "front"}},
				{n: 6, end: 7, took: 3.2, name: "GET /a", kind: ptrace.SpanKindServer, resource: map[string]any{"service.name": "till"}, attrs: map[string]any{"http.route": "/a", "tier": "front"}},
				{n: 7, end: 8, took: 6.4, name: "GET /a", kind: ptrace.SpanKindServer, attrs: map[string]any{"http.route": "/a", "tier": "front", "zone": "x"}},
			}},
			{at: 10, points: []point{
				sum(3).with(map[string]any{"path": "/a"}),
				sum(3).with(map[string]any{"path": "/a", "zone": "x"}),
				sum(3).with(map[string]any{"path": "/c"}),
				sum(3),
			}},
		},
		want: []int{0, 3},
	},

	// Values.
	{
		name:     "durations are converted into the unit of the metric or of its name",
		settings: requests(""),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .05}}},
			{at: 10, points: []point{
				durations(1, 0, 0).named("requests.s", "s"),
				durations(0, 0, 1).named("requests.ms", "ms"),
				durations(0, 0, 1).named("requests_duration_milliseconds", ""),
				durations(1, 0, 0).named("requests_duration_seconds", ""),
				durations(1, 0, 0).named("requests.min", "min"),
				durations(1, 1, 1).named("requests.size", "By"),
				durations(1, 1, 1).named("requests.unitless", ""),
			}},
		},
		want: []int{5},
	},
	{
		name:     "the unit of a rule goes before that of the metric",
		settings: "attach: {rules: [{metrics: [requests.*], join: [{metric: service.name}], unit: ms}]}",
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .05}}},
			{at: 10, points: []point{durations(0, 0, 1).named("requests", "1")}},
		},
		want: []int{1},
	},
	{
		name:     "the value is an attribute of the span",
		settings: "attach: {rules: [{metrics: [requests.size], join: [{metric: service.name}], value: size}]}",
		steps: []step{
			{at: 9, spans: []span{
				{n: 1, end: 5, took: 5, attrs: map[string]any{"size": .05}}, {n: 2, end: 6, attrs: map[string]any{"size": 7}},
				{n: 3, end: 7, took: .5}, {n: 4, end: 8, took: .5, attrs: map[string]any{"size": "large"}},
			}},
			{at: 10, points: []point{durations(1, 1, 1).named("requests.size", "By")}},
		},
		want: []int{2},
	},

	// Settings.
	{
		name:     "existing exemplars are kept",
		settings: requests("existing: keep, repeat: 1h"),
		steps:    existing,
		want:     []int{1, 1, 1, 1},
	},
	{
		name:     "existing exemplars are merged with those of the other buckets",
		settings: requests("existing: merge"),
		steps:    existing,
		want:     []int{1, 2, 0, 1},
	},
	{
		name:     "existing exemplars of sums and exponential histograms are part of what they grew by",
		settings: requests("existing: merge"),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 3, took: .2}, {n: 2, end: 7, took: .4}, {n: 3, end: 8, took: .8}}},
			{at: 10, points: []point{
				sum(2).having(exemplar{n: 9, value: 1, at: 5}),
				exponential(1, 1, 1).named("requests.exponential", "s").having(exemplar{n: 9, value: .7, at: 5}),
			}},
		},
		want: []int{4}, // No span that ended before those which are there, nor one more than the sum grew by.
	},
	{
		name:     "existing exemplars are replaced",
		settings: requests("existing: replace"),
		steps:    existing,
		want:     []int{0, 2, 0, 0},
	},
	{
		name:     "the newest span is preferred",
		settings: requests("prefer: newest, max_per_point: 1"),
		steps:    alike,
		want:     []int{1},
	},
	{
		name:     "a span that failed is preferred",
		settings: requests("prefer: errors, max_per_point: 1"),
		steps:    alike,
		want:     []int{1},
	},
	{
		name:     "the slowest span is preferred",
		settings: requests("prefer: slowest, max_per_point: 1"),
		steps:    alike,
		want:     []int{1},
	},
	{
		name:     "a point has no more than it may have",
		settings: requests("max_per_point: 2"),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 1, took: .05}, {n: 2, end: 2, took: .5}, {n: 3, end: 3, took: 5}}},
			{at: 10, points: []point{durations(1, 1, 1), sum(3), exponential(0, 1, 0, 0, 0, 1).named("requests.exponential", "s")}},
		},
		want: []int{6},
	},
	{
		name:     "a second has no more than it may have",
		settings: requests("max_per_second: 2"),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 1, took: .05}, {n: 2, end: 2, took: .5}, {n: 3, end: 3, took: 5}}},
			{at: 10, points: []point{sum(1), sum(1).named("requests.b", ""), sum(1).named("requests.c", "")}},
			{at: 11, points: []point{sum(1), sum(1).named("requests.b", ""), sum(1).named("requests.c", "")}},
		},
		want: []int{2, 1},
	},
	{
		name:     "what is over the limit of a second is made up for later",
		settings: requests("max_per_second: 1"),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 1, took: .05}, {n: 2, end: 2, took: .5}, {n: 3, end: 3, took: 5}}},
			{at: 10, points: []point{durations(1, 1, 1)}},
			{at: 11, points: []point{sum(1)}},
			{at: 12, points: []point{sum(1)}},
			{at: 13, points: []point{sum(1)}},
		},
		want: []int{3, 0, 0, 1},
	},
	{
		name:     "exemplars are repeated for exporters that are scraped seldom",
		settings: requests("repeat: 25s"),
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 5, took: .05}, {n: 2, end: 8, took: .5}}},
			{at: 10, points: []point{durations(1, 1, 0)}},
			{at: 19, spans: []span{{n: 3, end: 15, took: .06}}},
			{at: 20, points: []point{durations(2, 1, 0)}},
			{at: 30, points: []point{durations(2, 1, 0)}},
			{at: 40, points: []point{durations(2, 1, 0)}},
		},
		want: []int{2, 2, 2, 0},
	},

	// What metrics bring.
	{
		name:     "exemplars that metrics have are mended",
		settings: "",
		steps: []step{{at: 10, points: []point{durations(5, 5, 5).having(
			exemplar{value: .01, at: 1, attrs: map[string]any{"traceID": "0123456789abcdef0123456789abcdef", "spanID": "0123456789abcdef", "user": "u"}},
			exemplar{value: .02, at: 2, attrs: map[string]any{"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}},
			exemplar{value: .03, at: 3, attrs: map[string]any{"trace.id": "0123456789abcdef"}},
			exemplar{value: .04, at: 4, attrs: map[string]any{"dd.trace_id": "1234567890", "dd.span_id": "42"}},
			exemplar{value: .05, at: 5, attrs: map[string]any{"TraceID": "no ID"}},
			exemplar{value: .06, at: 6},
			exemplar{n: 7, value: .07, at: 7, attrs: map[string]any{"trace_id": "0123456789abcdef0123456789abcdef", "user": "u"}},
			exemplar{n: 7, value: .07, at: 7, attrs: map[string]any{"user": "v"}},
			exemplar{n: 8, value: .08, at: 8, attrs: map[string]any{"long": strings.Repeat("l", 61), "short": "s"}},
		)}}},
		want: []int{6},
	},
	{
		name:     "aliases are those of the configuration",
		settings: "normalize: {trace_ids: [uber-trace-id], span_ids: [], traceparents: []}",
		steps: []step{{at: 10, points: []point{durations(5, 5, 5).having(
			exemplar{value: .01, at: 1, attrs: map[string]any{"uber-trace-id": "0123456789abcdef0123456789abcdef"}},
			exemplar{value: .02, at: 2, attrs: map[string]any{"traceID": "0123456789abcdef0123456789abcdef"}},
		)}}},
		want: []int{2},
	},
	{
		name:     "what a scraper tells again is passed once",
		settings: "",
		steps:    again,
		want:     []int{1, 0, 1},
	},
	{
		name:     "what a scraper tells again is passed if so configured",
		settings: "normalize: {repeated: pass}",
		steps:    again,
		want:     []int{1, 1, 2},
	},
	{
		name:     "attributes that are trace IDs become exemplars and points are merged",
		settings: "promote: {trace_ids: [trace], span_ids: [span]}",
		steps: []step{{at: 10, points: []point{{name: "jobs", metric: func(m pmetric.Metric) {
			m.SetEmptySum().SetIsMonotonic(true)
			for i, trace := range []string{"0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef", ""} {
				p := m.Sum().DataPoints().AppendEmpty()
				p.SetIntValue(int64(i + 1))
				p.Attributes().PutStr("queue", "mail")
				if trace != "" {
					p.Attributes().PutStr("trace", trace)
					p.Attributes().PutStr("span", "0123456789abcdef")
				}
			}
		}}}}},
		want: []int{2},
	},
	{
		name:     "what was promoted and mended goes before what is attached",
		settings: requests("max_per_point: 3") + "\npromote: {trace_ids: [trace]}",
		steps: []step{
			{at: 9, spans: []span{{n: 1, end: 8, took: .05}, {n: 2, end: 9, took: .5}, {n: 3, end: 9, took: 5}}},
			{at: 10, points: []point{durations(1, 1, 1).withMax(5).with(map[string]any{"trace": "0123456789abcdef0123456789abcdef"}).
				having(exemplar{value: .06, at: 7, attrs: map[string]any{"traceID": "3123456789abcdef0123456789abcdef"}})}},
		},
		want: []int{3},
	},
}

var deltas = []point{
	durations(0, 1, 0).deltaSince(0).withoutStart(), sum(1).deltaSince(0).withoutStart(),
	exponential(1, 1, 1).named("requests.exponential", "s").deltaSince(0).withoutStart(),
}

// existing has points with an exemplar in their first bucket; of one of them the
// second grew too.
var existing = []step{
	{at: 10, points: []point{sum(0), durations(0, 0, 0).having(exemplar{n: 1, value: .06, at: 1})}},
	{at: 19, spans: []span{{n: 2, end: 12, took: .05}, {n: 3, end: 13, took: .5}}},
	{at: 20, points: []point{durations(1, 1, 0).having(exemplar{n: 4, value: .07, at: 14})}},
	{at: 30, points: []point{durations(1, 1, 0)}},
	{at: 40, points: []point{durations(2, 1, 0).having(exemplar{n: 5, value: .08, at: 34})}},
}

var alike = []step{
	{at: 9, spans: []span{{n: 1, end: 3, took: .9}, {n: 2, end: 4, took: .5, failed: true}, {n: 3, end: 5, took: .7}}},
	{at: 10, points: []point{durations(0, 3, 0)}},
}

var again = []step{
	{at: 10, points: []point{durations(1, 0, 0).having(exemplar{n: 1, value: .05, at: 5})}},
	{at: 20, points: []point{durations(1, 0, 0).having(exemplar{n: 1, value: .05, at: 5})}},
	{at: 30, points: []point{durations(1, 1, 0).having(exemplar{n: 1, value: .05, at: 5}, exemplar{n: 2, value: .5, at: 25})}},
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.play(t) })
	}
}

// play has the processor see the scenario, and compares what it made of it.
func (s scenario) play(t *testing.T) *wired {
	w := wire(t, configured(t, s.settings))
	all, counts := pmetric.NewMetrics(), []int{}
	truth := newTruth(w.cfg)
	for _, step := range s.steps {
		if step.spans != nil {
			w.feed(t, step.at, step.spans...)
			continue
		}
		before := metricsOf(t, step.at, step.points...)
		after := w.pass(t, step.at, step.points...)
		if w.cfg.Promote.TraceIDs == nil {
			truth.requireHolds(t, before, after)
		}
		counts = append(counts, exemplarsIn(after))
		after.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
	}
	assert.Equal(t, s.want, counts)
	goldentest.MetricsExactly(t, filepath.Join("scenarios", s.name), all)
	return w
}
