// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// An ID in text is hexadecimal: 32 digits of a trace, or the 16 of one with 64
// bits, to which zeros are added on the left; 16 digits of a span. Upper case is
// taken. Datadog writes both as decimal numbers of 64 bits, and trace IDs as 32
// hexadecimal digits too: there, decimal digits alone are a decimal number
// unless they are 32.
//
// All zeros are no ID.

// traceFromText returns ok as false for what is no trace ID, and padded as true
// for an ID with 64 bits.
func traceFromText(s string, datadog bool) (id pcommon.TraceID, padded, ok bool) {
	if len(s) == 32 {
		got, err := trace.TraceIDFromHex(strings.ToLower(s))
		return pcommon.TraceID(got), false, err == nil
	}
	half, ok := spanFromText(s, datadog)
	copy(id[8:], half[:])
	return id, ok, ok
}

// spanFromText returns ok as false for what is no span ID.
func spanFromText(s string, datadog bool) (pcommon.SpanID, bool) {
	if datadog && decimal(s) {
		number, err := strconv.ParseUint(s, 10, 64)
		return spanFromNumber(number), err == nil && number != 0
	}
	if len(s) != 16 {
		return pcommon.SpanID{}, false
	}
	got, err := trace.SpanIDFromHex(strings.ToLower(s))
	return pcommon.SpanID(got), err == nil
}

func decimal(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func spanFromNumber(number uint64) (id pcommon.SpanID) {
	binary.BigEndian.PutUint64(id[:], number)
	return id
}

// parent reads the value of a traceparent header of W3C Trace Context.
func parent(s string) (pcommon.TraceID, pcommon.SpanID, bool) {
	carrier := propagation.MapCarrier{"traceparent": strings.ToLower(s)}
	got := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
	return pcommon.TraceID(got.TraceID()), pcommon.SpanID(got.SpanID()), got.IsValid()
}

// traceFromValue reads a trace ID: text, 16 or 8 bytes, or a number of 64 bits,
// whose sign is a bit like the others.
func traceFromValue(v pcommon.Value, datadog bool) (id pcommon.TraceID, padded, ok bool) {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return traceFromText(v.Str(), datadog)
	case pcommon.ValueTypeBytes:
		if b := v.Bytes().AsRaw(); len(b) == 16 {
			copy(id[:], b)
			return id, false, !id.IsEmpty()
		}
	}
	half, ok := spanFromValue(v, datadog)
	copy(id[8:], half[:])
	return id, ok, ok
}

// spanFromValue reads a span ID: text, 8 bytes, or a number of 64 bits.
func spanFromValue(v pcommon.Value, datadog bool) (id pcommon.SpanID, ok bool) {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return spanFromText(v.Str(), datadog)
	case pcommon.ValueTypeInt:
		id = spanFromNumber(uint64(v.Int()))
	case pcommon.ValueTypeBytes:
		if b := v.Bytes().AsRaw(); len(b) == 8 {
			copy(id[:], b)
		}
	}
	return id, !id.IsEmpty()
}

// sameTrace says whether both are IDs of one trace: they are equal, or one is
// the lower half of the other, which is all that an instrumentation with IDs of
// 64 bits knows of a trace.
func sameTrace(a, b pcommon.TraceID) bool {
	if a == b {
		return true
	}
	var none [8]byte
	return [8]byte(a[8:]) == [8]byte(b[8:]) && ([8]byte(a[:8]) == none || [8]byte(b[:8]) == none)
}
