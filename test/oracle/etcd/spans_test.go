// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// near is true of times that differ by no more than the length of the shortest span.
func near(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Nanosecond }

// compareAttempts compares the causes of the ends of attempts with what the workload did,
// and the spans with the events.
func (s *system) compareAttempts(attempts []*attempt, events []oracle.Event) {
	byEvent := map[string]oracle.Event{} // the first one
	for _, e := range events {
		if name, revision, key := subject(e); name != "" && name != eventGap {
			id := eventID(name, key, revision)
			if _, twice := byEvent[id]; !twice {
				byEvent[id] = e
			}
		}
	}
	last := map[attemptID]*attempt{}
	for _, a := range attempts {
		last[attemptID{a.epoch, a.key}] = a
	}
	for _, a := range attempts {
		if a.blurred {
			continue // What is known of it was compared behind its gap.
		}
		if end, ok := endOf(byEvent, a); ok {
			s.cause(&s.attemptEnds, end, end.Attributes[attrEndCause], s.causesOf(a, last[attemptID{a.epoch, a.key}] == a), s.Windows())
		}
		switch {
		case !restoredSpansAreNew && s.revived(a):
		case a.election:
			s.term(a, byEvent)
		default:
			s.lock(a, byEvent)
		}
	}
}

// revived says whether a backup may have brought an attempt back, with the same spans.
func (s *system) revived(a *attempt) bool {
	epochs, _ := s.history.all()
	return slices.ContainsFunc(epochs[1:], func(e *epoch) bool { return e.base[a.key].created == a.created })
}

func eventID(name, key string, revision int64) string {
	return name + " " + key + " " + strconv.FormatInt(revision, 10)
}

func endOf(events map[string]oracle.Event, a *attempt) (end oracle.Event, ok bool) {
	for _, name := range []string{eventReleased, eventAbandoned, eventResigned, eventLost} {
		if end, ok = events[eventID(name, text(a.key), a.ended)]; ok {
			return end, true
		}
	}
	return end, false
}

// span returns the span of a part of an attempt. It records if there is none, or
// another one.
func (s *system) span(name string, a *attempt) (span oracle.Span, ok bool) {
	attribute := attrLockKey
	if a.election {
		attribute = attrElectionKey
	}
	var found []oracle.Span
	for _, span := range s.spansBy[name+" "+text(a.key)+" "+strconv.FormatInt(a.created, 10)] {
		if span.Attributes[attribute] == text(a.key) {
			found = append(found, span)
		}
	}
	if len(found) == 0 {
		s.Differ("%s of %s, created at %d and ended at %d, has no %s", a.key, a.lock, a.created, a.ended, name)
		return span, false
	}
	return found[0], true
}

// indexSpans makes the spans of attempts findable.
func (s *system) indexSpans(spans []oracle.Span) {
	s.spansBy = map[string][]oracle.Span{}
	for _, span := range spans {
		if strings.TrimSuffix(span.Name, ".start") == spanLease {
			id := span.Name + " " + span.Attributes[attrLease]
			s.spansBy[id] = append(s.spansBy[id], span)
		}
		for _, attribute := range []string{attrLockKey, attrElectionKey} {
			if key, ok := span.Attributes[attribute]; ok {
				id := span.Name + " " + key + " " + span.Attributes[attrRevision]
				s.spansBy[id] = append(s.spansBy[id], span)
			}
		}
	}
}

// lock compares the spans of an attempt with its events.
func (s *system) lock(a *attempt, events map[string]oracle.Event) {
	queued, wasQueued := events[eventID(eventQueued, text(a.key), a.created)]
	acquired, wasAcquired := events[eventID(eventAcquired, text(a.key), a.acquired)]
	end, hasEnded := endOf(events, a)
	if !wasQueued {
		return // It began before, or did not have to be reported.
	}
	if start, ok := s.span(spanAttempt+".start", a); ok {
		s.begins(start, queued)
	}
	if a.ended == 0 || !hasEnded {
		return
	}
	whole, ok := s.span(spanAttempt, a)
	if !ok {
		return
	}
	s.spanIs(whole, queued.At, end.At, end)
	cause := whole.Attributes[attrEndCause]
	if cause != end.Attributes[attrEndCause] && !s.killedBetween(whole.End, end.At) {
		s.Differ("span %s of %s ended as %q, and its event says %q:%s", whole.Name, s.Clock(whole.Start), cause, end.Attributes[attrEndCause], whole.Attributes)
	}
	failed := cause == causeExpired || a.acquired == 0 && (!failedTriesAreNoErrors || cause == causeExpired)
	if whole.Failed != failed {
		s.Differ("span %s of %s has an error: %t, and it ended as %q:%s", whole.Name, s.Clock(whole.Start), whole.Failed, cause, whole.Attributes)
	}
	wait, ok := s.span(spanWait, a)
	switch {
	case !ok:
	case a.acquired == 0:
		s.spanIs(wait, queued.At, end.At, end)
	case wasAcquired:
		s.spanIs(wait, queued.At, acquired.At, acquired)
	}
	if a.acquired == 0 || !wasAcquired {
		return
	}
	if hold, ok := s.span(spanHold, a); ok {
		s.spanIs(hold, acquired.At, end.At, end)
	}
	s.links(whole, a, spanHold)
}

// links compares what an attempt waited behind with the span's link.
func (s *system) links(span oracle.Span, a *attempt, name string) {
	if !spansOfFormerClustersEnd && len(s.formerClusters) > 0 {
		return
	}
	if a.behind == nil || a.behind.blurred || a.behind.early {
		return
	}
	before, ok := s.span(name, a.behind)
	if ok && !slices.Contains(span.Links, before.SpanID) {
		s.Differ("span %s of %s does not lead to the %s of %s, but to %q:%s", span.Name, s.Clock(span.Start), name, a.behind.key, span.Links, span.Attributes)
	}
}

// term compares the span of a leadership with its events.
func (s *system) term(a *attempt, events map[string]oracle.Event) {
	elected, wasElected := events[eventID(eventElected, text(a.key), a.acquired)]
	if a.acquired == 0 || !wasElected {
		return
	}
	if start, ok := s.span(spanTerm+".start", a); ok {
		s.begins(start, elected)
	}
	end, hasEnded := endOf(events, a)
	if a.ended == 0 || !hasEnded {
		return
	}
	if span, ok := s.span(spanTerm, a); ok {
		s.spanIs(span, elected.At, end.At, end)
		s.links(span, a, spanTerm)
	}
}

func (s *system) begins(start oracle.Span, e oracle.Event) {
	if s.killedBetween(start.Start, e.At) {
		return
	}
	if !start.Start.Equal(e.At) || !near(start.Start, start.End) || start.TraceID != e.TraceID {
		s.Differ("span %s began at %s, and its event %s is of %s; traces %s, %s:%s", start.Name, s.Clock(start.Start), e.Name, s.Clock(e.At), start.TraceID, e.TraceID, e.Attributes)
	}
}

// spanIs compares the times of a span with those of its events, and its trace.
func (s *system) spanIs(span oracle.Span, from, until time.Time, end oracle.Event) {
	if s.killedBetween(span.Start, from) || s.killedBetween(span.End, until) {
		return
	}
	if !near(span.Start, from) || !near(span.End, until) || span.TraceID != end.TraceID {
		s.Differ("span %s lasted from %s to %s, and its events from %s to %s; traces %s, %s:%s", span.Name, s.Clock(span.Start), s.Clock(span.End),
			s.Clock(from), s.Clock(until), span.TraceID, end.TraceID, span.Attributes)
	}
}

// killedBetween says whether the collector was killed between the times of what was accepted
// of one signal before and of another one after that.
func (s *system) killedBetween(a, b time.Time) bool {
	if b.Before(a) {
		a, b = b, a
	}
	return !a.Equal(b) && slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool { return w.Silent && w.From.Before(b) && w.Until.After(a) })
}

// stillOpen says which spans cannot have ended yet.
func (s *system) stillOpen(events []oracle.Event) func(oracle.Span) bool {
	lives := s.lifetimes(events)
	keys := s.history.present()
	alive, err := s.aliveLeases(s.T.Context())
	if err != nil {
		s.Differ("leases cannot be read: %v", err)
	}
	return func(start oracle.Span) bool {
		if s.keptLate(events, start) {
			return true
		}
		if !spansOfFormerClustersEnd && slices.Contains(s.formerClusters, start.Resource[attrCluster]) {
			return true
		}
		switch strings.TrimSuffix(start.Name, ".start") {
		case spanAttempt:
			return s.isThere(keys, start.Attributes[attrLockKey], start.Attributes[attrRevision])
		case spanTerm:
			return s.isThere(keys, start.Attributes[attrElectionKey], start.Attributes[attrRevision])
		case spanLease:
			id := start.Attributes[attrLease]
			return alive[id] || lives[id] != nil && s.lostOverKill(lives[id])
		}
		return false
	}
}

// keptLate says whether the collector was killed after it had announced a span and before it
// had kept that, and the end lies in a gap: nobody knows of it any more.
func (s *system) keptLate(events []oracle.Event, start oracle.Span) bool {
	silent := slices.IndexFunc(s.Windows(), func(w oracle.Window) bool {
		return w.Silent && start.Arrived.After(w.From) && start.Arrived.Before(w.Until)
	})
	if silent < 0 || isRestore(s.Windows()[silent]) {
		return silent >= 0 // With its history, it may be lost.
	}
	name := start.Attributes[attrLockKey] + start.Attributes[attrElectionKey]
	epochs, _ := s.history.all()
	for _, e := range epochs {
		for _, c := range e.changes {
			if c.deleted && text(c.name) == name && c.modified > number(start.Attributes[attrRevision]) {
				return s.inGap(events, key{name: c.name, modified: c.modified})
			}
		}
	}
	return false
}

func (s *system) isThere(keys map[string]key, name, created string) bool {
	k, there := keys[name]
	return there && strconv.FormatInt(k.created, 10) == created
}
