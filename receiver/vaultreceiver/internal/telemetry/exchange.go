// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// spanRequest begins the keys of spans of requests. Their names are of what was
// done and where, such as "read secret/".
const spanRequest = "vault.request"

// Trust is what becomes of the trace that a caller says it is in.
type Trust string

// The ways to trust a caller.
const (
	TrustParent Trust = "parent" // the request is part of the caller's trace
	TrustLink   Trust = "link"   // it is a trace of its own, with a link to the caller
	TrustIgnore Trust = "ignore"
)

// Exchanges renders requests to Vault that its audit devices tell of.
type Exchanges struct {
	Story    *Story
	Trust    Trust
	Redact   func(path string) string
	Resource func() pcommon.Resource
}

// Render returns a span for each exchange, and an event for each entry of it,
// with the IDs of the span.
func (x *Exchanges) Render(observed time.Time, exchanges []audit.Exchange) watch.Telemetry {
	told := watch.EmptyTelemetry()
	if len(exchanges) == 0 {
		return told
	}
	resource := x.Resource()
	spans := ptrace.NewSpanSlice()
	spans.EnsureCapacity(len(exchanges))
	logs, events := metadata.NewLogsBuilder(x.Story.config, x.Story.settings), entryEvents(x.Story.config.Events)
	record, now := plog.NewLogRecord(), pcommon.NewTimestampFromTime(observed)
	for _, e := range exchanges {
		span := spans.AppendEmpty()
		x.fill(span, e)
		for _, entry := range []*audit.Entry{e.Request, e.Response} {
			if entry == nil {
				continue
			}
			if event := events[entry.Kind]; event.enabled {
				x.fillEntry(record, event.name, now, entry)
				record.SetTraceID(span.TraceID())
				record.SetSpanID(span.SpanID())
				logs.AppendLogRecord(record) // It is empty again.
			}
		}
	}
	told.Logs = logs.Emit(metadata.WithLogsResource(resource))
	told.Traces = period.Traces(spans, resource, metadata.ScopeName, x.Story.settings.BuildInfo.Version)
	return told
}

// SpanIDs returns the IDs of the span of an exchange.
func (x *Exchanges) SpanIDs(e audit.Exchange) (pcommon.TraceID, pcommon.SpanID) {
	known := e.Known()
	span := spanid.Span(spanRequest, known.ID)
	if caller := known.Caller(); x.Trust == TrustParent && caller.IsValid() {
		return pcommon.TraceID(caller.TraceID()), span
	}
	return spanid.Trace(spanRequest, known.ID), span
}

func (x *Exchanges) fill(span ptrace.Span, e audit.Exchange) {
	known := e.Known()
	traceID, spanID := x.SpanIDs(e)
	span.SetTraceID(traceID)
	span.SetSpanID(spanID)
	span.SetName(strings.TrimSpace(known.Operation + " " + known.Mount.Path)) // Not all that is asked for is in a mount.
	span.SetKind(ptrace.SpanKindServer)
	if caller := known.Caller(); caller.IsValid() {
		x.join(span, caller)
	}
	start, end := known.Time, known.Time
	if e.Whole() {
		start = e.Request.Time
	}
	if !end.After(start) { // by the clock of Vault; Jaeger takes no length at all for a mistake.
		end = start.Add(time.Nanosecond)
	}
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	x.describe(span.Attributes(), e)
	if known.Failure != audit.None {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(string(known.Failure))
	}
}

func (x *Exchanges) join(span ptrace.Span, caller trace.SpanContext) {
	switch x.Trust {
	case TrustParent:
		span.SetParentSpanID(pcommon.SpanID(caller.SpanID()))
		span.TraceState().FromRaw(caller.TraceState().String())
		span.SetFlags(uint32(caller.TraceFlags()))
	case TrustLink:
		link := span.Links().AppendEmpty()
		link.SetTraceID(pcommon.TraceID(caller.TraceID()))
		link.SetSpanID(pcommon.SpanID(caller.SpanID()))
		link.TraceState().FromRaw(caller.TraceState().String())
	}
}

// mostOfSpan is how many attributes the span of an exchange rarely exceeds.
const mostOfSpan = 14

func (x *Exchanges) describe(attrs pcommon.Map, e audit.Exchange) {
	known := e.Known()
	attrs.EnsureCapacity(mostOfSpan)
	attrs.PutStr("vault.request.id", known.ID)
	attrs.PutStr("vault.request.operation", known.Operation)
	putKnown(attrs, "vault.request.path", x.Redact(known.Path))
	putKnown(attrs, "vault.namespace", known.Namespace)
	putKnown(attrs, "vault.mount.path", known.Mount.Path)
	putKnown(attrs, "vault.mount.type", known.Mount.Type)
	putKnown(attrs, "client.address", known.RemoteAddress)
	if known.RemotePort > 0 {
		attrs.PutInt("client.port", int64(known.RemotePort))
	}
	putKnown(attrs, "vault.node.forwarded_from", known.ForwardedFrom)
	putKnown(attrs, "vault.auth.display_name", known.Auth.DisplayName)
	putKnown(attrs, "vault.auth.token_type", known.Auth.TokenType)
	putKnown(attrs, "vault.entity.id", known.Auth.EntityID)
	if known.Auth.Judged {
		attrs.PutBool("vault.auth.allowed", known.Auth.Allowed)
	}
	putKnown(attrs, "error.type", string(known.Failure))
	if known.TTL > 0 {
		attrs.PutDouble("vault.token.ttl", known.TTL.Seconds())
	}
	if known.LeaseHash != "" {
		putKnown(attrs, "vault.lease.prefix", x.Redact(known.LeasePrefix)) // It may be another path, as of a renewal.
		attrs.PutStr("vault.lease.hash", known.LeaseHash)
	}
	switch {
	case e.Whole():
	case e.Request != nil:
		attrs.PutStr("vault.request.half", metadata.AttributeVaultRequestHalfRequest.String())
	default:
		attrs.PutStr("vault.request.half", metadata.AttributeVaultRequestHalfResponse.String())
	}
}
