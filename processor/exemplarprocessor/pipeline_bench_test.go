// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package exemplarprocessor

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A line takes OTLP as it was encoded, and returns when it has told all of it.
type line struct {
	spans, points func(encoded []byte) error
}

// BenchmarkPipeline tells what the processor adds to a pipeline. Lines with and
// without it take turns on the same bytes: spans and histograms of 1,000 series,
// of which rules select all or none. Of the points that are selected, about a
// half gets an exemplar. BenchmarkService has both signals, as a service tells
// them.
//
// least is the least that any pipeline does: it decodes OTLP, and encodes it.
// real is the OTLP receiver and the OTLP exporter of the collector as they are by
// default, but for the queue. What sends to it and what it sends to only pass
// bytes on.
func BenchmarkPipeline(b *testing.B) { inLines(b, compare) }

// The ends of a line.
type (
	receiverOf func(testing.TB, consumer.Traces, consumer.Metrics) line
	exporterOf func(testing.TB) (consumer.Traces, consumer.Metrics)
)

// inLines measures in the least line, and in the real one.
func inLines(b *testing.B, measure func(*testing.B, receiverOf, exporterOf)) {
	b.Run("least", func(b *testing.B) { measure(b, leastReceiver, leastExporter) })
	b.Run("real", func(b *testing.B) {
		sink := newSink(b)
		measure(b, realReceiver, func(tb testing.TB) (consumer.Traces, consumer.Metrics) { return realExporter(tb, sink) })
	})
}

func compare(b *testing.B, receiver receiverOf, exporter exporterOf) {
	spansTo, pointsTo := exporter(b)
	h := newBench(b, spansTo, pointsTo)
	h.shared.limiter.SetLimit(rate.Inf)
	h.ask(b)
	without, with := receiver(b, spansTo, pointsTo), receiver(b, h.traces, h.metrics)

	const size, batches, series, scrapes = 500, 20, 1000, 10
	spansOf := func(selected bool) func(int) [][]byte {
		tds := []ptrace.Traces{stream(size, 0, series, selected), stream(size, size, series, selected)}
		return func(int) (encoded [][]byte) {
			for i := range batches {
				td := tds[i%len(tds)]
				h.now = date(td, h.now)
				content, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
				require.NoError(b, err)
				encoded = append(encoded, content)
			}
			return encoded
		}
	}
	// Between two points of a series is a span of it, which may be of another metric.
	seen, between := new(batch), []ptrace.Traces{stream(size, 0, series, true), stream(size, size, series, true)}
	pointsOf := func(name string) func(int) [][]byte {
		md := scrape(series, 0, name)
		return func(turn int) (encoded [][]byte) {
			for i := range scrapes {
				for _, td := range between {
					h.now = date(td, h.now)
					seen.read(h.shared.rules, td)
					h.shared.remember(b.Context(), seen)
				}
				grow(md, h.now, turn*scrapes+i+1)
				content, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
				require.NoError(b, err)
				encoded = append(encoded, content)
			}
			return encoded
		}
	}
	kinds := []struct {
		name          string
		encoded       func(turn int) [][]byte
		to            func(line) func([]byte) error
		n             int
		without, with cost
	}{
		{name: "unselected-span", n: size * batches, encoded: spansOf(false), to: func(l line) func([]byte) error { return l.spans }},
		{name: "span", n: size * batches, encoded: spansOf(true), to: func(l line) func([]byte) error { return l.spans }},
		{name: "point", n: series * scrapes, encoded: pointsOf("http.server.request.duration"), to: func(l line) func([]byte) error { return l.points }},
		{name: "unselected-point", n: series * scrapes, encoded: pointsOf("app.cart.duration"), to: func(l line) func([]byte) error { return l.points }},
	}
	for turn := 0; b.Loop(); turn++ {
		for i := range kinds {
			k := &kinds[i]
			encoded := k.encoded(turn)
			pass := func(l line) func() {
				return func() {
					for _, content := range encoded {
						if err := k.to(l)(content); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			if turn%2 == 0 { // Who is first has a colder cache.
				k.without.measure(k.n, pass(without))
				k.with.measure(k.n, pass(with))
			} else {
				k.with.measure(k.n, pass(with))
				k.without.measure(k.n, pass(without))
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, k := range kinds {
		b.ReportMetric(k.without.each(), "cpu-ns/"+k.name)
		b.ReportMetric(k.with.each()-k.without.each(), "added-ns/"+k.name)
		b.ReportMetric(k.with.each()/k.without.each(), k.name+"/without")
	}
}

func leastReceiver(_ testing.TB, traces consumer.Traces, metrics consumer.Metrics) line {
	return line{
		spans: func(encoded []byte) error {
			request := ptraceotlp.NewExportRequest()
			if err := request.UnmarshalProto(encoded); err != nil {
				return err
			}
			return traces.ConsumeTraces(context.Background(), request.Traces())
		},
		points: func(encoded []byte) error {
			request := pmetricotlp.NewExportRequest()
			if err := request.UnmarshalProto(encoded); err != nil {
				return err
			}
			return metrics.ConsumeMetrics(context.Background(), request.Metrics())
		},
	}
}

func leastExporter(tb testing.TB) (consumer.Traces, consumer.Metrics) {
	traces, err := consumer.NewTraces(func(_ context.Context, td ptrace.Traces) error {
		_, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		return err
	})
	require.NoError(tb, err)
	metrics, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
		_, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
		return err
	})
	require.NoError(tb, err)
	return traces, metrics
}

// run starts a component, and stops it at the end.
func run(tb testing.TB, c component.Component) {
	require.NoError(tb, c.Start(context.Background(), componenttest.NewNopHost()))
	tb.Cleanup(func() { require.NoError(tb, c.Shutdown(context.Background())) })
}

func realReceiver(tb testing.TB, traces consumer.Traces, metrics consumer.Metrics) line {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	endpoint := free.Addr().String()
	require.NoError(tb, free.Close())
	factory := otlpreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig()
	require.NoError(tb, confmap.NewFromStringMap(map[string]any{
		"protocols": map[string]any{"grpc": map[string]any{"endpoint": endpoint}},
	}).Unmarshal(cfg))
	settings := receivertest.NewNopSettings(factory.Type())
	ofTraces, err := factory.CreateTraces(tb.Context(), settings, cfg, traces)
	require.NoError(tb, err)
	ofMetrics, err := factory.CreateMetrics(tb.Context(), settings, cfg, metrics) // They are one, so it is first.
	require.NoError(tb, err)
	run(tb, ofTraces)
	run(tb, ofMetrics)
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(encoded{})))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, conn.Close()) })
	to := func(method string) func([]byte) error {
		return func(content []byte) error {
			var answer []byte
			return conn.Invoke(context.Background(), method, &content, &answer)
		}
	}
	return line{
		spans:  to("/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
		points: to("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
	}
}

// encoded is a codec of what is encoded already.
type encoded struct{}

func (encoded) Name() string { return "proto" }

func (encoded) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (encoded) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func realExporter(tb testing.TB, endpoint string) (consumer.Traces, consumer.Metrics) {
	factory := otlpexporter.NewFactory()
	cfg := factory.CreateDefaultConfig()
	require.NoError(tb, confmap.NewFromStringMap(map[string]any{
		"endpoint": endpoint, "tls": map[string]any{"insecure": true}, "sending_queue": map[string]any{"enabled": false},
	}).Unmarshal(cfg))
	settings := exporter.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	traces, err := factory.CreateTraces(tb.Context(), settings, cfg)
	require.NoError(tb, err)
	run(tb, traces)
	metrics, err := factory.CreateMetrics(tb.Context(), settings, cfg)
	require.NoError(tb, err)
	run(tb, metrics)
	return traces, metrics
}

// newSink is a gRPC server that reads what comes without decompressing it, and
// says that it is well.
func newSink(tb testing.TB) (endpoint string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = w.Write(make([]byte, 5)) // a message without content
		w.Header().Set("Grpc-Status", "0")
	})}
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(func() { require.NoError(tb, server.Close()) })
	return listener.Addr().String()
}
