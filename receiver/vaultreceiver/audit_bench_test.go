// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaultreceiver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// pairsOfStream is half the number of the entries that BenchmarkAudit reads.
const pairsOfStream = 10_000

// auditRecording returns the exchanges that a real Vault wrote to a file device,
// again and again until there are so many: each with an ID and times of its own.
func auditRecording(tb testing.TB, pairs int) []byte {
	content, err := os.ReadFile("internal/audit/testdata/vault_1_19_5.jsonl")
	require.NoError(tb, err)
	var reader audit.Reader
	pairing := audit.NewPairing(100, time.Minute)
	lines := map[string][][]byte{}
	var whole []string
	for line := range bytes.Lines(content) {
		e, err := reader.Read(line)
		require.NoError(tb, err)
		lines[e.ID] = append(lines[e.ID], line)
		for _, x := range pairing.Take(e.Time, e) {
			whole = append(whole, x.Known().ID)
		}
	}
	require.NotEmpty(tb, whole)
	var stream bytes.Buffer
	for i := range pairs {
		id := whole[i%len(whole)]
		for half, line := range lines[id] {
			line = bytes.Replace(line, []byte(id), fmt.Appendf(nil, "00000000-0000-0000-0000-%012d", i), 1)
			before, after, found := bytes.Cut(line, []byte(`"time":"`))
			require.True(tb, found)
			_, after, _ = bytes.Cut(after, []byte(`"`))
			at := time.Unix(1_800_000_000, 0).UTC().Add(time.Duration(i)*time.Millisecond + time.Duration(half)*150*time.Microsecond)
			stream.Write(before)
			fmt.Fprintf(&stream, `"time":"%s"`, at.Format("2006-01-02T15:04:05.000000000Z"))
			stream.Write(after)
		}
	}
	return stream.Bytes()
}

// What it costs to make telemetry of an audit stream, in the same run as a loop
// that only reads the same stream with encoding/json, and as contrib's filelog.
func BenchmarkAudit(b *testing.B) {
	stream := auditRecording(b, pairsOfStream)
	rates, costs := map[string]float64{}, map[string]float64{}
	for _, way := range []struct {
		name string
		run  func(b *testing.B, stream []byte)
	}{{"json", auditByJSON}, {"filelog", auditByFilelog}, {"receiver", auditByReceiver}, {"core", auditByCore}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			used, began := cpu(), time.Now()
			way.run(b, stream)
			used, took := cpu()-used, time.Since(began)
			entries := float64(2 * pairsOfStream * b.N)
			rates[way.name], costs[way.name] = entries/took.Seconds(), float64(used.Nanoseconds())/1000/entries
			b.ReportMetric(rates[way.name], "entries/s")
			b.ReportMetric(costs[way.name], "cpu-µs/entry")
			for _, peer := range []string{"json", "filelog"} {
				if rates[peer] > 0 && peer != way.name {
					b.ReportMetric(rates[way.name]/rates[peer], "rate/"+peer)
					b.ReportMetric(costs[way.name]/costs[peer], "cpu/"+peer)
				}
			}
		})
	}
}

// auditByJSON is a bare loop.
func auditByJSON(b *testing.B, stream []byte) {
	type entry struct {
		Type, Time, Error string
		ForwardedFrom     string `json:"forwarded_from"`
		Request           struct {
			ID, Operation, Path string
			Namespace           struct{ Path string }
			MountPoint          string `json:"mount_point"`
			MountType           string `json:"mount_type"`
			RemoteAddress       string `json:"remote_address"`
			RemotePort          int    `json:"remote_port"`
			Headers             struct {
				UserAgent               []string `json:"user-agent"`
				TraceParent, TraceState []string
			}
		}
		Auth struct {
			DisplayName   string                  `json:"display_name"`
			EntityID      string                  `json:"entity_id"`
			TokenType     string                  `json:"token_type"`
			PolicyResults *struct{ Allowed bool } `json:"policy_results"`
		}
		Response struct {
			Secret struct {
				LeaseID string `json:"lease_id"`
			}
			Auth struct {
				TokenTTL int64 `json:"token_ttl"`
			}
		}
	}
	for b.Loop() {
		from := bufio.NewReaderSize(bytes.NewReader(stream), 64<<10)
		read := 0
		for {
			line, err := from.ReadSlice('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(b, err)
			var e entry
			require.NoError(b, json.Unmarshal(line, &e))
			read++
		}
		require.Equal(b, 2*pairsOfStream, read)
	}
}

// auditByFilelog is the file_log receiver with a JSON parser. Its pause before
// each look at the files is as short as may be.
func auditByFilelog(b *testing.B, stream []byte) {
	file := filepath.Join(b.TempDir(), "audit.log")
	require.NoError(b, os.WriteFile(file, stream, 0o600))
	factory := filelogreceiver.NewFactory()
	for b.Loop() {
		cfg := factory.CreateDefaultConfig()
		require.NoError(b, confmap.NewFromStringMap(map[string]any{
			"include": []any{file}, "start_at": "beginning", "poll_interval": "1ms",
			"operators": []any{map[string]any{"type": "json_parser"}},
		}).Unmarshal(cfg))
		var got counting
		filelog, err := factory.CreateLogs(b.Context(), receivertest.NewNopSettings(factory.Type()), cfg, &got)
		require.NoError(b, err)
		require.NoError(b, filelog.Start(b.Context(), componenttest.NewNopHost()))
		waitFor(&got.records, 2*pairsOfStream)
		require.NoError(b, filelog.Shutdown(context.Background()))
	}
}

// countingSpans is a consumer that only counts.
type countingSpans struct{ spans atomic.Int64 }

func (*countingSpans) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *countingSpans) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	c.spans.Add(int64(traces.SpanCount()))
	return nil
}

func waitFor(counted *atomic.Int64, want int64) {
	for counted.Load() < want {
		time.Sleep(100 * time.Microsecond)
	}
	runtime.Gosched()
}

// auditByReceiver is all of it, from a connection to the consumers of the spans
// and events. The queue takes all of the stream, so that nothing is dropped.
func auditByReceiver(b *testing.B, stream []byte) {
	cfg := only("http://127.0.0.1:1", "")
	cfg.Audit.Socket.GetOrInsertDefault().Endpoint = "127.0.0.1:0"
	cfg.Audit.Queue = 2 * pairsOfStream
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(b, err)
	for b.Loop() {
		var records counting
		var spans countingSpans
		w.Delivery().Logs, w.Delivery().Traces = &records, &spans
		s := newAuditStream(w)
		ctx, cancel := context.WithCancel(b.Context())
		socket, err := s.listen(ctx)
		require.NoError(b, err)
		s.sources = append(s.sources, socket.run)
		ended := make(chan struct{})
		go func() { defer close(ended); s.run(ctx) }()
		conn, err := net.Dial("tcp", socket.listener.Addr().String())
		require.NoError(b, err)
		_, err = conn.Write(stream)
		require.NoError(b, err)
		waitFor(&spans.spans, pairsOfStream)
		waitFor(&records.records, 2*pairsOfStream)
		require.NoError(b, conn.Close())
		cancel()
		<-ended
		require.EqualValues(b, 2*pairsOfStream, s.outcomes[accepted].Load())
		require.EqualValues(b, pairsOfStream, spans.spans.Load())
	}
}

// auditByCore makes spans and events of lines, without anything around it.
func auditByCore(b *testing.B, stream []byte) {
	cfg := only("http://127.0.0.1:1", "")
	exchanges := &telemetry.Exchanges{
		Story: telemetry.NewStory(cfg.Events, receivertest.NewNopSettings(metadata.Type)), Trust: telemetry.TrustParent,
		Redact: cfg.Audit.redact(), Resource: pcommon.NewResource,
	}
	for b.Loop() {
		lines := audit.NewLines(bytes.NewReader(stream), 16<<20)
		var reader audit.Reader
		pairing := audit.NewPairing(cfg.Audit.Queue, time.Minute)
		spans := 0
		var over []audit.Exchange
		tell := func() {
			spans += exchanges.Render(time.Unix(1_800_000_000, 0), over).Traces.SpanCount()
			over = nil
		}
		for {
			line, err := lines.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(b, err)
			e, err := reader.Read(line)
			require.NoError(b, err)
			if over = append(over, pairing.Take(e.Time, e)...); len(over) >= entriesAtOnce/2 {
				tell()
			}
		}
		tell()
		require.Equal(b, pairsOfStream, spans)
	}
}

// What a device of type http waits for: one entry, posted by eight at a time.
func BenchmarkAuditPost(b *testing.B) {
	lines := bytes.SplitAfter(bytes.TrimSpace(auditRecording(b, 5000)), []byte("\n"))
	for _, secure := range []bool{false, true} {
		b.Run(fmt.Sprint("tls=", secure), func(b *testing.B) {
			cfg, uri := posting(b, only("http://127.0.0.1:1", ""))
			d, host := newDevice(b, uri), component.Host(extensions{})
			if secure {
				d, host = secured(b, cfg, uri)
				d.client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
			}
			w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
			require.NoError(b, err)
			server, err := w.audit.serve(b.Context(), host)
			require.NoError(b, err)
			w.audit.sources = append(w.audit.sources, server.run)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); w.audit.run(ctx) }()
			defer func() { cancel(); <-ended }()
			var next atomic.Int64
			var mu sync.Mutex
			var took []time.Duration
			b.ReportAllocs()
			b.SetParallelism(8 / runtime.GOMAXPROCS(0))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				var own []time.Duration
				for pb.Next() {
					began := time.Now()
					status, _, err := d.post(lines[int(next.Add(1))%len(lines)])
					if err != nil || status != http.StatusNoContent {
						b.Error(status, err)
						return
					}
					own = append(own, time.Since(began))
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, own...)
			})
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
