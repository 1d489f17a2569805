// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// gateway is a running gateway. Several have the same ports at different addresses of
// loopback, which Linux has many of, so that one DNS name is all of them.
type gateway struct {
	*lab.Collector
	options                      lab.CollectorOptions
	address                      string // without a port
	grpc, http, balanced, health int
	metrics, applications        string // host:port of the Prometheus exporters
	events                       string // the file
}

func (g *gateway) at(port int) string { return fmt.Sprintf("%s:%d", g.address, port) }

// startGateways starts so many, at 127.0.0.1, 127.0.0.2 and so on, whose certificates
// must be for these addresses, with additions to their configuration.
func startGateways(t *testing.T, n int, certs certificates, additions []string, env ...string) (gateways []*gateway) {
	t.Helper()
	bin, configs := binary(t), shipped(t, append([]string{"gateway"}, additions...)...)
	require.NoError(t, lab.OnFreePorts(t.Context(), 7, func(ports []int) error {
		var peers []string
		for i := range n {
			peers = append(peers, fmt.Sprintf("127.0.0.%d:%d", 1+i, ports[2]))
		}
		for i := range n {
			g := &gateway{address: fmt.Sprintf("127.0.0.%d", 1+i), grpc: ports[0], http: ports[1], balanced: ports[2], health: ports[3]}
			g.metrics, g.applications = g.at(ports[4]), g.at(ports[5])
			dir := t.TempDir()
			g.events = filepath.Join(dir, "state", "events.jsonl")
			g.options = lab.CollectorOptions{
				Binary: bin, Configs: configs, Dir: dir, Name: fmt.Sprintf("gateway-%d", 1+i), ReadyURL: "http://" + g.at(g.health),
				Env: append(append(certs.env(),
					"GATEWAYS=["+strings.Join(peers, ", ")+"]", fmt.Sprintf("GATEWAYS_PORT=%d", ports[2]), "STATE_DIRECTORY="+filepath.Join(dir, "state"),
					"OTLP_GRPC_ENDPOINT="+g.at(g.grpc), "OTLP_HTTP_ENDPOINT="+g.at(g.http), "BALANCED_ENDPOINT="+g.at(g.balanced),
					"HEALTH_CHECK_ENDPOINT="+g.at(g.health), "PROMETHEUS_EXPORTER_ENDPOINT="+g.metrics, "APPLICATIONS_EXPORTER_ENDPOINT="+g.applications,
					"TELEMETRY_HOST="+g.address, fmt.Sprintf("TELEMETRY_PORT=%d", ports[6])), env...),
			}
			var err error
			if g.Collector, err = lab.StartCollector(t.Context(), g.options); err != nil {
				return err
			}
			gateways = append(gateways, g)
			stopAtTheEnd(t, g.Collector)
		}
		return nil
	}))
	return gateways
}

// agent is a running agent.
type agent struct {
	*lab.Collector
	otlp    string // host:port of its OTLP receiver over HTTP
	targets string // the file of what it scrapes, with agent-scrape
}

// startAgent starts one with additions to its configuration.
func startAgent(t *testing.T, name string, certs certificates, additions []string, env ...string) (a *agent) {
	t.Helper()
	bin, dir := binary(t), t.TempDir()
	configs := shipped(t, append([]string{"agent"}, additions...)...)
	require.NoError(t, lab.OnFreePorts(t.Context(), 4, func(ports []int) (err error) {
		at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
		a = &agent{otlp: at(1), targets: filepath.Join(dir, "targets.yaml")}
		a.Collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: configs, Dir: dir, Name: name, ReadyURL: "http://" + at(2),
			Env: append(append(certs.env(), "STATE_DIRECTORY="+filepath.Join(dir, "state"), "SCRAPE_TARGETS_FILE="+a.targets,
				"OTLP_GRPC_ENDPOINT="+at(0), "OTLP_HTTP_ENDPOINT="+at(1), "HEALTH_CHECK_ENDPOINT="+at(2),
				fmt.Sprintf("TELEMETRY_PORT=%d", ports[3])), env...),
		})
		return err
	}))
	stopAtTheEnd(t, a.Collector)
	return a
}

// stopAtTheEnd ends it with SIGTERM, and shows its log when the test has failed.
func stopAtTheEnd(t *testing.T, c *lab.Collector) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", c.Name(), c.LogTail(60))
		}
		require.NoError(t, c.Stop(context.Background()), "SIGTERM must end it")
	})
}
