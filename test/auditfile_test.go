// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// auditFileConfig exports to a file without a buffer, like killedConfig.
const auditFileConfig = `
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
        poll_interval: 10ms
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

// Vault is asked while the collector is killed and started again; in the end
// each request that Vault wrote to its file is one span, whole and with one ID.
func TestAuditFilesLoseNothingWhenTheCollectorIsKilled(t *testing.T) {
	bin := binary(t)
	vault, err := lab.StartVault(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, vault.Stop(context.Background())) })
	client, err := api.NewClient(&api.Config{Address: vault.Addr})
	require.NoError(t, err)
	client.SetToken(vault.RootToken)
	dir := t.TempDir()
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": filepath.Join(dir, "audit.log")},
	}))
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))

	var collector *lab.Collector
	require.NoError(t, lab.OnFreePorts(t.Context(), 1, func(ports []int) (err error) {
		health := fmt.Sprintf("127.0.0.1:%d", ports[0])
		config := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, auditFileConfig, health, dir, vault.Addr), 0o600); err != nil {
			return err
		}
		collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: []string{config}, Dir: dir, ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, collector.Stop(context.Background())) })

	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				_, err := client.Logical().Write(fmt.Sprintf("kv/key-%d", c), map[string]any{"field": "value"})
				assert.NoError(t, err)
			}
		})
	}
	for range kills {
		time.Sleep(2 * time.Second) // Let it read some.
		require.NoError(t, collector.Kill())
		time.Sleep(500 * time.Millisecond) // Let it miss some.
		require.NoError(t, collector.Restart(t.Context()))
	}
	enough()
	clients.Wait()

	_, err = client.Logical().Write("kv/last", map[string]any{"field": "value"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(readFile(dir, "traces.jsonl"), `"kv/last"`) }, time.Minute, 500*time.Millisecond)

	written := wholeRequests(t, filepath.Join(dir, "audit.log"))
	ids, spans, halves := requestSpans(t, filepath.Join(dir, "traces.jsonl"))
	lost := 0
	for id := range written {
		if ids[id] == "" {
			lost++
		}
	}
	assert.Zero(t, lost)
	assert.Zero(t, halves, "what was half read when the collector was killed")
	t.Logf("%d requests, %d spans", len(written), spans)
}

// wholeRequests returns the requests of which the file has both entries.
func wholeRequests(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	types, whole := map[string]string{}, map[string]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Type    string
			Request struct{ ID string }
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &entry))
		if before := types[entry.Request.ID]; before != "" && before != entry.Type {
			whole[entry.Request.ID] = true
		}
		types[entry.Request.ID] = entry.Type
	}
	require.NoError(t, lines.Err())
	return whole
}

// requestSpans returns the ID of the span of each request, how many spans there
// are, and how many are of half an exchange.
func requestSpans(t *testing.T, path string) (ids map[string]string, spans, halves int) {
	t.Helper()
	ids = map[string]string{}
	eachLine(t, path, func(line []byte) error {
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(line)
		if err != nil {
			return err
		}
		for _, rs := range traces.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					request, ok := span.Attributes().Get("vault.request.id")
					if !ok {
						continue
					}
					if _, half := span.Attributes().Get("vault.request.half"); half {
						halves++
					}
					spans++
					if before := ids[request.Str()]; before != "" {
						require.Equal(t, before, span.SpanID().String(), "one request, two spans")
					}
					ids[request.Str()] = span.SpanID().String()
				}
			}
		}
		return nil
	})
	return ids, spans, halves
}
