// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const (
	eventsOTLP = "../distribution/events-otlp.yaml"
	// backendConfig is of a collector that writes what it receives to a file.
	backendConfig = `
extensions: {health_check: {endpoint: %[1]s}}
receivers: {otlp: {protocols: {http: {endpoint: %[2]s}}}}
exporters: {file: {path: %[3]s, rotation: {max_megabytes: 4096}}}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [otlp], exporters: [file]}}
`
)

// Without an endpoint the configuration is refused with the name of the exporter.
func TestEventsOverOTLPNeedAnEndpoint(t *testing.T) {
	t.Setenv("EVENTS_OTLP_ENDPOINT", "")
	output, err := invoke(t, "validate", "--config", config, "--config", eventsOTLP)
	require.Error(t, err)
	assert.Contains(t, output, "exporters::otlp_http/events: at least one endpoint must be specified")
	t.Setenv("EVENTS_OTLP_ENDPOINT", "http://127.0.0.1:4318")
	output, err = invoke(t, "validate", "--config", config, "--config", eventsOTLP)
	require.NoError(t, err, output)
}

// Events go to the file and over OTLP. Those of a time in which the backend is away
// and the collector is killed arrive when it is back.
func TestEventsOverOTLP(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run make test")
	}
	t.Parallel()
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	dir := t.TempDir()
	arrived := filepath.Join(dir, "arrived.jsonl")
	var backend *lab.Collector
	var endpoint string
	require.NoError(t, lab.OnFreePorts(t.Context(), 2, func(ports []int) (err error) {
		health, otlp := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
		file := filepath.Join(dir, "backend.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, backendConfig, health, otlp, arrived), 0o600); err != nil {
			return err
		}
		endpoint = "http://" + otlp
		backend, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: binary(t), Configs: []string{file}, Dir: dir, Name: "backend", ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, backend.Stop(context.Background())) })

	a := startConfigured(t, []string{eventsOTLP}, "ETCD_ENDPOINTS="+etcd.Endpoints[0], "ETCD_WATCH_PREFIXES=/keys/", "EVENTS_OTLP_ENDPOINT="+endpoint)
	put := func(key string) {
		t.Helper()
		_, err := client.Put(t.Context(), key, "")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { // The baseline is over when a change is reported.
		_, err := client.Put(t.Context(), "/keys/ready", "")
		return err == nil && strings.Contains(readFile("", arrived), "/keys/ready")
	}, soon, 100*time.Millisecond)

	require.NoError(t, backend.Process().Stop(t.Context()))
	const changes = 100
	for i := range changes {
		put(fmt.Sprintf("/keys/%d", i))
	}
	require.Eventually(t, func() bool { return strings.Contains(readFile("", a.events), fmt.Sprintf("/keys/%d", changes-1)) }, soon, 50*time.Millisecond)
	require.NoError(t, a.collector.Kill())
	require.NoError(t, backend.Restart(t.Context()))
	require.NoError(t, a.collector.Restart(t.Context()))
	var found map[string]map[string]bool
	require.Eventually(t, func() bool {
		found = eventsNamed(t, arrived, "etcd.key.put", "etcd.key.name")
		return len(found) == changes+1
	}, soon, 500*time.Millisecond, "all over OTLP")
	for key, ids := range eventsNamed(t, a.events, "etcd.key.put", "etcd.key.name") {
		if key != "/keys/ready" {
			assert.Len(t, ids, 1, key)
			assert.Equal(t, ids, found[key], "one event, one ID")
		}
	}
}
