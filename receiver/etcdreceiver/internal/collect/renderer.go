// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"maps"
	"slices"
	"strconv"
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
)

// attrUID is the attribute by which a backend knows that it has an event
// already.
const attrUID = "log.record.uid"

// Renderer makes the events and spans of one observation. Events keep the order in
// which they are made.
type Renderer struct {
	// Config says which events are enabled.
	Config metadata.LogsBuilderConfig
	// Cluster keeps the IDs of two clusters apart.
	Cluster string
	// Now is the time of the observation.
	Now pcommon.Timestamp
	// At is the time of what happened: that of the observation, or earlier where it
	// was read before and waited.
	At pcommon.Timestamp
	// Spans are those of what began (a point-in-time marker) or ended.
	Spans ptrace.SpanSlice

	// Restores is how often etcd had another history: of a change at the same revision
	// in another one, the report is another one.
	Restores int

	former   map[string]ptrace.SpanSlice // by cluster, of what began in another one
	settings receiver.Settings
	events   *metadata.LogsBuilder // with the event that is being made
	records  plog.LogRecordSlice   // all
}

// NewRenderer returns a Renderer of what was observed at now.
func NewRenderer(config metadata.LogsBuilderConfig, settings receiver.Settings, now time.Time, cluster string) *Renderer {
	return &Renderer{
		Config: config, Cluster: cluster, Now: Timestamp(now), At: Timestamp(now), Spans: ptrace.NewSpanSlice(),
		former: map[string]ptrace.SpanSlice{}, settings: settings, events: metadata.NewLogsBuilder(config, settings), records: plog.NewLogRecordSlice(),
	}
}

// Event adds the event that record makes, unless it is disabled, with its
// severity and a line for people. It leaves out attributes that are empty, which
// stand for what is not known, and those that without names.
func (r *Renderer) Event(severity plog.SeverityNumber, line string, record func(*metadata.LogsBuilder), without ...string) {
	record(r.events)
	// Emitted one by one, as the builder groups events by name.
	eventlog.Each(r.events.Emit(), func(event plog.LogRecord) {
		for _, attribute := range without {
			event.Attributes().Remove(attribute)
		}
		eventlog.Finish(event, r.Now, severity, line)
		event.MoveTo(r.records.AppendEmpty())
	})
}

// EventOfKey is Event for what happened to a key at a revision. The event has an ID,
// by which it is known again when it is reported again.
func (r *Renderer) EventOfKey(key string, revision int64, severity plog.SeverityNumber, line string, record func(*metadata.LogsBuilder)) {
	before := r.records.Len()
	r.Event(severity, line, record)
	if r.records.Len() > before {
		r.Identify(r.records.At(before), Text(key), revision)
	}
}

// Identify gives an event of a key at a revision its ID.
func (r *Renderer) Identify(event plog.LogRecord, key string, revision int64) {
	of := []string{event.EventName(), r.Cluster, key, strconv.FormatInt(revision, 10)}
	if r.Restores > 0 {
		of = append(of, strconv.Itoa(r.Restores))
	}
	id := spanid.Trace(of...)
	event.Attributes().PutStr(attrUID, id.String())
}

// Append adds an event that is made without a builder: there can be very many.
func (r *Renderer) Append() plog.LogRecord { return r.records.AppendEmpty() }

// Grow makes room for n more events.
func (r *Renderer) Grow(n int) { r.records.EnsureCapacity(r.records.Len() + n) }

// SpansOf returns the Spans of what began in a cluster: a former one, or the present
// one, for which the empty ID stands, too.
func (r *Renderer) SpansOf(cluster string) ptrace.SpanSlice {
	if cluster == "" || cluster == r.Cluster {
		return r.Spans
	}
	if _, is := r.former[cluster]; !is {
		r.former[cluster] = ptrace.NewSpanSlice()
	}
	return r.former[cluster]
}

// Emit returns what was rendered, with the resource.
func (r *Renderer) Emit(resource pcommon.Resource) watch.Telemetry {
	return watch.Telemetry{Logs: r.logs(resource), Traces: r.traces(resource)}
}

// traces returns all spans. Those of a former cluster have its ID in their resource.
func (r *Renderer) traces(resource pcommon.Resource) ptrace.Traces {
	traces := period.Traces(r.Spans, resource, metadata.ScopeName, r.settings.BuildInfo.Version)
	for _, cluster := range slices.Sorted(maps.Keys(r.former)) {
		of := pcommon.NewResource()
		resource.CopyTo(of)
		for _, name := range []string{"etcd.cluster.id", "service.instance.id"} {
			if id, is := of.Attributes().Get(name); is && id.Str() == r.Cluster {
				id.SetStr(cluster)
			}
		}
		period.Traces(r.former[cluster], of, metadata.ScopeName, r.settings.BuildInfo.Version).ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
	}
	return traces
}

// logs returns all events. The builder knows their scope, and whether those of
// the resource are wanted: it is asked with an event that stands for all.
func (r *Renderer) logs(resource pcommon.Resource) plog.Logs {
	if r.records.Len() > 0 {
		r.events.AppendLogRecord(plog.NewLogRecord())
	}
	logs := r.events.Emit(metadata.WithLogsResource(resource))
	for _, rl := range logs.ResourceLogs().All() {
		records := rl.ScopeLogs().At(0).LogRecords()
		records.RemoveIf(func(plog.LogRecord) bool { return true })
		r.records.MoveAndAppendTo(records)
	}
	return logs
}

// Timestamp returns a time as telemetry has it.
func Timestamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }

// LeaseID writes the ID of a lease as etcdctl does; empty for none.
func LeaseID(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 16)
}
