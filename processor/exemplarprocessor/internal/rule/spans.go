// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"maps"
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
)

// kinds are the kinds of spans as they are configured.
var kinds = map[string]ptrace.SpanKind{
	"server": ptrace.SpanKindServer, "client": ptrace.SpanKindClient, "producer": ptrace.SpanKindProducer,
	"consumer": ptrace.SpanKindConsumer, "internal": ptrace.SpanKindInternal,
}

// spans selects spans.
type spans struct {
	kinds      uint32 // a bit for each
	names      pattern.Matcher
	attributes []attribute
}

type attribute struct{ name, value string }

func (c *SpansConfig) compile() (s spans, err error) {
	if len(c.Kinds) == 0 {
		s.kinds = math.MaxUint32
	}
	for _, kind := range c.Kinds {
		s.kinds |= 1 << kinds[kind]
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		s.attributes = append(s.attributes, attribute{name, c.Attributes[name]})
	}
	s.names, err = pattern.Any("names", c.Names)
	return s, err
}

// match looks at everything but the kind.
func (s *spans) match(resource pcommon.Map, span ptrace.Span) bool {
	for _, a := range s.attributes {
		if value, ok := lookUp(a.name, span.Attributes(), resource); !ok || value.AsString() != a.value {
			return false
		}
	}
	return s.names.Match(span.Name())
}

// The lower 8 bits of a span's flags are those of its trace.
const (
	traceFlags  = 0xff
	sampledFlag = 0x01
	hasRemote   = 0x100
)

// Flagged says whether flags tell of these spans which were sampled: one of them
// was. Older SDKs of Go, and that of Python, set the upper bits only.
func Flagged(spans ptrace.ResourceSpans) bool {
	for _, ss := range spans.ScopeSpans().All() {
		for _, span := range ss.Spans().All() {
			if span.Flags()&sampledFlag != 0 {
				return true
			}
		}
	}
	return false
}

// unsampled says whether it is known that the span's trace was not sampled. Who
// leaves the flags alone exports sampled spans only.
func unsampled(span ptrace.Span, flagged bool) bool {
	flags := span.Flags()
	switch {
	case flags&sampledFlag != 0:
		return false
	case flags&traceFlags != 0: // Another one is set, so they are known.
		return true
	default:
		return flagged && flags&hasRemote != 0
	}
}

// lookUp returns an attribute of the first map that has it. One whose text is
// empty is none.
func lookUp(name string, in ...pcommon.Map) (pcommon.Value, bool) {
	for _, attrs := range in {
		if value, ok := attrs.Get(name); ok && !empty(value) {
			return value, true
		}
	}
	return pcommon.Value{}, false
}

func empty(value pcommon.Value) bool {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return value.Str() == ""
	case pcommon.ValueTypeInt, pcommon.ValueTypeDouble, pcommon.ValueTypeBool:
		return false
	default:
		return value.AsString() == ""
	}
}
