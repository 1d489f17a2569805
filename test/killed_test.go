// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// killedConfig exports to files without a buffer, so that what the receiver was
// told to be accepted is in them when the collector is killed.
const killedConfig = `
extensions:
  health_check:
    endpoint: %[1]s
  file_storage:
    directory: %[2]s/state
    create_directory: true
receivers:
  etcd:
    endpoints: [%[3]s]
    storage: file_storage
    watch: {prefixes: [/seq/]}
    locks: {prefixes: [/locks/]}
exporters:
  file/logs:
    path: %[2]s/logs.jsonl
    rotation: {max_megabytes: 4096}
  file/traces:
    path: %[2]s/traces.jsonl
    rotation: {max_megabytes: 4096}
service:
  telemetry: {metrics: {level: none}}
  extensions: [health_check, file_storage]
  pipelines:
    logs: {receivers: [etcd], exporters: [file/logs]}
    traces: {receivers: [etcd], exporters: [file/traces]}
`

const (
	killedRevisions = 200_000
	killedWriters   = 32
	kills           = 5
)

// The sequence is written while the collector is killed and started again; in
// the end each revision is told, and a lock that was held all the time has one
// trace with its true times.
func TestACollectorThatIsKilledLosesNothing(t *testing.T) {
	bin := binary(t)
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{ExtraArgs: []string{"--unsafe-no-fsync", "--snapshot-count=1000000"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	dir := t.TempDir()
	var collector *lab.Collector
	require.NoError(t, lab.OnFreePorts(t.Context(), 1, func(ports []int) (err error) {
		health := fmt.Sprintf("127.0.0.1:%d", ports[0])
		config := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, killedConfig, health, dir, etcd.Endpoints[0]), 0o600); err != nil {
			return err
		}
		collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
			Binary: bin, Configs: []string{config}, Dir: dir, ReadyURL: "http://" + health,
		})
		return err
	}))
	t.Cleanup(func() { require.NoError(t, collector.Stop(context.Background())) })
	// The baseline is over when a change is told.
	require.Eventually(t, func() bool {
		_, err := client.Put(t.Context(), "/seq/ready", "")
		return err == nil && strings.Contains(readFile(dir, "logs.jsonl"), "/seq/ready")
	}, soon, 100*time.Millisecond)

	session, err := concurrency.NewSession(client)
	require.NoError(t, err)
	lock := concurrency.NewMutex(session, "/locks/deploy")
	require.NoError(t, lock.Lock(t.Context()))
	locked := time.Now()

	written := make([]string, 2*killedRevisions) // key by revision
	var writers sync.WaitGroup
	for w := range killedWriters {
		writers.Go(func() {
			for i := range killedRevisions / killedWriters {
				key := fmt.Sprintf("/seq/%d/%d", w, i%100)
				reply, err := client.Put(t.Context(), key, "value")
				if !assert.NoError(t, err) {
					return
				}
				written[reply.Header.Revision] = key
			}
		})
	}
	ended := make(chan struct{})
	go func() { defer close(ended); writers.Wait() }()
	for range kills {
		time.Sleep(2 * time.Second) // Let it read some.
		require.NoError(t, collector.Kill())
		time.Sleep(500 * time.Millisecond) // Let it miss some.
		require.NoError(t, collector.Restart(t.Context()))
	}
	select {
	case <-ended:
		t.Log("all was written before the last restart")
	default:
	}
	<-ended
	held := time.Since(locked)
	require.NoError(t, lock.Unlock(t.Context()))
	last, err := client.Put(t.Context(), "/seq/last", "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(readFile(dir, "logs.jsonl"), "/seq/last") && strings.Contains(readFile(dir, "traces.jsonl"), `"etcd.lock.hold"`)
	}, 4*time.Minute, time.Second)

	told, records := map[int64]string{}, 0
	ids := map[string]int64{}
	eachLog(t, filepath.Join(dir, "logs.jsonl"), func(event plog.LogRecord) {
		require.NotEqual(t, "etcd.watch.gap", event.EventName())
		if event.EventName() != "etcd.key.put" {
			return
		}
		records++
		revision, _ := event.Attributes().Get("etcd.revision")
		key, _ := event.Attributes().Get("etcd.key.name")
		id, ok := event.Attributes().Get("log.record.uid")
		require.True(t, ok)
		if before, known := ids[id.Str()]; known {
			require.Equal(t, before, revision.Int(), "one ID, two events")
			return
		}
		ids[id.Str()] = revision.Int()
		require.Empty(t, told[revision.Int()], "one revision, two IDs")
		told[revision.Int()] = key.Str()
	})
	lost := 0
	for revision := int64(2); revision < last.Header.Revision; revision++ {
		if key := written[revision]; key != "" && told[revision] != key {
			lost++
		}
	}
	assert.Zero(t, lost, "revisions that were not told")
	t.Logf("%d revisions, told %d times", len(told), records)
	assert.GreaterOrEqual(t, len(told), killedRevisions)

	holds := spansNamed(t, filepath.Join(dir, "traces.jsonl"), "etcd.lock.hold")
	traces := map[string]bool{}
	for _, hold := range holds {
		traces[hold.TraceID().String()] = true
		length := hold.EndTimestamp().AsTime().Sub(hold.StartTimestamp().AsTime())
		assert.InDelta(t, held.Seconds(), length.Seconds(), 5, "it was held through all restarts")
	}
	assert.Len(t, traces, 1)
}

func readFile(dir, name string) string {
	content, _ := os.ReadFile(filepath.Join(dir, name)) // absent at first
	return string(content)
}

// eachLine calls do for every batch, of which each is a line. What a kill cut
// off, be it within the batch or just before the end of its line, has the next
// batch behind it in the same line; a batch that is cut off is told again.
func eachLine(t *testing.T, path string, do func(batch []byte) error) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewReaderSize(file, 1<<20)
	torn := 0
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		for batch := range batches(line) {
			if do(batch) != nil {
				torn++
			}
		}
	}
	assert.LessOrEqual(t, torn, kills)
}

// batches returns the batches of a line. The decoders of pdata stop at the end
// of the first and say nothing of what follows.
func batches(line []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(line) > 0 {
			end := len(line)
			for _, begin := range []string{`{"resourceLogs":`, `{"resourceSpans":`} {
				if next := bytes.Index(line[1:], []byte(begin)); next >= 0 {
					end = min(end, 1+next)
				}
			}
			if !yield(line[:end]) {
				return
			}
			line = line[end:]
		}
	}
}

// A kill between a batch and the end of its line glues the next one to it.
func TestBatchesOfOneLine(t *testing.T) {
	whole, torn := `{"resourceLogs":[{}]}`, `{"resourceLogs":[{`
	read := func(line string) (all []string) {
		for batch := range batches([]byte(line)) {
			all = append(all, string(batch))
		}
		return all
	}
	assert.Equal(t, []string{whole}, read(whole))
	assert.Equal(t, []string{whole, whole}, read(whole+whole))
	assert.Equal(t, []string{torn, torn, whole}, read(torn+torn+whole))
}

func eachLog(t *testing.T, path string, do func(plog.LogRecord)) {
	t.Helper()
	eachLine(t, path, func(line []byte) error {
		logs, err := new(plog.JSONUnmarshaler).UnmarshalLogs(line)
		if err != nil {
			return err
		}
		for _, rl := range logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, record := range sl.LogRecords().All() {
					do(record)
				}
			}
		}
		return nil
	})
}

func spansNamed(t *testing.T, path, name string) (spans []ptrace.Span) {
	t.Helper()
	eachLine(t, path, func(line []byte) error {
		traces, err := new(ptrace.JSONUnmarshaler).UnmarshalTraces(line)
		if err != nil {
			return err
		}
		for _, rs := range traces.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					if span.Name() == name {
						spans = append(spans, span)
					}
				}
			}
		}
		return nil
	})
	return spans
}
