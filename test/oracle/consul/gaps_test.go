// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"slices"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// compareGaps compares the gaps that were reported with the faults: without one there is
// none, and an event at an unknown time comes with the gap that it fell into.
func (s *system) compareGaps(events []oracle.Event, windows []oracle.Window) {
	var gaps []oracle.Event
	for _, e := range events {
		if e.Name != eventGap {
			continue
		}
		gaps = append(gaps, e)
		if !slices.ContainsFunc(windows, func(w oracle.Window) bool { return e.At.After(w.From) && e.At.Before(w.Until.Add(within)) }) {
			s.Differ("a gap at %s without a fault:%s", s.Clock(e.At), e.Attributes)
		}
	}
	for _, e := range events {
		if object, _ := reportOf(e); object == "" || e.Attributes[attrReconciled] != "true" {
			continue
		}
		if !slices.ContainsFunc(gaps, func(gap oracle.Event) bool { return gap.At.Equal(e.At) }) {
			s.Differ("event %s of %s is reconciled without a gap:%s", e.Name, s.Clock(e.At), e.Attributes)
		}
	}
}
