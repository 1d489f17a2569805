// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package period renders a stretch of time, such as an outage, a wait or a
// sealed time, as spans.
//
// A span can be exported only when it has ended, yet an operator needs to know of
// an outage while it lasts. So a period is emitted twice: when it opens, a
// point-in-time child span `<name>.start` is exported at once, and when it
// closes, the span itself. Both IDs are functions of the period's key, so the
// two meet in one trace.
package period

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
)

// AttrBeganBeforeObservation is set on a span whose true start is unknown,
// because the collector was not watching yet when the period began.
const AttrBeganBeforeObservation = "observation.began_before"

// AttrReconciled is set on a span whose start or end is not known exactly: it
// came to pass while the system could not be observed.
const AttrReconciled = "observation.reconciled"

// Period is a stretch of time that becomes a span.
type Period struct {
	Name string // span name, low cardinality: "consul.check.outage"

	// Trace is the key of the trace, Key that of the span within it, Parent
	// that of the parent span (nil for a root).
	Trace, Key, Parent []string

	Start, End time.Time

	// BeganBefore means that Start is the time of the first observation only.
	BeganBefore bool

	// Reconciled means that Start or End is the time at which it was learnt.
	Reconciled bool

	// Attributes fills the attributes of the span and of its start marker.
	Attributes func(pcommon.Map)

	// Events become span events, in order.
	Events []Event

	// DroppedEvents is how many more there were than could be kept.
	DroppedEvents int

	// Links lead to spans of other traces; DroppedLinks is how many more there
	// were than could be kept.
	Links        []Link
	DroppedLinks int

	// StatusMessage, when not empty, sets the status Error with this description.
	StatusMessage string
}

// Event is something that happened within a period.
type Event struct {
	Time       time.Time
	Name       string
	Attributes func(pcommon.Map)
}

// Link leads to the span of another period, or to any other span.
type Link struct {
	To         Period // of which the keys count
	Span       Span   // instead of To, if it is not zero
	Attributes func(pcommon.Map)
}

// Span is one that is not that of a period.
type Span struct {
	TraceID pcommon.TraceID
	SpanID  pcommon.SpanID
}

func (l Link) target() Span {
	if l.Span != (Span{}) {
		return l.Span
	}
	return Span{l.To.TraceID(), l.To.SpanID()}
}

// TraceID returns the ID of the trace that the period belongs to.
func (p Period) TraceID() pcommon.TraceID { return spanid.Trace(p.Trace...) }

// SpanID returns the ID of the period's span.
func (p Period) SpanID() pcommon.SpanID { return spanid.Span(p.Key...) }

// Context carries the IDs of the period's span, for the events that belong to it.
func (p Period) Context() context.Context { return spanid.Context(p.TraceID(), p.SpanID()) }

// AppendStart appends the point-in-time span that announces an open period.
func (p Period) AppendStart(spans ptrace.SpanSlice) {
	s := p.append(spans, p.Name+".start", p.Start, p.Start)
	s.SetSpanID(spanid.Span(append(p.Key[:len(p.Key):len(p.Key)], "start")...))
	s.SetParentSpanID(p.SpanID())
}

// Append appends the span of a closed period.
func (p Period) Append(spans ptrace.SpanSlice) {
	s := p.append(spans, p.Name, p.Start, p.End)
	s.SetSpanID(p.SpanID())
	if p.Parent != nil {
		s.SetParentSpanID(spanid.Span(p.Parent...))
	}
	s.SetDroppedEventsCount(uint32(p.DroppedEvents))
	for _, m := range p.Events {
		e := s.Events().AppendEmpty()
		e.SetName(m.Name)
		e.SetTimestamp(pcommon.NewTimestampFromTime(m.Time))
		if m.Attributes != nil {
			m.Attributes(e.Attributes())
		}
	}
}

func (p Period) append(spans ptrace.SpanSlice, name string, start, end time.Time) ptrace.Span {
	if !end.After(start) {
		end = start.Add(time.Nanosecond) // Jaeger takes no length at all for a mistake.
	}
	s := spans.AppendEmpty()
	s.SetName(name)
	s.SetKind(ptrace.SpanKindInternal)
	s.SetTraceID(p.TraceID())
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	if p.Attributes != nil {
		p.Attributes(s.Attributes())
	}
	if p.BeganBefore {
		s.Attributes().PutBool(AttrBeganBeforeObservation, true)
	}
	if p.Reconciled {
		s.Attributes().PutBool(AttrReconciled, true)
	}
	for _, l := range p.Links {
		link := s.Links().AppendEmpty()
		to := l.target()
		link.SetTraceID(to.TraceID)
		link.SetSpanID(to.SpanID)
		if l.Attributes != nil {
			l.Attributes(link.Attributes())
		}
	}
	s.SetDroppedLinksCount(uint32(p.DroppedLinks))
	if p.StatusMessage != "" {
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage(p.StatusMessage)
	}
	return s
}

// Traces moves spans under one resource and scope. No spans give empty traces.
func Traces(spans ptrace.SpanSlice, resource pcommon.Resource, scope, version string) ptrace.Traces {
	traces := ptrace.NewTraces()
	if spans.Len() == 0 {
		return traces
	}
	rs := traces.ResourceSpans().AppendEmpty()
	resource.CopyTo(rs.Resource())
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName(scope)
	ss.Scope().SetVersion(version)
	spans.MoveAndAppendTo(ss.Spans())
	return traces
}
