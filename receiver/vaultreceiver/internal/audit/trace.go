// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Caller returns the span context that the request came with, in the headers
// of W3C Trace Context; one that is not valid when there is none, or it is
// malformed. Whoever may send requests can say anything there.
func (e *Entry) Caller() trace.SpanContext {
	if e.TraceParent == "" {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), (*carrier)(e))
	return trace.SpanContextFromContext(ctx)
}

// carrier has the headers of an entry.
type carrier Entry

// Get returns one of them, empty when it is not kept.
func (c *carrier) Get(name string) string {
	switch name {
	case "traceparent":
		return c.TraceParent
	case "tracestate":
		return c.TraceState
	default:
		return ""
	}
}

// Set does nothing: an entry is only read.
func (*carrier) Set(string, string) {}

// Keys returns the headers that an entry keeps.
func (*carrier) Keys() []string { return []string{"traceparent", "tracestate"} }
