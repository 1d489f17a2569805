// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Command stock reserves items for orders. The counts are in etcd, under a lock
// that all its instances share; the lock, and the registration of the instance,
// have the lease of its session.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelcol-infra/otelcol-infra/examples/order/consul"
	"github.com/otelcol-infra/otelcol-infra/examples/order/etcd"
	"github.com/otelcol-infra/otelcol-infra/examples/order/telemetry"
)

const (
	holdKey     = "/order/config/lock_hold"
	defaultHold = 20 * time.Millisecond
	grace       = 10 * time.Second // from SIGTERM to the end
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("stock ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	addr := cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8083")
	instance := cmp.Or(os.Getenv("INSTANCE"), "stock-1")
	shutdown, err := telemetry.Start(ctx, "stock")
	if err != nil {
		return err
	}
	defer func() {
		if err := within(shutdown); err != nil {
			slog.Warn("the last telemetry was not exported", "error", err)
		}
	}()
	client, err := etcd.New()
	if err != nil {
		return err
	}
	defer client.Close()

	s := &stock{client: client, sessions: &sessions{client: client, instance: instance, addr: addr}}
	s.hold.Store(int64(defaultHold))
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	registered := make(chan struct{})
	go func() { ended <- s.sessions.run(background, func() { close(registered) }) }()
	defer func() {
		end()
		err = errors.Join(err, <-ended)
	}()
	select {
	case <-registered:
	case err := <-ended:
		ended <- nil
		return err
	}
	go s.watchHold(background)

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on ADDR: %w", err)
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { err = errors.Join(err, within(server.Shutdown)) }()

	catalog, err := consul.New()
	if err != nil {
		return err
	}
	deregister, err := catalog.Register(ctx, consul.Service{Name: "stock", ID: instance, Addr: addr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, within(deregister)) }()
	slog.Info("stock serves", "addr", addr, "instance", instance)
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

func (s *stock) handler() http.Handler {
	mux := http.NewServeMux()
	// The mux is outside, so that the route is known when the span begins.
	traced := func(pattern string, handler http.HandlerFunc) {
		mux.Handle(pattern, otelhttp.NewHandler(handler, pattern, otelhttp.WithSpanNameFormatter(
			func(pattern string, _ *http.Request) string { return pattern })))
	}
	traced("POST /reservations", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Order    string `json:"order"`
			Item     string `json:"item"`
			Quantity int    `json:"quantity"`
		}
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&request)
		if err != nil || !isName(request.Order) || !isName(request.Item) || request.Quantity < 1 {
			http.Error(w, "send order, item and a quantity of 1 or more", http.StatusBadRequest)
			return
		}
		answer(w, r, http.StatusCreated, s.reserve(r.Context(), request.Order, request.Item, request.Quantity))
	})
	traced("DELETE /reservations/{order}", func(w http.ResponseWriter, r *http.Request) {
		if !isName(r.PathValue("order")) {
			http.Error(w, "not the ID of an order", http.StatusBadRequest)
			return
		}
		answer(w, r, http.StatusNoContent, s.release(r.Context(), r.PathValue("order")))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := s.sessions.get(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}

// isName is true for what can be the last part of a key.
func isName(s string) bool { return s != "" && len(s) <= 100 && !strings.Contains(s, "/") }

func answer(w http.ResponseWriter, r *http.Request, done int, err error) {
	switch {
	case err == nil:
		w.WriteHeader(done)
	case errors.Is(err, errOutOfStock), errors.Is(err, errReleased):
		http.Error(w, err.Error(), http.StatusConflict)
	default: // The caller tries again.
		slog.WarnContext(r.Context(), "a request failed", "request", r.Pattern, "error", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// watchHold follows the configuration of how long a lock is held at least.
func (s *stock) watchHold(ctx context.Context) {
	apply := func(value []byte) {
		hold, err := time.ParseDuration(string(value))
		if err != nil || hold < 0 {
			slog.Warn("a configuration is not a duration such as 20ms and has no effect", "key", holdKey)
			return
		}
		s.hold.Store(int64(hold))
		slog.Info("configuration", "key", holdKey, "value", hold)
	}
	for ctx.Err() == nil {
		got, err := s.client.Get(ctx, holdKey)
		if err == nil {
			if len(got.Kvs) > 0 {
				apply(got.Kvs[0].Value)
			} else {
				s.hold.Store(int64(defaultHold))
			}
			// Ends when etcd has compacted what was not delivered yet, or on an error.
			for response := range s.client.Watch(ctx, holdKey, clientv3.WithRev(got.Header.Revision+1)) {
				for _, event := range response.Events {
					if event.Type == clientv3.EventTypeDelete {
						s.hold.Store(int64(defaultHold))
					} else {
						apply(event.Kv.Value)
					}
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}
