// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"
)

func TestTheEdgeStartsTheTraceOrGoesOnWithTheCallers(t *testing.T) {
	var received http.Header
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received = r.Header
		w.WriteHeader(http.StatusCreated)
	}))
	defer orders.Close()
	for name, caller := range map[string]string{
		"starts":  "",
		"goes on": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		t.Run(name, func(t *testing.T) {
			spans := record(t)
			status := post(t, strings.TrimPrefix(orders.URL, "http://"), caller)
			if status != http.StatusCreated {
				t.Errorf("status %d", status)
			}
			server, client := find(t, spans, api.SpanKindServer), find(t, spans, api.SpanKindClient)
			if client.Parent.SpanID() != server.SpanContext.SpanID() || client.SpanContext.TraceID() != server.SpanContext.TraceID() {
				t.Error("the client span is not the server span's child")
			}
			if caller == "" && server.Parent.IsValid() {
				t.Error("the server span has a parent that nobody sent")
			}
			if caller != "" && (server.Parent.SpanID().String() != "b7ad6b7169203331" || server.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c") {
				t.Error("the server span is not the caller's child")
			}
			want := "00-" + client.SpanContext.TraceID().String() + "-" + client.SpanContext.SpanID().String() + "-01"
			if received.Get("traceparent") != want {
				t.Errorf("orders got traceparent %q, want %q", received.Get("traceparent"), want)
			}
		})
	}
}

func TestTheEdgeSaysThatOrdersIsAway(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	spans := record(t)
	if status := post(t, strings.TrimPrefix(away.URL, "http://"), ""); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	for _, kind := range []api.SpanKind{api.SpanKindServer, api.SpanKindClient} {
		if find(t, spans, kind).Status.Code != codes.Error {
			t.Errorf("the %s span is no error", kind)
		}
	}
}

func TestHealthIsTheEdgesOwn(t *testing.T) {
	spans := record(t)
	answer := httptest.NewRecorder()
	handler("127.0.0.1:1").ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/healthz", nil))
	if answer.Code != http.StatusOK || len(spans.GetSpans()) != 0 {
		t.Errorf("status %d, %d spans", answer.Code, len(spans.GetSpans()))
	}
}

// record has the global provider keep its spans.
func record(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return spans
}

func post(t *testing.T, orders, traceparent string) (status int) {
	t.Helper()
	edge := httptest.NewServer(handler(orders))
	defer edge.Close() // waits for the server span
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, edge.URL+"/orders", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if traceparent != "" {
		request.Header.Set("traceparent", traceparent)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func find(t *testing.T, spans *tracetest.InMemoryExporter, kind api.SpanKind) tracetest.SpanStub {
	t.Helper()
	for _, span := range spans.GetSpans() {
		if span.SpanKind == kind {
			return span
		}
	}
	t.Fatalf("no %s span", kind)
	return tracetest.SpanStub{}
}
