// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// SavedAttempt is what survives a restart of an attempt that has not ended. Names
// of keys can be any bytes.
type SavedAttempt struct {
	Key, Lock        []byte
	Election         bool
	Lease, Created   int64
	Position         int
	Restores         uint64 `json:",omitempty"`
	Cluster          string `json:",omitempty"`
	Queued, Acquired time.Time

	BeganBefore, HeldBefore, Reconciled, HoldReconciled bool

	PreviousHolder        []byte    `json:"Behind"` // its key; none when empty
	PreviousHolderCreated int64     `json:"BehindCreated"`
	PreviousHolderKind    savedKind `json:"BehindKind,omitempty"`
	PreviousRestores      uint64    `json:"BehindRestores,omitempty"`
	PreviousCluster       string    `json:"BehindCluster,omitempty"`
}

// savedKind is what a holder stands for.
type savedKind int

const (
	ofTheSame    savedKind = iota // an attempt as the one that it held up
	ofNoAttempt                   // a key that is no attempt
	ofALock                       // an attempt at a lock
	ofALeader                     // a leader of an election
	ofACandidate                  // a candidate that never led
)

func kindOf(h Holder, before *Attempt) savedKind {
	switch a := h.Attempt; {
	case a == nil:
		return ofNoAttempt
	case a.Lock == before.Lock && a.Election == before.Election:
		return ofTheSame
	case !a.Election:
		return ofALock
	case a.Holds():
		return ofALeader
	}
	return ofACandidate
}

// previousHolder returns what held the lock before an attempt.
func (saved SavedAttempt) previousHolder() *Holder {
	if len(saved.PreviousHolder) == 0 {
		return nil
	}
	h := &Holder{Key: string(saved.PreviousHolder), Created: saved.PreviousHolderCreated}
	if saved.PreviousHolderKind == ofNoAttempt {
		return h
	}
	h.Attempt = &Attempt{
		Lock: string(saved.Lock), Election: saved.Election, Key: h.Key, Created: h.Created,
		Restores: saved.PreviousRestores, Cluster: saved.PreviousCluster,
	}
	if kind := saved.PreviousHolderKind; kind != ofTheSame {
		h.Attempt.Lock = h.Key[:max(0, strings.LastIndexByte(h.Key, '/'))]
		h.Attempt.Election = kind != ofALock
	}
	if saved.PreviousHolderKind != ofACandidate {
		h.Attempt.Acquired = saved.Queued // When is not known any more, and does not count.
	}
	return h
}

// Save returns what is to survive of the attempts, in the order of their revisions.
func (q *Queues) Save() []SavedAttempt {
	var saved []SavedAttempt
	for _, a := range q.attempts {
		s := SavedAttempt{
			Key: []byte(a.Key), Lock: []byte(a.Lock), Election: a.Election, Lease: a.Lease, Created: a.Created,
			Position: a.Position, Restores: a.Restores, Cluster: a.Cluster, Queued: a.Queued, Acquired: a.Acquired,
			BeganBefore: a.BeganBefore, HeldBefore: a.HeldBefore, Reconciled: a.Reconciled, HoldReconciled: a.HoldReconciled,
		}
		if before := a.PreviousHolder; before != nil {
			s.PreviousHolder, s.PreviousHolderCreated = []byte(before.Key), before.Created
			s.PreviousHolderKind = kindOf(*before, a)
			if before.Attempt != nil {
				s.PreviousRestores, s.PreviousCluster = before.Attempt.Restores, before.Attempt.Cluster
			}
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
func (q *Queues) Restore(saved SavedAttempt) {
	place, _ := q.prefixes.place(saved.key())
	a := &Attempt{
		Lock: place.lock, Prefix: place.prefix, Election: place.election, Key: string(saved.Key), Lease: saved.Lease, Created: saved.Created,
		Restores: saved.Restores, Cluster: saved.Cluster, Queued: saved.Queued, BeganBefore: saved.BeganBefore, HeldBefore: saved.HeldBefore, Reconciled: saved.Reconciled, HoldReconciled: saved.HoldReconciled,
	}
	q.add(a)
	q.touched[a.Lock] = true
	a.Position = saved.Position
	if !saved.Acquired.IsZero() && !q.queues[a.Lock].holder.of(a.Lock) {
		q.hold(&Holder{a.Key, a.Created, a}, a.Lock, saved.Acquired)
	}
	a.PreviousHolder = saved.previousHolder()
}
