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
	open     []expected     // of the revision of position
	matched  []oracle.Event // of this history, in the order of their revisions
	reported map[string]bool
	arrived  map[string]time.Time // of the newest event of a key, and of a lock
	unclear  map[string]bool      // locks of which the holder is wrong, as is known
}

// walkAll compares the events of keys, locks and elections with etcd's history.
func (s *system) walkAll(events []oracle.Event, windows []oracle.Window) {
	epochs, err := s.history.all()
	if err != nil {
		s.Differ("%v", err)
	}
	for _, covering := range s.prefixes.covering() {
		w := &walk{system: s, covering: covering, epochs: epochs, optional: s.required, windows: windows, reported: map[string]bool{}, arrived: map[string]time.Time{}, unclear: map[string]bool{}}
		w.begin(0, newModel(s.prefixes, covering, epochs[0].base))
		w.run(of(events, covering))
		s.compareAttempts(slices.DeleteFunc(w.model.attempts, func(a *attempt) bool { return w.unclear[a.lock] }), events)
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
	w.drift(oracle.Event{At: time.Now()})
	w.advance(1<<62, "at the end")
}

// drift goes over to the next history, of which all that is known is a part, once that has
// begun: nothing of it is unknown, so no gap is reported.
func (w *walk) drift(e oracle.Event) {
	for w.number+1 < len(w.epochs) {
		next := w.epochs[w.number+1]
		if e.At.Before(next.began) || w.position > next.from {
			return
		}
		left := slices.DeleteFunc(slices.Clone(w.left), func(c change) bool { return c.modified > next.common })
		for _, c := range next.changes {
			if observes(c.name, w.covering) {
				left = append(left, c)
			}
		}
		w.number, w.model.epoch, w.left = w.number+1, w.number+1, left
	}
}

// event takes in an event that is in no gap.
func (w *walk) event(e oracle.Event) {
	name, revision, _ := subject(e)
	w.drift(e)
	if revision < w.position {
		w.Differ("event %s of %s is of revision %d, after one of %d, or there is no such change:%s", name, w.Clock(e.At), revision, w.position, e.Attributes)
		return
	}
	if revision > w.position {
		w.advance(revision, "before an event of "+w.Clock(e.At))
	}
	if w.ofUnclear(e) {
		return
	}
	n := find(w.open, e)
	if n < 0 {
		w.Differ("event %s of %s is wrong, there is no such change of revision %d:%s%s", name, w.Clock(e.At), revision, e.Attributes, w.nearest(e))
		return
	}
	x := w.open[n]
	w.open = slices.Delete(w.open, n, n+1)
	w.matched = append(w.matched, e)
	w.reported[id(x)] = true
	w.arrived[text(x.key)], w.arrived[lockOf(e)] = e.Arrived, e.Arrived
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

// find returns the expected event that an event is; -1 if there is none. Of those with names
// that are no text and look the same, it is the one that is the same in all.
func find(open []expected, e oracle.Event) int {
	if n := slices.IndexFunc(open, func(x expected) bool {
		for name, want := range x.attributes {
			if e.Attributes[name] != want {
				return false
			}
		}
		return matches(x, e)
	}); n >= 0 {
		return n
	}
	return slices.IndexFunc(open, func(x expected) bool { return matches(x, e) })
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
	// Over a restart of the collector, only of attempts is known what is deleted.
	unknown := e.Name == eventDelete && e.Attributes[attrReconciled] == "true" && w.silent(e.At)
	for name, want := range x.attributes {
		if unknown && e.Attributes[name] == "" {
			continue
		}
		if name == attrKeyCreated && !restoredKeysAreNotCreated && e.Attributes[attrReconciled] == "true" && w.number > 0 {
			continue
		}
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
	latest, faulty := at, false
	for _, f := range w.windows { // They are in the order of From.
		if f.From.Before(latest.Add(within)) && f.Until.After(at.Add(-within)) {
			faulty = true
			if f.Until.After(latest) {
				latest = f.Until
			}
		}
	}
	switch {
	case e.At.Before(at.Add(-within)) && !faultyFrom(w.windows, e.At, at): // The oracle may be the one that is late.
		w.Differ("event %s is of %s, and etcd made the change at %s:%s", e.Name, w.Clock(e.At), w.Clock(at), e.Attributes)
	case e.At.After(latest.Add(within)):
		w.Differ("event %s is of %s, %s after the change:%s", e.Name, w.Clock(e.At), e.At.Sub(at).Round(time.Millisecond), e.Attributes)
	case e.Attributes[attrReconciled] == "true" && !faulty:
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
		if w.number == 0 && x.revision <= w.optional || x.attempt != nil && w.unclear[x.attempt.lock] {
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
		w.drift(e)
		number = w.number
		w.width(e, first)
		w.advance(first-1, "before the gap of "+w.Clock(e.At))
		w.missing(w.open, "before the gap of "+w.Clock(e.At))
		if first <= w.newest() {
			w.goBack(first - 1)
		}
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
	w.number = number
	keys := under(w.epochs[number].at(last), w.covering)
	w.findUnclear(keys)
	want := w.model.jump(last, keys)
	restarted := w.silent(e.At)
	for _, event := range behind {
		if w.ofUnclear(event) {
			continue
		}
		n := find(want, event)
		if n < 0 && w.keptLate(event) {
			continue
		}
		if n < 0 && restarted && event.Name == eventPut && w.isThere(keys, event) {
			continue
		}
		if n < 0 {
			w.Differ("event %s of %s is wrong, nothing differs so behind the gap up to %d:%s", event.Name, w.Clock(event.At), last, event.Attributes)
			continue
		}
		w.attributes(want[n], event)
		want = slices.Delete(want, n, n+1)
	}
	w.missingBehind(want, e, restarted)
	w.matched, w.left = nil, nil
	for _, c := range w.epochs[number].changes {
		if observes(c.name, w.covering) && c.modified > last {
			w.left = append(w.left, c)
		}
	}
	w.position = last
}

// newest returns the newest revision of which an event was reported.
func (w *walk) newest() int64 {
	if len(w.matched) == 0 {
		return 0
	}
	_, revision, _ := subject(w.matched[len(w.matched)-1])
	return revision
}

// width records a gap that begins before what was reported, and kept.
func (w *walk) width(gap oracle.Event, first int64) {
	for _, e := range slices.Backward(w.matched) {
		if _, revision, _ := subject(e); revision < first {
			return
		}
		if !w.again(e, gap) {
			w.Differ("the gap of %s is too wide, an event of %s was reported:%s%s", w.Clock(gap.At), w.Clock(e.Arrived), gap.Attributes, e.Attributes)
			return
		}
	}
}

// lockOf returns the name of the lock or the election of an event.
func lockOf(e oracle.Event) string {
	return e.Attributes[attrLockName] + e.Attributes[attrElectionName]
}

// keptLate says whether the collector was killed before an event of a gap, and may not have
// kept what it had reported of the same key or lock.
func (w *walk) keptLate(e oracle.Event) bool {
	return slices.ContainsFunc(w.windows, func(f oracle.Window) bool {
		if !f.Silent || e.At.Before(f.From) || e.At.After(f.Until) {
			return false
		}
		return slices.ContainsFunc([]string{e.Attributes[attrKey], e.Attributes[attrLockKey], e.Attributes[attrElectionKey], lockOf(e)}, func(name string) bool {
			return name != "" && w.arrived[name].After(f.From)
		})
	})
}

// isThere says whether an event is of a key as it is behind a gap. Over a restart of the
// collector it is not known whether it was so before.
func (w *walk) isThere(keys map[string]key, e oracle.Event) bool {
	for _, k := range keys {
		if text(k.name) == e.Attributes[attrKey] && k.modified == number(e.Attributes[attrRevision]) {
			return true
		}
	}
	return false
}

// missingBehind records what was not reported behind a gap. Over a restart of the collector,
// the keys that are deleted are not known any more, except those of attempts.
func (w *walk) missingBehind(events []expected, gap oracle.Event, restarted bool) {
	for _, x := range events {
		switch {
		case x.attempt != nil && w.unclear[x.attempt.lock], restarted && (w.reported[id(x)] || x.name == eventDelete),
			w.keptLate(oracle.Event{At: gap.At, Attributes: x.attributes}):
		default:
			w.Differ("%s was not reported behind the gap of %s%s:%s", x.name, w.Clock(gap.At), gap.Attributes, x.attributes)
		}
	}
}

func id(x expected) string { return eventID(x.name, x.key, x.revision) }

// silent says whether the collector was restarted around a time.
func (w *walk) silent(at time.Time) bool {
	return slices.ContainsFunc(w.windows, func(f oracle.Window) bool { return f.Silent && at.After(f.From) && at.Before(f.Until) })
}

// goBack has the model be as it was at a revision: the collector was killed before it had
// kept what it had reported since. What ended then is not compared any more.
func (w *walk) goBack(revision int64) {
	e := w.epochs[w.number]
	m := newModel(w.prefixes, w.covering, e.base)
	m.epoch = w.number
	var same []change
	for _, c := range e.changes {
		if c.modified > revision || !observes(c.name, w.covering) {
			continue
		}
		if len(same) > 0 && same[0].modified != c.modified {
			m.apply(same[0].modified, same)
			same = nil
		}
		same = append(same, c)
	}
	if len(same) > 0 {
		m.apply(same[0].modified, same)
	}
	attempts := slices.DeleteFunc(w.model.attempts, func(a *attempt) bool { return a.ended == 0 || a.ended > revision })
	for _, a := range m.attempts {
		if a.ended == 0 {
			a.blurred = true
			attempts = append(attempts, a)
		}
	}
	m.attempts = attempts
	w.model = m
}

// findUnclear notes the locks of which an attempt holds that is not the first any more
// behind a gap.
func (w *walk) findUnclear(keys map[string]key) {
	for _, a := range w.model.alive {
		now, there := keys[a.key]
		if restoredHoldersWait || a.acquired == 0 || !there || now.created != a.created {
			continue
		}
		for _, k := range keys {
			if k.created < a.created && strings.HasPrefix(k.name, a.lock+"/") {
				w.unclear[a.lock] = true
			}
		}
	}
}

// ofUnclear says whether an event is of a lock of which the holder is wrong.
func (w *walk) ofUnclear(e oracle.Event) bool {
	for lock := range w.unclear {
		if lockOf(e) == text(lock) {
			return true
		}
	}
	return false
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
