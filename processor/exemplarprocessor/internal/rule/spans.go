// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"maps"
	"regexp"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// kinds are the kinds of spans as they are configured.
var kinds = map[string]ptrace.SpanKind{
	"server": ptrace.SpanKindServer, "client": ptrace.SpanKindClient, "producer": ptrace.SpanKindProducer,
	"consumer": ptrace.SpanKindConsumer, "internal": ptrace.SpanKindInternal,
}

// spans selects spans.
type spans struct {
	kinds      uint32 // a bit for each; 0: all
	names      []*regexp.Regexp
	attributes []attribute
}

type attribute struct{ name, value string }

func (c *SpansConfig) compile() (s spans, err error) {
	for _, kind := range c.Kinds {
		s.kinds |= 1 << kinds[kind]
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		s.attributes = append(s.attributes, attribute{name, c.Attributes[name]})
	}
	s.names, err = compilePatterns("names", c.Names)
	return s, err
}

func (s *spans) match(resource pcommon.Map, span ptrace.Span) bool {
	// Nobody checks the kind that is sent: a shift by a negative one would panic.
	if s.kinds != 0 && s.kinds&(1<<uint32(span.Kind())) == 0 {
		return false
	}
	for _, a := range s.attributes {
		if value, ok := lookUp(a.name, span.Attributes(), resource); !ok || value.AsString() != a.value {
			return false
		}
	}
	return len(s.names) == 0 || slices.ContainsFunc(s.names, func(re *regexp.Regexp) bool { return re.MatchString(span.Name()) })
}

// sampled says whether a span's trace was sampled. Bits 8 and 9 of the flags tell
// that the others were set; who leaves them alone exports sampled spans only.
func sampled(span ptrace.Span) bool {
	const isKnown, isSampled = 0x100, 1
	return span.Flags()&isKnown == 0 || span.Flags()&isSampled != 0
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
