// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAMemberIsMissingAfterAWhile(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	alive := map[string]absence{}
	observe := func(at time.Duration, filtered bool, members map[string]Member) []string {
		keepAbsent(start.Add(at), alive, members, filtered)
		return slices.Sorted(maps.Keys(members))
	}
	all := func() map[string]Member {
		return map[string]Member{"a": {Status: Alive}, "b": {Status: Alive}, "c": {Status: Left}}
	}
	alone := func() map[string]Member { return map[string]Member{"a": {Status: Alive}} }
	assert.Equal(t, []string{"a", "b", "c"}, observe(0, false, all()))
	assert.Equal(t, []string{"a", "b"}, observe(time.Minute, false, alone()), "what has left may go at once")
	assert.Equal(t, []string{"a", "b"}, observe(time.Minute+missingAfter-1, false, alone()))
	assert.Equal(t, []string{"a", "b", "c"}, observe(time.Minute+missingAfter, false, all()), "it was not missing")
	assert.Equal(t, []string{"a", "b"}, observe(2*time.Minute, false, alone()))
	assert.Equal(t, []string{"a"}, observe(2*time.Minute+missingAfter, false, alone()))
	assert.Equal(t, []string{"a"}, observe(2*time.Minute+missingAfter, false, alone()))
	observe(3*time.Minute, false, all())
	assert.Equal(t, []string{"a"}, observe(3*time.Minute, true, alone()), "it may be hidden")
}
