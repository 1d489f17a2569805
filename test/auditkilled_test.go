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
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// auditKilledConfig takes what Vault sends on both ways, and exports to files
// without a buffer, like killedConfig. What a kill leaves of an exchange that came
// over the socket is told soon.
const auditKilledConfig = `
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

// Vault is asked while the collector is killed and started again. In the end each
// request that Vault wrote to its file is one span, whole and with one ID; and what
// was sent to the socket is one, too, or of a time of which it was said that
// it may be lost.
func TestRequestsWhileTheCollectorIsKilled(t *testing.T) {
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
		if err := os.WriteFile(config, fmt.Appendf(nil, auditKilledConfig, health, dir, vault.Addr, socket), 0o600); err != nil {
			return err
		}
		collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: []string{config}, Dir: dir, ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, collector.Stop(context.Background())) })
	vault.enable(t, "socket")
	enabled := time.Now()
	// arrived waits until all is told that was asked for before, both ways.
	arrived := func(marker string) {
		vault.write(t, marker)
		for _, way := range []string{"file.jsonl", "socket.jsonl"} {
			require.Eventually(t, func() bool { return strings.Contains(readFile(dir, way), `"`+marker+`"`) }, time.Minute, 500*time.Millisecond, way)
		}
	}

	_, ended := vault.ask(t)
	time.Sleep(8 * time.Second)
	ended()
	arrived("kv/before")
	written := wholeRequests(t, vault.file)
	for _, way := range []string{"file.jsonl", "socket.jsonl"} {
		ids, _, _ := requestSpans(t, filepath.Join(dir, way))
		lost := 0
		for id, x := range written {
			if ids[id] == "" && x.request.After(enabled) {
				lost++
			}
		}
		assert.Zero(t, lost, "%s, of %d requests", way, len(written))
	}
	require.Empty(t, auditGaps(t, dir))

	_, ended = vault.ask(t)
	var killed []time.Time
	for range kills {
		time.Sleep(3500 * time.Millisecond) // Let it read some.
		killed = append(killed, time.Now())
		require.NoError(t, collector.Kill())
		time.Sleep(500 * time.Millisecond) // Let it miss some.
		require.NoError(t, collector.Restart(t.Context()))
	}
	told := len(readFile(dir, "socket.jsonl"))
	require.Eventually(t, func() bool { return len(readFile(dir, "socket.jsonl")) > told }, soon, 100*time.Millisecond, "Vault has dialed again")
	ended()
	arrived("kv/after")
	require.NoError(t, collector.Stop(t.Context()))

	written = wholeRequests(t, vault.file)
	ids, spans, halves := requestSpans(t, filepath.Join(dir, "file.jsonl"))
	lost := 0
	for id := range written {
		if ids[id] == "" {
			lost++
		}
	}
	assert.Zero(t, lost)
	assert.Zero(t, halves, "what was half read when the collector was killed")
	t.Logf("file: %d requests, %d spans", len(written), spans)

	gaps := auditGaps(t, dir)
	for _, at := range killed {
		assert.True(t, gaps.have(times{at, at}), "the kill of %s is in none of %s", at, gaps)
	}
	ids, spans, halves = requestSpans(t, filepath.Join(dir, "socket.jsonl"))
	lost, unsaid, doubtful := 0, 0, 0
	for id, x := range written {
		if gaps.have(x) {
			doubtful++
		}
		if ids[id] == "" && x.request.After(enabled) {
			if lost++; !gaps.have(x) {
				t.Logf("lost: %v in %s", x, gaps)
				unsaid++
			}
		}
	}
	assert.Zero(t, unsaid, "requests that are lost and not said to be")
	assert.NotZero(t, lost)
	t.Logf("socket: %d spans, %d of them halves; %d requests lost, all of them among the %d of the %d gaps %s", spans, halves, lost, doubtful, len(gaps), gaps)
}

// gaps are times in which requests may have been lost.
type gaps []struct{ from, until time.Time }

func (g gaps) have(x times) bool {
	for _, gap := range g {
		if x.within(gap.from, gap.until) {
			return true
		}
	}
	return false
}

func (g gaps) String() string {
	var all []string
	for _, gap := range g {
		all = append(all, fmt.Sprintf("%s + %s", gap.from.Format("15:04:05.000"), gap.until.Sub(gap.from).Round(time.Millisecond)))
	}
	return strings.Join(all, ", ")
}

// auditGaps returns those that were told.
func auditGaps(t *testing.T, dir string) (all gaps) {
	t.Helper()
	if readFile(dir, "events.jsonl") == "" {
		return nil // It is made for the first event.
	}
	eachLog(t, filepath.Join(dir, "events.jsonl"), func(event plog.LogRecord) {
		assert.NotEqual(t, "vault.audit.dropped", event.EventName())
		if event.EventName() != "vault.audit.gap" {
			return
		}
		seconds, ok := event.Attributes().Get("observation.gap.duration")
		require.True(t, ok)
		until := event.Timestamp().AsTime()
		all = append(all, struct{ from, until time.Time }{until.Add(-time.Duration(seconds.Double() * float64(time.Second))), until})
	})
	return all
}
