// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// orders takes orders over HTTP, has Temporal process each, and answers with what came of it.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"github.com/otelcol-infra/otelcol-infra/examples/order"
	"github.com/otelcol-infra/otelcol-infra/examples/order/consul"
	"github.com/otelcol-infra/otelcol-infra/examples/order/telemetry"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("orders ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	flush, err := telemetry.Start(ctx, "orders")
	if err != nil {
		return err
	}
	defer end(ctx, "export of the last telemetry", flush)

	engine, err := connect()
	if err != nil {
		return err
	}
	defer engine.Close()

	metrics := prometheus.NewRegistry()
	o := newOrders(engine, metrics)
	registry, err := consul.New()
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go registry.Watch(watching, order.MaxQuantityKey, func(value string) {
		limit, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			slog.Warn("value is not a number and is ignored", "key", order.MaxQuantityKey, "value", value)
			return
		}
		o.maxQuantity.Store(limit)
		slog.Info("configuration changed", "key", order.MaxQuantityKey, "value", limit)
	})

	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("listen, check ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	// Traced behind the mux, which knows the route: it is on the span, too.
	mux.Handle("POST /orders", otelhttp.NewHandler(http.HandlerFunc(o.create), ""))
	mux.Handle("GET /orders/{id}", otelhttp.NewHandler(http.HandlerFunc(o.get), ""))
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: mux}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()

	// First nobody finds this instance any more, then those that did get their answers.
	defer end(ctx, "answers to the last requests, their orders go on", server.Shutdown)
	deregister, err := registry.Register(ctx, consul.Service{
		Name: "orders", ID: cmp.Or(os.Getenv("INSTANCE"), "orders-1"), Addr: listener.Addr().String(),
	})
	if err != nil {
		return err
	}
	defer end(ctx, "deregistration", deregister)
	slog.Info("orders runs", "addr", listener.Addr())
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
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

// connect returns a client of Temporal, which need not run yet. Its interceptor
// sends the trace to the workflow; below that, each gRPC call is a span too.
func connect() (client.Client, error) {
	tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{})
	if err != nil {
		return nil, fmt.Errorf("make temporal's tracing: %w", err)
	}
	address := cmp.Or(os.Getenv("TEMPORAL_ADDRESS"), client.DefaultHostPort)
	engine, err := client.NewLazyClient(client.Options{
		HostPort: address, Logger: log.NewStructuredLogger(slog.Default()),
		Interceptors: []interceptor.ClientInterceptor{tracing},
		ConnectionOptions: client.ConnectionOptions{
			DialOptions: []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler())},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make a client of temporal at %s, check TEMPORAL_ADDRESS: %w", address, err)
	}
	return engine, nil
}
