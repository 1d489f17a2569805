// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"math"
	"time"
)

// endedBuild is the processor time that a build takes on the machine where it was
// measured, and how long it took here.
type endedBuild struct{ cost, took time.Duration }

const (
	// serial is the share of a build that one processor does alone, such as linking.
	serial = 0.08
	// weightOfCPUs is how long a build has to run until its speed counts as much as
	// the one that the number of processors promises.
	weightOfCPUs = time.Minute
	// nearlyDone is how much of a build is done at most as long as it runs.
	nearlyDone = 0.95
)

// timeLeft estimates how long builds take that run one after the other on n processors.
// costs are their processor times; the first of them has run for elapsed, and ended
// are those before it.
func timeLeft(processors int, ended []endedBuild, elapsed time.Duration, costs ...time.Duration) time.Duration {
	// The speed is the processor time that is done in a unit of time.
	promised := 1 / (serial + (1-serial)/float64(processors))
	done, took := promised*weightOfCPUs.Seconds(), weightOfCPUs.Seconds()
	for _, build := range ended {
		done += build.cost.Seconds()
		took += build.took.Seconds()
	}
	speed := done / took
	if most := nearlyDone * costs[0].Seconds(); speed*elapsed.Seconds() > most {
		speed = most / elapsed.Seconds() // It takes longer than estimated, and so will the others.
	}
	left := -elapsed.Seconds()
	for _, cost := range costs {
		left += cost.Seconds() / speed
	}
	return time.Duration(left * float64(time.Second))
}

func inWords(left time.Duration) string {
	if minutes := math.Round(left.Minutes()); minutes >= 1 {
		return fmt.Sprintf("about %.0f min left", minutes)
	}
	return "less than 1 min left"
}
