// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

// What the receiver does not do right yet is off here. Each is switched on when it does.
const (
	// maintenanceIsAState: an instance in maintenance has a state of its own and no incident.
	maintenanceIsAState = false
	// peersAreMarked: services of peers carry their peer.
	peersAreMarked = false
	// uncheckedInstances: services without checks on nodes whose checks fail.
	uncheckedInstances = false
	// nodesInAnyCase: names of nodes that differ in case alone.
	nodesInAnyCase = false
	// behaviourDelete: sessions that delete their keys when they end.
	behaviourDelete = false
	// endsAreKnown: sessions that come and go while a hold ends do not hide how it ended.
	endsAreKnown = false
	// endsHaveTheirOwnTime: the end of a hold that began at an unknown time is not said to
	// be reconciled for that.
	endsHaveTheirOwnTime = false
	// restoresAreNoticed: a snapshot that is restored causes a gap also when writes overtake
	// the index that was known.
	restoresAreNoticed = false
	// restoredHoldsAreNew: after a snapshot was restored, no hold has the ID of another.
	restoredHoldsAreNew = false
	// startsSurviveKills: a span whose start was accepted ends also when the collector was
	// killed while another signal was refused.
	startsSurviveKills = false
	// leaderlessIsNoDelay: the time of what happens to keys does not wait for a leader.
	leaderlessIsNoDelay = false
	// semaphoresHaveHolders: contenders for a semaphore do not hold it.
	semaphoresHaveHolders = false
	// countersBeginAtZero: each known service has its counters at once.
	countersBeginAtZero = false
)
