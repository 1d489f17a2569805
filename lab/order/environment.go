// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package order runs the example of examples/order: real servers, the collector and
// the example's programs. It places orders, causes faults, and checks in Jaeger and in
// Prometheus what was reported of them.
package order

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/deploy"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const (
	interval    = time.Second // at which the collector polls
	stopTimeout = 20 * time.Second
)

// Options say what the example is made of. All but Binary and Progress are required.
type Options struct {
	// Binary is the path of the collector's executable; empty: that of the checkout,
	// which is built. Config is the path of its default configuration, and Policy that of
	// its policy in Vault.
	Binary, Config, Policy string
	// Example is the folder examples/order.
	Example string
	// Progress is where builds and starts are reported; may be nil.
	Progress io.Writer
}

// Environment is the running example. The caller ends it with Stop.
type Environment struct {
	*deploy.Collector

	Lab        *lab.Lab
	Jaeger     readback.Jaeger
	Prometheus readback.Prometheus

	// Edge says what stands at the edge: an Envoy, or what stands in for it.
	Edge string
	// URL is that of the edge, where orders are placed.
	URL string
	// Page is the URL of the page that shows it; empty if none is served.
	Page string
	// Since is when it began: nothing in it is older.
	Since time.Time

	example  string // folder of the example
	binaries string // folder of its executables
	secrets  string // folder of the worker's AppRole
	programs map[string]*lab.Server
	stocked  int // items of the kind that is ordered, at the beginning
}

// Start builds what is missing, and starts the servers, the collector and the
// programs.
func Start(ctx context.Context, opts Options) (*Environment, error) {
	if opts.Progress == nil {
		opts.Progress = io.Discard
	}
	if _, err := lab.FindEnvoy(ctx); err != nil && !errors.Is(err, lab.ErrNoEnvoy) {
		return nil, err // Before anything is built.
	}
	names := []string{"consul", "etcd", "vault", "temporal", "jaeger", "prometheus"}
	if opts.Binary == "" {
		names = append(names, lab.CollectorName)
	}
	err := lab.Build(ctx, opts.Progress, names...)
	if err == nil && opts.Binary == "" {
		opts.Binary, err = lab.Binary(ctx, lab.CollectorName, opts.Progress)
	}
	if err != nil {
		return nil, err
	}
	e := &Environment{example: opts.Example, programs: map[string]*lab.Server{}}
	fmt.Fprintln(opts.Progress, "order: building the example's services")
	if e.binaries, err = lab.BuildExample(ctx, opts.Example, opts.Progress); err != nil {
		return nil, err
	}
	e.Lab, err = lab.Start(ctx, lab.Options{
		Progress: opts.Progress,
		Servers:  []string{"consul", "etcd", "vault", "jaeger", "prometheus"}, // Temporal sends its traces to the collector.
	})
	if err != nil {
		return nil, err
	}
	e.Jaeger, e.Prometheus = readback.Jaeger(e.Lab.Jaeger.QueryURL), readback.Prometheus(e.Lab.Prometheus.URL)
	e.Since = time.Now()
	if err := e.start(ctx, opts); err != nil {
		if ctx.Err() == nil {
			e.Lab.Keep()
			err = fmt.Errorf("start the example (logs are kept in %s): %w", e.Lab.Dir, err)
		}
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Environment) start(ctx context.Context, opts Options) error {
	e.secrets = filepath.Join(e.Lab.Dir, "approle")
	if err := os.Mkdir(e.secrets, 0o700); err != nil {
		return fmt.Errorf("make the folder of the worker's AppRole: %w", err)
	}
	if err := e.setUp(ctx); err != nil {
		return err
	}
	// Anybody should have a device of type file; the one that sends to the collector
	// needs that to listen. Vault fails requests of others while the first is enabled.
	file := map[string]string{"file_path": filepath.Join(e.Lab.Dir, "vault-audit.log")}
	if err := e.Lab.Vault.Audit(ctx, "file", "file", file); err != nil {
		return err
	}
	filled, err := e.stock(ctx)
	if err != nil {
		return err
	}
	e.stocked = filled.left
	var agent, jaegerHTTP string
	err = lab.OnFreePorts(ctx, 2, func(ports []int) (err error) {
		agent, jaegerHTTP = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
		e.Collector, err = deploy.Start(ctx, e.Lab, deploy.Options{
			Binary:   opts.Binary,
			Configs:  []string{opts.Config, filepath.Join(opts.Example, "collector.yaml")},
			Policies: []string{opts.Policy, filepath.Join(opts.Example, "collector-policy.hcl")},
			Interval: interval,
			Env: []string{
				"JAEGER_THRIFT_COMPACT_ENDPOINT=" + agent,
				"JAEGER_THRIFT_HTTP_ENDPOINT=" + jaegerHTTP,
				"CONSUL_KV_PREFIXES=order/",
				"ETCD_WATCH_PREFIXES=/order/config/,/order/instances/,/order/stock/",
				"ETCD_LOCK_PREFIXES=/order/locks/",
				"VAULT_LEASES_MODE=prefixes",
				"VAULT_LEASE_PREFIXES=order-credentials,auth/approle",
				"VAULT_LEASES_INTERVAL=" + interval.String(),
			},
		})
		return err
	})
	if err != nil {
		return err
	}
	socket := map[string]string{"address": e.Audit, "socket_type": "tcp", "write_timeout": "100ms"}
	if err := e.Lab.Vault.Audit(ctx, "otelcol", "socket", socket); err != nil {
		return err
	}
	if err := e.startTemporal(ctx, opts.Progress); err != nil {
		return err
	}
	return e.startPrograms(ctx, opts, agent, jaegerHTTP)
}

// startTemporal has the server trace its own requests, too: those of callers who are
// traced, and not its work in the background, which is hundreds of spans a minute.
func (e *Environment) startTemporal(ctx context.Context, progress io.Writer) (err error) {
	e.Lab.Temporal, err = lab.StartTemporal(ctx, lab.ServerOptions{
		Dir: e.Lab.Dir, Progress: progress,
		Env: []string{
			"OTEL_TRACES_EXPORTER=otlp",
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://" + e.OTLPGRPC,
			"OTEL_TRACES_SAMPLER=parentbased_always_off",
			"OTEL_BSP_SCHEDULE_DELAY=200",
		},
	})
	return err
}

// link is where a trace can be opened.
func (e *Environment) link(traceID string) string {
	if e.Page != "" {
		return e.Page + "/?trace=" + traceID
	}
	return e.Jaeger.TraceURL(traceID)
}

// Stop ends the programs and the collector, so that they deliver what they hold, and
// then the servers.
func (e *Environment) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := e.stopPrograms(ctx)
	if e.Collector != nil {
		err = errors.Join(err, e.Collector.Stop(ctx))
	}
	return errors.Join(err, e.Lab.Stop())
}

// explain keeps all logs, and adds where they are and the end of the collector's. Who
// interrupts the example wants none.
func (e *Environment) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	e.Lab.Keep()
	return fmt.Errorf("%w\nthe logs are in %s; the collector's ends with\n%s", err, e.Lab.Dir, e.LogTail(5))
}
