// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"slices"
	"strings"
	"time"
)

// startSuffix ends the name of the span that announces an open one.
const startSuffix = ".start"

// SpanRules say what is true of the spans of one system.
type SpanRules struct {
	// BeganBefore is the attribute of a span whose start is unknown.
	BeganBefore string
	// Reconciled is the attribute of a span whose start or end is the time at which it
	// was learnt.
	Reconciled string
	// Again says whether a span may have the ID of an earlier one; nil: none may, except
	// over a kill of the collector.
	Again func(first, second Span) bool
	// Unannounced says whether a span comes without one that announced it; nil: none does.
	Unannounced func(Span) bool
	// Open says whether a span may be open still when all is quiet; nil: none may.
	Open func(start Span) bool
}

// CheckSpans records what is wrong with the spans by themselves: each that began ends
// once, at a time that is not before its start, and none is reported twice.
func (r *Run) CheckSpans(spans []Span, rules SpanRules) {
	starts, ended := map[string][]Span{}, map[string][]Span{} // by the ID of the span
	for _, span := range spans {
		all, id := ended, span.SpanID
		if strings.HasSuffix(span.Name, startSuffix) {
			all, id = starts, span.ParentID
		}
		for _, before := range all[id] {
			r.checkAgain(before, span, rules)
		}
		all[id] = append(all[id], span)
		if span.End.Before(span.Start) {
			r.Differ("span %s ends before it starts:%s", span.Name, span.Attributes)
		}
	}
	for id, announced := range starts {
		last := announced[len(announced)-1]
		if len(ended[id]) == 0 && (rules.Open == nil || !rules.Open(last)) && !r.unsaved(last.Arrived) {
			r.Differ("span %s that began at %s never ended:%s", strings.TrimSuffix(last.Name, startSuffix), r.Clock(last.Start), last.Attributes)
		}
	}
	for id, all := range ended {
		for _, span := range all {
			r.checkStart(span, starts[id], rules)
		}
	}
}

// checkAgain records a span that has the ID of an earlier one, unless it may.
func (r *Run) checkAgain(before, span Span, rules SpanRules) {
	if r.again(before.Arrived, span.Arrived, sameSpan(before, span) || span.Attributes[rules.Reconciled] == "true") ||
		rules.Again != nil && rules.Again(before, span) {
		return
	}
	r.Differ("span %s was reported twice, at %s and %s:\n    %s to %s%s\n    %s to %s%s", span.Name, r.Clock(before.Arrived), r.Clock(span.Arrived),
		r.Clock(before.Start), r.Clock(before.End), before.Attributes, r.Clock(span.Start), r.Clock(span.End), span.Attributes)
}

// checkStart records a span that was not announced as it began, unless its start is
// unknown.
func (r *Run) checkStart(span Span, announced []Span, rules SpanRules) {
	unknown := span.Attributes[rules.BeganBefore] == "true"
	switch {
	case len(announced) == 0 && (unknown || rules.Unannounced != nil && rules.Unannounced(span)):
	case len(announced) == 0:
		r.Differ("span %s of %s was not announced:%s", span.Name, r.Clock(span.Start), span.Attributes)
	case len(announced) > 0 && !slices.ContainsFunc(announced, func(start Span) bool {
		return start.Name == span.Name+startSuffix && (unknown || start.TraceID == span.TraceID && start.Start.Equal(span.Start))
	}):
		r.Differ("span %s and the start that announced it differ: %s and %s:%s", span.Name, r.Clock(span.Start), r.Clock(announced[0].Start), span.Attributes)
	}
}

func sameSpan(a, b Span) bool {
	return a.Name == b.Name && a.Start.Equal(b.Start) && a.End.Equal(b.End) && a.Attributes.String() == b.Attributes.String()
}

// again says whether a record may arrive twice: the collector was killed after it had been
// accepted and before that was kept. The second is the same, or says that its time is not
// that of the change.
func (r *Run) again(first, second time.Time, allowed bool) bool {
	return allowed && slices.ContainsFunc(r.Windows(), func(w Window) bool {
		return w.Silent && !first.Before(w.From) && first.Before(w.Until) && second.After(first)
	})
}

// unsaved says whether a record arrived right before the collector was killed, so that it
// may not have been saved that it was accepted.
func (r *Run) unsaved(arrived time.Time) bool {
	return slices.ContainsFunc(r.Windows(), func(w Window) bool {
		return w.Silent && arrived.After(w.From.Add(flushes-saves)) && arrived.Before(w.Until)
	})
}

// CheckTwice records the events that were reported twice: those with the same name,
// time and attributes.
func (r *Run) CheckTwice(events []Event) {
	first := map[string]Event{}
	for _, event := range events {
		id := event.Name + event.At.String() + event.Attributes.String() + event.Resource.String()
		if before, twice := first[id]; twice && !r.again(before.Arrived, event.Arrived, true) {
			r.Differ("event %s of %s was reported twice:%s", event.Name, r.Clock(event.At), event.Attributes)
		}
		first[id] = event
	}
}
