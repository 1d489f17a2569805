// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

func TestWhatIsObservedStaysObservedAtTheLimit(t *testing.T) {
	before := map[string]int{"m": 1, "z": 1}
	objects := map[string]int{"a": 1, "b": 1, "m": 1, "z": 1}
	assert.Equal(t, 1, bound(objects, before, 3, strings.Compare))
	assert.Equal(t, map[string]int{"a": 1, "m": 1, "z": 1}, objects)
	assert.Zero(t, bound(objects, before, 3, strings.Compare))
}

func TestOutputIsCutToValidText(t *testing.T) {
	assert.Equal(t, "whole", truncate("whole", 5))
	assert.Equal(t, "cut", truncate("cut off", 3))
	assert.Empty(t, truncate("é", 1))
}

func TestAMemberIsMissedAfterAWhile(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	alive := map[string]absence{}
	see := func(at time.Duration, filtered bool, members map[string]state.Member) []string {
		missed(start.Add(at), alive, members, filtered)
		return slices.Sorted(maps.Keys(members))
	}
	all := func() map[string]state.Member {
		return map[string]state.Member{"a": {Status: state.Alive}, "b": {Status: state.Alive}, "c": {Status: state.Left}}
	}
	alone := func() map[string]state.Member { return map[string]state.Member{"a": {Status: state.Alive}} }
	assert.Equal(t, []string{"a", "b", "c"}, see(0, false, all()))
	assert.Equal(t, []string{"a", "b"}, see(time.Minute, false, alone()), "what has left may go at once")
	assert.Equal(t, []string{"a", "b"}, see(time.Minute+missedAfter-1, false, alone()))
	assert.Equal(t, []string{"a", "b", "c"}, see(time.Minute+missedAfter, false, all()), "it was not missed")
	assert.Equal(t, []string{"a", "b"}, see(2*time.Minute, false, alone()))
	assert.Equal(t, []string{"a"}, see(2*time.Minute+missedAfter, false, alone()))
	assert.Equal(t, []string{"a"}, see(2*time.Minute+missedAfter, false, alone()))
	see(3*time.Minute, false, all())
	assert.Equal(t, []string{"a"}, see(3*time.Minute, true, alone()), "it may be hidden")
}
