// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package etcdreceiver

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// The history that the watches read: docs/benchmarks.md says how to read the
// numbers.
const (
	oneChanges   = 50_000 // under one prefix, which etcd sends slowly
	manyChanges  = 400_000
	benchWriters = 64
	benchLeases  = 100_000
)

func startBenchEtcd(b *testing.B) (*lab.Etcd, *clientv3.Client) {
	b.Helper()
	etcd, err := lab.StartEtcd(b.Context(), lab.ServerOptions{ExtraArgs: []string{"--unsafe-no-fsync", "--snapshot-count=10000000"}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, etcd.Stop(context.Background())) })
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, client.Close()) })
	return etcd, client
}

// inParallel does n things, some at the same time.
func inParallel(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range benchWriters {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := do(i - 1); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	workers.Wait()
}

// counting is a consumer that only counts.
type counting struct {
	records atomic.Int64
	want    int64
	done    chan struct{}
}

func (*counting) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *counting) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	n := int64(logs.LogRecordCount())
	if now := c.records.Add(n); now >= c.want && now-n < c.want {
		close(c.done)
	}
	return nil
}

// observeLogs runs a receiver of events until stop is called.
func observeLogs(b *testing.B, cfg *Config, next consumer.Logs) (stop func()) {
	b.Helper()
	r, err := NewFactory().CreateLogs(b.Context(), receivertest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(b, err)
	require.NoError(b, r.Start(b.Context(), componenttest.NewNopHost()))
	return func() { require.NoError(b, r.Shutdown(context.Background())) }
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// What reading a history of changes costs, from a real etcd to a consumer that
// does nothing, beside a loop over the watch of the client.
func BenchmarkWatch(b *testing.B) {
	for prefixes, changes := range map[int]int64{1: oneChanges, 100: manyChanges} {
		b.Run(fmt.Sprint("prefixes=", prefixes), func(b *testing.B) {
			etcd, client := startBenchEtcd(b)
			names := make([]string, prefixes)
			for i := range names {
				names[i] = fmt.Sprintf("/app-%03d/", i)
			}
			inParallel(b, int(changes), func(i int) error {
				_, err := client.Put(b.Context(), names[i%prefixes]+strconv.Itoa(i%5_000), "a value of usual length, such as this one")
				return err
			})
			var bare float64
			measure := func(b *testing.B, read func()) float64 {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				used := cpu()
				for b.Loop() {
					read()
				}
				used = cpu() - used
				runtime.ReadMemStats(&after)
				events := float64(b.N) * float64(changes)
				rate := events / b.Elapsed().Seconds()
				b.ReportMetric(rate, "events/s")
				b.ReportMetric(float64(used.Nanoseconds())/events, "cpu-ns/event")
				b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/events, "B/event")
				return rate
			}
			b.Run("bare", func(b *testing.B) {
				bare = measure(b, func() { readBare(b, etcd, names, changes) })
			})
			b.Run("receiver", func(b *testing.B) {
				rate := measure(b, func() { readObserved(b, etcd, names, changes) })
				if bare > 0 { // It may have been left out.
					b.ReportMetric(rate/bare, "rate/bare")
				}
			})
		})
	}
}

func readBare(b *testing.B, etcd *lab.Etcd, prefixes []string, changes int64) {
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(b, err)
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var read atomic.Int64
	done := make(chan struct{})
	for _, prefix := range prefixes {
		responses := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(2))
		go func() {
			for response := range responses {
				n := int64(len(response.Events))
				if now := read.Add(n); now >= changes && now-n < changes {
					close(done)
				}
			}
		}()
	}
	<-done
}

func readObserved(b *testing.B, etcd *lab.Etcd, prefixes []string, changes int64) {
	cfg := defaultConfig()
	cfg.Endpoints = etcd.Endpoints
	cfg.Watch.Prefixes = prefixes
	cfg.Watch.Start, cfg.Watch.Revision = keyspace.StartRevision, 2
	read := &counting{want: changes, done: make(chan struct{})}
	defer observeLogs(b, cfg, read)()
	<-read.done
}

// arrival is a consumer that says when the event of a revision arrived.
type arrival struct{ at chan time.Time }

func (*arrival) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (a *arrival) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	now := time.Now()
	for range logs.LogRecordCount() {
		a.at <- now
	}
	return nil
}

// The time from just before a put until the next consumer has its event, and
// until a loop over the watch of the client has it.
func BenchmarkLatency(b *testing.B) {
	const puts = 2_000
	etcd, client := startBenchEtcd(b)
	cfg := defaultConfig()
	cfg.Endpoints = etcd.Endpoints
	cfg.Watch.Prefixes = []string{"/app/"}
	receiver := &arrival{at: make(chan time.Time, puts)}
	defer observeLogs(b, cfg, receiver)()
	bare := make(chan time.Time, puts)
	responses := client.Watch(b.Context(), "/app/", clientv3.WithPrefix())
	go func() {
		for response := range responses {
			for range response.Events {
				bare <- time.Now()
			}
		}
	}()
	put := func() time.Time {
		began := time.Now()
		_, err := client.Put(b.Context(), "/app/key", "value")
		require.NoError(b, err)
		return began
	}
	require.Eventually(b, func() bool { // until both watch
		put()
		time.Sleep(50 * time.Millisecond)
		return len(receiver.at) > 0 && len(bare) > 0
	}, soon, time.Millisecond)
	for len(receiver.at) > 0 || len(bare) > 0 {
		select {
		case <-receiver.at:
		case <-bare:
		}
	}
	var own, peer []time.Duration
	for b.Loop() {
		own, peer = own[:0], peer[:0]
		for range puts {
			began := put()
			own = append(own, (<-receiver.at).Sub(began))
			peer = append(peer, (<-bare).Sub(began))
			time.Sleep(2 * time.Millisecond)
		}
	}
	percentile := func(of []time.Duration, p float64) float64 {
		slices.Sort(of)
		return float64(of[int(p*float64(len(of)-1))].Microseconds()) / 1000
	}
	for name, p := range map[string]float64{"p50": 0.5, "p99": 0.99} {
		b.ReportMetric(percentile(own, p), name+"-ms")
		b.ReportMetric(percentile(peer, p), "bare-"+name+"-ms")
	}
	b.ReportMetric(percentile(own, 0.99)/percentile(peer, 0.99), "p99/bare")
}

// What it costs to follow all leases: each operation is an interval of ten
// seconds, with its list of all leases and the questions about single ones.
func BenchmarkLeases(b *testing.B) {
	etcd, client := startBenchEtcd(b)
	inParallel(b, benchLeases, func(int) error {
		_, err := client.Grant(b.Context(), 3600)
		return err
	})
	cfg := defaultConfig()
	cfg.Endpoints = etcd.Endpoints
	cfg.Leases.Mode = lease.ModeAll
	cfg.Leases.RequestsPerSecond = 50
	cfg.Leases.Limit = 2 * benchLeases
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(b, err)
	require.NoError(b, w.Start(b.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(b, w.Shutdown(context.Background())) }()
	known := func() int64 {
		return w.keys.Counts().Leases.Alive
	}
	require.Eventually(b, func() bool { return known() == benchLeases }, soon, 100*time.Millisecond)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, used := heap(), cpu()
	for b.Loop() {
		time.Sleep(cfg.Scrape.CollectionInterval)
	}
	used = cpu() - used
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/interval")
	b.ReportMetric(float64(before)/benchLeases, "heap-B/lease")
	b.ReportMetric((float64(heap())-float64(before))/float64(before), "heap-growth")
}
