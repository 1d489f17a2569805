// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry renders the receiver's state as metrics, events and spans.
package telemetry

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// The names of the spans of an attempt at a lock, and of its two parts.
const (
	SpanAttempt = "etcd.lock.attempt"
	SpanWait    = "etcd.lock.wait"
	SpanHold    = "etcd.lock.hold"
)

// Story renders what happened as events and spans. It is safe for concurrent
// use.
type Story struct {
	settings receiver.Settings
	config   metadata.LogsBuilderConfig
}

// NewStory returns a Story that makes the events which config enables.
func NewStory(config metadata.LogsBuilderConfig, settings receiver.Settings) *Story {
	return &Story{settings: settings, config: config}
}

// Render returns an event for each effect, in their order, and the spans of
// attempts at locks: a point-in-time marker when one is enqueued, its wait when
// it acquires, its hold and the whole when it ends. Events carry the IDs of the
// span that tells the same story. cluster is the identity that keeps the IDs of
// two clusters apart; resource is put on all of it.
func (s *Story) Render(observed time.Time, cluster string, resource pcommon.Resource, effects []state.Effect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.Silence()
	}
	one, all := metadata.NewLogsBuilder(s.config, s.settings), metadata.NewLogsBuilder(s.config, s.settings)
	spans := ptrace.NewSpanSlice()
	for _, e := range effects {
		record(one, cluster, e)
		eventlog.Each(one.Emit(), func(event plog.LogRecord) {
			leaveOutUnknown(event)
			all.AppendLogRecord(event)
		})
		if e.Attempt != nil {
			appendSpans(spans, cluster, e)
		}
	}
	return watch.Telemetry{
		Logs:   eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), observed, describe),
		Traces: period.Traces(spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

func record(logs *metadata.LogsBuilder, cluster string, e state.Effect) {
	at := pcommon.NewTimestampFromTime(e.At)
	if e.Attempt == nil {
		recordKey(context.Background(), logs, at, e)
		return
	}
	ctx := spanOf(SpanAttempt, cluster, *e.Attempt).Context()
	name, key, lease := text(e.Attempt.Lock), text(e.Attempt.Key), hex(e.Attempt.Lease)
	switch e.Kind {
	case state.LockQueued:
		logs.RecordEtcdLockQueuedEvent(ctx, at, name, key, lease, int64(e.Attempt.Position), e.Revision, e.Reconciled)
	case state.LockAcquired:
		logs.RecordEtcdLockAcquiredEvent(ctx, at, name, key, lease, e.Revision, e.Reconciled)
	case state.LockReleased:
		logs.RecordEtcdLockReleasedEvent(ctx, at, name, key, lease, metadata.AttributeEtcdLockEndCauseUnknown, e.Revision, e.Reconciled)
	case state.LockAbandoned:
		logs.RecordEtcdLockAbandonedEvent(ctx, at, name, key, lease, metadata.AttributeEtcdLockEndCauseUnknown, e.Revision, e.Reconciled)
	default:
		recordKey(ctx, logs, at, e)
	}
}

func recordKey(ctx context.Context, logs *metadata.LogsBuilder, at pcommon.Timestamp, e state.Effect) {
	key := e.Change.Key
	switch e.Kind {
	case state.KeyPut:
		logs.RecordEtcdKeyPutEvent(ctx, at, text(key.Name), e.Created, e.Revision, key.Version, hex(key.Lease), int64(e.Change.Size), "", e.Reconciled)
	case state.KeyDeleted:
		logs.RecordEtcdKeyDeleteEvent(ctx, at, text(key.Name), e.Revision, key.Version, hex(key.Lease), int64(e.Change.Size), e.Reconciled)
	case state.WatchGap:
		logs.RecordEtcdWatchGapEvent(ctx, at, text(e.Gap.Prefix), e.Gap.First, e.Gap.Last)
	}
}

// leaveOutUnknown removes what the generated recorders cannot leave out: the
// lease of a key that has none, and the length of a value that was not read.
func leaveOutUnknown(event plog.LogRecord) {
	reconciled, _ := event.Attributes().Get("observation.reconciled")
	event.Attributes().RemoveIf(func(name string, value pcommon.Value) bool {
		return name == "etcd.lease.id" && value.Str() == "0" || name == "etcd.value.size" && reconciled.Bool()
	})
}

// appendSpans appends the spans that are complete with the effect.
func appendSpans(spans ptrace.SpanSlice, cluster string, e state.Effect) {
	a := *e.Attempt
	attempt, wait, hold := spanOf(SpanAttempt, cluster, a), spanOf(SpanWait, cluster, a), spanOf(SpanHold, cluster, a)
	switch e.Kind {
	case state.LockQueued:
		attempt.AppendStart(spans)
	case state.LockAcquired:
		wait.Append(spans)
	case state.LockReleased:
		if a.Holds() {
			hold.Append(spans)
		}
		attempt.Append(spans)
	case state.LockAbandoned:
		wait.End = a.Ended
		wait.Append(spans)
		attempt.Problem = "abandoned while waiting"
		attempt.Append(spans)
	}
}

func spanOf(name, cluster string, a state.Attempt) period.Period {
	revision := strconv.FormatInt(a.Created, 10)
	attempt := []string{SpanAttempt, cluster, a.Key, revision}
	p := period.Period{
		Name: name, Trace: attempt, Key: []string{name, cluster, a.Key, revision}, Parent: attempt,
		Start: a.Queued, End: a.Ended, BeganBefore: a.BeganBefore, Reconciled: a.Reconciled,
	}
	switch name {
	case SpanAttempt:
		p.Parent = nil
	case SpanWait:
		p.End = a.Acquired
	case SpanHold:
		p.Start, p.BeganBefore = a.Acquired, a.HeldBefore
	}
	p.Attributes = func(attrs pcommon.Map) {
		attrs.PutStr("etcd.lock.name", text(a.Lock))
		attrs.PutStr("etcd.lock.key", text(a.Key))
		attrs.PutStr("etcd.lease.id", hex(a.Lease))
		attrs.PutInt("etcd.revision", a.Created)
		if name == SpanWait && !a.BeganBefore {
			attrs.PutInt("etcd.lock.queue.position", int64(a.Position))
		}
	}
	return p
}

func hex(lease int64) string { return strconv.FormatUint(uint64(lease), 16) }

// text makes a key fit for telemetry, which is UTF-8; a key can be any bytes.
func text(key string) string { return strings.ToValidUTF8(key, "\uFFFD") }

// describe gives an event its severity, and a line for people.
func describe(event plog.LogRecord) (plog.SeverityNumber, string) {
	text := func(name string) string {
		v, ok := event.Attributes().Get(name)
		if !ok {
			return ""
		}
		return v.AsString()
	}
	switch event.EventName() {
	case "etcd.key.put":
		if text("etcd.key.created") == "true" {
			return plog.SeverityNumberInfo, "key " + text("etcd.key") + " created"
		}
		return plog.SeverityNumberInfo, "key " + text("etcd.key") + " changed"
	case "etcd.key.delete":
		return plog.SeverityNumberInfo, "key " + text("etcd.key") + " deleted"
	case "etcd.watch.gap":
		return plog.SeverityNumberWarn, fmt.Sprintf("changes under %s are unknown from revision %s to %s",
			text("etcd.watch.prefix"), text("etcd.revision.first"), text("etcd.revision.last"))
	}
	step := strings.TrimPrefix(event.EventName(), "etcd.lock.")
	line := fmt.Sprintf("lock %s %s by lease %s", text("etcd.lock.name"), step, text("etcd.lease.id"))
	if step == "abandoned" {
		return plog.SeverityNumberWarn, line
	}
	return plog.SeverityNumberInfo, line
}
