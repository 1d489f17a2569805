// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"slices"
	"strings"
)

// Prefixes are the parts of the key space that are observed.
type Prefixes struct {
	Watch     []string // changes of these keys are reported
	Locks     []string // keys of locks here are followed
	Elections []string // keys of elections here are followed
}

// Covering returns the fewest prefixes that hold all the others, sorted. No
// key begins with two of them.
func (p Prefixes) Covering() []string {
	var covering []string
	for _, prefix := range slices.Sorted(slices.Values(slices.Concat(p.Watch, p.Locks, p.Elections))) {
		if last := len(covering) - 1; last < 0 || !strings.HasPrefix(prefix, covering[last]) {
			covering = append(covering, prefix)
		}
	}
	return covering
}

// under returns the prefixes that a covering one holds, the longest first.
func (p Prefixes) under(covering string) Prefixes {
	held := func(prefixes []string) []string {
		var under []string
		for _, prefix := range prefixes {
			if strings.HasPrefix(prefix, covering) && !slices.Contains(under, prefix) {
				under = append(under, prefix)
			}
		}
		slices.SortFunc(under, func(a, b string) int { return len(b) - len(a) })
		return under
	}
	return Prefixes{Watch: held(p.Watch), Locks: held(p.Locks), Elections: held(p.Elections)}
}
