// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package consul registers services in Consul, finds them, and reads and
// watches configuration in its KV store. Each request is a client span, named
// by the method and the template of its path.
package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// How long Consul may hold a blocking query open, and the pauses after a
// failed one.
const (
	wait       = time.Minute
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// ErrNoInstance is the error of Discover when no instance passes its checks.
var ErrNoInstance = errors.New("no passing instance")

// Service is one instance of a service.
type Service struct {
	Name, ID string
	Addr     string // host:port
}

// Client is a client of the local Consul agent.
type Client struct {
	api *api.Client
}

// New returns a client of the agent at CONSUL_HTTP_ADDR, with the token of
// CONSUL_HTTP_TOKEN; the other variables of Consul's own client count too.
func New() (*Client, error) {
	config := api.DefaultConfig()
	client, err := api.NewHttpClient(config.Transport, config.TLSConfig)
	if err != nil {
		return nil, fmt.Errorf("make a client of consul: %w", err)
	}
	client.Transport = otelhttp.NewTransport(client.Transport,
		otelhttp.WithSpanNameFormatter(spanName), otelhttp.WithFilter(answersAtOnce),
		otelhttp.WithSpanOptions(trace.WithAttributes(semconv.ServicePeerName("consul"))))
	config.HttpClient = client
	consul, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of consul: %w", err)
	}
	return &Client{consul}, nil
}

// Register registers an instance, which Consul checks each second. Call
// deregister before the instance ends.
func (c *Client) Register(ctx context.Context, service Service) (deregister func(context.Context) error, err error) {
	host, number, err := net.SplitHostPort(service.Addr)
	if err != nil {
		return nil, fmt.Errorf("register %s in consul: address %q is not host:port: %w", service.ID, service.Addr, err)
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("register %s in consul: port %q is not a number", service.ID, number)
	}
	registration := &api.AgentServiceRegistration{
		ID: service.ID, Name: service.Name, Address: host, Port: port,
		Check: &api.AgentServiceCheck{
			Name: "healthz", HTTP: "http://" + service.Addr + "/healthz", Interval: "1s", Timeout: "1s",
			// An instance that was killed does not stay in the catalog for ever.
			DeregisterCriticalServiceAfter: "10m",
		},
	}
	opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := c.api.Agent().ServiceRegisterOpts(registration, opts); err != nil {
		return nil, fmt.Errorf("register %s in consul: %w", service.ID, err)
	}
	return func(ctx context.Context) error {
		err := c.api.Agent().ServiceDeregisterOpts(service.ID, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return fmt.Errorf("deregister %s in consul: %w", service.ID, err)
		}
		return nil
	}, nil
}

// Discover returns the address of a random instance that passes its checks. Without one, the error is ErrNoInstance.
func (c *Client) Discover(ctx context.Context, name string) (addr string, err error) {
	entries, _, err := c.api.Health().Service(name, "", true, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("discover service %s in consul: %w", name, err)
	}
	if len(entries) == 0 {
		return "", fmt.Errorf("discover service %s in consul: %w; is it running and healthy?", name, ErrNoInstance)
	}
	entry := entries[rand.IntN(len(entries))]
	host := entry.Service.Address
	if host == "" { // Then the service has its node's.
		host = entry.Node.Address
	}
	return net.JoinHostPort(host, strconv.Itoa(entry.Service.Port)), nil
}

// Get returns the value of a key.
func (c *Client) Get(ctx context.Context, key string) (value string, err error) {
	pair, _, err := c.api.KV().Get(key, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("read key %s of consul: %w", key, err)
	}
	if pair == nil {
		return "", fmt.Errorf("read key %s of consul: there is no such key; write it first", key)
	}
	return string(pair.Value), nil
}

// Watch calls changed with the value of a key, and with each later value, until
// ctx ends. An absent key has no value: changed is not called.
func (c *Client) Watch(ctx context.Context, key string, changed func(value string)) {
	var index, modified uint64
	pause := firstPause
	for ctx.Err() == nil {
		pair, meta, err := c.api.KV().Get(key, (&api.QueryOptions{WaitIndex: index, WaitTime: wait}).WithContext(ctx))
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			slog.Warn("watch of a consul key failed and is retried", "key", key, "pause", pause, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxPause)
			continue
		}
		pause = firstPause
		// An index that goes backwards is of a restored or another server:
		// its indexes say nothing about ours.
		if meta.LastIndex < index {
			index, modified = 0, 0
			continue
		}
		index = max(meta.LastIndex, 1)
		if pair != nil && pair.ModifyIndex != modified {
			modified = pair.ModifyIndex
			changed(string(pair.Value))
		}
	}
}

// answersAtOnce leaves out blocking queries: a span of a minute in which
// nothing happened leads nowhere.
func answersAtOnce(r *http.Request) bool { return !r.URL.Query().Has("index") }

// spanName is the method and the path without what differs between requests.
func spanName(_ string, r *http.Request) string {
	for _, prefix := range []string{"/v1/kv/", "/v1/health/service/", "/v1/agent/service/deregister/"} {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return r.Method + " " + prefix + "{name}"
		}
	}
	return r.Method + " " + r.URL.Path
}
