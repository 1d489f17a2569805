// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/otelcol-infra/otelcol-infra/examples/order/telemetry"
)

func TestASpanIsExportedWithItsServiceAndItsInstance(t *testing.T) {
	bodies := make(chan []byte, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		if r.URL.Path == "/v1/traces" {
			bodies <- body
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer backend.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.URL)
	t.Setenv("INSTANCE", "orders-7")

	shutdown, err := telemetry.Start(t.Context(), "orders")
	require.NoError(t, err)
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, shutdown(ctx))

	var request collector.ExportTraceServiceRequest
	require.NoError(t, proto.Unmarshal(<-bodies, &request))
	attributes := map[string]string{}
	for _, a := range request.ResourceSpans[0].Resource.Attributes {
		attributes[a.Key] = a.Value.GetStringValue()
	}
	assert.Equal(t, "orders", attributes["service.name"])
	assert.Equal(t, "orders-7", attributes["service.instance.id"])
	assert.Equal(t, "work", request.ResourceSpans[0].ScopeSpans[0].Spans[0].Name)
}

func TestTraceparentCountsMoreThanJaegersHeader(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	_, err := telemetry.Start(t.Context(), "orders")
	require.NoError(t, err)

	const other, id = "11111111111111111111111111111111", "22222222222222222222222222222222"
	header := propagation.MapCarrier{
		"uber-trace-id": other + ":1111111111111111:0:1",
		"traceparent":   "00-" + id + "-2222222222222222-01",
	}
	traceID := func() string {
		ctx := otel.GetTextMapPropagator().Extract(t.Context(), header)
		return trace.SpanContextFromContext(ctx).TraceID().String()
	}
	assert.Equal(t, id, traceID())
	delete(header, "traceparent")
	assert.Equal(t, other, traceID())
}
