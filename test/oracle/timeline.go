// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// skew is how much earlier than the request for a change its report may be dated.
const skew = 20 * time.Millisecond

// Absent is the state of an object that is not there.
const Absent = ""

// Turn is a change of an object's state, at a time between From and Until.
type Turn struct {
	State       string
	From, Until time.Time
	// Keep is how long the state must last so that it has to be reported; 0: that of the
	// timeline.
	Keep time.Duration
	// Restored says that the server went back to it: its report is reconciled.
	Restored bool
}

// Report is one change of an object as the collector reported it.
type Report struct {
	Old, New string
	// OldUnknown says that the report does not give the state before.
	OldUnknown bool
	At         time.Time
	Reconciled bool
}

// Timeline is what truly became of one object, which began as Absent.
type Timeline struct {
	Object string
	Turns  []Turn
	// Keep is how long a state must last so that it has to be reported.
	Keep time.Duration
	// Within is the greatest delay of a report's time.
	Within time.Duration
}

// state returns the state after a turn; -1 stands for the beginning.
func (l *Timeline) state(turn int) string {
	if turn < 0 {
		return Absent
	}
	return l.Turns[turn].State
}

func (l *Timeline) keep(turn int) time.Duration { return cmp.Or(l.Turns[turn].Keep, l.Keep) }

// Compare returns how the reports, in their order, differ from the truth, and at which
// report; empty if they do not. A state may be left out if it did not last for Keep outside the
// windows. Each report must be of a state that there was, at that time.
func (l *Timeline) Compare(reports []Report, windows []Window) (difference string, at int) {
	due := l.due(windows)
	known := l.spread(map[int]bool{-1: true}, due, windows)
	for n, report := range reports {
		next := map[int]bool{}
		why := misfit{text: "no such state then"}
		for turn := range l.Turns {
			if report.New != l.Turns[turn].State {
				continue
			}
			if late := l.late(report, turn, windows); late != "" {
				why.take(1, late)
				continue
			}
			for before := range known {
				switch {
				case before >= turn:
				case due[turn] > due[before+1]:
					why.take(2, "a state before it was not reported")
				case !report.OldUnknown && report.Old != l.state(before):
					why.take(3, fmt.Sprintf("it was %q before", l.state(before)))
				default:
					next[turn] = true
				}
			}
		}
		if len(next) == 0 {
			return fmt.Sprintf("report %d is wrong: %s", n+1, why.text), n
		}
		known = l.spread(next, due, windows)
	}
	if known[len(l.Turns)-1] {
		return "", 0
	}
	return "the last states were not reported", len(reports)
}

// misfit is why a report fits no turn: of those that it nearly fits.
type misfit struct {
	near int
	text string
}

func (m *misfit) take(near int, text string) {
	if near >= m.near {
		m.near, m.text = near, text
	}
}

// spread adds what can be known without a report: a state that came back while nobody
// could observe, and what changed in a silent window.
func (l *Timeline) spread(known map[int]bool, due []int, windows []Window) map[int]bool {
	first := len(l.Turns)
	for turn := range known {
		first = min(first, turn)
	}
	for turn := first + 1; turn < len(l.Turns); turn++ {
		possible := false
		for before := range known {
			if before >= turn || due[turn] > due[before+1] {
				continue
			}
			possible = true
			if l.state(before) == l.state(turn) || l.silent(turn, windows) {
				known[turn] = true
				break
			}
		}
		if !possible {
			break
		}
	}
	return known
}

// due returns, for each turn, how many of those before it had to be reported.
func (l *Timeline) due(windows []Window) []int {
	counts := make([]int, len(l.Turns)+1)
	for turn := range l.Turns {
		counts[turn+1] = counts[turn]
		if turn+1 == len(l.Turns) {
			break
		}
		from, until := l.Turns[turn].Until, l.Turns[turn+1].From
		if until.After(from) && visible(from, until, windows) >= l.keep(turn) {
			counts[turn+1]++
		}
	}
	return counts
}

// silent says whether a silent window lies where a turn became another.
func (l *Timeline) silent(turn int, windows []Window) bool {
	for _, w := range windows {
		if w.Silent && l.Turns[turn].From.Before(w.Until) && l.Turns[turn].Until.After(w.From.Add(-l.keep(turn))) {
			return true
		}
	}
	return false
}

// late says why the time of a report does not fit a turn; empty if it does.
func (l *Timeline) late(report Report, turn int, windows []Window) string {
	t := l.Turns[turn]
	latest := t.Until
	if report.Reconciled {
		around := overlapping(t.From.Add(-l.Within), report.At, windows)
		if len(around) == 0 {
			return "it is reconciled without a fault"
		}
		for _, w := range around {
			if w.Until.After(latest) {
				latest = w.Until
			}
		}
	}
	switch {
	case t.Restored && !report.Reconciled:
		return "it is not reconciled, though the server went back to a snapshot"
	case report.At.Before(t.From.Add(-skew)):
		return "it is earlier than the change"
	case report.At.After(latest.Add(l.Within)):
		return fmt.Sprintf("it is %s later than the change", report.At.Sub(t.Until).Round(time.Millisecond))
	}
	return ""
}

// Once drops the reports that repeat an earlier one over a restart of the collector: it
// was killed after the first had been accepted and before that was kept.
func Once(reports []Report, windows []Window) (kept []Report) {
	for _, report := range reports {
		repeated := slices.ContainsFunc(windows, func(w Window) bool {
			return w.Silent && report.Reconciled && !report.At.After(w.Until) && slices.ContainsFunc(kept, func(k Report) bool {
				return k.Old == report.Old && k.New == report.New && !k.At.Before(w.From) && report.At.After(k.At)
			})
		})
		if !repeated {
			kept = append(kept, report)
		}
	}
	return kept
}

// Settled drops the reports within windows in which the server may have changed the
// object itself, and makes those windows silent.
func Settled(reports []Report, windows []Window) ([]Report, []Window) {
	var kept []Report
	var silent []Window
	for _, w := range windows {
		w.Silent = w.Silent || w.Unsettled
		silent = append(silent, w)
	}
	for _, report := range reports {
		unsettled := false
		for _, w := range windows {
			unsettled = unsettled || w.Unsettled && !report.At.Before(w.From) && !report.At.After(w.Until)
		}
		if !unsettled {
			kept = append(kept, report)
		}
	}
	return kept, silent
}

// around is how many reports before and after a wrong one are shown.
const around = 3

// Describe renders the truth and the reports side by side, near a report.
func (l *Timeline) Describe(r *Run, reports []Report, at int) string {
	var text strings.Builder
	first, last := max(0, at-around), min(len(reports), at+around+1)
	from, until := time.Time{}, time.Now()
	if first > 0 {
		from = reports[first].At.Add(-l.Within)
	}
	if last < len(reports) {
		until = reports[last].At
	}
	fmt.Fprintf(&text, "%s\n    truth:   ", l.Object)
	for _, turn := range l.Turns {
		if turn.Until.After(from) && turn.From.Before(until) {
			fmt.Fprintf(&text, " %s…%s %q;", r.Clock(turn.From), r.Clock(turn.Until), turn.State)
		}
	}
	fmt.Fprintf(&text, "\n    reported from %d:", first+1)
	for _, report := range reports[first:last] {
		mark := ""
		if report.Reconciled {
			mark = " reconciled"
		}
		fmt.Fprintf(&text, " %s %q→%q%s;", r.Clock(report.At), report.Old, report.New, mark)
	}
	return text.String()
}
