// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSumUp(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i, n := range rand.Perm(100) {
		hundred[i] = time.Duration(n + 1)
	}
	for name, tc := range map[string]struct {
		sample []time.Duration
		want   RoundTrips
	}{
		"nothing":            {nil, RoundTrips{}},
		"one":                {[]time.Duration{7}, RoundTrips{Min: 7, Median: 7, P95: 7, Max: 7}},
		"two":                {[]time.Duration{9, 7}, RoundTrips{Min: 7, Median: 7, P95: 7, Max: 9}},
		"three":              {[]time.Duration{9, 7, 8}, RoundTrips{Min: 7, Median: 8, P95: 8, Max: 9}},
		"a hundred shuffled": {hundred, RoundTrips{Min: 1, Median: 50, P95: 95, Max: 100}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, SumUp(tc.sample)) })
	}
}

func TestPairsAreEachPairOnce(t *testing.T) {
	for n := range 30 {
		every := Pairs(n, 1000)
		assert.Len(t, every, n*max(0, n-1)/2, "of %d", n)
		seen := map[[2]int]bool{}
		for _, p := range every {
			low, high := min(p[0], p[1]), max(p[0], p[1])
			assert.True(t, 0 <= low && low < high && high < n, "%v of %d", p, n)
			assert.False(t, seen[[2]int{low, high}], "%v of %d again", p, n)
			seen[[2]int{low, high}] = true
		}
		for _, limit := range []int{0, 1, n, 100} {
			assert.Equal(t, every[:min(limit, len(every))], append(every[:0:0], Pairs(n, limit)...), "%d of %d", limit, n)
		}
	}
}

func TestPairsAreSpreadEvenly(t *testing.T) {
	times := map[int]int{}
	for _, p := range Pairs(1000, 5000) {
		times[p[0]]++
		times[p[1]]++
	}
	assert.Len(t, times, 1000)
	for i, n := range times {
		assert.Equal(t, 10, n, "%d", i)
	}
}
