// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"maps"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// maxTallied is how many mounts are told apart; the others are otherMounts.
const (
	maxTallied  = 1000
	otherMounts = "other"
)

// byMount returns counts by mount that tell no more mounts apart: the first by
// name, so that they are the same ones the next time.
func byMount(counts state.RosterCounts) state.RosterCounts {
	if len(counts.Groups) <= maxTallied {
		return counts
	}
	mounts := slices.Sorted(maps.Keys(counts.Groups))
	mounts = slices.DeleteFunc(mounts, func(mount string) bool { return mount == "" }) // of none
	beyond := map[string]bool{}
	for _, mount := range mounts[min(maxTallied, len(mounts)):] {
		beyond[mount] = true
	}
	of := func(mount string) string {
		if beyond[mount] {
			return otherMounts
		}
		return mount
	}
	bounded := counts
	bounded.Groups, bounded.Followed = map[string]int64{}, map[state.Standing]int64{}
	for mount, n := range counts.Groups {
		bounded.Groups[of(mount)] += n
	}
	for standing, n := range counts.Followed {
		standing.Group = of(standing.Group)
		bounded.Followed[standing] += n
	}
	return bounded
}
