// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// A batch of 1,000 changes of a lock, with their spans.
func BenchmarkRender(b *testing.B) {
	a := Attempt{Lock: "/locks/deploy", Key: "/locks/deploy/694d8c5a4b2c1d0e", Lease: 0x694d8c5a4b2c1d0e, Created: 7, Queued: time.Unix(1, 0), Acquired: time.Unix(2, 0), Ended: time.Unix(3, 0), Cause: ByClient}
	for name, releases := range map[string]bool{"releases": true, "acquisitions and releases": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := collect.NewRenderer(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type), time.Unix(2, 0), "cluster")
				r.Grow(1000)
				for i := range 1000 {
					if releases || i%2 == 0 {
						Render(r, Released{Observed{Attempt: &a, Revision: 9}})
					} else {
						Render(r, Acquired{Observed{Attempt: &a, Revision: 9}})
					}
				}
				r.Emit(pcommon.NewResource())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
		})
	}
}
