// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Renderer makes the events and spans of one observation.
type Renderer struct {
	// Cluster keeps the IDs of two clusters apart.
	Cluster string
	// Now is the time of the observation.
	Now pcommon.Timestamp
	// Spans are those of what began (a point-in-time marker) or ended.
	Spans ptrace.SpanSlice

	settings receiver.Settings
	events   *metadata.LogsBuilder // with the event that is being made
	all      *metadata.LogsBuilder
}

// NewRenderer returns a Renderer of what was observed at now.
func NewRenderer(config metadata.LogsBuilderConfig, settings receiver.Settings, now time.Time, cluster string) *Renderer {
	return &Renderer{
		Cluster: cluster, Now: Timestamp(now), Spans: ptrace.NewSpanSlice(), settings: settings,
		events: metadata.NewLogsBuilder(config, settings), all: metadata.NewLogsBuilder(config, settings),
	}
}

// Event adds the event that record makes, unless it is disabled, with its
// severity and a line for people. It leaves out attributes that are empty, which
// stand for what is not known.
func (r *Renderer) Event(severity plog.SeverityNumber, line string, record func(*metadata.LogsBuilder)) {
	record(r.events)
	// Emitted one by one, as the builder groups events by name.
	eventlog.Each(r.events.Emit(), func(event plog.LogRecord) {
		eventlog.Finish(event, r.Now, severity, line)
		r.all.AppendLogRecord(event)
	})
}

// Emit returns what was rendered, with the resource.
func (r *Renderer) Emit(resource pcommon.Resource) watch.Telemetry {
	return watch.Telemetry{
		Logs:   r.all.Emit(metadata.WithLogsResource(resource)),
		Traces: period.Traces(r.Spans, resource, metadata.ScopeName, r.settings.BuildInfo.Version),
	}
}

// Timestamp returns a time as telemetry has it.
func Timestamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }
