// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// quiet waits until nothing is reported any more of what was done.
func (s *system) quiet(ctx context.Context) error {
	s.sink.Refuse()
	if err := s.observed(ctx); err != nil {
		return err
	}
	const calm = 4 * time.Second
	waiting, enough := context.WithTimeout(ctx, 30*time.Second)
	defer enough()
	records, since := s.sink.Records(), time.Now()
	oracle.Until(waiting, 100*time.Millisecond, func() bool {
		if now := s.sink.Records(); now != records {
			records, since = now, time.Now()
		}
		return time.Since(since) > calm
	})
	_, err := s.history.catchUp(ctx)
	return err
}

// compare compares all that was reported with what etcd says.
func (s *system) compare(ctx context.Context) {
	s.compareGauges(ctx)
	s.history.end()
	s.compareRecords(ctx, s.sink.Events(), s.sink.Spans())
	s.compareRequests()
}

// compareRecords compares events, spans and what counts them.
func (s *system) compareRecords(ctx context.Context, events []oracle.Event, spans []oracle.Span) {
	windows := s.Windows()
	s.CheckTwice(events)
	s.indexSpans(spans)
	once := s.onceByID(events)
	s.walkAll(once, windows)
	s.tooManyUnknown("attempts", s.attemptEnds)
	s.compareLeases(ctx, events, windows)
	s.compareDomains(events, windows)
	s.CheckSpans(s.withoutRevived(spans, events), oracle.SpanRules{
		BeganBefore: attrBeganBefore, Reconciled: attrReconciled, Open: s.stillOpen(events), Again: s.cameBack,
		Unannounced: func(span oracle.Span) bool {
			return span.Name == spanWait || span.Name == spanHold || s.announcedBefore(span)
		},
	})
	s.compareCounters(once, windows)
}

// announcedBefore says whether a span may have been announced as one of a former cluster.
func (s *system) announcedBefore(span oracle.Span) bool {
	return !spansOfFormerClustersEnd && len(s.formerClusters) > 0 && slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		return isRestore(w) && span.Start.Before(w.Until) && span.End.After(w.From)
	})
}

// withoutRevived leaves out the spans of what came back with a backup.
func (s *system) withoutRevived(spans []oracle.Span, events []oracle.Event) []oracle.Span {
	if restoredSpansAreNew {
		return spans
	}
	lives := s.lifetimes(events)
	return slices.DeleteFunc(slices.Clone(spans), func(span oracle.Span) bool {
		l := lives[span.Attributes[attrLease]]
		return l != nil && len(l.epochs) > 1
	})
}

// cameBack says whether a span can have the ID of an earlier one: etcd went back to a backup
// between them, or the collector was killed before it had kept what it knew of a lease.
func (s *system) cameBack(first, second oracle.Span) bool {
	if strings.TrimSuffix(first.Name, ".start") == spanLease && s.againSince(first.Arrived, second.Arrived) {
		return true
	}
	return !restoredSpansAreNew && slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		return isRestore(w) && w.Until.After(first.Start) && w.From.Before(second.Arrived)
	})
}
