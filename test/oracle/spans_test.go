// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSpans(t *testing.T) {
	start := Span{Name: "hold.start", TraceID: "t", SpanID: "1s", ParentID: "1", Start: at(1), End: at(1), Arrived: at(1)}
	span := Span{Name: "hold", TraceID: "t", SpanID: "1", Start: at(1), End: at(3), Arrived: at(3)}
	but := func(change func(*Span)) Span {
		other := span
		change(&other)
		return other
	}
	killed := []Window{{From: at(2), Until: at(4), Silent: true}}
	for name, c := range map[string]struct {
		spans       []Span
		windows     []Window
		differences int
	}{
		"as it should be":            {[]Span{start, span}, nil, 0},
		"it never ended":             {[]Span{start}, nil, 1},
		"it was not announced":       {[]Span{span}, nil, 1},
		"it had begun before":        {[]Span{but(func(s *Span) { s.Attributes = Attributes{"began_before": "true"} })}, nil, 0},
		"it ended twice":             {[]Span{start, span, span}, nil, 1},
		"it began twice":             {[]Span{start, start, span}, nil, 1},
		"twice over a kill":          {[]Span{start, span, but(func(s *Span) { s.Arrived = at(5) })}, killed, 0},
		"otherwise over a kill":      {[]Span{start, span, but(func(s *Span) { s.Arrived, s.End = at(5), at(5) })}, killed, 1},
		"reconciled over a kill":     {[]Span{start, span, but(func(s *Span) { s.Arrived, s.End, s.Attributes = at(5), at(5), Attributes{"reconciled": "true"} })}, killed, 0},
		"reconciled without a kill":  {[]Span{start, span, but(func(s *Span) { s.Arrived, s.End, s.Attributes = at(5), at(5), Attributes{"reconciled": "true"} })}, nil, 1},
		"twice before a kill":        {[]Span{start, span, span}, []Window{{From: at(5), Until: at(6), Silent: true}}, 1},
		"it ends before it starts":   {[]Span{start, but(func(s *Span) { s.End = at(0) })}, nil, 1},
		"it starts at another time":  {[]Span{start, but(func(s *Span) { s.Start = at(2) })}, nil, 1},
		"its start was forgotten":    {[]Span{start, but(func(s *Span) { s.Start, s.Attributes = at(2), Attributes{"began_before": "true"} })}, nil, 0},
		"it is in another trace":     {[]Span{start, but(func(s *Span) { s.TraceID = "other" })}, nil, 1},
		"two of different identity ": {[]Span{start, span, but(func(s *Span) { s.SpanID = "2" })}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Run{windows: c.windows}
			r.CheckSpans(c.spans, SpanRules{BeganBefore: "began_before", Reconciled: "reconciled"})
			assert.Len(t, r.differences, c.differences, r.differences)
		})
	}
	r := &Run{}
	r.CheckSpans([]Span{start}, SpanRules{Open: func(s Span) bool { return s.SpanID == "1s" }})
	assert.Empty(t, r.differences)
}

func TestEventsReportedTwice(t *testing.T) {
	event := Event{Name: "acquired", At: at(1), Arrived: at(1), Attributes: Attributes{"key": "a"}}
	later, other := event, event
	later.At, other.Attributes = at(2), Attributes{"key": "b"}
	again := event
	again.Arrived = at(5)
	for name, c := range map[string]struct {
		events      []Event
		windows     []Window
		differences int
	}{
		"three events":      {[]Event{event, later, other}, nil, 0},
		"one twice":         {[]Event{event, later, event}, nil, 1},
		"twice over a kill": {[]Event{event, again}, []Window{{From: at(0.5), Until: at(4), Silent: true}}, 0},
		"twice over others": {[]Event{event, again}, []Window{{From: at(0.5), Until: at(4)}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Run{begin: time.Now(), windows: c.windows}
			r.CheckTwice(c.events)
			assert.Len(t, r.differences, c.differences)
		})
	}
}
