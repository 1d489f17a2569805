// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"slices"
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
	events, windows := s.sink.Events(), s.Windows()
	s.CheckTwice(events)
	s.indexSpans(s.sink.Spans())
	once := s.onceByID(events)
	s.walkAll(once, windows)
	s.tooManyUnknown("attempts", s.attemptEnds)
	s.compareLeases(ctx, events, windows)
	s.compareDomains(events, windows)
	s.CheckSpans(s.sink.Spans(), oracle.SpanRules{
		BeganBefore: attrBeganBefore, Reconciled: attrReconciled, Open: s.stillOpen(), Again: s.cameBack,
		Unannounced: func(span oracle.Span) bool { return span.Name == spanWait || span.Name == spanHold },
	})
	s.compareCounters(once, windows)
	s.compareRequests(windows)
}

// cameBack says whether a span can have the ID of an earlier one, as etcd went back to a
// backup between them.
func (s *system) cameBack(first, second oracle.Span) bool {
	return !restoredSpansAreNew && slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		return isRestore(w) && w.Until.After(first.Start) && w.From.Before(second.Arrived)
	})
}
