// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

// What the receiver does not do right yet is off here. Each is switched on when it does.
const (
	// maintenanceIsAState: an instance in maintenance has a state of its own and no incident.
	maintenanceIsAState = true
	// peersAreMarked: services of peers carry their peer.
	peersAreMarked = true
	// uncheckedInstances: services without checks on nodes whose checks fail.
	uncheckedInstances = true
	// nodesInAnyCase: names of nodes that differ in case alone.
	nodesInAnyCase = true
	// endsHaveTheirOwnTime: the end of a hold that began at an unknown time is not said to
	// be reconciled for that.
	endsHaveTheirOwnTime = true
	// restoredSpansAreNew: after a snapshot was restored, no span has the ID of another.
	restoredSpansAreNew = false
	// startsSurviveKills: a span whose start was accepted ends also when the collector was
	// killed while another signal was refused.
	startsSurviveKills = false
	// incidentsFollowInstances: the incident of a service ends when none of its instances is
	// on a node whose check fails.
	incidentsFollowInstances = false
	// spansSpellNames: spans spell names as events do.
	spansSpellNames = true
	// countersBeginAtZero: each known service has its counters at once.
	countersBeginAtZero = true
)
