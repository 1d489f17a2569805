// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// A batch of 1,000 changes of keys.
func BenchmarkRender(b *testing.B) {
	const n = 1000
	puts, mixed := make([]state.Effect, n), make([]state.Effect, n)
	for i := range n {
		e := state.Effect{
			Kind: state.KeyPut, At: time.Unix(1, 0), Revision: int64(i) + 2,
			Change: state.Change{Key: state.Key{Name: fmt.Sprint("/app/key-", i), Created: 2, Modified: int64(i) + 2, Version: int64(i) + 1, Size: 100}},
		}
		puts[i], mixed[i] = e, e
		if i%2 == 1 {
			mixed[i].Kind = state.KeyDeleted
		}
	}
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	for name, effects := range map[string][]state.Effect{"puts": puts, "puts and deletes": mixed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if told := story.Render(time.Unix(2, 0), cluster, clusterResource(), effects); told.Logs.LogRecordCount() != n {
					b.Fatal("not all are told")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
}
