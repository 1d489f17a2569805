// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"container/heap"
	"maps"
	"slices"
	"time"
)

// promptly is how soon after its keys went a lease has to be queried, so that its
// absence says why they did.
const promptly = time.Second

// KeyCause is why a key that is attached to a lease went.
type KeyCause int

// Why a key can go.
const (
	KeyUnknown KeyCause = iota
	// KeyDeleted: a client deleted it, or revoked the lease.
	KeyDeleted
	// KeyExpired: its lease expired.
	KeyExpired
)

// loss is what a lease loses in one revision.
type loss struct {
	keys    int
	deleted int // those of them that were deleted
	cause   KeyCause
}

// Changes are those of the present step, of which some are still to be taken in.
type Changes interface {
	// Attaches says whether a key is attached to a lease at a revision or later.
	Attaches(lease, revision int64) bool
}

// BeginRevision forgets which leases lost keys in the revision before.
func (a *Attachments) BeginRevision() { clear(a.losses) }

// Lose takes in that a lease loses a key in the present revision, as it is deleted
// or else attached to another one.
func (a *Attachments) Lose(id int64, deleted bool) {
	l := a.losses[id]
	l.keys++
	if deleted {
		l.deleted++
	}
	a.losses[id] = l
}

// Classify finds out why the keys of leases are deleted. When a lease ends, all its
// keys go in one revision, and nothing else does. So keys that go alone, or with
// others, are deleted by a client, as are those of a lease that keeps a key or
// gets one later.
func (a *Attachments) Classify(revision int64, withOthers bool, changes Changes, w When) {
	for id, l := range a.losses {
		if withOthers || a.keys[id] > l.keys || changes.Attaches(id, revision) {
			l.cause = KeyDeleted
		} else {
			l.cause = a.leases.classify(id, revision, l.deleted, w)
		}
		a.losses[id] = l
	}
}

// Cause returns why the keys of a lease went in the present revision.
func (a *Attachments) Cause(id int64) KeyCause { return a.losses[id].cause }

// classify returns why keys of a lease went that may have been all that it had.
// When it is learnt late, a lease that is gone by now does not say why: it may
// have been revoked in time.
func (ls *Leases) classify(id, revision int64, keys int, w When) KeyCause {
	l := ls.known[id]
	if l == nil {
		return KeyUnknown
	}
	if revision > l.last {
		l.last, l.atEnd = revision, 0
	}
	if revision == l.last {
		l.atEnd += keys
	}
	l.late = w.Reconciled
	switch {
	case l.gone && l.Cause == Revoked, l.alive, w.Now.Before(l.deadline):
		return KeyDeleted
	case w.Reconciled, l.gone && (l.Cause == EndUnknown || l.goneAt.Sub(w.Now) > promptly):
		return KeyUnknown
	case l.gone, keys > 1 && !l.deadline.IsZero():
		return KeyExpired
	default:
		return KeyUnknown
	}
}

// Settle returns the effects of the leases that have ended with the keys of the
// present revision.
func (a *Attachments) Settle(w When) []Ended {
	if len(a.losses) == 0 {
		return nil
	}
	var all []Ended
	for _, id := range slices.Sorted(maps.Keys(a.losses)) {
		if ended, has := a.leases.settle(w.Now, a.leases.known[id], w.Reconciled); has {
			all = append(all, ended)
		}
	}
	return all
}

// settleAlone returns the effect of a lease that has ended with nothing else
// observed.
func (ls *Leases) settleAlone(now time.Time, l *lease) (Ended, bool) {
	return ls.settle(now, l, l.resumed || l.gone && l.deadline.IsZero() && l.atEnd == 0) // It may be gone since long.
}

// settle returns the effect of a lease that has ended, with all its keys, and
// forgets it.
func (ls *Leases) settle(now time.Time, l *lease, reconciled bool) (ended Ended, has bool) {
	if l == nil || !l.gone || l.Keys > 0 {
		return Ended{}, false
	}
	delete(ls.known, l.ID)
	heap.Remove(&ls.due, l.index)
	if l.over {
		return Ended{}, false
	}
	ls.forget(l)
	ls.ended[l.Cause]++
	l.Ended, l.Keys = now, l.atEnd
	l.Reconciled = l.Reconciled || reconciled
	return Ended{Lease: l.Lease, AtUnknownTime: reconciled}, true
}

// end marks a lease that is not there any more, which was found out at a time,
// for certain or not.
func (l *lease) end(at time.Time, certain bool) {
	if l.gone {
		return
	}
	l.gone, l.goneAt = true, at
	switch {
	case l.deadline.IsZero(), l.late && !at.Before(l.deadline):
		l.Cause = EndUnknown
	case at.Before(l.deadline):
		l.Cause, l.Certain = Revoked, certain
	case l.resumed: // Nobody queried when it might have expired.
		l.Cause = EndUnknown
	default:
		l.Cause = Expired
	}
}
