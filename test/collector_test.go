// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package test holds the black-box tests: the built collector against real
// servers, judged by what Jaeger, Prometheus and the file of events hold.
package test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const (
	config = "../collector-config.yaml"
	policy = "../distribution/vault-policy.hcl"
	status = "../distribution/status.yaml"
	soon   = 90 * time.Second
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(lab.ForkGoroutine))
}

// binary returns the path of the built collector.
func binary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	path, err := filepath.Abs("../distribution/_build/otelcol-infra")
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "build the collector first: make build")
	return path
}

// invoke runs the collector to its end and returns what it wrote.
func invoke(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err
}

// alone are the addresses of a collector that runs without a lab.
type alone struct {
	collector                *lab.Collector
	metrics, applications    string // of the Prometheus exporters
	health, state, events    string
	consul, etcd, vault, jgr string
	otlp, otlpHTTP           string
	telemetry                string
}

// startAlone starts the collector with the shipped configuration. Servers that
// env does not name are looked for on ports where nobody listens.
func startAlone(t *testing.T, env ...string) *alone {
	t.Helper()
	return startConfigured(t, nil, env...)
}

// startConfigured is startAlone with configurations on top of the shipped one.
func startConfigured(t *testing.T, configs []string, env ...string) *alone {
	t.Helper()
	a, err := tryConfigured(t, configs, env...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.collector.Stop(context.Background()), "SIGTERM must end it") })
	return a
}

// tryConfigured is startConfigured that may fail; the caller stops it.
func tryConfigured(t *testing.T, configs []string, env ...string) (a *alone, err error) {
	t.Helper()
	bin := binary(t)
	configs = append([]string{config, status}, configs...)
	for i := range configs {
		absolute, err := filepath.Abs(configs[i])
		require.NoError(t, err)
		configs[i] = absolute
	}
	dir := t.TempDir()
	err = lab.OnFreePorts(t.Context(), 10, func(ports []int) (err error) {
		at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
		a = &alone{
			metrics: at(0), applications: at(9), health: at(1),
			state: filepath.Join(dir, "state"), events: filepath.Join(dir, "events.jsonl"),
			consul: at(2), etcd: at(3), vault: at(4), jgr: at(5), otlp: at(6), otlpHTTP: at(7), telemetry: at(8),
		}
		a.collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: configs, Dir: dir, ReadyURL: "http://" + a.health + "/status",
			Args: []string{"--feature-gates=extension.healthcheck.useComponentStatus"},
			Env: append([]string{
				"CONSUL_HTTP_ADDR=" + a.consul, "ETCD_ENDPOINTS=http://" + a.etcd, "VAULT_ADDR=http://" + a.vault,
				"CONSUL_HTTP_TOKEN=", "VAULT_TOKEN=",
				"JAEGER_OTLP_ENDPOINT=" + a.jgr, "COLLECTION_INTERVAL=1s", "METRIC_EXPIRATION=3s",
				"PROMETHEUS_EXPORTER_ENDPOINT=" + a.metrics, "APPLICATIONS_EXPORTER_ENDPOINT=" + a.applications,
				"STATE_DIRECTORY=" + a.state, "EVENTS_FILE=" + a.events, "HEALTH_CHECK_ENDPOINT=" + a.health,
				"OTLP_GRPC_ENDPOINT=" + a.otlp, "OTLP_HTTP_ENDPOINT=" + a.otlpHTTP, fmt.Sprintf("TELEMETRY_PORT=%d", ports[8]),
			}, env...),
		})
		return err
	})
	return a, err
}
