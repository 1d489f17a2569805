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

// Options say what the example is made of. All but Progress are required.
type Options struct {
	// Binary is the path of the collector's executable, Config that of its default
	// configuration, and Policy that of its policy in Vault.
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
	if err := lab.Build(ctx, opts.Progress, "consul", "etcd", "vault", "temporal", "jaeger", "prometheus"); err != nil {
		return nil, err
	}
	e := &Environment{example: opts.Example, programs: map[string]*lab.Server{}}
	var err error
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
	filled, err := e.stock(ctx)
	if err != nil {
		return err
	}
	e.stocked = filled.left
	return lab.OnFreePorts(ctx, 2, func(ports []int) (err error) {
		agent, jaegerHTTP := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
		e.Collector, err = deploy.Start(ctx, e.Lab, deploy.Options{
			Binary: opts.Binary, Policy: opts.Policy, Interval: interval,
			Configs: []string{opts.Config, filepath.Join(opts.Example, "collector.yaml")},
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
		if err != nil {
			return err
		}
		if err := e.auditVault(ctx); err != nil {
			return err
		}
		if err := e.startTemporal(ctx, opts.Progress); err != nil {
			return err
		}
		return e.startPrograms(ctx, opts, agent, jaegerHTTP)
	})
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

// auditVault enables a file device, as anybody should, and beside it one that sends
// to the collector, with the headers of traces.
func (e *Environment) auditVault(ctx context.Context) error {
	return errors.Join(
		e.Lab.Vault.Audit(ctx, "file", "file", map[string]string{"file_path": filepath.Join(e.Lab.Dir, "vault-audit.log")}),
		e.Lab.Vault.Audit(ctx, "otelcol", "socket", map[string]string{"address": e.Audit, "socket_type": "tcp", "write_timeout": "100ms"}),
		e.Lab.Vault.AuditHeader(ctx, "traceparent"),
	)
}

// Stop ends the programs and the collector, so that they deliver what they hold, and
// then the servers.
func (e *Environment) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var err error
	for _, name := range []string{"edge", "orders-1", "worker-1", "stock-1", "stock-2", "users-1", "users-2"} {
		if program := e.programs[name]; program != nil {
			err = errors.Join(err, program.Stop(ctx))
		}
	}
	if e.Collector != nil {
		err = errors.Join(err, e.Collector.Stop(ctx))
	}
	return errors.Join(err, e.Lab.Stop())
}

// explain adds the end of the collector's log, and where the logs of the others are.
func (e *Environment) explain(err error) error {
	return fmt.Errorf("%w\nthe logs are in %s; the collector's ends with\n%s", err, e.Lab.Dir, e.Collector.LogTail(5))
}
