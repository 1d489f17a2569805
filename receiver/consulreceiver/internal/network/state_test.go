// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package network

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
			some := Pairs(n, limit)
			assert.Len(t, some, min(limit, len(every)), "%d of %d", limit, n)
			assert.Subset(t, every, some, "%d of %d", limit, n)
		}
	}
}

func TestPairsAreSpreadEvenly(t *testing.T) {
	for _, nodes := range []int{100, 1000, 5000} { // fewer and more than pairs
		quarters := map[int]int{}
		for _, p := range Pairs(nodes, 1000) {
			quarters[4*p[0]/nodes]++
			quarters[4*p[1]/nodes]++
		}
		for quarter := range 4 {
			assert.InDelta(t, 500, quarters[quarter], 60, "of %d nodes, quarter %d", nodes, quarter)
		}
	}
}
