// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package watch

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
)

// What the queues between observing and delivering cost for each observation of
// one event and one span, beside consumers that are called without them.
func BenchmarkDelivery(b *testing.B) {
	settings := receivertest.NewNopSettings(component.MustNewType("test"))
	d, err := NewDelivery(settings, condition.NewReporter(settings.Logger))
	require.NoError(b, err)
	d.Logs, d.Traces = consumertest.NewNop(), consumertest.NewNop()
	var bare time.Duration // of processor time
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		began := processorTime(b)
		for range b.N {
			t := telemetryOf("a")
			require.NoError(b, d.logs.consume(b.Context(), t.Logs, 1))
			require.NoError(b, d.traces.consume(b.Context(), t.Traces, 1))
		}
		bare = (processorTime(b) - began) / time.Duration(b.N)
		b.ReportMetric(float64(bare), "cpu-ns/op")
	})
	b.Run("queue", func(b *testing.B) {
		b.ReportAllocs()
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		left, began := b.N, processorTime(b)
		Loop[string]{
			Next: func(ctx context.Context) (string, error) {
				if left--; left < 0 {
					cancel()
				}
				return "a", ctx.Err()
			},
			Step:      func(_ time.Time, name string) Telemetry { return telemetryOf(name) },
			Delivery:  d,
			Condition: func(error) {},
		}.Run(ctx)
		each := (processorTime(b) - began) / time.Duration(b.N)
		b.ReportMetric(float64(each), "cpu-ns/op")
		b.ReportMetric(float64(each)/float64(bare), "cpu/bare")
		// Of one core, if each of 5,000 changes a second were an observation of its own.
		b.ReportMetric(100*5000*(each-bare).Seconds(), "%core@5000/s")
	})
}

// processorTime returns what the process has used.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
