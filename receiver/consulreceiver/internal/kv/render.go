// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// The names of the spans.
const (
	SpanHold = "consul.lock.hold" // of a lock, or of a slot of a semaphore
	SpanWait = "consul.lock.wait" // for a slot of a semaphore
)

// Render renders effects as events and spans.
func Render(r *collect.Renderer, effects []Effect) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case Acquired:
			renderAcquired(r, e)
		case Ended:
			renderEnded(r, e)
		case Queued:
			renderQueued(r, e)
		case Waited:
			p := waitPeriod(r.Cluster, e.Wait)
			p.Append(r.Spans)
		case Abandoned:
			renderAbandoned(r, e)
		case Changed:
			renderChanged(r, e)
		}
	}
}

func renderAcquired(r *collect.Renderer, e Acquired) {
	p := holdPeriod(r.Cluster, e.Hold)
	p.AppendStart(r.Spans)
	r.Event(plog.SeverityNumberInfo, fmt.Sprintf("session %s acquired %s", e.Session, e.ID.Key), func(b *metadata.LogsBuilder) {
		b.RecordConsulLockAcquiredEvent(p.Context(), r.Now, e.ID.Key, int64(e.ID.LockIndex), e.Session, e.Client.Name, e.Client.Node, lockType(e.Flags), e.Initial, e.Reconciled)
	})
}

func renderEnded(r *collect.Renderer, e Ended) {
	p := holdPeriod(r.Cluster, e.Hold)
	p.Append(r.Spans)
	if e.How == Invalidated {
		r.Event(plog.SeverityNumberWarn, fmt.Sprintf("session %s ended while it held %s", e.Session, e.ID.Key), func(b *metadata.LogsBuilder) {
			b.RecordConsulLockInvalidatedEvent(p.Context(), r.Now, e.ID.Key, int64(e.ID.LockIndex), e.Session, e.Client.Name, e.Client.Node, lockType(e.Flags), e.EndedLate)
		})
		return
	}
	line := fmt.Sprintf("session %s no longer holds %s: %s", e.Session, e.ID.Key, e.How)
	r.Event(plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordConsulLockReleasedEvent(p.Context(), r.Now, e.ID.Key, int64(e.ID.LockIndex), e.Session, e.Client.Name, e.Client.Node, lockType(e.Flags), string(e.How), e.EndedLate)
	})
}

func renderQueued(r *collect.Renderer, e Queued) {
	p := waitPeriod(r.Cluster, e.Wait)
	p.AppendStart(r.Spans)
	line := fmt.Sprintf("session %s waits for %s", e.Session, semaphoreOf(e.ID.Key))
	r.Event(plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordConsulLockQueuedEvent(p.Context(), r.Now, e.ID.Key, e.Session, e.Client.Name, e.Client.Node, lockType(e.Flags), e.Initial, e.Reconciled)
	})
}

func renderAbandoned(r *collect.Renderer, e Abandoned) {
	p := waitPeriod(r.Cluster, e.Wait)
	p.Append(r.Spans)
	line := fmt.Sprintf("session %s no longer waits for %s: %s", e.Session, semaphoreOf(e.ID.Key), e.How)
	r.Event(plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordConsulLockAbandonedEvent(p.Context(), r.Now, e.ID.Key, e.Session, e.Client.Name, e.Client.Node, lockType(e.Flags), string(e.How), e.EndedLate)
	})
}

// periodOf returns a period with the IDs of a hold, or of the wait for it.
func periodOf(name, cluster string, id HoldID) period.Period {
	key := []string{name, cluster, id.Key, strconv.FormatUint(id.CreateIndex, 10), strconv.FormatUint(id.LockIndex, 10)}
	if id.Resets > 0 {
		key = append(key, strconv.FormatUint(id.Resets, 10))
	}
	p := period.Period{Name: name, Trace: key, Key: key}
	if name == SpanWait { // It is in the trace of the hold.
		p.Trace = periodOf(SpanHold, cluster, id).Trace
	}
	return p
}

func holdPeriod(cluster string, h Hold) period.Period {
	p := periodOf(SpanHold, cluster, h.ID)
	p.Start, p.End, p.BeganBefore, p.Reconciled = h.Start, h.End, h.BeganBefore, h.Reconciled || h.EndedLate
	p.Attributes = func(attrs pcommon.Map) {
		attrs.PutInt("consul.kv.lock_index", int64(h.ID.LockIndex))
		putCommon(attrs, h.ID, h.Session, h.Client, h.Flags, h.How)
	}
	if h.Waited {
		p.Parent = periodOf(SpanWait, cluster, h.ID).Key
	}
	if h.Previous != nil {
		p.Links = append(p.Links, link(cluster, *h.Previous, "previous"))
	}
	if h.Followed {
		p.Links = append(p.Links, link(cluster, h.Next(), "next"))
	}
	if h.How == Invalidated {
		p.StatusMessage = "the session ended while it held the lock"
	}
	return p
}

func waitPeriod(cluster string, w Wait) period.Period {
	p := periodOf(SpanWait, cluster, w.ID)
	p.Start, p.End, p.BeganBefore, p.Reconciled = w.Start, w.End, w.BeganBefore, w.Reconciled || w.EndedLate
	p.Attributes = func(attrs pcommon.Map) { putCommon(attrs, w.ID, w.Session, w.Client, w.Flags, w.How) }
	return p
}

// putCommon puts the attributes that holds and waits have.
func putCommon(attrs pcommon.Map, id HoldID, session string, client Client, flags uint64, how End) {
	attrs.PutStr("consul.kv.key.name", id.Key)
	attrs.PutStr("consul.session.id", session)
	known := func(name, value string) {
		if value != "" {
			attrs.PutStr(name, value)
		}
	}
	known("consul.session.name", client.Name)
	known("consul.node.name", client.Node)
	known("consul.lock.type", lockType(flags))
	known("consul.lock.end", string(how))
}

func link(cluster string, to HoldID, what string) period.Link {
	return period.Link{To: periodOf(SpanHold, cluster, to), Attributes: func(attrs pcommon.Map) { attrs.PutStr("consul.lock.link", what) }}
}

// lockType knows the keys of the lock and the semaphore of the Consul API by
// their flags.
func lockType(flags uint64) string {
	switch flags {
	case consulapi.LockFlags:
		return "lock"
	case consulapi.SemaphoreFlags:
		return "semaphore"
	default:
		return ""
	}
}

func renderChanged(r *collect.Renderer, e Changed) {
	ctx, k := context.Background(), e.Now()
	flags := "0x" + strconv.FormatUint(k.Flags, 16)
	created, modified, locked := int64(k.CreateIndex), int64(k.ModifyIndex), int64(k.LockIndex)
	value := k.Value
	var without []string
	if value.SHA256 == "" {
		without = []string{"consul.kv.value.size"}
	}
	event := func(did string, record func(*metadata.LogsBuilder)) {
		r.Event(plog.SeverityNumberInfo, "key "+e.Key+" was "+did, record, without...)
	}
	switch {
	case e.Added:
		event("created", func(b *metadata.LogsBuilder) {
			b.RecordConsulKvCreatedEvent(ctx, r.Now, e.Key, flags, created, modified, locked, k.Session, value.SHA256, int64(value.Size), e.Initial, e.Reconciled)
		})
	case e.Removed:
		event("deleted", func(b *metadata.LogsBuilder) {
			b.RecordConsulKvDeletedEvent(ctx, r.Now, e.Key, flags, created, modified, locked, k.Session, value.SHA256, int64(value.Size), e.Reconciled)
		})
	default:
		event("updated", func(b *metadata.LogsBuilder) {
			b.RecordConsulKvUpdatedEvent(ctx, r.Now, e.Key, flags, created, modified, locked, k.Session, value.SHA256, int64(value.Size), e.Reconciled)
		})
	}
}

// RecordKeys records the number of keys under a prefix, and how many are held.
func RecordKeys(m collect.Metrics, prefix string, keys, held int) {
	m.RecordConsulKvKeyCountDataPoint(m.TS(), int64(keys), prefix)
	m.RecordConsulKvLockHeldCountDataPoint(m.TS(), int64(held), prefix)
}

// RecordSemaphores records the state of the semaphores under a prefix, of as many
// as there may be series.
func RecordSemaphores(m collect.Metrics, semaphores []Semaphore) {
	for _, s := range semaphores[:min(len(semaphores), maxSemaphores)] {
		m.RecordConsulKvSemaphoreLimitDataPoint(m.TS(), int64(s.Limit), s.Prefix)
		m.RecordConsulKvSemaphoreHolderCountDataPoint(m.TS(), int64(s.Holders), s.Prefix)
		m.RecordConsulKvSemaphoreWaiterCountDataPoint(m.TS(), int64(s.Waiters), s.Prefix)
	}
}

// maxSemaphores is how many semaphores under a prefix have series.
const maxSemaphores = 1000

// RecordChanges records how often keys under a prefix changed, and were acquired.
func RecordChanges(m collect.Metrics, prefix string, changes KeyChanges, acquisitions int64) {
	m.RecordConsulKvChangesDataPoint(m.TS(), changes.Created, prefix, metadata.AttributeConsulKvChangeCreated)
	m.RecordConsulKvChangesDataPoint(m.TS(), changes.Updated, prefix, metadata.AttributeConsulKvChangeUpdated)
	m.RecordConsulKvChangesDataPoint(m.TS(), changes.Deleted, prefix, metadata.AttributeConsulKvChangeDeleted)
	m.RecordConsulKvLockAcquisitionsDataPoint(m.TS(), acquisitions, prefix)
}
