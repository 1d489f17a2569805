// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package deploy runs the collector on the servers of a lab, with its default
// configuration and free ports, and has Prometheus scrape it.
package deploy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// Options say how the collector is run; all but Env are required, and Policies only if
// the lab has Vault.
type Options struct {
	// Binary is the path of the collector's executable.
	Binary string
	// Configs are paths of its configuration files, first that of the default one.
	Configs []string
	// Policies are paths of what its token may do in Vault.
	Policies []string
	// Interval is how often it polls.
	Interval time.Duration
	// Env (K=V) comes after what the lab and this package set, and wins.
	Env []string
}

// Collector is a running collector and its addresses.
type Collector struct {
	*lab.Collector

	// Metrics and Applications are host:port of its Prometheus exporters, of the
	// servers' metrics and of those of applications; Health is that of its health
	// check, and Telemetry that of its own metrics.
	Metrics, Applications, Health, Telemetry string

	// OTLP is the URL of its OTLP receiver over HTTP, OTLPGRPC host:port of that over
	// gRPC, and Audit host:port of its socket for Vault's audit devices.
	OTLP, OTLPGRPC, Audit string

	// Token is its token in Vault. Do not log it.
	Token string

	// Events is the file that it writes events to, and Targets the file that it reads
	// scrape targets from, which is not there at the start.
	Events  readback.Events
	Targets string
}

// Start makes a token in Vault, starts the collector, waits until it is ready, and
// has the lab's Prometheus scrape it and nothing else. The lab needs Prometheus, and what
// the configurations use.
func Start(ctx context.Context, l *lab.Lab, opts Options) (*Collector, error) {
	c := &Collector{
		Events:  readback.Events(filepath.Join(l.Dir, "events.jsonl")),
		Targets: filepath.Join(l.Dir, "targets.yaml"),
	}
	if l.Vault != nil {
		policy, err := join(opts.Policies)
		if err != nil {
			return nil, fmt.Errorf("read the policy of the collector's token: %w", err)
		}
		if c.Token, err = l.Vault.TokenFor(ctx, "otelcol-infra", policy); err != nil {
			return nil, err
		}
	}
	var configs []string
	for _, config := range opts.Configs {
		path, err := filepath.Abs(config)
		if err != nil {
			return nil, fmt.Errorf("find the collector's configuration %s: %w", config, err)
		}
		configs = append(configs, path)
	}
	err := lab.OnFreePorts(ctx, 7, func(ports []int) (err error) {
		c.listenOn(ports)
		c.Collector, err = lab.StartCollector(ctx, lab.CollectorOptions{
			Binary:   opts.Binary,
			Configs:  configs,
			Dir:      l.Dir,
			ReadyURL: "http://" + c.Health,
			Env:      append(append(l.Env(), c.env(l, opts.Interval, ports)...), opts.Env...),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, l.Prometheus.Scrape(c.Metrics, c.Applications, c.Telemetry)
}

// join gives the contents of files, one after the other.
func join(paths []string) (string, error) {
	var all strings.Builder
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		all.Write(content)
	}
	return all.String(), nil
}

func (c *Collector) listenOn(ports []int) {
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	c.Metrics, c.Applications, c.Health, c.Telemetry = at(0), at(1), at(2), at(3)
	c.OTLPGRPC, c.OTLP, c.Audit = at(4), "http://"+at(5), at(6)
}

func (c *Collector) env(l *lab.Lab, interval time.Duration, ports []int) []string {
	return []string{
		"VAULT_TOKEN=" + c.Token, // empty without Vault
		"VAULT_AUDIT_ENDPOINT=" + c.Audit,
		"COLLECTION_INTERVAL=" + interval.String(),
		"STATE_DIRECTORY=" + filepath.Join(l.Dir, "state"),
		"EVENTS_FILE=" + string(c.Events),
		"SCRAPE_TARGETS_FILE=" + c.Targets,
		"PROMETHEUS_EXPORTER_ENDPOINT=" + c.Metrics,
		"APPLICATIONS_EXPORTER_ENDPOINT=" + c.Applications,
		"HEALTH_CHECK_ENDPOINT=" + c.Health,
		"OTLP_GRPC_ENDPOINT=" + c.OTLPGRPC,
		"OTLP_HTTP_ENDPOINT=" + fmt.Sprintf("127.0.0.1:%d", ports[5]),
		fmt.Sprintf("TELEMETRY_PORT=%d", ports[3]),
	}
}
