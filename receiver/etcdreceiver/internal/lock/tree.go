// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"iter"
	"slices"
	"strings"
)

// maxDepth is how many slashes the name of a lock can have, so that a key of slashes
// alone costs no more than others.
const maxDepth = 64

// tree holds keys by the parts of their names, so that those under the name of a lock
// are found without a walk over all.
type tree map[string]*branch // by name, without the slash that follows

// branch holds what is under a name.
type branch struct {
	keys     map[string]int64    // revision of creation, of those that are under no longer branch
	branches map[string]struct{} // the next longer names
}

// above yields the names of the locks that a key could be in the queue of, the
// shortest first.
func above(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		depth := 0
		for i := range len(key) {
			if key[i] != '/' {
				continue
			}
			if depth++; depth > maxDepth || !yield(key[:i]) {
				return
			}
		}
	}
}

// add returns false if the key is there already.
func (t tree) add(key string, created int64) bool {
	var last *branch
	for name := range above(key) {
		b := t[name]
		if b == nil {
			b = &branch{}
			t[name] = b
			if last != nil {
				if last.branches == nil {
					last.branches = map[string]struct{}{}
				}
				last.branches[name] = struct{}{}
			}
		}
		last = b
	}
	if last == nil {
		return false // It is under no lock.
	}
	if _, is := last.keys[key]; is {
		return false
	}
	if last.keys == nil {
		last.keys = map[string]int64{}
	}
	last.keys[key] = created
	return true
}

// remove removes a key, and the branches that are empty without it. It returns the
// revision of its creation.
func (t tree) remove(key string) (created int64, was bool) {
	names := slices.Collect(above(key))
	if len(names) == 0 || t[names[len(names)-1]] == nil {
		return 0, false
	}
	longest := t[names[len(names)-1]]
	if created, was = longest.keys[key]; !was {
		return 0, false
	}
	delete(longest.keys, key)
	for i := len(names) - 1; i >= 0; i-- {
		if b := t[names[i]]; len(b.keys)+len(b.branches) > 0 {
			break
		}
		delete(t, names[i])
		if i > 0 {
			delete(t[names[i-1]].branches, names[i])
		}
	}
	return created, true
}

// under yields the keys under the name of a lock, with their revisions, in no order.
func (t tree) under(lock string) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) { t.walk(lock, yield) }
}

func (t tree) walk(name string, yield func(string, int64) bool) bool {
	b := t[name]
	if b == nil {
		return true
	}
	for key, created := range b.keys {
		if !yield(key, created) {
			return false
		}
	}
	for longer := range b.branches {
		if !t.walk(longer, yield) {
			return false
		}
	}
	return true
}

// depth is how many slashes the name of a lock has.
func depth(lock string) int { return strings.Count(lock, "/") }
