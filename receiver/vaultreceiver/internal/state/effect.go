// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Event is what happened to a server, or to its cluster.
type Event string

// The events. None is for a period that ends because it can no longer be seen.
const (
	None          Event = ""
	Initialized   Event = "initialized"
	Sealed        Event = "sealed"
	Unsealed      Event = "unsealed"
	Removed       Event = "removed"
	SteppedDown   Event = "stepped down"
	LeaderChanged Event = "leader changed"
	WatchGap      Event = "gap"
	PeerAdded     Event = "peer added"
	PeerRemoved   Event = "peer removed"
	PeerHealthy   Event = "peer healthy"
	PeerUnhealthy Event = "peer unhealthy"
)

// Trouble is what a period is full of.
type Trouble string

// The troubles. A server is never in both: a sealed one sees no leader anyway.
const (
	SealedTime Trouble = "sealed"
	Leaderless Trouble = "leaderless"
)

// Period is a time of trouble.
type Period struct {
	Trouble     Trouble
	ClusterID   string // as it was known when the period began, may be empty
	Version     string // as it was when the period began
	BeganBefore bool   // it was there when the server was first observed
	Reconciled  bool   // it began or ended at an unknown time
	Start, End  time.Time

	// The active nodes before and after a leaderless time, as far as known.
	OldLeader, NewLeader string
}

// Effect is one event and the period that it belongs to.
type Effect struct {
	Event Event
	At    time.Time

	Unseen time.Duration // of WatchGap: since the last observation

	// The active nodes of LeaderChanged and SteppedDown.
	OldLeader, NewLeader string

	// The peer of the events about one.
	PeerID string
	Peer   Peer

	// Reconciled says that the true time is unknown: it happened while the
	// server could not be observed.
	Reconciled bool

	Period *Period // nil when the event has none
	Opened bool    // Period began with this effect
	Closed bool    // Period ended with it
}
