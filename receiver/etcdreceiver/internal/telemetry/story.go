// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry renders the receiver's state as metrics, events and spans.
package telemetry

import (
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// attrUID is the attribute by which a backend can tell that it has an event
// already.
const attrUID = "log.record.uid"

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

// Render returns an event for each effect, in their order, and the spans: of
// what begins a point-in-time marker, and of what ends the whole. Events carry
// the IDs of the span that tells the same story. cluster is the identity that
// keeps the IDs of two clusters apart; resource is put on all of it.
func (s *Story) Render(observed time.Time, cluster string, resource pcommon.Resource, effects []state.Effect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.EmptyTelemetry()
	}
	t := &teller{
		cluster:  cluster,
		observed: observed,
		config:   s.config,
		events:   metadata.NewLogsBuilder(s.config, s.settings),
		told:     plog.NewLogRecordSlice(),
		spans:    ptrace.NewSpanSlice(),
	}
	t.told.EnsureCapacity(len(effects))
	for _, e := range effects {
		t.tell(e)
	}
	t.flush()
	return watch.Telemetry{
		Logs:   t.logs(resource),
		Traces: period.Traces(t.spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

// teller renders the effects of one step.
type teller struct {
	cluster  string
	observed time.Time
	config   metadata.LogsBuilderConfig
	events   *metadata.LogsBuilder // of the present kind: a builder sorts by kind
	kind     state.Kind
	told     plog.LogRecordSlice // all, in their order
	spans    ptrace.SpanSlice
}

func (t *teller) tell(e state.Effect) {
	if e.Kind == state.KeyPut || e.Kind == state.KeyDeleted {
		t.flush()
		t.key(e)
		return
	}
	ofElection := e.Attempt != nil && e.Attempt.Election // These have two events of one kind.
	if e.Kind != t.kind || ofElection {
		t.flush()
		t.kind = e.Kind
	}
	switch e.Kind {
	case state.LeaseGranted, state.LeaseEnded:
		t.lease(e)
	case state.WatchGap:
		t.gap(e)
	case state.LockQueued, state.LockAcquired, state.LockReleased, state.LockAbandoned:
		if ofElection {
			t.election(e)
			t.flush()
		} else {
			t.lock(e)
		}
	}
}

// flush takes over the events of one kind.
func (t *teller) flush() {
	if t.kind == 0 {
		return
	}
	t.kind = 0
	eventlog.Each(eventlog.Complete(t.events.Emit(), t.observed, describe), func(event plog.LogRecord) {
		t.identify(event)
		event.MoveTo(t.told.AppendEmpty())
	})
}

// logs returns all events. The builder knows their scope, and whether those of
// the resource are wanted: it is asked with an event that stands for all.
func (t *teller) logs(resource pcommon.Resource) plog.Logs {
	if t.told.Len() > 0 {
		t.events.AppendLogRecord(plog.NewLogRecord())
	}
	logs := t.events.Emit(metadata.WithLogsResource(resource))
	for _, rl := range logs.ResourceLogs().All() {
		records := rl.ScopeLogs().At(0).LogRecords()
		records.RemoveIf(func(plog.LogRecord) bool { return true })
		t.told.MoveAndAppendTo(records)
	}
	return logs
}

// identify gives an event that has a revision its ID, by which it is known again
// when it is told again.
func (t *teller) identify(event plog.LogRecord) {
	var key string
	var revision int64
	for name, value := range event.Attributes().All() {
		switch name {
		case "etcd.lock.key", "etcd.election.key":
			key = value.Str()
		case "etcd.revision":
			revision = value.Int()
		}
	}
	if revision > 0 {
		event.Attributes().PutStr(attrUID, t.uid(event.EventName(), key, revision))
	}
}

func (t *teller) uid(event, key string, revision int64) string {
	return spanid.Trace(event, t.cluster, key, strconv.FormatInt(revision, 10)).String()
}

func hex(lease int64) string {
	if lease == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(lease), 16)
}

// text makes a key fit for telemetry, which is UTF-8; a key can be any bytes.
func text(key string) string { return strings.ToValidUTF8(key, "\uFFFD") }
