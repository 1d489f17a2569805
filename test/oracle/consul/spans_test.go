// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// compareSpans compares the spans with the events, which were compared with the truth.
func (s *system) compareSpans(events []oracle.Event) {
	spans := s.spans()
	s.CheckSpans(spans, oracle.SpanRules{BeganBefore: attrBeganBefore, Reconciled: attrReconciled, Open: s.stillOpen(events)})
	starts, ended := map[string][]oracle.Span{}, map[string][]oracle.Span{} // by the span's ID
	for _, span := range spans {
		if strings.HasSuffix(span.Name, ".start") {
			starts[span.ParentID] = append(starts[span.ParentID], span)
		} else {
			ended[span.SpanID] = append(ended[span.SpanID], span)
		}
	}
	for _, e := range events {
		begins, ends, name := opens(e)
		if s.apart(e) {
			begins, ends = false, false
		}
		if begins && e.SpanID != "" {
			if !slices.ContainsFunc(starts[e.SpanID], func(start oracle.Span) bool {
				return start.Name == name+".start" && start.Start.Equal(e.At) && start.TraceID == e.TraceID && spelled(e, start)
			}) {
				s.Differ("event %s of %s has no %s that began then:%s", e.Name, s.Clock(e.At), name, e.Attributes)
			}
		}
		if ends && e.SpanID != "" {
			if !slices.ContainsFunc(ended[e.SpanID], func(span oracle.Span) bool {
				return span.Name == name && near(span.End, e.At) && span.TraceID == e.TraceID && spelled(e, span)
			}) {
				s.Differ("event %s of %s has no %s that ended then:%s", e.Name, s.Clock(e.At), name, e.Attributes)
			}
		}
		if e.SpanID == "" && (e.Name == eventLockAcquired || e.Name == eventTransition && e.Attributes[attrStatusOld] == api.HealthPassing && e.Attributes[attrStatusNew] != statusNone) {
			s.Differ("event %s of %s belongs to no span:%s", e.Name, s.Clock(e.At), e.Attributes)
		}
	}
	s.compareIncidents(spans)
}

// apart says whether an event may differ from its span, as the signals went on from
// different points after a kill: each from what was saved of it.
func (s *system) apart(e oracle.Event) bool {
	return slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		if !signalsAgreeAfterKills && w.Apart && e.At.After(w.From) {
			return true
		}
		return w.Silent && e.Attributes[attrReconciled] == "true" && e.At.After(w.From) && e.At.Before(w.Until)
	})
}

// spelled says whether the names in a span are those in its event, in any case.
func spelled(e oracle.Event, span oracle.Span) bool {
	for _, name := range []string{attrNode, attrCheck, attrService, attrInstance, attrKey, attrSession} {
		if value, ok := span.Attributes[name]; ok && !strings.EqualFold(value, e.Attributes[name]) {
			return false
		}
	}
	return true
}

// near is true of times that differ by no more than the length of the shortest span.
func near(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Nanosecond }

// opens says whether an event begins or ends the span that it belongs to.
func opens(e oracle.Event) (begins, ends bool, name string) {
	switch e.Name {
	case eventTransition:
		before, after := e.Attributes[attrStatusOld], e.Attributes[attrStatusNew]
		return before == api.HealthPassing, after == api.HealthPassing || after == statusNone, spanOutage
	case eventLockQueued:
		return true, false, spanWait
	case eventLockAbandoned:
		return false, true, spanWait
	case eventLockAcquired:
		return true, false, spanHold
	case eventLockReleased, eventLockInvalidated:
		return false, true, spanHold
	}
	return false, false, ""
}

// stillOpen returns which spans cannot have ended yet: of checks that fail, and
// of what they began.
func (s *system) stillOpen(events []oracle.Event) func(oracle.Span) bool {
	failing := map[string]bool{} // by span ID of the outage
	for _, e := range events {
		if e.Name == eventTransition && e.SpanID != "" {
			_, ends, _ := opens(e)
			failing[e.SpanID] = !ends
		}
	}
	checks, _, err := s.client.Health().State(api.HealthAny, nil)
	if err != nil {
		s.Differ("checks cannot be read: %v", err)
	}
	bad := map[string]bool{} // nodes, services and checks, in lower case
	mark := func(names ...string) {
		for _, name := range names {
			bad[strings.ToLower(name)] = true
		}
	}
	for _, check := range checks {
		if isMaintenance(check.CheckID) {
			continue
		}
		if check.Status != api.HealthPassing {
			mark("node "+check.Node, "service "+check.ServiceName, "check "+check.Node+" "+check.CheckID)
		}
	}
	services, _, err := s.client.Catalog().Services(nil)
	if err != nil {
		s.Differ("services cannot be read: %v", err)
	}
	for service := range services { // Their nodes' checks count, too.
		entries, _, _ := s.client.Health().Service(service, "", false, nil)
		for _, entry := range entries {
			for _, check := range entry.Checks {
				if check.Status != api.HealthPassing && !isMaintenance(check.CheckID) {
					mark("service " + service)
				}
			}
		}
	}
	return func(start oracle.Span) bool {
		if s.hides(start) {
			return true // Nothing is reported of what is hidden, not even that it ended.
		}
		switch strings.TrimSuffix(start.Name, ".start") {
		case spanOutage:
			return bad[strings.ToLower("check "+start.Attributes[attrNode]+" "+start.Attributes[attrCheck])]
		case spanNodeOutage:
			return bad[strings.ToLower("node "+start.Attributes[attrNode])]
		case spanIncident:
			return bad[strings.ToLower("service "+start.Attributes[attrService])]
		}
		return false
	}
}

// compareIncidents compares each incident that has ended with its outages. One that came
// again over a kill is compared with those that did.
func (s *system) compareIncidents(spans []oracle.Span) {
	outages := map[string]map[string][]oracle.Span{} // by span ID of what they are a part of, and by their own
	for _, span := range spans {
		if span.Name != spanOutage {
			continue
		}
		for _, whole := range append([]string{span.ParentID}, span.Links...) {
			if outages[whole] == nil {
				outages[whole] = map[string][]oracle.Span{}
			}
			outages[whole][span.SpanID] = append(outages[whole][span.SpanID], span)
		}
	}
	for _, span := range spans {
		if span.Name != spanIncident && span.Name != spanNodeOutage {
			continue
		}
		if s.hides(span) {
			continue
		}
		var parts []oracle.Span
		for _, versions := range outages[span.SpanID] {
			part := versions[0]
			if span.Attributes[attrReconciled] == "true" {
				part = versions[len(versions)-1]
			}
			parts = append(parts, part)
		}
		if len(parts) == 0 {
			s.Differ("%s of %s has no outage:%s", span.Name, s.Clock(span.Start), span.Attributes)
			continue
		}
		first, last, failed := parts[0].Start, parts[0].End, false
		for _, part := range parts {
			if part.Start.Before(first) {
				first = part.Start
			}
			if part.End.After(last) {
				last = part.End
			}
			failed = failed || part.Failed
		}
		if !near(first, span.Start) || !near(last, span.End) || failed != span.Failed {
			s.Differ("%s lasted from %s to %s, and its %d outages from %s to %s; error %t and %t:%s", span.Name, s.Clock(span.Start), s.Clock(span.End),
				len(parts), s.Clock(first), s.Clock(last), span.Failed, failed, span.Attributes)
		}
	}
}
