// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
)

// traces remembers spans that pass. It changes nothing.
type traces struct {
	*shared

	next    consumer.Traces
	batches sync.Pool
}

func newTraces(s *shared, next consumer.Traces) *traces {
	s.Observer.traces.Add(1)
	return &traces{shared: s, next: next, batches: sync.Pool{New: func() any { return new(batch) }}}
}

// Capabilities implements consumer.Traces.
func (t *traces) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// ConsumeTraces passes spans on, and remembers those that were accepted. They are
// read before, as who accepts them may change them.
func (t *traces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	b := t.batches.Get().(*batch)
	defer t.batches.Put(b)
	b.read(t.Observer.rules, td)
	if err := t.next.ConsumeTraces(ctx, td); err != nil {
		return err
	}
	t.Observer.remember(ctx, b)
	return nil
}

// batch is of the spans of a batch that rules select.
type batch struct {
	found   []found
	counts  []spanCounts // by rule
	scratch rule.Scratch
}

// spanCounts are what became of the spans that a rule selects.
type spanCounts struct {
	kept    [candidate.Outcomes]int64
	refused [rule.Refusals]int64
}

type found struct {
	rule int
	key  uint64
	candidate.Candidate
}

func (b *batch) read(rules *rule.Set, td ptrace.Traces) {
	b.found, b.counts = b.found[:0], append(b.counts[:0], make([]spanCounts, len(rules.Rules()))...)
	var span ptrace.Span
	take := func(f rule.Found) {
		c := candidate.Candidate{
			Trace: span.TraceID(), Span: span.SpanID(), End: int64(span.EndTimestamp()),
			Value: f.Value, Error: span.Status().Code() == ptrace.StatusCodeError,
		}
		for _, key := range f.Keys {
			b.found = append(b.found, found{f.Rule.Index, key, c})
		}
	}
	refuse := func(of *rule.Rule, why rule.Refusal) { b.counts[of.Index].refused[why]++ }
	for _, rs := range td.ResourceSpans().All() {
		resource := rs.Resource().Attributes()
		rules.Begin(resource, &b.scratch, rule.Flagged(rs))
		for _, ss := range rs.ScopeSpans().All() {
			for _, span = range ss.Spans().All() {
				rules.Spans(resource, span, &b.scratch, take, refuse)
			}
		}
	}
}

func (e *exemplars) remember(ctx context.Context, b *batch) {
	now := e.now().UnixNano()
	for _, f := range b.found {
		b.counts[f.rule].kept[e.store.Add(now, f.key, f.Candidate)]++
	}
	e.outcomes.candidates(ctx, b.counts)
}
