// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Command edge is a stand-in for Envoy, for machines that have none: a reverse proxy in front of the order service,
// with a server span and a client span for each request. See envoy.yaml for Envoy itself.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcol-infra/otelcol-infra/examples/order/telemetry"
)

const (
	// connectTimeout and requestTimeout are those of envoy.yaml.
	connectTimeout  = time.Second
	requestTimeout  = time.Minute
	shutdownTimeout = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, cmp.Or(os.Getenv("EDGE_ADDR"), "127.0.0.1:10000"), cmp.Or(os.Getenv("ORDERS_ADDR"), "127.0.0.1:8080"))
	stop()
	if err != nil {
		slog.Error("edge ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, orders string) error {
	export, err := telemetry.Start(ctx, "edge")
	if err != nil {
		return err
	}
	defer func() {
		if err := within(export); err != nil {
			slog.Warn("the last telemetry was not exported", "error", err)
		}
	}()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen, check EDGE_ADDR: %w", err)
	}
	server := &http.Server{Handler: handler(orders), ReadHeaderTimeout: connectTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	slog.Info("edge is a stand-in for Envoy: it proxies and traces as Envoy does with envoy.yaml, but sends no stats of Envoy",
		"address", listener.Addr().String(), "orders", orders)
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		return within(server.Shutdown)
	}
}

// within gives an orderly end its time.
func within(end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return end(ctx)
}

// handler answers /healthz itself, and sends all else to the order service.
func handler(orders string) http.Handler {
	target := &url.URL{Scheme: "http", Host: orders}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // it is one
	transport.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	transport.ResponseHeaderTimeout = requestTimeout
	proxy := &httputil.ReverseProxy{
		Transport: otelhttp.NewTransport(transport), // a client span; its context goes with the request
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(response *http.Response) error {
			logAccess(response.Request, response.StatusCode, nil)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			logAccess(r, http.StatusServiceUnavailable, err)
			http.Error(w, "the order service does not answer", http.StatusServiceUnavailable)
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", otelhttp.NewHandler(proxy, "ingress"))
	return mux
}

// logAccess leaves the query out, as it may hold what is secret.
func logAccess(r *http.Request, status int, err error) {
	span := trace.SpanContextFromContext(r.Context())
	attrs := []any{"method", r.Method, "path", r.URL.Path, "status", status, "trace_id", span.TraceID().String()}
	if err != nil {
		slog.Warn("request failed", append(attrs, "error", err)...)
		return
	}
	slog.Info("request", attrs...)
}
