// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

// Each heartbeat has a lease of its own, which is never renewed: ten times as many as
// the budget allows to query.
func TestALeaseForEachHeartbeat(t *testing.T) {
	t.Parallel()
	const (
		writers = 20
		beats   = 40 // of each
		ttl     = 4
	)
	for _, mode := range []lease.Mode{lease.ModeWatched, lease.ModeAll} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			etcd, client := startEtcd(t, lab.ServerOptions{})
			cfg := configFor(etcd.Endpoints...)
			cfg.Leases.Mode, cfg.Leases.RequestsPerSecond = mode, 10
			o := observe(t, cfg)
			from := o.watching(t, client)
			var beating sync.WaitGroup
			for w := range writers {
				beating.Go(func() {
					for range beats {
						l, err := client.Grant(t.Context(), ttl)
						if assert.NoError(t, err) {
							_, err = client.Put(t.Context(), fmt.Sprint("/app/", w), "alive", clientv3.WithLease(l.ID))
							assert.NoError(t, err)
						}
						time.Sleep(200 * time.Millisecond)
					}
				})
			}
			beating.Wait()
			o.Eventually(t, "all have ended", func() bool { return len(o.Events("etcd.lease.ended")) >= writers*beats })
			left, err := client.Leases(t.Context())
			require.NoError(t, err)
			want := map[lease.Mode]int64{lease.ModeAll: int64(len(left.Leases))}[mode] // what etcd says, and none with a key
			o.Eventually(t, "the number of leases", o.HasValue(want, "etcd.lease.count"))
			causes := map[string]int{}
			for _, e := range o.Events("etcd.lease.ended") {
				causes[value(e.Attributes(), attrCause)]++
				require.Equal(t, "1", value(e.Attributes(), "etcd.lease.key.count"))
			}
			t.Logf("%v", causes)
			assert.Zero(t, causes["revoked"])
			assert.Equal(t, writers*beats, causes["expired"]+causes["unknown"])
			if mode == lease.ModeWatched {
				for _, count := range leaseCounts(o) {
					assert.LessOrEqual(t, count, int64(writers+1), "one of each writer, and the one of the lock that was given back first")
				}
			}
			o.requireTruth(t, client, from)
		})
	}
}

// leaseCounts returns the values that the number of leases had.
func leaseCounts(o *observed) (counts []int64) {
	for _, metrics := range o.Metrics.AllMetrics() {
		for _, rm := range metrics.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Name() == "etcd.lease.count" {
					counts = append(counts, m.Sum().DataPoints().At(0).IntValue())
				}
			}
		}
	}
	return counts
}
