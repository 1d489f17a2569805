// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Kind is what happened.
type Kind int

// What can happen. A candidate's attempt at an election is told in the words
// of locks.
const (
	KeyPut Kind = iota + 1
	KeyDeleted
	LockQueued
	LockAcquired
	LockReleased
	LockAbandoned
	LeaseGranted
	LeaseAsked // what etcd said of a lease; no news
	LeaseEnded
	WatchGap
)

// Effect is one thing that happened.
type Effect struct {
	Kind       Kind
	At         time.Time
	Revision   int64
	Reconciled bool // the true time is unknown

	Change  Change   // of KeyPut and KeyDeleted; of the latter, the key as it was if that is known
	Created bool     // of KeyPut: the key did not exist before
	Attempt *Attempt // at the lock, or that the key stands for; else nil
	Lease   *Lease   // of leases
	Gap     Gap      // of WatchGap
}

// Gap is a range of revisions whose changes are unknown.
type Gap struct {
	Prefix      string
	First, Last int64
	Reason      GapReason
}

// GapReason is why changes are unknown.
type GapReason int

// Why changes can be unknown.
const (
	GapCompacted        GapReason = iota + 1 // before they were read
	GapRestored                              // the history is that of a restored backup
	GapOfAnotherCluster                      // and so is all of the history
)
