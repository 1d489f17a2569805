// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Record records what is counted of keys, locks and elections, by prefix. Where a
// prefix is not current, what there is now is left out, and what has happened so
// far is not.
func Record(mb *metadata.MetricsBuilder, now pcommon.Timestamp, c Counts, current func(prefix string) bool) {
	key.Record(mb, now, c.Keys, current)
	lock.Record(mb, now, c.Locks, c.Elections, current)
	if len(c.Keys)+len(c.Locks)+len(c.Elections) > 0 {
		mb.RecordEtcdUnobservedCountDataPoint(now, c.KeysOverLimit, metadata.AttributeEtcdObjectKey)
	}
}

// Durations counts how long what is followed lasts. It is safe for concurrent use.
type Durations struct {
	locks  *lock.Durations
	leases *lease.Durations
}

// NewDurations counts from start on.
func NewDurations(prefixes Prefixes, start time.Time) *Durations {
	return &Durations{locks: lock.NewDurations(prefixes.Locks, prefixes.Elections, start), leases: lease.NewDurations(start)}
}

// Observe takes in what happened at a time.
func (d *Durations) Observe(cluster string, at time.Time, effects []Effect) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case key.Effect:
		case lock.Effect:
			d.locks.Observe(cluster, at, e)
		case lease.Effect:
			d.leases.Observe(cluster, at, e)
		}
	}
}

// AppendTo appends what was counted.
func (d *Durations) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	d.locks.AppendTo(metrics, now)
	d.leases.AppendTo(metrics, now)
}
