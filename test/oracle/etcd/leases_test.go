// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// lifetime is what etcd's history says of a lease that observed keys were attached to.
type lifetime struct {
	id         int64
	revision   int64     // at which the first observed key was attached; 0: before the history
	at         time.Time // of that
	epochs     map[int]bool
	attached   map[string]bool
	lost       int // how many went when the last of them did
	lostByPut  bool
	ofAttempts bool
	blurred    bool // the first key was attached in a gap
	lostInGap  bool // the last one went in a gap
}

// aliveLeases returns the IDs of all leases that there are, in hex.
func (s *system) aliveLeases(ctx context.Context) (map[string]bool, error) {
	answer, err := s.client.Leases(ctx)
	if err != nil {
		return nil, err
	}
	alive := map[string]bool{}
	for _, lease := range answer.Leases {
		alive[hex(int64(lease.ID))] = true
	}
	return alive, nil
}

// lifetimes reads the leases with observed keys out of etcd's history.
func (s *system) lifetimes(events []oracle.Event) map[string]*lifetime {
	epochs, _ := s.history.all()
	all := map[string]*lifetime{}
	attach := func(number int, k key, revision int64, at time.Time) {
		id := hex(k.lease)
		if all[id] == nil {
			all[id] = &lifetime{id: k.lease, revision: revision, at: at, epochs: map[int]bool{}, blurred: s.inGap(events, k)}
		}
		l := all[id]
		if len(l.attached) == 0 {
			l.attached = map[string]bool{}
		}
		l.epochs[number], l.attached[k.name], l.lostByPut = true, true, false
		l.ofAttempts = l.ofAttempts || strings.HasSuffix(k.name, "/"+id)
	}
	for number, e := range epochs {
		owner := map[string]int64{}
		for _, l := range all {
			l.attached = nil
		}
		lostAt := map[int64]int64{}
		take := func(k key, revision int64, at time.Time, deleted bool) {
			if before := owner[k.name]; before != 0 && (deleted || before != k.lease) {
				l := all[hex(before)]
				delete(l.attached, k.name)
				if lostAt[before] != revision {
					lostAt[before], l.lost = revision, 0
				}
				l.lost++
				l.lostInGap = s.inGap(events, key{name: k.name, modified: revision})
				l.lostByPut = l.lostByPut || !deleted
			}
			delete(owner, k.name)
			if !deleted && k.lease != 0 {
				owner[k.name] = k.lease
				attach(number, k, revision, at)
			}
		}
		for _, k := range e.base {
			if s.isObserved(k.name) {
				take(k, 0, time.Time{}, false)
			}
		}
		for _, c := range e.changes {
			if s.isObserved(c.name) {
				take(c.key, c.modified, c.at, c.deleted)
			}
		}
	}
	return all
}

// isObserved says whether a key is under one of the prefixes.
func (s *system) isObserved(name string) bool {
	return slices.ContainsFunc(s.prefixes.covering(), func(covering string) bool { return observes(name, covering) })
}

// inGap says whether what was done with a key at its revision lies in a gap.
func (s *system) inGap(events []oracle.Event, k key) bool {
	return slices.ContainsFunc(events, func(e oracle.Event) bool {
		return e.Name == eventGap && strings.HasPrefix(k.name, e.Attributes[attrPrefix]) &&
			k.modified >= number(e.Attributes[attrFirst]) && k.modified <= number(e.Attributes[attrLast])
	})
}

// compareLeases compares the events of leases with etcd's history, and with what the
// workload did to them.
func (s *system) compareLeases(ctx context.Context, events []oracle.Event, windows []oracle.Window) {
	alive, err := s.aliveLeases(ctx)
	if err != nil {
		s.Differ("leases cannot be read: %v", err)
		return
	}
	granted, ended := map[string][]oracle.Event{}, map[string][]oracle.Event{}
	for _, e := range events {
		switch e.Name {
		case eventGranted:
			granted[e.Attributes[attrLease]] = append(granted[e.Attributes[attrLease]], e)
		case eventEnded:
			ended[e.Attributes[attrLease]] = append(ended[e.Attributes[attrLease]], e)
		}
	}
	lives := s.lifetimes(events)
	var causes tally
	for _, id := range slices.Sorted(maps.Keys(lives)) {
		l := lives[id]
		s.compareLease(l, id, granted[id], ended[id], alive[id], &causes, windows)
		delete(granted, id)
		delete(ended, id)
	}
	for _, others := range []map[string][]oracle.Event{granted, ended} {
		for id, events := range others {
			s.Differ("event %s of %s is of the lease %s, to which no observed key was attached:%s", events[0].Name, s.Clock(events[0].At), id, events[0].Attributes)
		}
	}
	s.tooManyUnknown("leases", causes)
}

func (s *system) compareLease(l *lifetime, id string, granted, ended []oracle.Event, alive bool, causes *tally, windows []oracle.Window) {
	if len(l.epochs) > 1 {
		return // It came back with a backup. That it is counted rightly is compared with the gauges.
	}
	granted, ended = s.onceOverKills(granted), s.onceOverKills(ended)
	describe := fmt.Sprintf("lease %s, with keys from revision %d of %s on", id, l.revision, s.Clock(l.at))
	must := l.revision > s.required && !l.blurred && !slices.ContainsFunc(windows, func(w oracle.Window) bool {
		return w.Silent && isRestore(w) && l.at.After(w.From) && l.at.Before(w.Until) // It was lost with its history.
	})
	switch {
	case len(granted) > 1:
		s.Differ("%s was reported as granted %d times:%s%s", describe, len(granted), granted[0].Attributes, granted[1].Attributes)
	case len(granted) == 0 && must:
		s.Differ("%s was not reported as granted", describe)
	case len(granted) == 1 && l.revision == 0:
		s.Differ("%s was there before, and was reported as granted", describe)
	case len(granted) == 1 && (granted[0].At.Before(l.at.Add(-within)) && !faultyFrom(windows, granted[0].At, l.at) || granted[0].At.After(l.at.Add(within)) && !faultyFrom(windows, l.at, granted[0].At)):
		s.Differ("%s was reported as granted at %s", describe, s.Clock(granted[0].At))
	}
	switch {
	case alive && len(ended) > 0:
		s.Differ("%s is alive, and was reported as ended at %s:%s", describe, s.Clock(ended[0].At), ended[0].Attributes)
	case len(ended) > 1:
		s.Differ("%s was reported as ended %d times:%s%s", describe, len(ended), ended[0].Attributes, ended[1].Attributes)
	case !alive && len(ended) == 0 && s.lostOverKill(l):
	case !alive && len(ended) == 0 && (must || len(granted) > 0 || l.revision == 0):
		s.Differ("%s is gone, and was not reported as ended", describe)
	}
	s.lifeSpans(id, granted, ended)
	if len(ended) == 0 {
		return
	}
	s.ends.mu.Lock()
	end := s.ends.leases[leaseID{slices.Max(slices.Collect(maps.Keys(l.epochs))), l.id}]
	s.ends.mu.Unlock()
	e := ended[0]
	if end == nil { // It is one of etcdctl.
		s.cause(causes, e, e.Attributes[attrLeaseCause], []string{leaseRevoked, leaseExpired}, windows)
		return
	}
	if lost := slices.Contains(end.causes, causeUnknown); !lost || lostLeasesAreUnknown {
		s.cause(causes, e, e.Attributes[attrLeaseCause], end.causes, windows)
	}
	if end.from.IsZero() && len(s.formerClusters) > 0 && e.Attributes[attrLeaseCause] == causeUnknown {
		return // It was lost with its cluster.
	}
	if end.from.IsZero() || e.At.Before(end.from.Add(-50*time.Millisecond)) {
		s.Differ("%s ended after %s, and was reported as ended at %s:%s", describe, s.Clock(end.from), s.Clock(e.At), e.Attributes)
	}
	if ttl, ok := e.Attributes[attrLeaseTTL]; ok && end.ttl != 0 && ttl != strconv.FormatInt(end.ttl, 10) {
		s.Differ("%s was granted for %d s, and was reported with %s", describe, end.ttl, ttl)
	}
	if sure := e.Attributes[attrLeaseSure]; sure != "" && sure != sureCertain && sure != sureLikely || (sure == "") != (e.Attributes[attrLeaseCause] == causeUnknown) {
		s.Differ("%s was reported as ended with the confidence %q:%s", describe, sure, e.Attributes)
	}
	if count := e.Attributes[attrLeaseKeyCount]; !l.ofAttempts && !l.lostByPut && !l.lostInGap && !end.detached && leaseKeysAreCounted && count != strconv.Itoa(l.lost) {
		s.Differ("%s had %d keys at its end, and was reported with %s:%s", describe, l.lost, count, e.Attributes)
	}
}

// lifeSpans compares the span of a lease with its events.
func (s *system) lifeSpans(id string, granted, ended []oracle.Event) {
	for _, span := range s.spansBy[spanLease+".start "+id] {
		if len(granted) > 0 && len(s.spansBy[spanLease+".start "+id]) == 1 {
			s.begins(span, granted[0])
		}
	}
	if len(ended) == 0 {
		return
	}
	spans := s.spansBy[spanLease+" "+id]
	if len(spans) == 0 {
		s.Differ("event %s of %s has no span:%s", ended[0].Name, s.Clock(ended[0].At), ended[0].Attributes)
		return
	}
	from := spans[0].Start
	if len(granted) > 0 {
		from = granted[0].At
	}
	s.spanIs(spans[0], from, ended[0].At, ended[0])
}

// storedEvery is how long it takes at most until the receiver keeps what it knows of leases.
const storedEvery = 30 * time.Second

// lostOverKill says whether the receiver may forget a lease, as is known: the collector was
// killed before it had kept that there is one, or its keys went in a gap.
func (s *system) lostOverKill(l *lifetime) bool {
	return !leasesEndOverKills && (l.lostInGap || slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		return w.Silent && l.at.After(w.From.Add(-storedEvery)) && l.at.Before(w.Until)
	}))
}

// onceOverKills drops the events of a lease that repeat the one before over a kill of the
// collector.
func (s *system) onceOverKills(events []oracle.Event) (kept []oracle.Event) {
	for _, e := range events {
		if len(kept) == 0 || !s.againSince(kept[len(kept)-1].Arrived, e.Arrived) {
			kept = append(kept, e)
		}
	}
	return kept
}

// againSince is again of what concerns a lease.
func (s *system) againSince(first, second time.Time) bool {
	return slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		from := w.From
		if !leasesEndOverKills {
			from = from.Add(-storedEvery)
		}
		return w.Silent && !first.Before(from) && first.Before(w.Until) && second.After(first)
	})
}

// again says whether an event may repeat another one, as the collector was killed after
// that had been accepted and before that was kept.
func (s *system) again(first, second oracle.Event) bool {
	return slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		return w.Silent && !first.Arrived.Before(w.From) && first.Arrived.Before(w.Until) && second.Arrived.After(first.Arrived)
	})
}

func faultyFrom(windows []oracle.Window, from, until time.Time) bool {
	return slices.ContainsFunc(windows, func(w oracle.Window) bool { return w.From.Before(until) && w.Until.After(from.Add(-within)) })
}

// onceByID drops the events that repeat one with the same ID over a kill of the collector,
// and records those that repeat it otherwise, or have the ID of another one.
func (s *system) onceByID(events []oracle.Event) (kept []oracle.Event) {
	first := map[string]oracle.Event{}
	for _, e := range events {
		id := e.Attributes[attrUID]
		before, twice := first[id]
		switch {
		case id == "" || !twice:
			kept = append(kept, e)
		case s.again(before, e) && sameChange(before, e):
			first[id] = e // It may come once more.
			continue
		case s.restoredBetween(before, e):
			kept = append(kept, e)
			if restoredEventsAreNew {
				s.Differ("event %s of %s has the ID of another one, before the backup:%s%s", e.Name, s.Clock(e.At), before.Attributes, e.Attributes)
			}
		default:
			s.Differ("event %s of %s was reported twice, at %s and %s:%s%s", e.Name, s.Clock(e.At), s.Clock(before.Arrived), s.Clock(e.Arrived), before.Attributes, e.Attributes)
		}
		if id != "" {
			first[id] = e
		}
	}
	return kept
}

// sameChange says whether two events are of the same change: only whether it is reconciled,
// a cause that was learnt, and the place in a queue that was not, may differ.
func sameChange(a, b oracle.Event) bool {
	a.Attributes, b.Attributes = maps.Clone(a.Attributes), maps.Clone(b.Attributes)
	for _, name := range []string{attrReconciled, attrEndCause, attrPosition} {
		delete(a.Attributes, name)
		delete(b.Attributes, name)
	}
	return a.Name == b.Name && maps.Equal(a.Attributes, b.Attributes)
}

// restoredBetween says whether etcd had another history when the second was reported.
func (s *system) restoredBetween(first, second oracle.Event) bool {
	return slices.ContainsFunc(s.Windows(), func(w oracle.Window) bool {
		return strings.HasPrefix(w.Why, faultRestored) && w.From.Before(second.Arrived) && first.Arrived.Before(w.Until)
	})
}
