// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Aliases are names of attributes that hold an ID. They are compared as they
// are, case included. When an exemplar has several of them the first in the
// list counts. Names that begin with dd. or dd_ hold Datadog's IDs, which are
// decimal numbers.
type Aliases struct {
	// TraceIDs and SpanIDs hold one ID each. trace_id and span_id always belong
	// to them: exporters write the IDs themselves under these names.
	TraceIDs, SpanIDs []string

	// Traceparents hold both in the form of the W3C header traceparent.
	Traceparents []string
}

// DefaultAliases returns the spellings that instrumentation is known to use.
func DefaultAliases() Aliases {
	return Aliases{
		TraceIDs: []string{
			"trace_id", "traceID", "traceId", "TraceID", "TraceId", "traceid", "trace.id",
			"otelTraceID", "dd.trace_id", "dd_trace_id",
		},
		SpanIDs: []string{
			"span_id", "spanID", "spanId", "SpanID", "SpanId", "spanid", "span.id",
			"otelSpanID", "dd.span_id", "dd_span_id",
		},
		Traceparents: []string{"traceparent"},
	}
}

type kind uint8

const (
	kindTrace kind = iota + 1
	kindSpan
	kindParent
)

type alias struct {
	kind    kind
	rank    int // in its list: the lowest wins
	datadog bool
}

// names are the aliases by name. A name in two lists is what it is in the
// first of them.
type names map[string]alias

func namesOf(a Aliases) names {
	n := names{}
	n.add(kindTrace, a.TraceIDs)
	n.add(kindSpan, a.SpanIDs)
	n.add(kindParent, a.Traceparents)
	return n
}

func (n names) add(kind kind, list []string) {
	for rank, name := range list {
		if _, ok := n[name]; !ok {
			n[name] = alias{kind: kind, rank: rank, datadog: strings.HasPrefix(name, "dd.") || strings.HasPrefix(name, "dd_")}
		}
	}
}

func (n names) has(name string) bool {
	_, ok := n[name]
	return ok
}

// found is what the aliases of one attribute set say: of each kind the ID whose
// name comes first in the list.
type found struct {
	trace                   pcommon.TraceID
	span                    pcommon.SpanID
	parentTrace             pcommon.TraceID
	parentSpan              pcommon.SpanID
	padded                  bool  // the trace ID had 64 bits
	traces, spans, pairs    bool  // there is one: a trace ID, a span ID, a traceparent
	atTrace, atSpan, atPair int   // its rank
	valid, invalid          int64 // how many attributes were an ID, and how many should have been
}

// read takes what the attribute says when it is an alias, and returns whether
// it is one.
func (f *found) read(n names, name string, value pcommon.Value) bool {
	a, ok := n[name]
	if !ok {
		return false
	}
	switch a.kind {
	case kindTrace:
		var id pcommon.TraceID
		var padded bool
		if id, padded, ok = traceFromValue(value, a.datadog); ok && (!f.traces || a.rank < f.atTrace) {
			f.trace, f.padded, f.atTrace, f.traces = id, padded, a.rank, true
		}
	case kindSpan:
		var id pcommon.SpanID
		if id, ok = spanFromValue(value, a.datadog); ok && (!f.spans || a.rank < f.atSpan) {
			f.span, f.atSpan, f.spans = id, a.rank, true
		}
	case kindParent:
		var traceID pcommon.TraceID
		var spanID pcommon.SpanID
		if traceID, spanID, ok = parent(value.Str()); ok && (!f.pairs || a.rank < f.atPair) {
			f.parentTrace, f.parentSpan, f.atPair, f.pairs = traceID, spanID, a.rank, true
		}
	}
	if ok {
		f.valid++
	} else {
		f.invalid++
	}
	return true
}

// resolve returns the IDs of an exemplar that has these of its own, which may be
// empty: its own win, then a traceparent's, then those of the other aliases. A
// span is never taken from an attribute that goes with another trace, as the
// link would lead nowhere. padded says that the trace ID was given 64 bits, and
// used how many attributes gave an ID.
func (f *found) resolve(trace pcommon.TraceID, span pcommon.SpanID) (_ pcommon.TraceID, _ pcommon.SpanID, padded bool, used int64) {
	byParent := false
	if trace.IsEmpty() {
		switch {
		case f.pairs:
			trace, byParent = f.parentTrace, true
			used++
		case f.traces:
			trace, padded = f.trace, f.padded
			used++
		}
	}
	if span.IsEmpty() {
		switch {
		case f.pairs && sameTrace(f.parentTrace, trace):
			span = f.parentSpan
			if !byParent {
				used++
			}
		case f.spans && f.traces && sameTrace(f.trace, trace), f.spans && !f.traces && !f.pairs:
			span = f.span
			used++
		}
	}
	return trace, span, padded, used
}
