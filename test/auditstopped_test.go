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

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// auditStoppedConfig takes what Vault sends both ways at once.
const auditStoppedConfig = `
extensions:
  health_check:
    endpoint: %[1]s
  file_storage:
    directory: %[2]s/state
    create_directory: true
receivers:
  vault:
    endpoint: %[3]s
    storage: file_storage
    audit:
      file:
        include: [%[2]s/audit.log*]
        start_at: beginning
      socket:
        endpoint: %[4]s
exporters:
  file:
    path: %[2]s/traces.jsonl
    rotation: {max_megabytes: 4096}
service:
  telemetry: {metrics: {level: none}}
  extensions: [health_check, file_storage]
  pipelines:
    traces: {receivers: [vault], exporters: [file]}
`

// The collector is stopped while Vault is asked, so that it takes nothing of what
// is sent to it. Vault goes on, with its devices as the guide says; and all is
// told when the collector goes on.
func TestVaultGoesOnWhileTheCollectorIsStopped(t *testing.T) {
	bin, dir := binary(t), t.TempDir()
	var vault *askedVault
	var collector *lab.Collector
	require.NoError(t, lab.OnFreePorts(t.Context(), 2, func(ports []int) (err error) {
		health, socket := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
		if vault == nil {
			vault = startAskedVault(t, dir, socket)
		}
		vault.socket = socket
		config := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, auditStoppedConfig, health, dir, vault.Addr, socket), 0o600); err != nil {
			return err
		}
		collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: []string{config}, Dir: dir, ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, collector.Stop(context.Background())) })
	vault.enable(t, "socket")

	load, ended := vault.ask(t)
	defer ended()
	load.during(time.Second)
	before, slowestBefore := load.during(5 * time.Second)
	require.NoError(t, collector.Process().Suspend())
	stopped, slowestStopped := load.during(20 * time.Second)
	require.NoError(t, collector.Process().Resume())
	after, slowestAfter := load.during(3 * time.Second)
	ended()
	t.Logf("requests in a second, and the slowest: %.0f, %s; while it is stopped %.0f, %s; after that %.0f, %s",
		before, slowestBefore, stopped, slowestStopped, after, slowestAfter)
	assert.Greater(t, stopped, before/2, "requests in a second while the collector is stopped")

	vault.write(t, "kv/after")
	require.Eventually(t, func() bool { return strings.Contains(readFile(dir, "traces.jsonl"), `"kv/after"`) }, time.Minute, 500*time.Millisecond)
	require.NoError(t, collector.Stop(t.Context()))
	written := wholeRequests(t, vault.file)
	ids, spans, halves := requestSpans(t, filepath.Join(dir, "traces.jsonl"))
	lost := 0
	for id := range written {
		if ids[id] == "" {
			lost++
		}
	}
	assert.Zero(t, lost)
	assert.Zero(t, halves)
	t.Logf("%d requests, %d spans", len(written), spans)
}
