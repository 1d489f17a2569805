// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package spanid derives trace and span IDs from stable keys, so that a
// replay, or a second collector that observed the same, makes the same IDs.
package spanid

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/otel/trace"
)

// Trace returns the 16-byte trace ID of a key. Parts are length-prefixed, so
// ("a", "bc") and ("ab", "c") differ. The ID is never all zero.
func Trace(key ...string) pcommon.TraceID {
	var id pcommon.TraceID
	sum := hash("trace", key)
	copy(id[:], sum[:])
	if id.IsEmpty() {
		id[len(id)-1] = 1
	}
	return id
}

// Span returns the 8-byte span ID of a key, independent of [Trace] of the same
// key. The ID is never all zero.
func Span(key ...string) pcommon.SpanID {
	var id pcommon.SpanID
	sum := hash("span", key)
	copy(id[:], sum[:])
	if id.IsEmpty() {
		id[len(id)-1] = 1
	}
	return id
}

// Context returns a context that carries the two IDs as a sampled span
// context, which is how generated event recorders take them.
func Context(traceID pcommon.TraceID, spanID pcommon.SpanID) context.Context {
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID(traceID),
		SpanID:     trace.SpanID(spanID),
		TraceFlags: trace.FlagsSampled,
	}))
}

func hash(domain string, key []string) [sha256.Size]byte {
	var enough [256]byte // as a rule, so that nothing is allocated
	text := appendPart(enough[:0], domain)
	for _, part := range key {
		text = appendPart(text, part)
	}
	return sha256.Sum256(text)
}

func appendPart(to []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint64(to, uint64(len(part))), part...)
}
