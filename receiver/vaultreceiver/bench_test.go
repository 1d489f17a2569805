// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaultreceiver

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// counting is a consumer that only counts.
type counting struct{ records atomic.Int64 }

func (*counting) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *counting) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	c.records.Add(int64(logs.LogRecordCount()))
	return nil
}

// What it costs to follow leases at rest, when all were asked for: each
// operation is an interval with its list of all of them, and one collection.
func BenchmarkLeases(b *testing.B) {
	vault, err := lab.StartVault(b.Context(), lab.ServerOptions{})
	require.NoError(b, err)
	defer func() { require.NoError(b, vault.Stop(context.Background())) }()
	client, err := vault.Client(0)
	require.NoError(b, err)
	made := 0
	for _, many := range []int{10, 1_000, 20_000} {
		issueMany(b, client, many-made)
		made = many
		b.Run(fmt.Sprint("leases=", many), func(b *testing.B) { followAtRest(b, vault, many) })
	}
}

func followAtRest(b *testing.B, vault *lab.Vault, many int) {
	cfg := only(vault.Addr, vault.RootToken)
	cfg.Leases.Mode = ModePrefixes
	cfg.Leases.Prefixes = []string{"auth"}
	cfg.Leases.Interval = time.Second
	cfg.Leases.RequestsPerSecond = 5000
	own := componenttest.NewTelemetry()
	defer func() { require.NoError(b, own.Shutdown(context.Background())) }()
	settings := receivertest.NewNopSettings(metadata.Type)
	settings.TelemetrySettings = own.NewTelemetrySettings()
	settings.TracerProvider = noop.NewTracerProvider() // That one keeps each span.
	requests := func() (sum int64) {
		counted, err := own.GetMetric("otelcol_vault_requests")
		require.NoError(b, err)
		for _, point := range counted.Data.(metricdata.Sum[int64]).DataPoints {
			if endpoint, _ := point.Attributes.Value("request"); strings.HasPrefix(endpoint.AsString(), endpointIrrevocable) {
				sum += point.Value // All begin with sys/leases.
			}
		}
		return sum
	}

	before := heap()
	w, err := newWatcher(cfg, settings)
	require.NoError(b, err)
	w.Delivery().Logs = &counting{}
	require.NoError(b, w.Start(b.Context(), componenttest.NewNopHost()))
	defer func() { require.NoError(b, w.Shutdown(context.Background())) }()
	l := w.domains[0].(*leases)
	builder := metadata.NewMetricsBuilder(cfg.Metrics, settings)
	require.Eventually(b, func() bool {
		w.record(builder, time.Now())
		builder.Emit()
		l.mu.Lock()
		defer l.mu.Unlock()
		counts := l.roster.Count(time.Now(), l.group())
		return counts.Unread == 0 && counts.Groups[""] == int64(many)
	}, 5*time.Minute, 100*time.Millisecond)

	first := heap()
	asked, used := requests(), cpu()
	for b.Loop() {
		time.Sleep(cfg.Leases.Interval)
		w.record(builder, time.Now())
		builder.Emit()
	}
	used = cpu() - used
	b.ReportMetric(float64(requests()-asked)/float64(b.N), "requests/list")
	b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/list")
	b.ReportMetric(float64(first-before)/float64(many), "heap-B/lease")
	b.ReportMetric((float64(heap())-float64(first))/float64(first), "heap-growth")
}
