// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// LifeEvent is what happens to one lease, or token.
type LifeEvent int

// What can happen.
const (
	LifeCreated LifeEvent = iota
	LifeRenewed
	LifeExpiring
	LifeEnded
	LifeIrrevocable // Vault has given up to revoke it; no Roster finds that out
)

// EndCause is why one ended.
type EndCause int

// Why one can end.
const (
	EndUnknown EndCause = iota
	EndRevoked
	EndExpired
)

// EndConfidence is how sure the cause is.
type EndConfidence int

// How sure it can be.
const (
	NotConfident EndConfidence = iota
	Likely
	Certain
)

// Renewal is one that was seen, or was told by the first answer.
type Renewal struct {
	At  time.Time
	TTL time.Duration // from then on; 0 when there is no end
}

// Life is what is known of one lease or token. Times that are not known are zero.
type Life[D any] struct {
	ID     string
	Part   string // that it is listed in
	Detail D

	Read        bool // it was asked for, so its times are known
	BeganBefore bool // it was there at the baseline, and since when is not known

	Seen, Issued, Expires time.Time
	Expected              time.Time     // Expires, by the clock of who asks
	TTL                   time.Duration // that it was issued with; 0 when not known
	Renewable             bool
	Renewals              []Renewal // the newest
	DroppedRenewals       int

	Ended      time.Time
	Cause      EndCause
	Confidence EndConfidence
}

// Start is when it was issued, or was first seen if that is not known.
func (l Life[D]) Start() time.Time {
	if l.Issued.IsZero() {
		return l.Seen
	}
	return l.Issued
}

// LifeEffect is what happened to one.
type LifeEffect[D any] struct {
	Event LifeEvent
	At    time.Time
	Life  Life[D]

	// Reconciled says that it happened while nobody could look.
	Reconciled bool
}
