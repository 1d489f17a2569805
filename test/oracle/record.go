// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Attributes are those of a record, as texts.
type Attributes map[string]string

func newAttributes(m pcommon.Map) Attributes {
	all := make(Attributes, m.Len())
	for key, value := range m.All() {
		all[key] = value.AsString()
	}
	return all
}

// String renders them in the order of their keys.
func (a Attributes) String() string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(a)) {
		fmt.Fprintf(&text, " %s=%q", key, a[key])
	}
	return text.String()
}

// Event is an event that the sink accepted.
type Event struct {
	Name            string
	Severity        plog.SeverityNumber
	At, Arrived     time.Time
	TraceID, SpanID string
	Attributes      Attributes
	Resource        Attributes
}

func newEvent(resource pcommon.Resource, record plog.LogRecord, arrived time.Time) Event {
	return Event{
		Name: record.EventName(), Severity: record.SeverityNumber(), At: record.Timestamp().AsTime(), Arrived: arrived,
		TraceID: record.TraceID().String(), SpanID: record.SpanID().String(),
		Attributes: newAttributes(record.Attributes()), Resource: newAttributes(resource.Attributes()),
	}
}

// Span is a span that the sink accepted.
type Span struct {
	Name                      string
	TraceID, SpanID, ParentID string
	Start, End, Arrived       time.Time
	Failed                    bool
	Attributes                Attributes
	Resource                  Attributes
	Links                     []string // span IDs
}

func newSpan(resource pcommon.Resource, span ptrace.Span, arrived time.Time) Span {
	s := Span{
		Name: span.Name(), TraceID: span.TraceID().String(), SpanID: span.SpanID().String(), ParentID: span.ParentSpanID().String(),
		Start: span.StartTimestamp().AsTime(), End: span.EndTimestamp().AsTime(), Arrived: arrived,
		Failed:     span.Status().Code() == ptrace.StatusCodeError,
		Attributes: newAttributes(span.Attributes()), Resource: newAttributes(resource.Attributes()),
	}
	for _, link := range span.Links().All() {
		s.Links = append(s.Links, link.SpanID().String())
	}
	return s
}

// Events returns the events in the order in which they arrived.
func (s *Sink) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// EventsAfter returns the events that arrived after the first n, and how many there are.
func (s *Sink) EventsAfter(n int) ([]Event, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events[n:]), len(s.events)
}

// Spans returns the spans in the order in which they arrived.
func (s *Sink) Spans() []Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.spans)
}

// Records returns how many events and spans were accepted so far.
func (s *Sink) Records() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events) + len(s.spans)
}

// Scrapes returns how many batches of metrics were accepted so far.
func (s *Sink) Scrapes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scrapes
}

// Series returns the newest value of each series of a metric, by the values of some
// attributes of it or of its resource.
func (s *Sink) Series(metric string, attributes ...string) map[string]float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := map[string]float64{}
	for _, batch := range s.batches {
		resource := newAttributes(batch.Resource().Attributes())
		for _, sm := range batch.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != metric {
					continue
				}
				for _, point := range points(m).All() {
					own := newAttributes(point.Attributes())
					parts := make([]string, len(attributes))
					for i, name := range attributes {
						parts[i] = own[name]
						if _, ok := own[name]; !ok {
							parts[i] = resource[name]
						}
					}
					values[strings.Join(parts, " ")] = value(point)
				}
			}
		}
	}
	return values
}

func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints()
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints()
	default:
		return pmetric.NewNumberDataPointSlice()
	}
}

func value(point pmetric.NumberDataPoint) float64 {
	if point.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(point.IntValue())
	}
	return point.DoubleValue()
}
