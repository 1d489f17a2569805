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
		return watch.Silence()
	}
	t := &teller{
		cluster: cluster,
		events:  metadata.NewLogsBuilder(s.config, s.settings),
		told:    metadata.NewLogsBuilder(s.config, s.settings),
		spans:   ptrace.NewSpanSlice(),
	}
	for _, e := range effects {
		t.tell(e)
	}
	t.flush()
	return watch.Telemetry{
		Logs:   eventlog.Complete(t.told.Emit(metadata.WithLogsResource(resource)), observed, describe),
		Traces: period.Traces(t.spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

// teller renders the effects of one step.
type teller struct {
	cluster string
	events  *metadata.LogsBuilder // of the present kind: a builder sorts by kind
	kind    state.Kind
	told    *metadata.LogsBuilder // all, in their order
	spans   ptrace.SpanSlice
}

func (t *teller) tell(e state.Effect) {
	if e.Kind != t.kind {
		t.flush()
		t.kind = e.Kind
	}
	switch e.Kind {
	case state.KeyPut, state.KeyDeleted:
		t.key(e)
	case state.LeaseGranted, state.LeaseEnded:
		t.lease(e)
	case state.WatchGap:
		t.gap(e)
	case state.LockQueued, state.LockAcquired, state.LockReleased, state.LockAbandoned:
		if e.Attempt.Election {
			t.election(e)
		} else {
			t.lock(e)
		}
	}
}

// flush takes over the events of one kind.
func (t *teller) flush() {
	eventlog.Each(t.events.Emit(), func(event plog.LogRecord) {
		t.identify(event)
		t.told.AppendLogRecord(event)
	})
}

// identify gives an event that has a revision its ID, by which it is known again
// when it is told again.
func (t *teller) identify(event plog.LogRecord) {
	var key string
	var revision int64
	for name, value := range event.Attributes().All() {
		switch name {
		case "etcd.key", "etcd.lock.key", "etcd.election.key":
			key = value.Str()
		case "etcd.revision":
			revision = value.Int()
		}
	}
	if revision > 0 {
		uid := spanid.Trace(event.EventName(), t.cluster, key, strconv.FormatInt(revision, 10))
		event.Attributes().PutStr(attrUID, uid.String())
	}
}

func hex(lease int64) string {
	if lease == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(lease), 16)
}

// text makes a key fit for telemetry, which is UTF-8; a key can be any bytes.
func text(key string) string { return strings.ToValidUTF8(key, "\uFFFD") }
