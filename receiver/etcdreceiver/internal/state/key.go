// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package state holds what the receiver knows of etcd's keys and locks, and
// turns what it sees of them into what happened. It does no I/O and reads no
// clock.
package state

import (
	"slices"
	"strconv"
	"strings"
)

// Key is what is known of one key. Its value is not.
type Key struct {
	Name     string
	Created  int64 // revision at which it was created
	Modified int64 // revision of its last change
	Version  int64 // number of changes since it was created
	Lease    int64 // 0 for none
}

// Change is one change of one key. Of a deleted key only Name and Modified are
// known.
type Change struct {
	Key     Key
	Deleted bool
	Size    int // length of the value
}

// Prefixes are the parts of the key space that are observed.
type Prefixes struct {
	Watch []string // changes of these keys are told
	Locks []string // keys of locks here are followed

	Elections []string // those of elections
}

// Covering returns the fewest prefixes that hold all the others, sorted. No
// key begins with two of them.
func (p Prefixes) Covering() []string {
	var covering []string
	for _, prefix := range slices.Sorted(slices.Values(slices.Concat(p.Watch, p.Locks))) {
		if last := len(covering) - 1; last < 0 || !strings.HasPrefix(prefix, covering[last]) {
			covering = append(covering, prefix)
		}
	}
	return covering
}

// LocksUnder returns the fewest prefixes that hold all locks under a covering
// prefix, sorted.
func (p Prefixes) LocksUnder(covering string) []string {
	locks := Prefixes{Locks: p.Locks}.Covering()
	return slices.DeleteFunc(locks, func(prefix string) bool { return !strings.HasPrefix(prefix, covering) })
}

// Watched says whether changes of a key are told.
func (p Prefixes) Watched(key string) bool { return begins(key, p.Watch) }

// Lock returns the name of the lock that a key stands in the queue of. Such a
// key is the lock's name, a slash and the key's own lease in hex: that is what
// etcd's concurrency.Mutex and Election write. A lock is followed when its
// whole queue is under a prefix.
func (p Prefixes) Lock(key Key) (name string, ok bool) {
	name, found := strings.CutSuffix(key.Name, "/"+strconv.FormatUint(uint64(key.Lease), 16))
	return name, found && key.Lease != 0 && begins(name+"/", p.Locks)
}

func begins(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}
