// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package normalize gives exemplars the form that exporters understand, takes
// out those that say nothing new, and makes exemplars of data point attributes
// that are trace IDs. It is pure: it knows no clock and does no I/O.
//
// A Promoter comes first, then a Normalizer, then Repeats.
package normalize

import (
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
)

// OpenMetrics 1.0 takes so many characters for the names and values of all
// labels of an exemplar. Prometheus refuses those with more, and the remote
// write exporter leaves out all filtered attributes of such.
const (
	maxRunes   = 128
	traceRunes = len("trace_id") + 32
	spanRunes  = len("span_id") + 16
)

// Normalizer mends exemplars. It is safe for concurrent use.
type Normalizer struct {
	names names
}

// New returns a Normalizer that knows these aliases, and trace_id and span_id.
func New(aliases Aliases) *Normalizer {
	aliases.TraceIDs = append(slices.Clone(aliases.TraceIDs), "trace_id")
	aliases.SpanIDs = append(slices.Clone(aliases.SpanIDs), "span_id")
	return &Normalizer{names: namesOf(aliases)}
}

// Exemplars mends the exemplars of one data point:
//
//   - Filtered attributes that are aliases leave the exemplar. They become its
//     trace and span ID where these are empty; where they are not, the
//     exemplar's own win.
//   - The other attributes are kept, in their order, as long as all labels
//     have at most 128 characters in all. One that does not fit is
//     left out as a whole; a later one that is shorter may still fit.
//   - An exemplar that has neither a trace ID nor an attribute then is removed,
//     whether it came so or became so. It leads nowhere; Mimir refuses the
//     whole request that holds one, and older Prometheus clients the
//     whole scrape.
//   - Of exemplars with the same IDs, value and time the first is kept. Those
//     without a trace ID must have the same attributes too.
//
// The order is kept, and nothing else is changed. A second call does nothing.
func (n *Normalizer) Exemplars(exemplars pmetric.ExemplarSlice, c *Counts) {
	if exemplars.Len() == 0 {
		return
	}
	var seen seen
	several := exemplars.Len() > 1
	exemplars.RemoveIf(func(e pmetric.Exemplar) bool {
		if e.FilteredAttributes().Len() > 0 {
			n.identify(e, c)
			cut(e, c)
		}
		if e.TraceID().IsEmpty() && e.FilteredAttributes().Len() == 0 {
			c.Empty++
			return true
		}
		if several && seen.before(identity.Exemplar(e, e.Timestamp())) {
			c.Duplicate++
			return true
		}
		return false
	})
}

// identify takes the IDs out of the filtered attributes.
func (n *Normalizer) identify(e pmetric.Exemplar, c *Counts) {
	var f found
	e.FilteredAttributes().RemoveIf(func(name string, value pcommon.Value) bool {
		return f.read(n.names, name, value)
	})
	if f.valid+f.invalid == 0 {
		return
	}
	traceID, spanID, padded, used := f.resolve(e.TraceID(), e.SpanID())
	if used > 0 {
		e.SetTraceID(traceID)
		e.SetSpanID(spanID)
		c.Aliased++
	}
	if padded {
		c.Padded++
	}
	c.Redundant += f.valid - used
	c.Invalid += f.invalid
}

// cut removes the attributes that do not fit.
func cut(e pmetric.Exemplar, c *Counts) {
	left := maxRunes
	if !e.TraceID().IsEmpty() {
		left -= traceRunes
	}
	if !e.SpanID().IsEmpty() {
		left -= spanRunes
	}
	e.FilteredAttributes().RemoveIf(func(name string, value pcommon.Value) bool {
		need := nameRunes(name) + valueRunes(value)
		if need > left {
			c.Cut++
			return true
		}
		left -= need
		return false
	})
}

// nameRunes returns the most characters that an exporter makes of the name: it
// replaces characters by underscores, and writes key_ or key before a name that
// does not begin with a letter.
func nameRunes(name string) int {
	runes := utf8.RuneCountInString(name)
	if first, _ := utf8.DecodeRuneInString(name); !unicode.IsLetter(first) {
		runes += len("key_")
	}
	return runes
}

func valueRunes(value pcommon.Value) int {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return utf8.RuneCountInString(value.Str())
	case pcommon.ValueTypeInt:
		var digits [20]byte
		return len(strconv.AppendInt(digits[:0], value.Int(), 10))
	default:
		return utf8.RuneCountInString(value.AsString())
	}
}

// seen remembers hashes: a few in a row, which takes no allocation, and more of
// them in a map.
type seen struct {
	few  [32]uint64
	n    int // of the few
	many map[uint64]struct{}
}

// before remembers the hash, and returns whether it was there.
func (s *seen) before(hash uint64) bool {
	if s.many == nil {
		if slices.Contains(s.few[:s.n], hash) {
			return true
		}
		if s.n < len(s.few) {
			s.few[s.n] = hash
			s.n++
			return false
		}
		s.many = make(map[uint64]struct{}, 2*s.n)
		for _, h := range s.few {
			s.many[h] = struct{}{}
		}
	}
	_, ok := s.many[hash]
	s.many[hash] = struct{}{}
	return ok
}
