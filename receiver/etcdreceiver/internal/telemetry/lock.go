// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// The names of the spans of an attempt at a lock and of its two parts, and of a
// term of an election.
const (
	SpanAttempt = "etcd.lock.attempt"
	SpanWait    = "etcd.lock.wait"
	SpanHold    = "etcd.lock.hold"
	SpanTerm    = "etcd.election.term"
)

var endCauses = map[state.EndCause]metadata.AttributeEtcdLockEndCause{
	state.CauseUnknown: metadata.AttributeEtcdLockEndCauseUnknown,
	state.Released:     metadata.AttributeEtcdLockEndCauseReleased,
	state.LeaseExpired: metadata.AttributeEtcdLockEndCauseLeaseExpired,
}

// lock tells of an attempt at a lock: a marker when it is enqueued, its wait when
// it acquires, its hold and the whole when it ends.
func (t *teller) lock(e state.Effect) {
	a := *e.Attempt
	attempt := t.attempt(a)
	ctx, at := attempt.Context(), pcommon.NewTimestampFromTime(e.At)
	name, key, lease := text(a.Lock), text(a.Key), hex(a.Lease)
	switch e.Kind {
	case state.LockQueued:
		t.events.RecordEtcdLockQueuedEvent(ctx, at, name, key, lease, int64(a.Position), e.Revision, e.Reconciled)
		attempt.AppendStart(t.spans)
	case state.LockAcquired:
		t.events.RecordEtcdLockAcquiredEvent(ctx, at, name, key, lease, e.Revision, e.Reconciled)
		t.wait(a).Append(t.spans)
	case state.LockReleased:
		t.events.RecordEtcdLockReleasedEvent(ctx, at, name, key, lease, endCauses[a.Cause], e.Revision, e.Reconciled)
		if a.Holds() {
			t.hold(a).Append(t.spans)
		}
		attempt.Append(t.spans)
	case state.LockAbandoned:
		t.events.RecordEtcdLockAbandonedEvent(ctx, at, name, key, lease, endCauses[a.Cause], e.Revision, e.Reconciled)
		wait := t.wait(a)
		wait.End = a.Ended
		wait.Append(t.spans)
		attempt.Append(t.spans)
	}
}

// election tells of a candidate that comes to lead, and of its term when that
// is over. A candidacy that comes to nothing is no news.
func (t *teller) election(e state.Effect) {
	a := *e.Attempt
	if !a.Holds() {
		return
	}
	term := t.term(a)
	ctx, at := term.Context(), pcommon.NewTimestampFromTime(e.At)
	name, key, lease := text(a.Lock), text(a.Key), hex(a.Lease)
	switch {
	case e.Kind == state.LockAcquired:
		t.events.RecordEtcdElectionElectedEvent(ctx, at, name, key, lease, e.Revision, e.Reconciled)
		term.AppendStart(t.spans)
	case e.Kind == state.LockReleased && a.Cause == state.LeaseExpired:
		t.events.RecordEtcdElectionLostEvent(ctx, at, name, key, lease, endCauses[a.Cause], e.Revision, e.Reconciled)
		term.Append(t.spans)
	case e.Kind == state.LockReleased:
		t.events.RecordEtcdElectionResignedEvent(ctx, at, name, key, lease, endCauses[a.Cause], e.Revision, e.Reconciled)
		term.Append(t.spans)
	}
}

func (t *teller) id(name string, a state.Attempt) []string {
	return []string{name, t.cluster, a.Key, strconv.FormatInt(a.Created, 10)}
}

func (t *teller) attempt(a state.Attempt) period.Period {
	p := t.part(SpanAttempt, a)
	p.Parent = nil
	p.Start, p.End, p.BeganBefore = a.Queued, a.Ended, a.BeganBefore
	switch {
	case a.Ended.IsZero() || a.Unordered:
	case !a.Holds() && a.Cause == state.LeaseExpired:
		p.StatusMessage = "the lease expired while waiting"
	case !a.Holds():
		p.StatusMessage = "abandoned while waiting"
	case a.Cause == state.LeaseExpired:
		p.StatusMessage = "the lease expired while holding"
	}
	if a.Behind != nil {
		p.Links = []period.Link{{To: t.hold(*a.Behind)}}
	}
	return p
}

func (t *teller) wait(a state.Attempt) period.Period {
	p := t.part(SpanWait, a)
	p.Start, p.End, p.BeganBefore = a.Queued, a.Acquired, a.BeganBefore
	return p
}

func (t *teller) hold(a state.Attempt) period.Period {
	p := t.part(SpanHold, a)
	p.Start, p.End, p.BeganBefore, p.Reconciled = a.Acquired, a.Ended, a.HeldBefore, a.HoldReconciled
	if a.Cause == state.LeaseExpired {
		p.StatusMessage = "the lease expired while holding"
	}
	return p
}

// part is what the spans of an attempt at a lock have in common.
func (t *teller) part(name string, a state.Attempt) period.Period {
	attempt := t.id(SpanAttempt, a)
	return period.Period{
		Name: name, Trace: attempt, Key: t.id(name, a), Parent: attempt, Reconciled: a.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("etcd.lock.name", text(a.Lock))
			attrs.PutStr("etcd.lock.key", text(a.Key))
			attrs.PutStr("etcd.lease.id", hex(a.Lease))
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

func (t *teller) term(a state.Attempt) period.Period {
	key := t.id(SpanTerm, a)
	p := period.Period{
		Name: SpanTerm, Trace: key, Key: key, Start: a.Acquired, End: a.Ended,
		BeganBefore: a.HeldBefore, Reconciled: a.HoldReconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("etcd.election.name", text(a.Lock))
			attrs.PutStr("etcd.election.key", text(a.Key))
			attrs.PutStr("etcd.lease.id", hex(a.Lease))
			attrs.PutInt("etcd.revision", a.Created)
			if !a.Ended.IsZero() {
				attrs.PutStr("etcd.lock.end.cause", endCauses[a.Cause].String())
			}
		},
	}
	if a.Cause == state.LeaseExpired {
		p.StatusMessage = "the lease expired while leading"
	}
	if a.Behind != nil {
		p.Links = []period.Link{{To: t.term(*a.Behind)}}
	}
	return p
}
