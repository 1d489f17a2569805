// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// The names of the spans of an attempt at a lock and of its two parts, and of a
// term of an election.
const (
	SpanAttempt = "etcd.lock.attempt"
	SpanWait    = "etcd.lock.wait"
	SpanHold    = "etcd.lock.hold"
	SpanTerm    = "etcd.election.term"
)

var endCauses = map[EndCause]metadata.AttributeEtcdLockEndCause{
	CauseUnknown: metadata.AttributeEtcdLockEndCauseUnknown,
	ByClient:     metadata.AttributeEtcdLockEndCauseReleased,
	LeaseExpired: metadata.AttributeEtcdLockEndCauseLeaseExpired,
}

// Render renders an effect as an event and spans: of an attempt at a lock a marker
// when it is enqueued, its wait when it acquires, its hold and the whole when it
// ends. A candidate of an election is reported when it comes to lead, and its term
// when that is over; a candidacy that comes to nothing is not.
func Render(r *collect.Renderer, effect Effect) {
	switch e := effect.(type) {
	case Queued:
		if !e.Attempt.Election {
			renderQueued(r, e)
		}
	case Acquired:
		if e.Attempt.Election {
			renderElected(r, e)
		} else {
			renderAcquired(r, e)
		}
	case Released:
		switch {
		case !e.Attempt.Election:
			renderReleased(r, e)
		case e.Attempt.Holds():
			renderTermEnd(r, e)
		}
	case Abandoned:
		if !e.Attempt.Election {
			renderAbandoned(r, e)
		}
	}
}

func renderQueued(r *collect.Renderer, e Queued) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	event(r, e.Observed, plog.SeverityNumberInfo, n.line("queued"), func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockQueuedEvent(ctx, r.At, n.lock, n.key, n.lease, int64(e.Attempt.Position), e.Revision, e.Reconciled)
	})
	p.AppendStart(r.Spans)
}

func renderAcquired(r *collect.Renderer, e Acquired) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	event(r, e.Observed, plog.SeverityNumberInfo, n.line("acquired"), func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockAcquiredEvent(ctx, r.At, n.lock, n.key, n.lease, e.Revision, e.Reconciled)
	})
	wait(r.Cluster, e.Attempt).Append(r.Spans)
}

func renderReleased(r *collect.Renderer, e Released) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	severity, line := plog.SeverityNumberInfo, n.line("released")
	if e.Attempt.Cause == LeaseExpired {
		severity, line = plog.SeverityNumberWarn, line+", which expired"
	}
	event(r, e.Observed, severity, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockReleasedEvent(ctx, r.At, n.lock, n.key, n.lease, endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
	})
	if e.Attempt.Holds() {
		hold(r.Cluster, e.Attempt).Append(r.Spans)
	}
	p.Append(r.Spans)
}

func renderAbandoned(r *collect.Renderer, e Abandoned) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	line := n.line("abandoned")
	if e.Attempt.Cause == LeaseExpired {
		line += ", which expired"
	}
	event(r, e.Observed, plog.SeverityNumberWarn, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockAbandonedEvent(ctx, r.At, n.lock, n.key, n.lease, endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
	})
	w := wait(r.Cluster, e.Attempt)
	w.End = e.Attempt.Ended
	w.Append(r.Spans)
	p.Append(r.Spans)
}

func renderElected(r *collect.Renderer, e Acquired) {
	p := term(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	line := fmt.Sprintf("election %s won by lease %s", n.lock, n.lease)
	event(r, e.Observed, plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdElectionElectedEvent(ctx, r.At, n.lock, n.key, n.lease, e.Revision, e.Reconciled)
	})
	p.AppendStart(r.Spans)
}

func renderTermEnd(r *collect.Renderer, e Released) {
	p := term(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	if e.Attempt.Cause == LeaseExpired {
		line := fmt.Sprintf("leadership of %s lost, as lease %s expired", n.lock, n.lease)
		event(r, e.Observed, plog.SeverityNumberWarn, line, func(b *metadata.LogsBuilder) {
			b.RecordEtcdElectionLostEvent(ctx, r.At, n.lock, n.key, n.lease, endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
		})
	} else {
		line := fmt.Sprintf("leadership of %s given up by lease %s", n.lock, n.lease)
		event(r, e.Observed, plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
			b.RecordEtcdElectionResignedEvent(ctx, r.At, n.lock, n.key, n.lease, endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
		})
	}
	p.Append(r.Spans)
}

func event(r *collect.Renderer, o Observed, severity plog.SeverityNumber, line string, record func(*metadata.LogsBuilder)) {
	r.EventOfKey(o.Attempt.Key, o.Revision, severity, line, record)
}

// names are those of an attempt, fit for telemetry.
type names struct{ lock, key, lease string }

func namesOf(a *Attempt) names {
	return names{lock: collect.Text(a.Lock), key: collect.Text(a.Key), lease: collect.LeaseID(a.Lease)}
}

func (n names) line(did string) string {
	return "lock " + n.lock + " " + did + " by lease " + n.lease
}

func attempt(cluster string, a *Attempt) period.Period {
	p := part(cluster, SpanAttempt, a)
	p.Parent = nil
	p.Start, p.End, p.BeganBefore = a.Queued, a.Ended, a.BeganBefore
	switch {
	case a.Ended.IsZero() || a.Unordered:
	case !a.Holds() && a.Cause == LeaseExpired:
		p.StatusMessage = "the lease expired while waiting"
	case !a.Holds():
		p.StatusMessage = "abandoned while waiting"
	case a.Cause == LeaseExpired:
		p.StatusMessage = "the lease expired while holding"
	}
	if a.PreviousHolder != nil {
		p.Links = []period.Link{{To: hold(cluster, a.PreviousHolder)}}
	}
	return p
}

func wait(cluster string, a *Attempt) period.Period {
	p := part(cluster, SpanWait, a)
	p.Start, p.End, p.BeganBefore = a.Queued, a.Acquired, a.BeganBefore
	return p
}

func hold(cluster string, a *Attempt) period.Period {
	p := part(cluster, SpanHold, a)
	p.Start, p.End, p.BeganBefore, p.Reconciled = a.Acquired, a.Ended, a.HeldBefore, a.HoldReconciled
	if a.Cause == LeaseExpired {
		p.StatusMessage = "the lease expired while holding"
	}
	return p
}

// part is what the spans of an attempt at a lock have in common.
func part(cluster, name string, a *Attempt) period.Period {
	attempt := a.spanKey(SpanAttempt, cluster)
	return period.Period{
		Name: name, Trace: attempt, Key: a.spanKey(name, cluster), Parent: attempt, Reconciled: a.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("etcd.lock.name", collect.Text(a.Lock))
			attrs.PutStr("etcd.lock.key", collect.Text(a.Key))
			attrs.PutStr("etcd.lease.id", collect.LeaseID(a.Lease))
			attrs.PutInt("etcd.revision", a.Created)
			if name == SpanWait && !a.BeganBefore {
				attrs.PutInt("etcd.lock.queue.position", int64(a.Position))
			}
			if name != SpanWait && !a.Ended.IsZero() {
				attrs.PutStr("etcd.lock.end.cause", endCauses[a.Cause].String())
			}
		},
	}
}

func term(cluster string, a *Attempt) period.Period {
	key := a.spanKey(SpanTerm, cluster)
	p := period.Period{
		Name: SpanTerm, Trace: key, Key: key, Start: a.Acquired, End: a.Ended,
		BeganBefore: a.HeldBefore, Reconciled: a.HoldReconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("etcd.election.name", collect.Text(a.Lock))
			attrs.PutStr("etcd.election.key", collect.Text(a.Key))
			attrs.PutStr("etcd.lease.id", collect.LeaseID(a.Lease))
			attrs.PutInt("etcd.revision", a.Created)
			if !a.Ended.IsZero() {
				attrs.PutStr("etcd.lock.end.cause", endCauses[a.Cause].String())
			}
		},
	}
	if a.Cause == LeaseExpired {
		p.StatusMessage = "the lease expired while leading"
	}
	if a.PreviousHolder != nil {
		p.Links = []period.Link{{To: term(cluster, a.PreviousHolder)}}
	}
	return p
}
