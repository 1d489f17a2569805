// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/histogram"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Record records what is counted: how many leases there are, and the rest if each
// is followed. What there is now is left out unless it is current.
func Record(mb *metadata.MetricsBuilder, now pcommon.Timestamp, c Counts, followed, current bool) {
	if current {
		mb.RecordEtcdLeaseCountDataPoint(now, c.Alive)
	}
	if !followed {
		return
	}
	if current {
		mb.RecordEtcdLeaseKeyCountDataPoint(now, c.Keys)
	}
	mb.RecordEtcdLeaseGrantsDataPoint(now, c.Granted)
	for cause, ended := range c.Ended {
		mb.RecordEtcdLeaseEndsDataPoint(now, ended, causes[cause])
	}
	mb.RecordEtcdUnobservedCountDataPoint(now, c.OverLimit, metadata.AttributeEtcdObjectLease)
}

// Durations counts how long leases live without being renewed, and how long they
// have left. It is safe for concurrent use.
type Durations struct{ ttl, remaining *histogram.Histogram }

// NewDurations counts from start on.
func NewDurations(start time.Time) *Durations {
	of := func(name, description string) *histogram.Histogram {
		return histogram.New(histogram.Config{Name: name, Description: description, Unit: "s", Start: start})
	}
	return &Durations{
		ttl:       of("etcd.lease.ttl", "Time to live that leases were granted with; each is counted once."),
		remaining: of("etcd.lease.remaining", "Time that leases had left when etcd was asked for them, which is when they might expire next."),
	}
}

// Observe takes in what happened at a time.
func (d *Durations) Observe(cluster string, at time.Time, effect Effect) {
	e, is := effect.(Queried)
	if !is {
		return
	}
	if e.First {
		d.ttl.Record(histogram.Key{}, float64(e.TTL), at, pcommon.TraceID{}, pcommon.SpanID{})
	}
	p := lifetime(cluster, e.Lease)
	d.remaining.Record(histogram.Key{}, float64(max(0, e.Remaining)), at, p.TraceID(), p.SpanID())
}

// AppendTo appends what was counted.
func (d *Durations) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	d.ttl.AppendTo(metrics, now)
	d.remaining.AppendTo(metrics, now)
}
