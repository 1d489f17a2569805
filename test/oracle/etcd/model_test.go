// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// prefixes are what the receiver is configured to observe.
type prefixes struct{ watch, locks, elections []string }

// covering returns the prefixes that are under no other one.
func (p prefixes) covering() (covering []string) {
	for _, prefix := range slices.Sorted(slices.Values(slices.Concat(p.watch, p.locks, p.elections))) {
		if last := len(covering) - 1; last < 0 || !strings.HasPrefix(prefix, covering[last]) {
			covering = append(covering, prefix)
		}
	}
	return covering
}

// longest returns the longest of the prefixes that a name begins with.
func longest(name string, prefixes []string) (longest string, found bool) {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) && len(prefix) >= len(longest) {
			longest, found = prefix, true
		}
	}
	return longest, found
}

// attempt is a client's attempt at a lock, or a candidacy.
type attempt struct {
	lock, key, prefix string
	election          bool
	lease             int64
	created           int64 // revision at which it was queued
	acquired, ended   int64 // revisions; 0: not
	position          int   // how many were before it when it came; -1: something else was
	early             bool  // it was there before the model began
	heldEarly         bool  // and held its lock
	blurred           bool  // a part of it lies in a gap
	behind            *attempt
	epoch             int // in which it was last there
}

// expected is an event that the receiver has to report.
type expected struct {
	name, key  string
	revision   int64
	attributes oracle.Attributes
	attempt    *attempt // of an event of a lock
}

// model is what a receiver knows that makes no mistake, of the keys under one covering
// prefix.
type model struct {
	prefixes
	keys     map[string]key
	alive    map[string]*attempt // by key
	attempts []*attempt          // all
	epoch    int
}

// newModel begins with the keys that are there.
func newModel(p prefixes, covering string, keys map[string]key) *model {
	m := &model{prefixes: p, keys: map[string]key{}, alive: map[string]*attempt{}}
	for _, k := range byCreation(under(keys, covering)) {
		m.keys[k.name] = k
		if a := m.enqueue(k); a != nil {
			a.early = true
		}
	}
	for _, a := range m.promoted(0) {
		a.heldEarly = true
	}
	return m
}

// observes says whether a key is one of those under a covering prefix that are observed.
func observes(name, covering string) bool {
	return strings.HasPrefix(name, covering) && !strings.HasPrefix(name, excluded)
}

func under(keys map[string]key, covering string) map[string]key {
	of := map[string]key{}
	for name, k := range keys {
		if observes(name, covering) {
			of[name] = k
		}
	}
	return of
}

func byCreation(keys map[string]key) []key {
	return slices.SortedFunc(maps.Values(keys), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.name, b.name))
	})
}

// queueOf says whether a key is that of an attempt.
func (m *model) queueOf(k key) (lock, prefix string, election, is bool) {
	if k.lease == 0 {
		return "", "", false, false
	}
	lock, is = strings.CutSuffix(k.name, "/"+hex(k.lease))
	if !is {
		return "", "", false, false
	}
	ofLock, isLock := longest(lock+"/", m.locks)
	ofElection, isElection := longest(lock+"/", m.elections)
	switch {
	case isLock:
		return lock, ofLock, false, true
	case isElection:
		return lock, ofElection, true, true
	}
	prefix, is = longest(lock+"/", m.watch)
	return lock, prefix, k.size > 0, is
}

func (m *model) enqueue(k key) *attempt {
	lock, prefix, election, is := m.queueOf(k)
	if !is || m.alive[k.name] != nil {
		return nil
	}
	a := &attempt{lock: lock, key: k.name, prefix: prefix, election: election, lease: k.lease, created: k.created, epoch: m.epoch}
	for _, other := range m.keys {
		if strings.HasPrefix(other.name, lock+"/") && other.created < k.created {
			if before := m.alive[other.name]; before == nil || before.lock != lock {
				a.position = -1
				break
			}
			a.position++
		}
	}
	m.alive[k.name] = a
	m.attempts = append(m.attempts, a)
	return a
}

// promoted has the attempts acquire their locks that are the first now: the oldest key
// under a lock's name holds it, whosoever made it.
func (m *model) promoted(revision int64) (holders []*attempt) {
	for _, name := range slices.Sorted(maps.Keys(m.alive)) {
		a := m.alive[name]
		if a.acquired != 0 || !m.first(a) {
			continue
		}
		a.acquired = cmp.Or(revision, a.created)
		for _, before := range m.attempts {
			if revision > 0 && before.lock == a.lock && before.ended == revision && before.acquired != 0 && a.created < revision {
				a.behind = before
			}
		}
		holders = append(holders, a)
	}
	return holders
}

func (m *model) first(a *attempt) bool {
	for _, k := range m.keys {
		if k.created < a.created && strings.HasPrefix(k.name, a.lock+"/") {
			return false
		}
	}
	return true
}

// apply takes in what changed in one revision.
func (m *model) apply(revision int64, changes []change) (events []expected) {
	for _, c := range changes {
		if c.deleted {
			events = append(events, m.remove(c.name, revision, false)...)
		} else {
			events = append(events, m.put(c.key, c.version == 1)...)
		}
	}
	return append(events, m.acquisitions(revision)...)
}

// jump takes in the keys as they are behind a gap.
func (m *model) jump(revision int64, keys map[string]key) (events []expected) {
	for _, k := range byCreation(m.keys) {
		now, there := keys[k.name]
		switch {
		case !there:
			events = append(events, m.remove(k.name, revision, true)...)
		case now.created != k.created:
			events = append(events, m.remove(k.name, now.created, true)...)
		}
	}
	for _, k := range byCreation(keys) {
		before, known := m.keys[k.name]
		if before == k {
			continue
		}
		for _, e := range m.put(k, !known) {
			if e.attempt != nil {
				e.attempt.blurred = true
			}
			events = append(events, e)
		}
	}
	for _, e := range m.acquisitions(revision) {
		e.attempt.blurred = true
		events = append(events, e)
	}
	return events
}

func (m *model) acquisitions(revision int64) (events []expected) {
	for _, a := range m.promoted(revision) {
		name := eventAcquired
		if a.election {
			name = eventElected
		}
		events = append(events, a.event(name, revision))
	}
	return events
}

func (m *model) put(k key, created bool) (events []expected) {
	m.keys[k.name] = k
	if _, watched := longest(k.name, m.watch); watched {
		events = append(events, expected{name: eventPut, key: k.name, revision: k.modified, attributes: keyAttributes(k, oracle.Attributes{
			attrKeyCreated: strconv.FormatBool(created),
		})})
	}
	if a := m.enqueue(k); a != nil && !a.election {
		e := a.event(eventQueued, a.created)
		if a.position >= 0 {
			e.attributes[attrPosition] = strconv.Itoa(a.position)
		}
		events = append(events, e)
	}
	return events
}

// remove takes in that a key is gone, in a gap or not.
func (m *model) remove(name string, revision int64, gap bool) (events []expected) {
	k, known := m.keys[name]
	if !known {
		return nil
	}
	if _, watched := longest(name, m.watch); watched {
		k.modified = revision
		events = append(events, expected{name: eventDelete, key: name, revision: revision, attributes: keyAttributes(k, nil)})
	}
	delete(m.keys, name)
	a := m.alive[name]
	if a == nil {
		return events
	}
	delete(m.alive, name)
	a.epoch = m.epoch
	a.ended, a.blurred = revision, a.blurred || gap
	switch {
	case a.election && a.acquired == 0:
		return events // A candidacy that comes to nothing is not reported.
	case a.election:
		return append(events, a.event(eventResigned, revision)) // Or lost, if its lease expired.
	case a.acquired == 0 && !gap:
		return append(events, a.event(eventAbandoned, revision))
	default:
		return append(events, a.event(eventReleased, revision))
	}
}

func keyAttributes(k key, more oracle.Attributes) oracle.Attributes {
	all := oracle.Attributes{
		attrKey: text(k.name), attrRevision: strconv.FormatInt(k.modified, 10),
		attrVersion: strconv.FormatInt(k.version, 10), attrValueSize: strconv.Itoa(k.size), attrLease: "",
	}
	if k.lease != 0 {
		all[attrLease] = hex(k.lease)
	}
	maps.Copy(all, more)
	return all
}

func (a *attempt) event(name string, revision int64) expected {
	all := oracle.Attributes{attrLease: hex(a.lease), attrRevision: strconv.FormatInt(revision, 10)}
	if a.election {
		all[attrElectionName], all[attrElectionKey] = text(a.lock), text(a.key)
	} else {
		all[attrLockName], all[attrLockKey] = text(a.lock), text(a.key)
	}
	return expected{name: name, key: a.key, revision: revision, attributes: all, attempt: a}
}

// text is how a name is written that may not be text.
func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
