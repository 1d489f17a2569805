// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace_test

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// A batch of 1,000 changes of keys.
func BenchmarkRender(b *testing.B) {
	const n = 1000
	puts, mixed := make([]keyspace.Effect, n), make([]keyspace.Effect, n)
	for i := range n {
		k := key.Key{Name: fmt.Sprint("/app/key-", i), Created: 2, Modified: int64(i) + 2, Version: int64(i) + 1, Size: 100}
		puts[i], mixed[i] = &key.Put{Key: k}, &key.Put{Key: k}
		if i%2 == 1 {
			mixed[i] = key.Deleted{Key: k}
		}
	}
	for name, effects := range map[string][]keyspace.Effect{"puts": puts, "puts and deletes": mixed} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := collect.NewRenderer(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type), time.Unix(2, 0), cluster)
				keyspace.Render(r, effects)
				if rendered := r.Emit(clusterResource()); rendered.Logs.LogRecordCount() != n {
					b.Fatal("not all are rendered")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
}
