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

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// bothWaysConfig takes what Vault sends both ways, each for itself, and exports to
// files without a buffer, like killedConfig. What a kill leaves of an exchange that
// came over the socket is told soon.
const bothWaysConfig = `
extensions:
  health_check:
    endpoint: %[1]s
  file_storage:
    directory: %[2]s/state
    create_directory: true
receivers:
  vault/file:
    endpoint: %[3]s
    storage: file_storage
    audit:
      file:
        include: [%[2]s/audit.log*]
        start_at: beginning
        poll_interval: 10ms
  vault/socket:
    endpoint: %[3]s
    storage: file_storage
    audit:
      socket:
        endpoint: %[4]s
      wait: 1s
      queue: 100000
    events:
      vault.audit.request: {enabled: false}
      vault.audit.response: {enabled: false}
exporters:
  file/file:
    path: %[2]s/file.jsonl
    rotation: {max_megabytes: 4096}
  file/socket:
    path: %[2]s/socket.jsonl
    rotation: {max_megabytes: 4096}
  file/events:
    path: %[2]s/events.jsonl
    rotation: {max_megabytes: 4096}
service:
  telemetry: {metrics: {level: none}}
  extensions: [health_check, file_storage]
  pipelines:
    traces/file: {receivers: [vault/file], exporters: [file/file]}
    traces/socket: {receivers: [vault/socket], exporters: [file/socket]}
    logs: {receivers: [vault/socket], exporters: [file/events]}
`

// ways are the files of the spans of either way.
var ways = []string{"file.jsonl", "socket.jsonl"}

// arrived waits until all that was asked for is told both ways.
func arrived(t *testing.T, vault *askedVault, dir, marker string) {
	t.Helper()
	vault.write(t, marker)
	for _, way := range ways {
		require.Eventually(t, func() bool { return strings.Contains(readFile(dir, way), `"`+marker+`"`) }, time.Minute, 500*time.Millisecond, way)
	}
}

// startBothWays starts a Vault and a collector which takes what it sends, and
// exports it to the folder.
func startBothWays(t *testing.T) (vault *askedVault, collector *lab.Collector, dir string) {
	t.Helper()
	bin := binary(t)
	dir = t.TempDir()
	require.NoError(t, lab.OnFreePorts(t.Context(), 2, func(ports []int) (err error) {
		health, socket := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
		if vault == nil {
			vault = startAskedVault(t, dir, socket)
		}
		vault.socket = socket
		config := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, bothWaysConfig, health, dir, vault.Addr, socket), 0o600); err != nil {
			return err
		}
		collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: []string{config}, Dir: dir, ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, collector.Stop(context.Background())) })
	vault.enable(t, "socket")
	return vault, collector, dir
}
