// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Command users gives the users that may order. It is a service that nobody has
// migrated yet: its spans are those of the Jaeger client, which is archived, and
// its metrics know no exemplars. docs/guides/legacy-jaeger.md says how it joins
// the traces of others, and what to do next.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/opentracing/opentracing-go"
	"github.com/opentracing/opentracing-go/ext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/uber/jaeger-client-go/config"

	"github.com/otelcol-infra/otelcol-infra/examples/order/consul"
)

const (
	route = "/users/{id}"
	grace = 10 * time.Second // from SIGTERM to the end
)

var known = map[string]string{"ann": "Ann", "ben": "Ben"}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("users ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	addr := cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8084")
	instance := cmp.Or(os.Getenv("INSTANCE"), "users-1")
	// JAEGER_ENDPOINT is where spans are posted; without it, they are sent in
	// UDP packets to JAEGER_AGENT_HOST and JAEGER_AGENT_PORT.
	settings, err := (&config.Configuration{
		ServiceName: "users",
		Gen128Bit:   true,
		Sampler:     &config.SamplerConfig{Type: "const", Param: 1}, // of traces that begin here
	}).FromEnv()
	if err != nil {
		return fmt.Errorf("configure the jaeger client: %w", err)
	}
	settings.Tags = append(settings.Tags, opentracing.Tag{Key: "service.instance.id", Value: instance})
	tracer, closer, err := settings.NewTracer(config.Logger(logger{}))
	if err != nil {
		return fmt.Errorf("make the jaeger client: %w", err)
	}
	defer closer.Close() // sends what waits

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on ADDR: %w", err)
	}
	server := &http.Server{Handler: handler(tracer), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { err = errors.Join(err, within(server.Shutdown)) }()

	catalog, err := consul.New()
	if err != nil {
		return err
	}
	deregister, err := catalog.Register(ctx, consul.Service{Name: "users", ID: instance, Addr: addr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, within(deregister)) }()
	slog.Info("users serves", "addr", addr, "instance", instance)
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	}
}

// within gives a part of the shutdown its time.
func within(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return f(ctx)
}

func handler(tracer opentracing.Tracer) http.Handler {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "users_request_duration_seconds", Help: "Duration of requests.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
	}, []string{"method", "route", "code"})
	// Series that exist before the first request show it as an increase.
	for _, code := range []int{http.StatusOK, http.StatusNotFound} {
		durations.WithLabelValues(http.MethodGet, route, strconv.Itoa(code))
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(durations)

	mux := http.NewServeMux()
	mux.HandleFunc("GET "+route, func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		// The header uber-trace-id. Without it, or with a wrong one, a new trace begins.
		caller, _ := tracer.Extract(opentracing.HTTPHeaders, opentracing.HTTPHeadersCarrier(r.Header))
		span := tracer.StartSpan(r.Method+" "+route, ext.RPCServerOption(caller))
		ext.Component.Set(span, "net/http")
		ext.HTTPMethod.Set(span, r.Method)
		ext.HTTPUrl.Set(span, r.URL.Path)
		span.SetTag("http.route", route) // OpenTracing has no name for it

		code := find(w, r.PathValue("id"))

		ext.HTTPStatusCode.Set(span, uint16(code))
		span.Finish()
		durations.WithLabelValues(r.Method, route, strconv.Itoa(code)).Observe(time.Since(start).Seconds())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// find answers with a user, after some time as a database would take.
func find(w http.ResponseWriter, id string) (code int) {
	time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond)
	name, ok := known[id]
	if !ok {
		http.Error(w, "no such user", http.StatusNotFound)
		return http.StatusNotFound
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"id": id, "name": name})
	return http.StatusOK
}

// logger is what the Jaeger client logs to: an error is mostly a batch that was lost.
type logger struct{}

func (logger) Error(message string) { slog.Error("jaeger client", "error", message) }
func (logger) Infof(string, ...any) {}
