// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

const prefix = "/"

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// lockKey is the key of an attempt at the lock /l, enqueued at a revision.
func keyOfLock(lease, created int64) key.Key {
	return key.Key{Name: fmt.Sprintf("/l/%x", lease), Created: created, Modified: created, Version: 1, Lease: lease}
}

func keyAt(name string, created, modified, version int64) key.Key {
	return key.Key{Name: name, Created: created, Modified: modified, Version: version}
}

func put(k key.Key) key.Change { return key.Change{Key: k} }

func deleted(name string, revision int64) key.Change {
	return key.Change{Key: key.Key{Name: name, Modified: revision}, Deleted: true}
}

// list is a list at a revision.
func list(revision int64, keys ...key.Key) Observation {
	slices.SortFunc(keys, func(a, b key.Key) int { return strings.Compare(a.Name, b.Name) })
	return Observation{Prefix: prefix, Revision: revision, Listed: true, Keys: keys}
}

// watched is a watch response.
func watched(changes ...key.Change) Observation {
	return Observation{Prefix: prefix, Revision: changes[len(changes)-1].Key.Modified, Changes: changes}
}

// and adds what etcd said of leases.
func (o Observation) and(answers ...lease.Answer) Observation {
	o.Answers = answers
	return o
}

// late says that the watch was opened at a revision.
func (o Observation) late(revision int64) Observation {
	o.Late = revision
	return o
}

// alive and gone are answers to questions of a time.
func alive(id int64, asked, ttl, remaining int) lease.Answer {
	return lease.Answer{ID: id, At: at(asked), TTL: int64(ttl), Remaining: int64(remaining)}
}

func gone(id int64, asked int) lease.Answer {
	return lease.Answer{ID: id, At: at(asked), Remaining: -1}
}

func asked(answers ...lease.Answer) lease.Observation { return lease.Observation{Answers: answers} }

func listed(ids ...int64) lease.Observation { return lease.Observation{Listed: true, IDs: ids} }

// nothing is what is observed while time passes.
func nothing(revision int64) Observation { return Observation{Prefix: prefix, Revision: revision} }

var endCauses = map[lock.EndCause]string{lock.ByClient: ", by its client", lock.LeaseExpired: ", as its lease expired"}

var leaseCauses = map[lease.Cause]string{lease.EndUnknown: "somehow", lease.Revoked: "revoked", lease.Expired: "expired"}

// happened is an effect of any kind that was observed at a time.
type happened struct {
	what       string
	at         time.Time
	revision   int64
	reconciled bool
	key        key.Key
	created    bool
	attempt    *lock.Attempt // of locks, or that a key stands for
	lease      *lease.Lease
	gap        key.Gap
}

func flat(now time.Time, effect Effect) happened {
	ofLock := func(what string, o lock.Observed) happened {
		return happened{what: what, at: now, revision: o.Revision, reconciled: o.Reconciled, attempt: o.Attempt}
	}
	ofKey := func(what string, k key.Key, reconciled bool, a key.Attempt) happened {
		attempt, _ := a.(*lock.Attempt)
		return happened{what: what, at: now, revision: k.Modified, reconciled: reconciled, key: k, attempt: attempt}
	}
	switch e := effect.(type) {
	case *key.Put:
		put := ofKey("put", e.Key, e.Reconciled, e.Attempt)
		put.created = e.Created
		return put
	case key.Deleted:
		return ofKey("deleted", e.Key, e.Reconciled, e.Attempt)
	case key.Gap:
		return happened{what: "gap", at: now, revision: e.Last, reconciled: true, gap: e}
	case lock.Queued:
		return ofLock("queued", e.Observed)
	case lock.Acquired:
		return ofLock("acquired", e.Observed)
	case lock.Released:
		return ofLock("released", e.Observed)
	case lock.Abandoned:
		return ofLock("abandoned", e.Observed)
	case lease.Granted:
		return happened{what: "granted", at: now, lease: &e.Lease, reconciled: e.AtUnknownTime}
	case lease.Queried:
		return happened{what: "queried", at: now, lease: &e.Lease}
	case lease.Ended:
		return happened{what: "ended", at: now, lease: &e.Lease, reconciled: e.AtUnknownTime}
	}
	panic(fmt.Sprintf("an effect of no kind: %T", effect))
}

// all flattens effects.
func all(now time.Time, effects []Effect) (happenings []happened) {
	for _, e := range effects {
		happenings = append(happenings, flat(now, e))
	}
	return happenings
}

func whats(effects []Effect) (whats []string) {
	for _, e := range all(at(0), effects) {
		whats = append(whats, e.what)
	}
	return whats
}

func describe(e happened) string {
	if e.lease != nil {
		return describeLease(e)
	}
	line := fmt.Sprintf("%d: %d %s", e.at.Unix(), e.revision, e.what)
	switch e.what {
	case "gap":
		return line + fmt.Sprintf(" %d-%d", e.gap.First, e.gap.Last)
	case "put", "deleted":
		return line + " " + e.key.Name + words(map[string]bool{"created": e.created, "reconciled": e.reconciled})
	}
	a := e.attempt
	line += " " + a.Key
	switch {
	case e.what == "queued":
		line += fmt.Sprintf(" behind %d", a.Position)
	case e.what == "acquired" && a.PreviousHolder != nil:
		line += " after " + a.PreviousHolder.Key
	case e.what == "released" && a.Holds():
		line += fmt.Sprintf(" waited %s held %s", a.Acquired.Sub(a.Queued), a.Ended.Sub(a.Acquired))
	}
	return line + endCauses[a.Cause] + words(map[string]bool{
		"reconciled": e.reconciled, "began before": a.BeganBefore, "of an election": a.Election, "somewhen in a gap": a.Unordered,
	})
}

func describeLease(e happened) string {
	l := e.lease
	line := fmt.Sprintf("%d: lease %x %s", e.at.Unix(), l.ID, e.what)
	if e.what == "queried" {
		return line + fmt.Sprintf(", %d of %d left", l.Remaining, l.TTL) + words(map[string]bool{"at first": l.First})
	}
	if e.what == "ended" {
		line += fmt.Sprintf(" %s, %d keys, after %s", leaseCauses[l.Cause], l.Keys, l.Ended.Sub(l.Since))
	}
	return line + words(map[string]bool{"reconciled": e.reconciled, "began before": l.BeganBefore, "certain": l.Certain})
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

// observe has a machine observe something once a second, and describes every effect.
func observe(m *Machine, from int, observations ...any) []string {
	var lines []string
	for i, o := range observations {
		var effects []Effect
		switch o := o.(type) {
		case Observation:
			effects = m.Step(at(from+i), o)
		case lease.Observation:
			effects = m.StepLeases(at(from+i), o)
		}
		for _, e := range all(at(from+i), effects) {
			lines = append(lines, describe(e))
		}
	}
	return lines
}

// observeKeys is observe of a machine that does not follow leases.
func observeKeys(prefixes Prefixes, observations ...Observation) []string {
	of := make([]any, len(observations))
	for i, o := range observations {
		of[i] = o
	}
	return observe(NewMachine(prefixes, Limits{100, 100}, false), 0, of...)
}
