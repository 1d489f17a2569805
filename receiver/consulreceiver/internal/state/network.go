// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"time"
)

// RoundTrips sums up round trips between nodes.
type RoundTrips struct{ Min, Median, P95, Max time.Duration }

// SumUp returns what a sample of round trips looks like; it is empty without one.
func SumUp(sample []time.Duration) RoundTrips {
	if len(sample) == 0 {
		return RoundTrips{}
	}
	slices.Sort(sample)
	last := len(sample) - 1
	return RoundTrips{Min: sample[0], Median: sample[last/2], P95: sample[last*95/100], Max: sample[last]}
}

// Pairs returns at most limit pairs of n things, each pair once, spread evenly
// and always the same.
func Pairs(n, limit int) [][2]int {
	var pairs [][2]int
	for distance := 1; distance <= n/2; distance++ {
		for i := range n {
			if 2*distance == n && i >= distance {
				break // the other half of a circle of an even number
			}
			if len(pairs) == limit {
				return pairs
			}
			pairs = append(pairs, [2]int{i, (i + distance) % n})
		}
	}
	return pairs
}
