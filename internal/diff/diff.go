// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package diff compares two snapshots of keyed objects.
package diff

import "slices"

// Change is one key whose value differs between two snapshots.
// Prev is the zero value when the key was Added, Next when it was Removed.
type Change[K comparable, V any] struct {
	Key        K
	Prev, Next V
	Added      bool
	Removed    bool
}

// Maps returns what turns prev into next, ordered by compare on the keys.
// Keys whose values are equal do not appear, so Maps(s, s) is empty.
func Maps[K, V comparable](prev, next map[K]V, compare func(a, b K) int) []Change[K, V] {
	var changes []Change[K, V]
	for key, old := range prev {
		now, still := next[key]
		if !still {
			changes = append(changes, Change[K, V]{Key: key, Prev: old, Removed: true})
		} else if now != old {
			changes = append(changes, Change[K, V]{Key: key, Prev: old, Next: now})
		}
	}
	for key, now := range next {
		if _, known := prev[key]; !known {
			changes = append(changes, Change[K, V]{Key: key, Next: now, Added: true})
		}
	}
	slices.SortFunc(changes, func(a, b Change[K, V]) int { return compare(a.Key, b.Key) })
	return changes
}
