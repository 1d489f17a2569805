// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package spanid

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/trace"
)

// The literals pin the IDs: changing them breaks deduplication with records
// that an earlier release has already stored.
func TestIDsArePinned(t *testing.T) {
	assert.Equal(t, "28d8f0b75bf05d0bfa255e4aaa5c0835", Trace("consul", "dc1", "web").String())
	assert.Equal(t, "b922c3c98c6aa8b3", Span("consul", "dc1", "web").String())
}

func TestPartsAreLengthPrefixed(t *testing.T) {
	assert.NotEqual(t, Trace("a", "bc"), Trace("ab", "c"))
	assert.NotEqual(t, Trace("abc"), Trace("a", "bc"))
	assert.NotEqual(t, Span("1", "23"), Span("12", "3"))
	assert.NotEqual(t, Trace(), Trace(""))
}

func TestTraceAndSpanAreIndependent(t *testing.T) {
	traceID, spanID := Trace("k"), Span("k")
	assert.NotEqual(t, traceID[:8], spanID[:])
}

func TestContextCarriesTheIDs(t *testing.T) {
	traceID, spanID := Trace("k"), Span("k")
	sc := trace.SpanContextFromContext(Context(traceID, spanID))
	assert.True(t, sc.IsValid())
	assert.Equal(t, traceID.String(), sc.TraceID().String())
	assert.Equal(t, spanID.String(), sc.SpanID().String())
}

func FuzzIDsAreNeverEmptyAndDependOnTheSplit(f *testing.F) {
	f.Add("a", "b")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		if Trace(a, b).IsEmpty() || Span(a, b).IsEmpty() {
			t.Fatal("empty id")
		}
		if Trace(a, b) == Trace(a+b) {
			t.Fatal("ids must depend on the split")
		}
	})
}
