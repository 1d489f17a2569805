// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package period

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func outage() Period {
	start := time.Unix(100, 0)
	return Period{
		Name:          "x.outage",
		Trace:         []string{"t"},
		Key:           []string{"t", "k"},
		Start:         start,
		End:           start.Add(time.Minute),
		Attributes:    func(m pcommon.Map) { m.PutStr("object", "o") },
		Events:        []Event{{Time: start, Name: "transition", Attributes: func(m pcommon.Map) { m.PutStr("to", "bad") }}},
		StatusMessage: "bad",
	}
}

func TestStartMarkerIsAPointUnderThePeriod(t *testing.T) {
	spans := ptrace.NewSpanSlice()
	p := outage()
	p.AppendStart(spans)
	p.Append(spans)
	marker, span := spans.At(0), spans.At(1)

	assert.Equal(t, "x.outage.start", marker.Name())
	assert.Equal(t, marker.StartTimestamp()+1, marker.EndTimestamp())
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, span.TraceID(), marker.TraceID())
	assert.NotEqual(t, span.SpanID(), marker.SpanID())

	assert.Equal(t, time.Minute, span.EndTimestamp().AsTime().Sub(span.StartTimestamp().AsTime()))
	assert.True(t, span.ParentSpanID().IsEmpty())
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	assert.Equal(t, "bad", span.Status().Message())
	assert.Equal(t, map[string]any{"object": "o"}, span.Attributes().AsRaw())
	require.Equal(t, 1, span.Events().Len())
	assert.Equal(t, map[string]any{"to": "bad"}, span.Events().At(0).Attributes().AsRaw())
}

func TestUnknownStartIsSaid(t *testing.T) {
	spans := ptrace.NewSpanSlice()
	p := outage()
	p.BeganBefore, p.StatusMessage, p.Parent = true, "", []string{"parent"}
	p.Append(spans)
	said, ok := spans.At(0).Attributes().Get(AttrBeganBeforeObservation)
	assert.True(t, ok && said.Bool())
	assert.Equal(t, ptrace.StatusCodeUnset, spans.At(0).Status().Code())
	assert.False(t, spans.At(0).ParentSpanID().IsEmpty())
}

func TestTheSamePeriodGivesTheSameSpans(t *testing.T) {
	render := func() ptrace.SpanSlice {
		spans := ptrace.NewSpanSlice()
		p := outage()
		p.AppendStart(spans)
		p.Append(spans)
		return spans
	}
	first, again := render(), render()
	assert.Equal(t, first, again)
}

func TestLinksLeadToPeriodsAndToOtherSpans(t *testing.T) {
	spans := ptrace.NewSpanSlice()
	p, other := outage(), Period{Trace: []string{"u"}, Key: []string{"u", "k"}}
	span := Span{TraceID: pcommon.TraceID{1}, SpanID: pcommon.SpanID{2}}
	p.Links = []Link{{To: other}, {Span: span, Attributes: func(m pcommon.Map) { m.PutStr("why", "it") }}}
	p.AppendStart(spans)
	p.Append(spans)
	for _, s := range spans.All() {
		require.Equal(t, 2, s.Links().Len())
		assert.Equal(t, other.TraceID(), s.Links().At(0).TraceID())
		assert.Equal(t, other.SpanID(), s.Links().At(0).SpanID())
		assert.Equal(t, span.TraceID, s.Links().At(1).TraceID())
		assert.Equal(t, span.SpanID, s.Links().At(1).SpanID())
		assert.Equal(t, map[string]any{"why": "it"}, s.Links().At(1).Attributes().AsRaw())
	}
}
