// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTimeLeftOfBuilds(t *testing.T) {
	all := []time.Duration{68 * time.Second, 140 * time.Second, 600 * time.Second, 280 * time.Second, 270 * time.Second, 310 * time.Second}
	for name, test := range map[string]struct {
		processors int
		ended      []endedBuild
		elapsed    time.Duration
		costs      []time.Duration
		want       string
	}{
		"one processor does them one after the other": {processors: 1, costs: all, want: "about 28 min left"},
		"two share the work, except for linking":      {processors: 2, costs: all, want: "about 15 min left"},
		"many are not faster than linking":            {processors: 1000, costs: all, want: "about 2 min left"},
		"the one that runs has less left":             {processors: 2, elapsed: 4 * time.Minute, costs: all[2:], want: "about 9 min left"},
		"the last one is short":                       {processors: 2, costs: all[:1], want: "about 1 min left"},
		"it is almost there":                          {processors: 2, elapsed: 30 * time.Second, costs: all[:1], want: "less than 1 min left"},
		"those that ended were slow": {
			processors: 2, ended: []endedBuild{{all[0], 70 * time.Second}, {all[1], 150 * time.Second}}, costs: all[2:], want: "about 21 min left",
		},
		"those that ended were compiled before": {
			processors: 2, ended: []endedBuild{{all[0], 5 * time.Second}, {all[1], 8 * time.Second}}, costs: all[2:], want: "about 6 min left",
		},
		"the one that runs is slow, and so will the others be": {
			processors: 2, elapsed: 20 * time.Minute, costs: all[2:], want: "about 31 min left",
		},
		"the only one is slow": {processors: 2, elapsed: 20 * time.Minute, costs: all[5:], want: "about 1 min left"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, inWords(timeLeft(test.processors, test.ended, test.elapsed, test.costs...)))
		})
	}
}

func TestTimeLeftNeverGrowsWhileABuildIsInTime(t *testing.T) {
	before := time.Hour
	for elapsed := time.Duration(0); elapsed < 2*time.Minute; elapsed += time.Second {
		left := timeLeft(2, nil, elapsed, 280*time.Second, 270*time.Second)
		assert.Less(t, left, before, elapsed)
		before = left
	}
}
