// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"slices"
	"time"
)

// Window is a time during which a fault kept the collector from observing.
type Window struct {
	From, Until time.Time
	Why         string
	// Silent says that changes in it may come without an event of their own, as
	// over a restart of the collector.
	Silent bool
	// Apart says that one signal reported what happened in it, and another one did not.
	Apart bool
	// Hidden says that it counts for hidden domains alone.
	Hidden bool
	// Unsettled says that the server itself may have changed what it holds.
	Unsettled bool
}

// AddWindow records a fault that has ended.
func (r *Run) AddWindow(w Window) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[w.Why]++
	r.windows = append(r.windows, w)
	slices.SortFunc(r.windows, func(a, b Window) int { return a.From.Compare(b.From) })
}

// CountFault counts a fault that leaves nothing unknown, such as refused telemetry.
func (r *Run) CountFault(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[why]++
}

// Windows returns the windows so far, in the order in which they began.
func (r *Run) Windows() []Window {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.windows)
}

// Counting returns the windows that count for a domain.
func (d *Domain) Counting(windows []Window) []Window {
	return slices.DeleteFunc(slices.Clone(windows), func(w Window) bool { return w.Hidden && !d.Hidden })
}

// visible returns the longest stretch between two times outside all windows.
func visible(from, until time.Time, windows []Window) (longest time.Duration) {
	for _, w := range windows { // They are in the order of From.
		if w.Until.Before(from) || !w.From.Before(until) {
			continue
		}
		longest = max(longest, w.From.Sub(from))
		from = w.Until
	}
	return max(longest, until.Sub(from))
}

// overlapping returns the windows that overlap with a time.
func overlapping(from, until time.Time, windows []Window) (all []Window) {
	for _, w := range windows {
		if w.From.Before(until) && from.Before(w.Until) {
			all = append(all, w)
		}
	}
	return all
}
