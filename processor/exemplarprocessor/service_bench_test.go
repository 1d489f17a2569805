// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exemplarprocessor

import (
	"context"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// A service has 200 spans a second, in turn of its HTTP server, of an HTTP client,
// and two from within, and 1,000 data points every 15 seconds: a histogram for
// each of its 300 routes, and others. The histograms have counted the spans. Half
// of the requests are for a tenth of the routes.
type service struct {
	now    time.Time
	number int // of the last span
	routes pmetric.Metrics
	others pmetric.Metrics
}

const (
	interval        = 15 * time.Second
	spansOfInterval = 3000
	routes, others  = 300, 700
)

func newService(now time.Time) *service {
	return &service{now: now, routes: scrape(routes, 0, "http.server.request.duration"), others: scrape(others, 0, "app.cart.duration")}
}

// A message is OTLP, of spans or of data points.
type message struct {
	at      time.Time
	spans   bool
	encoded []byte
}

// tell returns what the service tells within an interval.
func (s *service) tell(tb testing.TB) (messages []message) {
	kinds := [...]spanOf{httpServer, httpClient, within, within}
	for range 6 {
		td := stream(0, 0, 1, true)
		for range spansOfInterval / 6 {
			s.now = s.now.Add(interval / spansOfInterval)
			s.number++
			route := s.number * 7919 % routes
			if s.number/4%2 == 0 {
				route %= routes / 10
			}
			span := spansIn(td).AppendEmpty()
			kinds[s.number%4](span, s.number, route)
			stamp(span, s.number/4, s.now)
			if s.number%4 == 0 && statusOf(s.number) == 200 {
				point := metricIn(s.routes).Histogram().DataPoints().At(route)
				seconds := time.Duration(span.EndTimestamp() - span.StartTimestamp()).Seconds()
				bucket := sort.SearchFloat64s(point.ExplicitBounds().AsRaw(), seconds)
				point.BucketCounts().SetAt(bucket, point.BucketCounts().At(bucket)+1)
			}
		}
		encoded, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		require.NoError(tb, err)
		messages = append(messages, message{s.now, true, encoded})
	}
	md := pmetric.NewMetrics()
	for _, of := range []pmetric.Metrics{s.routes, s.others} {
		for _, point := range metricIn(of).Histogram().DataPoints().All() {
			point.SetTimestamp(pcommon.NewTimestampFromTime(s.now))
		}
		of.ResourceMetrics().At(0).CopyTo(md.ResourceMetrics().AppendEmpty())
	}
	encoded, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	require.NoError(tb, err)
	return append(messages, message{s.now, false, encoded})
}

// BenchmarkService tells what the processor as it is by default, with the presets
// for HTTP and RPC, adds to all that a service tells. Lines are those of
// BenchmarkPipeline.
func BenchmarkService(b *testing.B) { inLines(b, serve) }

func serve(b *testing.B, receiver receiverOf, exporter exporterOf) {
	spansTo, pointsTo := exporter(b)
	got := 0
	counting, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		got += exemplarsOf(md)
		return pointsTo.ConsumeMetrics(ctx, md)
	}, consumer.WithCapabilities(pointsTo.Capabilities()))
	require.NoError(b, err)
	h := newBench(b, spansTo, counting)
	lines := [...]line{receiver(b, spansTo, pointsTo), receiver(b, h.traces, h.metrics)}
	costs := [...]cost{{of: "message"}, {of: "message"}}
	s := newService(benchStart)
	tell := func(l line, messages []message) {
		for _, m := range messages {
			h.now = m.at
			to := l.points
			if m.spans {
				to = l.spans
			}
			if err := to(m.encoded); err != nil {
				b.Fatal(err)
			}
		}
	}
	tell(lines[1], s.tell(b)) // What comes first is another thing.
	got = 0
	intervals := 0
	for turn := 0; b.Loop(); turn++ {
		var messages []message
		for range 4 {
			messages = append(messages, s.tell(b)...)
			intervals++
		}
		for i := range lines { // Who is first has a colder cache.
			which := (turn + i) % 2
			costs[which].measure(len(messages), func() { tell(lines[which], messages) })
		}
	}
	b.ReportMetric(0, "ns/op")
	each := float64(intervals)
	b.ReportMetric(float64(costs[0].used.Microseconds())/each, "cpu-us/interval")
	b.ReportMetric(float64((costs[1].used-costs[0].used).Microseconds())/each, "added-us/interval")
	b.ReportMetric(float64(got)/each, "exemplars/interval")
	b.ReportMetric(costs[1].each()/costs[0].each(), "with/without")
}
