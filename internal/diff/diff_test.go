// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMapsIsSortedAndTotal(t *testing.T) {
	prev := map[string]int{"same": 1, "changed": 1, "removed": 1}
	next := map[string]int{"same": 1, "changed": 2, "added": 3}
	assert.Equal(t, []Change[string, int]{
		{Key: "added", Next: 3, Added: true},
		{Key: "changed", Prev: 1, Next: 2},
		{Key: "removed", Prev: 1, Removed: true},
	}, Maps(prev, next, cmp.Compare[string]))
}

func TestMapsOfNil(t *testing.T) {
	assert.Empty(t, Maps[string, int](nil, nil, cmp.Compare[string]))
}

// snapshot reads pairs of bytes as key and value.
func snapshot(data []byte) map[byte]byte {
	s := map[byte]byte{}
	for pair := range slices.Chunk(data, 2) {
		s[pair[0]] = pair[len(pair)-1]
	}
	return s
}

func FuzzApplyingTheDiffGivesTheTarget(f *testing.F) {
	f.Add([]byte("a1b2"), []byte("b3c4"))
	f.Add([]byte(""), []byte("zz"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		prev, next := snapshot(a), snapshot(b)
		if len(Maps(prev, prev, cmp.Compare[byte])) != 0 {
			t.Fatal("a snapshot differs from itself")
		}
		changes := Maps(prev, next, cmp.Compare[byte])
		if !slices.IsSortedFunc(changes, func(x, y Change[byte, byte]) int { return cmp.Compare(x.Key, y.Key) }) {
			t.Fatal("changes are not sorted")
		}
		for _, c := range changes {
			if c.Removed {
				delete(prev, c.Key)
			} else {
				prev[c.Key] = c.Next
			}
		}
		if !maps.Equal(prev, next) {
			t.Fatalf("got %v, want %v", prev, next)
		}
	})
}
