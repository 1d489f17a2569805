// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strconv"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// SpanHold is the name of the span of a hold of a lock.
const SpanHold = "consul.lock.hold"

func (t *teller) acquired(e state.Acquired) {
	p := t.hold(e.Hold)
	p.AppendStart(t.spans)
	t.events.RecordConsulLockAcquiredEvent(p.Context(), t.now, e.ID.Key, int64(e.ID.LockIndex), e.Session, lockType(e.Flags), e.Initial, e.Reconciled)
}

func (t *teller) ended(e state.Ended) {
	p := t.hold(e.Hold)
	p.Append(t.spans)
	if e.How == state.Invalidated {
		t.events.RecordConsulLockInvalidatedEvent(p.Context(), t.now, e.ID.Key, int64(e.ID.LockIndex), e.Session, lockType(e.Flags), e.Reconciled)
		return
	}
	t.events.RecordConsulLockReleasedEvent(p.Context(), t.now, e.ID.Key, int64(e.ID.LockIndex), e.Session, lockType(e.Flags), string(e.How), e.Reconciled)
}

func (t *teller) holdKeys(id state.HoldID) period.Period {
	key := []string{SpanHold, t.cluster, id.Key, index(id.CreateIndex), index(id.LockIndex)}
	return period.Period{Name: SpanHold, Trace: key, Key: key}
}

func (t *teller) hold(h state.Hold) period.Period {
	p := t.holdKeys(h.ID)
	p.Start, p.End, p.BeganBefore, p.Reconciled = h.Start, h.End, h.BeganBefore, h.Reconciled
	p.Attributes = func(attrs pcommon.Map) {
		attrs.PutStr("consul.kv.key", h.ID.Key)
		attrs.PutInt("consul.kv.lock_index", int64(h.ID.LockIndex))
		attrs.PutStr("consul.session.id", h.Session)
		if kind := lockType(h.Flags); kind != "" {
			attrs.PutStr("consul.lock.type", kind)
		}
		if h.How != "" {
			attrs.PutStr("consul.lock.end", string(h.How))
		}
	}
	if h.ID.LockIndex > 1 {
		previous := h.ID
		previous.LockIndex--
		p.Links = append(p.Links, t.link(previous, "previous"))
	}
	if h.How != "" && h.How != state.Deleted {
		p.Links = append(p.Links, t.link(h.ID.Next(), "next"))
	}
	if h.How == state.Invalidated {
		p.Problem = "the session ended while it held the lock"
	}
	return p
}

func (t *teller) link(to state.HoldID, what string) period.Link {
	return period.Link{To: t.holdKeys(to), Attributes: func(attrs pcommon.Map) { attrs.PutStr("consul.lock.hold", what) }}
}

// lockType knows the keys of the lock and the semaphore of the Consul API by
// their flags.
func lockType(flags uint64) string {
	switch flags {
	case api.LockFlagValue:
		return "lock"
	case api.SemaphoreFlagValue:
		return "semaphore"
	default:
		return ""
	}
}

func (t *teller) key(e state.Changed[state.Key]) {
	ctx := context.Background()
	k := e.Now()
	flags := "0x" + strconv.FormatUint(k.Flags, 16)
	created, modified, locked := int64(k.CreateIndex), int64(k.ModifyIndex), int64(k.LockIndex)
	value := k.Value
	switch {
	case e.Added:
		t.events.RecordConsulKvCreatedEvent(ctx, t.now, e.Key, flags, created, modified, locked, k.Session, value.SHA256, int64(value.Size), e.Initial, e.Reconciled)
	case e.Removed:
		t.events.RecordConsulKvDeletedEvent(ctx, t.now, e.Key, flags, created, modified, locked, k.Session, value.SHA256, int64(value.Size), e.Reconciled)
	default:
		t.events.RecordConsulKvUpdatedEvent(ctx, t.now, e.Key, flags, created, modified, locked, k.Session, value.SHA256, int64(value.Size), e.Reconciled)
	}
}
