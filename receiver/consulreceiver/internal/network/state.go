// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package network

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
// over all of them and always the same.
func Pairs(n, limit int) [][2]int {
	all := n * (n - 1) / 2
	count := min(all, limit)
	pairs := make([][2]int, 0, max(0, count))
	row, before := 0, 0 // pairs in earlier rows
	for i := range count {
		rank := i * all / count
		for rank >= before+n-1-row {
			before += n - 1 - row
			row++
		}
		pairs = append(pairs, [2]int{row, row + 1 + rank - before})
	}
	return pairs
}
