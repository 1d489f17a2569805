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
	line, holder := n.line("queued"), holderKey(e.Behind)
	if e.Behind != nil && e.Behind.Attempt == nil {
		line += " behind " + holder + ", which is no attempt at it"
	}
	event(r, e.Observed, plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockQueuedEvent(ctx, r.At, n.lock, n.key, n.lease, holder, int64(e.Attempt.Position), e.Revision, e.Reconciled)
	})
	p.AppendStart(r.SpansOf(e.Attempt.Cluster))
}

func renderAcquired(r *collect.Renderer, e Acquired) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	event(r, e.Observed, plog.SeverityNumberInfo, n.line("acquired"), func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockAcquiredEvent(ctx, r.At, n.lock, n.key, n.lease, holderKey(e.Attempt.PreviousHolder), e.Revision, e.Reconciled)
	})
	wait(r.Cluster, e.Attempt).Append(r.SpansOf(e.Attempt.Cluster))
}

func renderReleased(r *collect.Renderer, e Released) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	severity, line := endOf(e.Attempt, n.line("released"), "lock "+n.lock+" no longer held by lease "+n.lease)
	event(r, e.Observed, severity, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockReleasedEvent(ctx, r.At, n.lock, n.key, n.lease, endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
	})
	if e.Attempt.Holds() {
		hold(r.Cluster, e.Attempt).Append(r.SpansOf(e.Attempt.Cluster))
	}
	p.Append(r.SpansOf(e.Attempt.Cluster))
}

func renderAbandoned(r *collect.Renderer, e Abandoned) {
	p := attempt(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	severity, line := endOf(e.Attempt, n.line("abandoned"), "lock "+n.lock+" no longer waited for by lease "+n.lease)
	event(r, e.Observed, severity, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdLockAbandonedEvent(ctx, r.At, n.lock, n.key, n.lease, holderKey(e.Attempt.PreviousHolder), endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
	})
	wait(r.Cluster, e.Attempt).Append(r.SpansOf(e.Attempt.Cluster))
	p.Append(r.SpansOf(e.Attempt.Cluster))
}

// endOf returns the severity of the end of an attempt, and its line: another one if it is
// not known whether the client did it. To give up, as a TryLock does that fails, is no fault.
func endOf(a *Attempt, line, unknown string) (plog.SeverityNumber, string) {
	switch a.Cause {
	case LeaseExpired:
		return plog.SeverityNumberWarn, line + ", which expired"
	case CauseUnknown:
		return plog.SeverityNumberInfo, unknown + ", the cause is unknown"
	default:
		return plog.SeverityNumberInfo, line
	}
}

func renderElected(r *collect.Renderer, e Acquired) {
	p := term(r.Cluster, e.Attempt)
	ctx, n := p.Context(), namesOf(e.Attempt)
	line := fmt.Sprintf("election %s won by lease %s", n.lock, n.lease)
	event(r, e.Observed, plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdElectionElectedEvent(ctx, r.At, n.lock, n.key, n.lease, e.Revision, e.Reconciled)
	})
	p.AppendStart(r.SpansOf(e.Attempt.Cluster))
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
		_, line := endOf(e.Attempt, fmt.Sprintf("leadership of %s given up by lease %s", n.lock, n.lease),
			fmt.Sprintf("leadership of %s ended for lease %s", n.lock, n.lease))
		event(r, e.Observed, plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
			b.RecordEtcdElectionResignedEvent(ctx, r.At, n.lock, n.key, n.lease, endCauses[e.Attempt.Cause], e.Revision, e.Reconciled)
		})
	}
	p.Append(r.SpansOf(e.Attempt.Cluster))
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

// holderKey returns the key of a holder; empty for none.
func holderKey(h *Holder) string {
	if h == nil {
		return ""
	}
	return collect.Text(h.Key)
}

// links lead to what held the lock of an attempt, where that has a span: the hold or
// term before, or an attempt at a lock within it. Any other key has none.
func links(cluster string, a *Attempt) []period.Link {
	if a.PreviousHolder == nil || a.PreviousHolder.Attempt == nil {
		return nil
	}
	switch before := a.PreviousHolder.Attempt; {
	case before.Election && !before.Holds():
		return nil // A candidacy has no span.
	case before.Election:
		return []period.Link{{To: term(cluster, before)}}
	case before.Lock == a.Lock:
		return []period.Link{{To: hold(cluster, before)}}
	default:
		return []period.Link{{To: attempt(cluster, before)}}
	}
}

func attempt(cluster string, a *Attempt) period.Period {
	p := part(cluster, SpanAttempt, a)
	p.Parent = nil
	p.Start, p.End, p.BeganBefore = a.Queued, a.Ended, a.BeganBefore
	switch {
	case a.Ended.IsZero() || a.Unordered:
	case !a.Holds() && a.Cause == LeaseExpired:
		p.StatusMessage = "the lease expired while waiting"
	case a.Cause == LeaseExpired:
		p.StatusMessage = "the lease expired while holding"
	}
	p.Links = links(cluster, a)
	return p
}

func wait(cluster string, a *Attempt) period.Period {
	p := part(cluster, SpanWait, a)
	p.Start, p.End, p.BeganBefore = a.Queued, a.Acquired, a.BeganBefore
	if !a.Holds() {
		p.End = a.Ended
	}
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
			if name != SpanHold && a.PreviousHolder != nil {
				attrs.PutStr("etcd.lock.holder.key", holderKey(a.PreviousHolder))
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
			if a.PreviousHolder != nil {
				attrs.PutStr("etcd.lock.holder.key", holderKey(a.PreviousHolder))
			}
			if !a.Ended.IsZero() {
				attrs.PutStr("etcd.lock.end.cause", endCauses[a.Cause].String())
			}
		},
	}
	if a.Cause == LeaseExpired {
		p.StatusMessage = "the lease expired while leading"
	}
	p.Links = links(cluster, a)
	return p
}
