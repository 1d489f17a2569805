// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// walk compares the events of one covering prefix, in the order in which they arrived,
// with etcd's history.
type walk struct {
	*system
	covering string
	epochs   []*epoch
	optional int64 // up to this revision of the first epoch, nothing has to be reported
	windows  []oracle.Window

	number   int // of the epoch
	left     []change
	position int64
	model    *model
	open     []expected   // of the revision of position
	reported oracle.Event // the newest of a revision
	newest   int64        // that revision
}

// walkAll compares the events of keys, locks and elections with etcd's history.
func (s *system) walkAll(events []oracle.Event, windows []oracle.Window) {
	epochs, err := s.history.all()
	if err != nil {
		s.Differ("%v", err)
	}
	for _, covering := range s.prefixes.covering() {
		w := &walk{system: s, covering: covering, epochs: epochs, optional: s.required, windows: windows}
		w.begin(0, newModel(s.prefixes, covering, epochs[0].base))
		w.run(of(events, covering))
		s.compareAttempts(w.model.attempts, events)
	}
}

// of returns the events of keys, locks and elections under a covering prefix, and its gaps.
func of(events []oracle.Event, covering string) (own []oracle.Event) {
	for _, e := range events {
		if _, _, name := subject(e); name != "" && strings.HasPrefix(name, covering) {
			own = append(own, e)
		}
	}
	return own
}

// subject returns what an event of etcd's history is about.
func subject(e oracle.Event) (name string, revision int64, key string) {
	a := e.Attributes
	revision = number(a[attrRevision])
	switch e.Name {
	case eventPut, eventDelete:
		return e.Name, revision, a[attrKey]
	case eventQueued, eventAcquired, eventReleased, eventAbandoned:
		return e.Name, revision, a[attrLockKey]
	case eventElected, eventResigned, eventLost:
		return e.Name, revision, a[attrElectionKey]
	case eventGap:
		return e.Name, number(a[attrLast]), a[attrPrefix]
	}
	return "", 0, ""
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func (w *walk) begin(number int, m *model) {
	w.number, w.model, w.left, w.position, w.open = number, m, nil, w.epochs[number].from, nil
	for _, c := range w.epochs[number].changes {
		if observes(c.name, w.covering) {
			w.left = append(w.left, c)
		}
	}
}

func (w *walk) run(events []oracle.Event) {
	for n := 0; n < len(events); n++ {
		e := events[n]
		if e.Name != eventGap {
			w.event(e)
			continue
		}
		behind := n + 1
		for behind < len(events) && events[behind].At.Equal(e.At) && events[behind].Attributes[attrReconciled] == "true" && events[behind].Name != eventGap {
			behind++
		}
		w.gap(e, events[n+1:behind])
		n = behind - 1
	}
	w.advance(1<<62, "at the end")
}

// event takes in an event that is in no gap.
func (w *walk) event(e oracle.Event) {
	name, revision, _ := subject(e)
	if revision < w.position {
		w.Differ("event %s of %s is of revision %d, after one of %d, or there is no such change:%s", name, w.Clock(e.At), revision, w.position, e.Attributes)
		return
	}
	if revision > w.position {
		w.advance(revision, "before an event of "+w.Clock(e.At))
	}
	n := slices.IndexFunc(w.open, func(x expected) bool { return matches(x, e) })
	if n < 0 {
		w.Differ("event %s of %s is wrong, there is no such change of revision %d:%s%s", name, w.Clock(e.At), revision, e.Attributes, w.nearest(e))
		return
	}
	x := w.open[n]
	w.open = slices.Delete(w.open, n, n+1)
	w.reported, w.newest = e, revision
	w.attributes(x, e)
	w.time(x, e)
}

// nearest describes what was expected of the key of an event.
func (w *walk) nearest(e oracle.Event) string {
	_, _, key := subject(e)
	for _, x := range w.open {
		if text(x.key) == key {
			return "\n    expected " + x.name + x.attributes.String()
		}
	}
	return ""
}

// matches says whether an event is one that is expected.
func matches(x expected, e oracle.Event) bool {
	name, revision, key := subject(e)
	if name == eventLost {
		name = eventResigned
	}
	return name == x.name && revision == x.revision && key == text(x.key)
}

// attributes compares those of an event.
func (w *walk) attributes(x expected, e oracle.Event) {
	for name, want := range x.attributes {
		if got := e.Attributes[name]; got != want {
			w.Differ("event %s of %s has %s %q, not %q:%s", e.Name, w.Clock(e.At), name, got, want, e.Attributes)
		}
	}
	severe := e.Name == eventAbandoned && !failedTriesAreNoErrors || e.Name == eventLost || e.Attributes[attrEndCause] == causeExpired
	if is := e.Severity != plog.SeverityNumberInfo; is != severe {
		w.Differ("event %s of %s has the severity %s:%s", e.Name, w.Clock(e.At), e.Severity, e.Attributes)
	}
}

// time compares the time of an event with that of its change.
func (w *walk) time(x expected, e oracle.Event) {
	changes := w.epochs[w.number].changes
	n, found := slices.BinarySearchFunc(changes, x.revision, func(c change, revision int64) int { return cmp.Compare(c.modified, revision) })
	if !found {
		return
	}
	at := changes[n].at
	faulty := slices.ContainsFunc(w.windows, func(f oracle.Window) bool {
		return f.From.Before(e.At.Add(time.Second)) && f.Until.After(at.Add(-within))
	})
	switch {
	case e.At.Before(at.Add(-within)):
		w.Differ("event %s is of %s, and etcd made the change at %s:%s", e.Name, w.Clock(e.At), w.Clock(at), e.Attributes)
	case faulty:
	case e.At.After(at.Add(within)):
		w.Differ("event %s is of %s, %s after the change, without a fault:%s", e.Name, w.Clock(e.At), e.At.Sub(at).Round(time.Millisecond), e.Attributes)
	case e.Attributes[attrReconciled] == "true":
		w.Differ("event %s of %s is reconciled without a fault:%s", e.Name, w.Clock(e.At), e.Attributes)
	}
}

// advance takes in the changes up to a revision. Those before it were not reported.
func (w *walk) advance(revision int64, when string) {
	w.missing(w.open, when)
	w.open = nil
	for len(w.left) > 0 && w.left[0].modified <= revision {
		now, n := w.left[0].modified, 1
		for n < len(w.left) && w.left[n].modified == now {
			n++
		}
		events := w.model.apply(now, w.left[:n])
		w.left, w.position = w.left[n:], now
		if now == revision {
			w.open = events
		} else {
			w.missing(events, when)
		}
	}
	if revision < 1<<62 {
		w.position = max(w.position, revision)
	}
}

func (w *walk) missing(events []expected, when string) {
	for _, x := range events {
		if w.number == 0 && x.revision <= w.optional {
			continue
		}
		w.Differ("%s was not reported %s:%s", x.name, when, x.attributes)
	}
}

// gap takes in a gap with what was reconciled behind it.
func (w *walk) gap(e oracle.Event, behind []oracle.Event) {
	first, last := number(e.Attributes[attrFirst]), number(e.Attributes[attrLast])
	reason := e.Attributes[attrGapReason]
	w.justify(e, reason, last)
	number := w.number
	if reason == gapCompacted {
		if first <= w.newest && !w.again(w.reported, e) {
			w.Differ("the gap of %s is too wide, revision %d was reported:%s", w.Clock(e.At), w.newest, e.Attributes)
		}
		w.advance(first-1, "before the gap of "+w.Clock(e.At))
		w.missing(w.open, "before the gap of "+w.Clock(e.At))
	} else {
		number++
		if first != 1 {
			w.Differ("of another history all is unknown:%s", e.Attributes)
		}
		if number >= len(w.epochs) {
			w.Differ("a gap of %s without another history:%s", w.Clock(e.At), e.Attributes)
			return
		}
		w.missing(w.open, "before the gap of "+w.Clock(e.At))
	}
	w.open = nil
	w.model.epoch = number
	want := w.model.jump(last, under(w.epochs[number].at(last), w.covering))
	for _, event := range behind {
		n := slices.IndexFunc(want, func(x expected) bool { return matches(x, event) })
		if n < 0 {
			w.Differ("event %s of %s is wrong, nothing differs so behind the gap up to %d:%s", event.Name, w.Clock(event.At), last, event.Attributes)
			continue
		}
		w.attributes(want[n], event)
		want = slices.Delete(want, n, n+1)
	}
	w.missingBehind(want, e)
	w.number, w.newest, w.left = number, 0, nil
	for _, c := range w.epochs[number].changes {
		if observes(c.name, w.covering) && c.modified > last {
			w.left = append(w.left, c)
		}
	}
	w.position = last
}

func (w *walk) missingBehind(events []expected, gap oracle.Event) {
	for _, x := range events {
		w.Differ("%s was not reported behind the gap of %s%s:%s", x.name, w.Clock(gap.At), gap.Attributes, x.attributes)
	}
}

// justify compares a gap with the faults: without one there is none, and it reaches to
// where etcd was compacted.
func (w *walk) justify(e oracle.Event, reason string, last int64) {
	if !slices.ContainsFunc(w.windows, func(f oracle.Window) bool { return e.At.After(f.From) && e.At.Before(f.Until.Add(within)) }) {
		w.Differ("a gap at %s without a fault:%s", w.Clock(e.At), e.Attributes)
	}
	if reason == gapCompacted && !w.compacted(last) {
		w.Differ("the gap at %s ends where etcd was not compacted:%s", w.Clock(e.At), e.Attributes)
	}
}
