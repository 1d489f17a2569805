// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"slices"
	"time"
)

// SavedAttempt is what survives a restart of an attempt that has not ended. Names
// of keys can be any bytes.
type SavedAttempt struct {
	Key, Lock        []byte
	Election         bool
	Lease, Created   int64
	Position         int
	Queued, Acquired time.Time

	BeganBefore, HeldBefore, Reconciled, HoldReconciled bool

	PreviousHolder        []byte `json:"Behind"` // its key; none when empty
	PreviousHolderCreated int64  `json:"BehindCreated"`
}

// Save returns what is to survive of the attempts, in the order of their revisions.
func (q *Queues) Save() []SavedAttempt {
	var saved []SavedAttempt
	for _, a := range q.attempts {
		s := SavedAttempt{
			Key: []byte(a.Key), Lock: []byte(a.Lock), Election: a.Election, Lease: a.Lease, Created: a.Created,
			Position: a.Position, Queued: a.Queued, Acquired: a.Acquired,
			BeganBefore: a.BeganBefore, HeldBefore: a.HeldBefore, Reconciled: a.Reconciled, HoldReconciled: a.HoldReconciled,
		}
		if a.PreviousHolder != nil {
			s.PreviousHolder, s.PreviousHolderCreated = []byte(a.PreviousHolder.Key), a.PreviousHolder.Created
		}
		saved = append(saved, s)
	}
	slices.SortFunc(saved, func(a, b SavedAttempt) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), slices.Compare(a.Key, b.Key))
	})
	return saved
}

// Follows says whether an attempt that an earlier process saved is still to be
// followed.
func (q *Queues) Follows(saved SavedAttempt) bool {
	place, is := q.prefixes.place(saved.key())
	return is && place.lock == string(saved.Lock) && place.election == saved.Election && q.attempts[string(saved.Key)] == nil
}

// key returns the key of the attempt. That of an election has a value.
func (saved SavedAttempt) key() Key {
	return Key{Name: string(saved.Key), Lease: saved.Lease, Created: saved.Created, HasValue: saved.Election}
}

// Restore goes on with an attempt that is still to be followed.
func (q *Queues) Restore(saved SavedAttempt, now time.Time) {
	place, _ := q.prefixes.place(saved.key())
	a := &Attempt{
		Lock: place.lock, Prefix: place.prefix, Election: place.election, Key: string(saved.Key), Lease: saved.Lease, Created: saved.Created,
		Queued: saved.Queued, BeganBefore: saved.BeganBefore, HeldBefore: saved.HeldBefore, Reconciled: saved.Reconciled, HoldReconciled: saved.HoldReconciled,
	}
	if len(saved.PreviousHolder) > 0 {
		a.PreviousHolder = &Attempt{Lock: a.Lock, Key: string(saved.PreviousHolder), Created: saved.PreviousHolderCreated}
	}
	q.add(a)
	a.Position = saved.Position
	if !saved.Acquired.IsZero() && q.queues[a.Lock].holder == nil {
		previous := a.PreviousHolder
		q.hold(a, now)
		a.Acquired, a.PreviousHolder = saved.Acquired, previous
	}
}
