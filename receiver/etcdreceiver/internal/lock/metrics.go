// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/histogram"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Record records what is counted of locks and of elections, by prefix. Where a
// prefix is not current, what there is now is left out, and what has happened so
// far is not.
func Record(mb *metadata.MetricsBuilder, now pcommon.Timestamp, locks, elections map[string]Counts, current func(prefix string) bool) {
	for prefix, of := range locks {
		name := collect.Text(prefix)
		if current(prefix) {
			mb.RecordEtcdLockWaiterCountDataPoint(now, of.Waiting, name)
			mb.RecordEtcdLockHolderCountDataPoint(now, of.Holding, name)
		}
		mb.RecordEtcdLockAcquisitionsDataPoint(now, of.Acquired, name)
		mb.RecordEtcdLockAbandonmentsDataPoint(now, of.Abandoned, name)
	}
	for prefix, of := range elections {
		name := collect.Text(prefix)
		if current(prefix) {
			mb.RecordEtcdElectionCandidateCountDataPoint(now, of.Waiting, name)
			mb.RecordEtcdElectionLeaderCountDataPoint(now, of.Holding, name)
		}
		mb.RecordEtcdElectionElectionsDataPoint(now, of.Acquired, name)
	}
}

// Durations counts how long it was waited for locks, how long they were held, and
// how long leaders led. It is safe for concurrent use.
type Durations struct{ wait, hold, term *histogram.Histogram }

// NewDurations counts from start on, under each prefix.
func NewDurations(locks, elections []string, start time.Time) *Durations {
	of := func(name, description string, prefixes []string) *histogram.Histogram {
		h := histogram.New(histogram.Config{
			Name: name, Description: description, Unit: "s", Attributes: [3]string{"etcd.watch.prefix"}, Start: start,
		})
		for _, prefix := range prefixes {
			h.Declare(histogram.Key{collect.Text(prefix)})
		}
		return h
	}
	return &Durations{
		wait: of("etcd.lock.wait.duration", "How long attempts waited until they held their lock.", locks),
		hold: of("etcd.lock.hold.duration", "How long locks were held.", locks),
		term: of("etcd.election.term.duration", "How long leaders led.", elections),
	}
}

// Observe takes in what happened at a time. Times that are not known are not
// counted.
func (d *Durations) Observe(cluster string, at time.Time, effect Effect) {
	switch e := effect.(type) {
	case Acquired:
		if a := e.Attempt; !a.Election && !a.BeganBefore && !a.Reconciled {
			record(d.wait, wait(cluster, a), a, at)
		}
	case Released:
		switch a := e.Attempt; {
		case !a.Holds() || a.HeldBefore || a.HoldReconciled:
		case !a.Election:
			record(d.hold, hold(cluster, a), a, at)
		default:
			record(d.term, term(cluster, a), a, at)
		}
	}
}

func record(h *histogram.Histogram, p period.Period, a *Attempt, at time.Time) {
	length := max(0, p.End.Sub(p.Start)) // A clock can be set back, over a restart.
	h.Record(histogram.Key{collect.Text(a.Prefix)}, length.Seconds(), at, p.TraceID(), p.SpanID())
}

// AppendTo appends what was counted.
func (d *Durations) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	for _, h := range []*histogram.Histogram{d.wait, d.hold, d.term} {
		h.AppendTo(metrics, now)
	}
}
