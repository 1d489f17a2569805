// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry renders the receiver's state as metrics, events and spans.
package telemetry

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// SpanOutage is the name of the span of a check's outage.
const SpanOutage = "consul.check.outage"

// Story renders what happened as events and spans.
type Story struct {
	settings receiver.Settings
	config   metadata.LogsBuilderConfig
}

// NewStory returns a Story that makes the events which config enables.
func NewStory(config metadata.LogsBuilderConfig, settings receiver.Settings) *Story {
	return &Story{settings: settings, config: config}
}

// Render returns an event for each effect, and the spans of outages that
// opened (a point-in-time marker) or closed. Events carry the IDs of the span
// that tells the same story. cluster is the identity that keeps the IDs of two
// Consul clusters apart; resource is put on all of it.
func (s *Story) Render(observed time.Time, cluster string, resource pcommon.Resource, effects []state.Effect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.Silence()
	}
	one, all := metadata.NewLogsBuilder(s.config, s.settings), metadata.NewLogsBuilder(s.config, s.settings)
	spans := ptrace.NewSpanSlice()
	for _, e := range effects {
		ctx := context.Background()
		if e.Outage != nil {
			p := outagePeriod(cluster, *e.Outage)
			ctx = p.Context()
			if e.Opened {
				p.AppendStart(spans)
			}
			if e.Closed {
				p.Append(spans)
			}
		}
		record(ctx, one, observed, e)
		eventlog.Each(one.Emit(), all.AppendLogRecord)
	}
	return watch.Telemetry{
		Logs:   eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), observed, describe),
		Traces: period.Traces(spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

func record(ctx context.Context, logs *metadata.LogsBuilder, observed time.Time, e state.Effect) {
	if e.Gap != nil {
		logs.RecordConsulWatchGapEvent(ctx, pcommon.NewTimestampFromTime(observed), int64(e.Gap.Old), int64(e.Gap.New))
		return
	}
	t := e.Transition
	logs.RecordConsulCheckTransitionEvent(ctx, pcommon.NewTimestampFromTime(t.At),
		t.ID.Node, t.ID.Check, t.Check.Name, t.Check.Service, t.Check.ServiceID,
		string(t.Old), string(t.New), int64(t.Check.Index), t.Reconciled)
}

func outagePeriod(cluster string, o state.Outage) period.Period {
	key := []string{SpanOutage, cluster, o.ID.Node, o.ID.Check, strconv.FormatUint(o.Check.Index, 10)}
	p := period.Period{
		Name: SpanOutage, Trace: key, Key: key,
		Start: o.Start, End: o.End, BeganBefore: o.BeganBefore, Reconciled: o.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("consul.node.name", o.ID.Node)
			attrs.PutStr("consul.check.id", o.ID.Check)
			attrs.PutStr("consul.check.name", o.Check.Name)
			attrs.PutStr("consul.check.status", string(o.Worst))
			if o.Check.Service != "" {
				attrs.PutStr("consul.service.name", o.Check.Service)
				attrs.PutStr("consul.service.id", o.Check.ServiceID)
			}
		},
		DroppedMoments: o.Dropped,
	}
	if o.Worst == state.Critical {
		p.Problem = "check was critical"
	}
	for _, t := range o.Transitions {
		p.Moments = append(p.Moments, period.Moment{
			Time: t.At, Name: "consul.check.transition",
			Attributes: func(attrs pcommon.Map) {
				attrs.PutStr("consul.check.status.old", string(t.Old))
				attrs.PutStr("consul.check.status.new", string(t.New))
			},
		})
	}
	return p
}

// describe gives an event its severity, and a line for people.
func describe(event plog.LogRecord) (plog.SeverityNumber, string) {
	if event.EventName() == "consul.watch.gap" {
		return plog.SeverityNumberWarn, "changes of checks may have gone unseen"
	}
	text := func(name string) string { v, _ := event.Attributes().Get(name); return v.Str() }
	status := text("consul.check.status.new")
	line := fmt.Sprintf("check %s on %s: %s to %s", text("consul.check.id"), text("consul.node.name"), text("consul.check.status.old"), status)
	switch state.Status(status) {
	case state.Critical:
		return plog.SeverityNumberError, line
	case state.Warning:
		return plog.SeverityNumberWarn, line
	default:
		return plog.SeverityNumberInfo, line
	}
}
