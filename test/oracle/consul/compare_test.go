// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

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
	for _, each := range s.systems {
		if err := each.observed(ctx); err != nil {
			return err
		}
	}
	calm := configEvery + time.Second
	records, since := s.sink.Records(), time.Now()
	oracle.Until(ctx, 100*time.Millisecond, func() bool {
		if now := s.sink.Records(); now != records {
			records, since = now, time.Now()
		}
		return time.Since(since) > calm
	})
	return ctx.Err()
}

// compare compares all that was reported of the datacenter with the truth.
func (s *system) compare(ctx context.Context) {
	events, windows := s.events(), s.Windows()
	s.CheckTwice(events)
	byObject := reports(events)
	s.compareDomains(byObject, windows)
	for object, reported := range byObject {
		if !isProbe(object) && !s.foreign(object) {
			s.Differ("reported, but there was no such object: %s", (&oracle.Timeline{Object: object}).Describe(s.Run, reported, 0))
		}
	}
	s.compareEnds(events, windows)
	s.compareGaps(events, windows)
	s.compareCounters(events, windows)
	s.compareSpans(events)
	s.compareGauges(ctx)
}

// compareDomains compares the reports on the objects of all domains, and takes them away.
func (s *system) compareDomains(byObject map[string][]oracle.Report, windows []oracle.Window) {
	for _, d := range s.domains {
		windows := d.Counting(windows)
		for _, l := range d.Timelines() {
			reported, around := oracle.Once(byObject[l.Object], windows), windows
			delete(byObject, l.Object)
			if d.Hidden && !wideningIsSilent {
				reported = slices.DeleteFunc(reported, func(r oracle.Report) bool { return registered(r, windows) })
			}
			if d.Unsettled {
				reported, around = oracle.Settled(reported, around)
			}
			if why, at := l.Compare(reported, around); why != "" {
				s.Differ("%s: %s", why, l.Describe(s.Run, reported, at))
			}
		}
	}
}

// registered says whether a report in a window of hidden objects is one of a registration.
func registered(r oracle.Report, windows []oracle.Window) bool {
	return r.Old == oracle.Absent && !r.OldUnknown && slices.ContainsFunc(windows, func(w oracle.Window) bool {
		return w.Hidden && r.At.After(w.From) && r.At.Before(w.Until)
	})
}

// foreign says whether an object belongs to Consul itself.
func (s *system) foreign(object string) bool {
	return len(s.consul.Members) > 1 && (strings.HasPrefix(object, nodeObject("lab-")) || strings.HasPrefix(object, "check/lab-")) ||
		object == serviceObject("consul") || object == checkObject("lab", checkedCheck)
}

// compareEnds compares the reported end of each hold.
func (s *system) compareEnds(events []oracle.Event, windows []oracle.Window) {
	known, unknown := 0, 0
	for _, e := range events {
		if e.Name != eventLockReleased && e.Name != eventLockInvalidated {
			continue
		}
		end := e.Attributes[attrLockEnd]
		if e.Name == eventLockInvalidated {
			end = endInvalidated
		}
		key, hold := e.Attributes[attrKey], holdOf(e)
		during := slices.IndexFunc(windows, func(w oracle.Window) bool { return e.At.After(w.From) && e.At.Before(w.Until) })
		faulty := during >= 0
		allowed := s.ends.of(key, hold)
		if len(allowed) == 0 && strings.Contains(key, "/"+cliPrefix) {
			allowed = []string{endReleased, endDeleted} // It was too short to be read here.
		}
		if strings.Contains(key, "/"+cliPrefix) && slices.ContainsFunc(windows, func(w oracle.Window) bool {
			return w.Unsettled && e.At.After(w.From) && e.At.Before(w.Until.Add(cliExpiry))
		}) {
			allowed = append(allowed, endInvalidated) // "consul lock" gives up when Consul is away, and its session expires.
		}
		switch {
		case faulty && windows[during].Why == faultRestored && end == endDeleted:
			// The key is not that of before: that is all that can be known.
		case end == endUnknown && !faulty:
			unknown++
		case end == endUnknown, slices.Contains(allowed, end):
			known++
		default:
			s.Differ("the hold %s of %s ended at %s as %q, not %q", hold, key, s.Clock(e.At), end, allowed)
		}
	}
	s.Logf("%d ends of holds were known, %d were not", known, unknown)
	if float64(unknown) > unknownAnyway+unknownShare*float64(known+unknown) {
		s.Differ("%d of %d ends of holds are unknown", unknown, known+unknown)
	}
}
