// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const prefix = "/"

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// lockKey is the key of an attempt at the lock /l, enqueued at a revision.
func lockKey(lease, created int64) Key {
	return Key{Name: fmt.Sprintf("/l/%x", lease), Created: created, Modified: created, Version: 1, Lease: lease}
}

func key(name string, created, modified, version int64) Key {
	return Key{Name: name, Created: created, Modified: modified, Version: version}
}

func put(k Key) Change { return Change{Key: k} }

func deleted(name string, revision int64) Change {
	return Change{Key: Key{Name: name, Modified: revision}, Deleted: true}
}

// list is a list at a revision.
func list(revision int64, keys ...Key) Observation {
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Name, b.Name) })
	return Observation{Prefix: prefix, Revision: revision, Listed: true, Keys: keys}
}

// saw is a watch response.
func saw(changes ...Change) Observation {
	return Observation{Prefix: prefix, Revision: changes[len(changes)-1].Key.Modified, Changes: changes}
}

// and adds what etcd said of leases.
func (o Observation) and(answers ...Answer) Observation {
	o.Answers = answers
	return o
}

// late says that the watch was opened at a revision.
func (o Observation) late(revision int64) Observation {
	o.Late = revision
	return o
}

// alive and gone are answers to questions of a time.
func alive(id int64, asked, ttl, remaining int) Answer {
	return Answer{ID: id, At: at(asked), TTL: int64(ttl), Remaining: int64(remaining)}
}

func gone(id int64, asked int) Answer { return Answer{ID: id, At: at(asked), Remaining: -1} }

func asked(answers ...Answer) LeaseObservation { return LeaseObservation{Answers: answers} }

func listed(ids ...int64) LeaseObservation { return LeaseObservation{Listed: true, IDs: ids} }

// nothing is what is seen while time passes.
func nothing(revision int64) Observation { return Observation{Prefix: prefix, Revision: revision} }

var kinds = map[Kind]string{
	KeyPut: "put", KeyDeleted: "deleted", LockQueued: "queued", LockAcquired: "acquired",
	LockReleased: "released", LockAbandoned: "abandoned", WatchGap: "gap",
	LeaseGranted: "granted", LeaseAsked: "asked", LeaseEnded: "ended",
}

var causes = map[EndCause]string{Released: ", by its client", LeaseExpired: ", as its lease expired"}

var leaseCauses = map[LeaseCause]string{LeaseEndUnknown: "somehow", Revoked: "revoked", Expired: "expired"}

func describe(e Effect) string {
	if e.Lease != nil {
		return describeLease(e)
	}
	line := fmt.Sprintf("%d: %d %s", e.At.Unix(), e.Revision, kinds[e.Kind])
	switch e.Kind {
	case WatchGap:
		return line + fmt.Sprintf(" %d-%d", e.Gap.First, e.Gap.Last)
	case KeyPut, KeyDeleted:
		return line + " " + e.Change.Key.Name + words(map[string]bool{"created": e.Created, "reconciled": e.Reconciled})
	}
	a := e.Attempt
	line += " " + a.Key
	switch {
	case e.Kind == LockQueued:
		line += fmt.Sprintf(" behind %d", a.Position)
	case e.Kind == LockAcquired && a.Behind != nil:
		line += " after " + a.Behind.Key
	case e.Kind == LockReleased && a.Holds():
		line += fmt.Sprintf(" waited %s held %s", a.Acquired.Sub(a.Queued), a.Ended.Sub(a.Acquired))
	}
	return line + causes[a.Cause] + words(map[string]bool{
		"reconciled": e.Reconciled, "began before": a.BeganBefore, "of an election": a.Election, "somewhen in a gap": a.Unordered,
	})
}

func describeLease(e Effect) string {
	l := e.Lease
	line := fmt.Sprintf("%d: lease %x %s", e.At.Unix(), l.ID, kinds[e.Kind])
	if e.Kind == LeaseAsked {
		return line + fmt.Sprintf(", %d of %d left", l.Remaining, l.TTL) + words(map[string]bool{"at first": l.First})
	}
	if e.Kind == LeaseEnded {
		line += fmt.Sprintf(" %s, %d keys, after %s", leaseCauses[l.Cause], l.Keys, l.Ended.Sub(l.Seen))
	}
	return line + words(map[string]bool{"reconciled": e.Reconciled, "began before": l.BeganBefore, "certain": l.Certain})
}

// words are those that are true.
func words(of map[string]bool) string {
	var line strings.Builder
	for _, word := range slices.Sorted(maps.Keys(of)) {
		if of[word] {
			line.WriteString(" " + word)
		}
	}
	return line.String()
}

// tell steps a machine once a second and describes every effect.
func tell(m *Machine, from int, saw ...any) []string {
	var told []string
	for i, o := range saw {
		var effects []Effect
		switch o := o.(type) {
		case Observation:
			effects = m.Step(at(from+i), o)
		case LeaseObservation:
			effects = m.StepLeases(at(from+i), o)
		}
		for _, e := range effects {
			told = append(told, describe(e))
		}
	}
	return told
}

// course tells what a machine sees that does not follow leases.
func course(prefixes Prefixes, observations ...Observation) []string {
	saw := make([]any, len(observations))
	for i, o := range observations {
		saw[i] = o
	}
	return tell(NewMachine(prefixes, Limits{100, 100}, false), 0, saw...)
}
