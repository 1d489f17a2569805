// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/histogram"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

const attrPrefix = "etcd.watch.prefix"

// Durations counts how long it was waited for locks, how long they were held,
// and so on. It is safe for concurrent use.
type Durations struct {
	wait, hold, term, ttl, remaining *histogram.Histogram
}

// NewDurations counts from start on.
func NewDurations(prefixes state.Prefixes, start time.Time) *Durations {
	of := func(name, description string, attribute string, prefixes ...string) *histogram.Histogram {
		h := histogram.New(histogram.Config{
			Name: name, Description: description, Unit: "s", Attributes: [3]string{attribute}, Start: start,
		})
		for _, prefix := range prefixes {
			h.Declare(histogram.Key{text(prefix)})
		}
		return h
	}
	return &Durations{
		wait:      of("etcd.lock.wait.duration", "How long attempts waited until they held their lock.", attrPrefix, prefixes.Locks...),
		hold:      of("etcd.lock.hold.duration", "How long locks were held.", attrPrefix, prefixes.Locks...),
		term:      of("etcd.election.term.duration", "How long leaders led.", attrPrefix, prefixes.Elections...),
		ttl:       of("etcd.lease.ttl", "Time to live that leases were granted with; each is counted once.", ""),
		remaining: of("etcd.lease.remaining", "Time that leases had left when etcd was asked for them, which is when they might expire next.", ""),
	}
}

// Observe takes in what happened. Times that are not known are not counted.
func (d *Durations) Observe(cluster string, effects []state.Effect) {
	for _, e := range effects {
		switch {
		case e.Kind == state.LeaseAsked:
			if e.Lease.First {
				d.ttl.Record(histogram.Key{}, float64(e.Lease.TTL), e.At, pcommon.TraceID{}, pcommon.SpanID{})
			}
			lease := (&teller{cluster: cluster}).lifetime(*e.Lease)
			d.remaining.Record(histogram.Key{}, float64(e.Lease.Remaining), e.At, lease.TraceID(), lease.SpanID())
		case e.Attempt == nil || !e.Attempt.Holds():
		case e.Kind == state.LockAcquired || e.Kind == state.LockReleased:
			d.attempt(&teller{cluster: cluster}, e)
		}
	}
}

func (d *Durations) attempt(t *teller, e state.Effect) {
	a := *e.Attempt
	switch {
	case e.Kind == state.LockAcquired && !a.Election && !a.BeganBefore && !a.Reconciled:
		record(d.wait, t.wait(a), a, e.At)
	case e.Kind != state.LockReleased || a.HeldBefore || a.HoldReconciled:
	case !a.Election:
		record(d.hold, t.hold(a), a, e.At)
	default:
		record(d.term, t.term(a), a, e.At)
	}
}

func record(h *histogram.Histogram, p period.Period, a state.Attempt, at time.Time) {
	length := max(0, p.End.Sub(p.Start)) // A clock can be set back, over a restart.
	h.Record(histogram.Key{text(a.Prefix)}, length.Seconds(), at, p.TraceID(), p.SpanID())
}

// AppendTo appends what was counted.
func (d *Durations) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	for _, h := range []*histogram.Histogram{d.wait, d.hold, d.term, d.ttl, d.remaining} {
		h.AppendTo(metrics, now)
	}
}
