// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package shop is an application as there are many: its requests are spans that
// it sends, and its metrics, which Prometheus scrapes, know nothing of these.
package shop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
)

// Service is its service.name, which has to be the job of those who scrape it.
const Service = "shop"

// What it counts, by method, route and status.
const (
	Durations = "http_server_request_duration_seconds" // a histogram
	Requests  = "shop_requests_total"
)

// sendEvery is how often spans are sent.
const sendEvery = 200 * time.Millisecond

// route is one that it serves: how long that takes, and how one request in so
// many fails.
type route struct {
	method, path     string
	least, most      time.Duration
	answer           int
	failure, failsIn int
}

var routes = []route{
	{http.MethodGet, "/items", time.Millisecond, 8 * time.Millisecond, http.StatusOK, 0, 0},
	{http.MethodGet, "/items/{id}", 10 * time.Millisecond, 60 * time.Millisecond, http.StatusOK, http.StatusNotFound, 8},
	{http.MethodPost, "/orders", 40 * time.Millisecond, 300 * time.Millisecond, http.StatusCreated, http.StatusInternalServerError, 8},
}

// Shop is a shop that is open.
type Shop struct {
	// Addr is host:port of it, and of its metrics at /metrics.
	Addr string

	client   *http.Client // of its customers
	server   *http.Server
	provider *trace.TracerProvider
}

// Open opens a shop that sends its spans, all of them, to the OTLP receiver at
// this URL.
func Open(ctx context.Context, otlp string) (*Shop, error) {
	provider, err := Provider(ctx, otlp)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the shop: %w", err), provider.Shutdown(ctx))
	}
	s := &Shop{
		Addr:     listener.Addr().String(),
		client:   &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second},
		provider: provider,
	}
	s.server = &http.Server{Handler: s.handler(), ReadHeaderTimeout: time.Second}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Provider returns what makes the shop's spans, and sends all of them to the OTLP
// receiver at this URL.
func Provider(ctx context.Context, otlp string) (*trace.TracerProvider, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(otlp+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("make the shop's exporter: %w", err)
	}
	return trace.NewTracerProvider(trace.WithBatcher(exporter, trace.WithBatchTimeout(sendEvery)),
		trace.WithResource(resource.NewSchemaless(semconv.ServiceName(Service)))), nil
}

// Targets is the file in which Prometheus' file_sd reads where to scrape it.
func (s *Shop) Targets() string {
	return fmt.Sprintf("- {targets: [%q], labels: {job: %s}}\n", s.Addr, Service)
}

// Close ends the requests that run, and sends the last spans.
func (s *Shop) Close(ctx context.Context) error {
	s.client.CloseIdleConnections()
	return errors.Join(s.server.Shutdown(ctx), s.provider.Shutdown(ctx))
}

func (s *Shop) handler() http.Handler {
	labels := []string{"http_request_method", "http_route", "http_response_status_code"}
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: Durations, Help: "Duration of HTTP server requests.", Buckets: prometheus.DefBuckets,
	}, labels)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: Requests, Help: "Requests that were answered."}, labels)
	registry := prometheus.NewRegistry()
	registry.MustRegister(durations, requests)

	mux := http.NewServeMux()
	for _, r := range routes {
		measured := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			begin := time.Now()
			status := r.serve(w)
			values := []string{r.method, r.path, strconv.Itoa(status)}
			durations.WithLabelValues(values...).Observe(time.Since(begin).Seconds())
			requests.WithLabelValues(values...).Inc()
		})
		mux.Handle(r.method+" "+r.path, otelhttp.NewHandler(measured, "",
			otelhttp.WithTracerProvider(s.provider), otelhttp.WithPropagators(propagation.TraceContext{})))
	}
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return mux
}

func (r route) serve(w http.ResponseWriter) int {
	time.Sleep(r.least + rand.N(r.most-r.least))
	status := r.answer
	if r.failsIn > 0 && rand.N(r.failsIn) == 0 {
		status = r.failure
	}
	w.WriteHeader(status)
	return status
}
