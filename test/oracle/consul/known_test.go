// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

// What the receiver does not do right yet is off here. Each is switched on when it does.
const (
	// restoredSpansAreNew: after a snapshot was restored, no span has the ID of another.
	restoredSpansAreNew = true
	// startsSurviveKills: a span whose start was accepted ends also when the collector was
	// killed while another signal was refused.
	startsSurviveKills = false
	// wideningIsSilent: a check that a token shows again was not registered.
	wideningIsSilent = true
	// incidentsFollowInstances: the incident of a service ends when none of its instances is
	// on a node whose check fails.
	incidentsFollowInstances = true
)
