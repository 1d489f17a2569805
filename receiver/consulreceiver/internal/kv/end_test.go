// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// A deletion proves that a hold ended with its session only if it is that of its key.
func TestADeletionProvesAnEndOnlyIfItIsThatOfTheKey(t *testing.T) {
	for name, tc := range map[string]struct {
		deletedAt uint64
		others    []string // keys
		newest    uint64
		want      End
	}{
		"between two observations":               {9, []string{"locks/y"}, 7, Invalidated},
		"before the last observation":            {7, nil, 0, Unknown},
		"after the observation":                  {12, nil, 0, Unknown}, // of another key: Consul remembers no deletion of this one
		"while another key begins with its name": {9, []string{"locks/x0"}, 7, Unknown},
		"at the index of a key that is there":    {9, []string{"locks/y"}, 9, Unknown}, // of that key: Consul remembers no deletion of this one
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			before, after := keys{"locks/x": free(1, 3, 1).heldBy("s")}, keys{}
			for _, other := range tc.others {
				before[other], after[other] = free(1, 1, 0), free(1, 1, 0)
			}
			k.Step(snapshottest.At(0), before.at(8).Observation, Evidence{})
			_, effects := k.Step(snapshottest.At(1), after.at(10).Observation, Evidence{
				Sessions:  map[string]SessionState{"s": {Index: tc.deletedAt}},
				DeletedAt: map[string]uint64{"locks/x": tc.deletedAt},
				Newest:    tc.newest,
			})
			assert.Equal(t, tc.want, effects[0].(Ended).How)
		})
	}
}

// Consul remembers the deletion of locks/b only: the index of locks/a is that of locks/b.
func TestADeletionIsOfTheKeysOfOneSession(t *testing.T) {
	for other, want := range map[string]End{"s": Invalidated, "r": Unknown} {
		var k Keys
		before := keys{"locks/a": free(1, 3, 1).heldBy("s"), "locks/b": free(1, 4, 1).heldBy(other)}
		k.Step(snapshottest.At(0), before.at(8).Observation, Evidence{})
		_, effects := k.Step(snapshottest.At(1), keys{}.at(10).Observation, Evidence{
			Sessions:  map[string]SessionState{"s": {Index: 9}, "r": {Index: 9}},
			DeletedAt: map[string]uint64{"locks/a": 9, "locks/b": 9},
		})
		assert.Equal(t, want, effects[0].(Ended).How, other)
	}
}
