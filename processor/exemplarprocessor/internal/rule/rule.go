// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package rule tells which spans are what a data point has counted: it gives
// both the same key.
package rule

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
)

// Rule is of metrics, and of the spans that they count.
type Rule struct {
	// Name is that of the configuration, or of the preset.
	Name string

	// Index is its place in the set.
	Index int

	hasher  *hasher
	metrics pattern.Matcher
	spans   spans
	joins   []join
	value   string
	unit    string

	all       Mask // optional joins
	instance  Mask // the bit of what joins by instance; 0: nothing does
	instances instances

	// masks has a bit for each set of optional joins that metrics had; 0: no
	// metric came. A span is kept under a key for each.
	masks atomic.Uint32

	// wanted says that a metric came that the rule names.
	wanted atomic.Bool
}

// Wanted says whether a metric came that the rule names.
func (r *Rule) Wanted() bool { return r.wanted.Load() }

// Set is all rules, in the order in which they are tried.
type Set struct {
	rules   []*Rule
	hasher  hasher
	columns int // how many different things rules ask a span for

	instances  instances
	byInstance bool // a rule joins by instance

	names sync.Map // *Rule by name of a metric; nil: none
	known atomic.Int64
}

// mostNames is how many names of metrics are remembered.
const mostNames = 10_000

// Compile compiles rules that Check has no objection to, and names the nameless.
func Compile(configs []Config) (*Set, error) {
	s, columns := &Set{hasher: newHasher(), instances: newInstances()}, map[string]int{}
	for i, c := range configs {
		r := &Rule{Name: c.Name, Index: i, hasher: &s.hasher, instances: s.instances, value: c.Value, unit: c.Unit}
		if r.Name == "" {
			r.Name = fmt.Sprintf("rules[%d]", i)
		}
		var err error
		if r.metrics, err = pattern.Any("metrics", c.Metrics); err != nil {
			return nil, err
		}
		if r.spans, err = c.Spans.compile(); err != nil {
			return nil, err
		}
		optional := 0
		for _, jc := range c.Join {
			j := jc.compile()
			if _, ok := columns[j.span]; !ok {
				columns[j.span] = len(columns)
			}
			j.column = columns[j.span]
			if jc.Optional {
				j.mask = 1 << optional
				optional++
				if j.instance {
					r.instance, s.byInstance = j.mask, true
				}
			}
			r.joins = append(r.joins, j)
		}
		r.all = 1<<optional - 1
		s.rules = append(s.rules, r)
	}
	s.columns = len(columns)
	return s, nil
}

// Rules returns the rules, in their order.
func (s *Set) Rules() []*Rule { return s.rules }

// Metric returns the first rule of a metric; nil when there is none.
func (s *Set) Metric(name string) *Rule {
	if known, ok := s.names.Load(name); ok {
		return known.(*Rule)
	}
	var found *Rule
	for _, r := range s.rules {
		if r.counts(name) {
			found = r
			r.wanted.Store(true)
			break
		}
	}
	if s.known.Add(1) <= mostNames {
		s.names.Store(name, found)
	}
	return found
}

func (r *Rule) counts(metric string) bool {
	return r.metrics.Match(metric) || r.metrics.Match(bare(metric))
}

// Scale returns what a candidate's value is to be multiplied with to be in the
// unit of the metric. It is false when that is not known.
func (r *Rule) Scale(metric, unit string) (float64, bool) {
	if r.value != "" {
		return 1, true
	}
	if r.unit != "" {
		return perSecond[r.unit], true
	}
	scale, ok := perSecond[unitOf(metric, unit)]
	return scale, ok
}

// Mask is a set of a rule's optional joins.
type Mask uint32

// Optional says whether any of its joins is optional.
func (r *Rule) Optional() bool { return r.all != 0 }

// Mask adds the optional joins that a data point has, but for that by instance,
// and says whether these are all there are.
func (r *Rule) Mask(has Mask, resource, attrs pcommon.Map) (Mask, bool) {
	all := true
	for i := range r.joins {
		j := &r.joins[i]
		if j.mask == 0 || has&j.mask != 0 || j.mask == r.instance {
			continue
		}
		if j.has(resource, attrs) {
			has |= j.mask
		} else {
			all = false
		}
	}
	return has, all
}

// Points gives the data points of a metric their keys. Its zero value is ready
// for Begin.
type Points struct {
	rule      *Rule
	mask      Mask
	inherited []inherited // by join
}

// inherited is what a data point has of its resource under the names of a join,
// and under its other names, once it was asked for.
type inherited struct{ names, others value }

// Begin says that the points of another metric or resource come, which has the
// optional joins of the mask.
func (p *Points) Begin(r *Rule, mask Mask) {
	if bit := uint32(1) << mask; r.masks.Load()&bit == 0 {
		r.masks.Or(bit) // From now on spans are kept for it.
	}
	p.rule, p.mask = r, mask
	p.inherited = append(p.inherited[:0], make([]inherited, len(r.joins))...)
}

// Key returns the key of a data point. It is false when the point lacks what is
// not optional.
func (p *Points) Key(resource, attrs pcommon.Map) (uint64, bool) {
	r := p.rule
	key := r.hasher.begin(uint32(r.Index), p.mask)
	for i := range r.joins {
		j := &r.joins[i]
		if j.mask != 0 && p.mask&j.mask == 0 {
			continue
		}
		value, ok := j.point(r.hasher, &p.inherited[i], resource, attrs)
		if !ok && j.mask == 0 {
			return 0, false
		}
		key = r.hasher.add(key, value)
	}
	return key, true
}

// Found is a span that a rule selects.
type Found struct {
	Rule  *Rule
	Keys  []uint64 // is used again by the next
	Value float64  // seconds, or that of the attribute
}

// Refusal is why a span that a rule selects is not used.
type Refusal int

// The reasons.
const (
	Unsampled Refusal = iota
	Invalid           // without length, value or IDs
	Unkeyed           // without what it shares with data points of which some came
	Refusals
)

// Scratch is what Spans needs for one span after the other. Its zero value is
// ready for Begin.
type Scratch struct {
	inherited []value // by column: what the resource has
	values    []value // by column: what the span has, or its resource
	keys      []uint64
	flagged   bool
}

// value is what there is of a column, once a rule has asked for it.
type value struct {
	hash      uint64
	whole     uint64 // of a service with its namespace; 0: it has none
	asked, ok bool
}

// as returns the hash of the value, or of that with its namespace.
func (v *value) as(whole bool) uint64 {
	if whole && v.whole != 0 {
		return v.whole
	}
	return v.hash
}

// Begin says that the spans of another resource come, and whether they are
// Flagged.
func (s *Set) Begin(resource pcommon.Map, scratch *Scratch, flagged bool) {
	s.see(resource)
	scratch.flagged = flagged
	scratch.inherited = append(scratch.inherited[:0], make([]value, s.columns)...)
}

// Spans calls take for each rule that selects the span.
func (s *Set) Spans(resource pcommon.Map, span ptrace.Span, scratch *Scratch, take func(Found), refuse func(*Rule, Refusal)) {
	fresh, sampled, valid, seconds := false, false, false, 0.
	kind := uint32(1) << min(uint32(span.Kind()), 31) // Nobody checks what is sent: it may be negative.
	for _, r := range s.rules {
		if r.spans.kinds&kind == 0 || !r.spans.match(resource, span) {
			continue
		}
		if !fresh { // The same for all rules.
			scratch.values = append(scratch.values[:0], make([]value, s.columns)...)
			sampled, valid = !unsampled(span, scratch.flagged), !span.TraceID().IsEmpty() && !span.SpanID().IsEmpty()
			seconds = secondsOf(span)
			fresh = true
		}
		value := seconds
		if r.value != "" {
			value = numberOf(r.value, span)
		}
		switch {
		case !sampled:
			refuse(r, Unsampled)
			continue
		case !valid || math.IsNaN(value):
			refuse(r, Invalid)
			continue
		}
		if scratch.keys = r.keys(scratch, resource, span); len(scratch.keys) > 0 {
			take(Found{Rule: r, Keys: scratch.keys, Value: value})
		} else if r.Wanted() { // Presets have rules for several versions of the conventions.
			refuse(r, Unkeyed)
		}
	}
}

// secondsOf returns how long a span took; NaN if that is not known.
func secondsOf(span ptrace.Span) float64 {
	length := int64(span.EndTimestamp() - span.StartTimestamp())
	if span.StartTimestamp() == 0 || length < 0 {
		return math.NaN()
	}
	return float64(length) / 1e9
}

// numberOf returns an attribute of a span; NaN if it is no number.
func numberOf(name string, span ptrace.Span) float64 {
	value, ok := span.Attributes().Get(name)
	switch {
	case ok && value.Type() == pcommon.ValueTypeInt:
		return float64(value.Int())
	case ok && value.Type() == pcommon.ValueTypeDouble:
		return value.Double()
	default:
		return math.NaN()
	}
}

// keys returns a key for each set of optional joins that metrics had, and for
// that of all, as points of it may come yet; before any metric came, for that of
// none too. Each is twice, if the span's service has a namespace, as some metrics
// tell that and some do not. A span that is of no instance has none by instance.
func (r *Rule) keys(scratch *Scratch, resource pcommon.Map, span ptrace.Span) []uint64 {
	keys, whole, without, masks := scratch.keys[:0], false, Mask(0), r.masks.Load()
	if masks == 0 {
		masks = 1 << 0
	}
	masks |= 1 << r.all
	for i := range r.joins {
		j := &r.joins[i]
		v := &scratch.values[j.column]
		if !v.asked {
			*v = j.spanned(r.hasher, scratch, resource, span)
		}
		if !v.ok && j.mask == 0 {
			return keys
		}
		whole = whole || v.whole != 0
		if !v.ok && j.mask == r.instance {
			without = r.instance
			masks |= 1 << (r.all &^ r.instance)
		}
	}
	for ; masks != 0; masks &= masks - 1 {
		mask := Mask(bits.TrailingZeros32(masks))
		if mask&without != 0 {
			continue
		}
		keys = append(keys, r.keyOf(scratch.values, mask, false))
		if whole {
			keys = append(keys, r.keyOf(scratch.values, mask, true))
		}
	}
	return keys
}

func (r *Rule) keyOf(values []value, mask Mask, whole bool) uint64 {
	key := r.hasher.begin(uint32(r.Index), mask)
	for i := range r.joins {
		j := &r.joins[i]
		if j.mask == 0 || mask&j.mask != 0 {
			key = r.hasher.add(key, values[j.column].as(whole))
		}
	}
	return key
}
