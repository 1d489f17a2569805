// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// worker runs the workflow of an order and its activities for Temporal.
//
// An order goes on when a worker that was killed is started again, after about ten seconds: Temporal waits 5 s for the
// next step of a workflow to be taken by the worker that had it, and 5 s for the result of an activity (StartToClose).
// Steps that were done are not done again. The trace stays one and has one span RunWorkflow (spans.go says how). Missing
// are the spans that were open at the kill or not yet exported: the attempt of the activity and its requests. What
// other services did for these requests is in the trace without a parent. A worker that gets SIGTERM lets its
// activities end, and no span is missing.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
	"github.com/otelcol-infra/otelcol-infra/examples/order/consul"
	"github.com/otelcol-infra/otelcol-infra/examples/order/etcd"
	"github.com/otelcol-infra/otelcol-infra/examples/order/telemetry"
	"github.com/otelcol-infra/otelcol-infra/examples/order/vault"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("worker ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	flush, err := telemetry.Start(ctx, "worker", trace.WithIDGenerator(spanIDs{}))
	if err != nil {
		return err
	}
	defer end(ctx, "export of the last telemetry", flush)

	secrets, err := vault.New(
		cmp.Or(os.Getenv("VAULT_ROLE_ID_FILE"), "role_id"), cmp.Or(os.Getenv("VAULT_SECRET_ID_FILE"), "secret_id"))
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx)) // activities that end need their token
	defer stop()
	background.Go(func() { secrets.Run(lasting) })

	registry, err := consul.New()
	if err != nil {
		return err
	}
	store, err := etcd.New()
	if err != nil {
		return err
	}
	defer store.Close()

	handler, measure, err := metrics()
	if err != nil {
		return err
	}
	ofClient, ofWorker, err := tracing()
	if err != nil {
		return err
	}
	address := cmp.Or(os.Getenv("TEMPORAL_ADDRESS"), client.DefaultHostPort)
	engine, err := client.DialContext(ctx, client.Options{
		HostPort: address, Logger: log.NewStructuredLogger(slog.Default()), MetricsHandler: measure,
		Interceptors: ofClient, // also used by the worker
	})
	if err != nil {
		return fmt.Errorf("connect to temporal at %s, check TEMPORAL_ADDRESS: %w", address, err)
	}
	defer engine.Close()

	failed := make(chan error, 2)
	w := worker.New(engine, order.TaskQueue, worker.Options{
		Interceptors:      ofWorker,
		WorkerStopTimeout: 5 * time.Second, // for activities that run
		OnFatalError:      func(err error) { failed <- fmt.Errorf("run temporal's worker: %w", err) },
	})
	w.RegisterWorkflowWithOptions(Order, workflow.RegisterOptions{Name: order.Workflow})
	w.RegisterActivity(&activities{
		discover: registry.Discover, etcd: store, vault: secrets,
		http: &http.Client{Transport: otelhttp.NewTransport(nil, otelhttp.WithSpanNameFormatter(
			func(_ string, r *http.Request) string { return r.Method + " " + r.Pattern }))},
	})
	if err := w.Start(); err != nil {
		return fmt.Errorf("start temporal's worker: %w", err)
	}
	defer w.Stop()

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", handler)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8082"))
	if err != nil {
		return fmt.Errorf("listen, check ADDR: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	background.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	defer server.Close()

	addr := listener.Addr().String()
	deregister, err := registry.Register(ctx, consul.Service{
		Name: "worker", ID: cmp.Or(os.Getenv("INSTANCE"), "worker-1"), Addr: addr,
	})
	if err != nil {
		return err
	}
	defer end(ctx, "deregistration", deregister)
	slog.Info("worker runs", "addr", addr, "temporal", address)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// end does what has to be done at the end, when ctx is over. What fails then
// is no reason to keep others from ending.
func end(ctx context.Context, what string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := do(ctx); err != nil {
		slog.Warn("not all was done at the end", "missing", what, "error", err)
	}
}

// metrics returns what Temporal's SDK records its metrics with, and a handler that serves them to Prometheus.
func metrics() (http.Handler, client.MetricsHandler, error) {
	registry := prometheus.NewRegistry()
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry),
		otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, nil, fmt.Errorf("make the exporter of temporal's metrics: %w", err)
	}
	seconds := metric.NewView(
		metric.Instrument{Kind: metric.InstrumentKindHistogram, Name: "*"},
		// The defaults are made for milliseconds.
		metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{
			Boundaries: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
		}},
	)
	meter := metric.NewMeterProvider(metric.WithReader(reader), metric.WithView(seconds)).Meter("temporal-sdk-go")
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
			Meter: meter, UseMonotonicCounters: true,
			OnError: func(err error) { slog.Warn("a metric of temporal's SDK is not recorded", "error", err) },
		}), nil
}
