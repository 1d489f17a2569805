// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package state holds what the receiver knows of etcd's keys, locks, elections
// and leases, and turns what it sees of them into what happened. It does no I/O
// and reads no clock.
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
	Version  int64 // number of changes since it was created; 0 when not known
	Lease    int64 // 0 for none
	Size     int   // length of the value
}

// Change is one change of one key. Of a deleted key only Name and Modified are
// known, unless etcd was asked for what it was before.
type Change struct {
	Key         Key
	Deleted     bool
	Before      Key    // of a deleted key, if its Version is known
	Fingerprint string // of the value, if asked for
}

// Prefixes are the parts of the key space that are observed.
type Prefixes struct {
	Watch     []string // changes of these keys are told
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
	pick := func(prefixes []string) []string {
		var under []string
		for _, prefix := range prefixes {
			if strings.HasPrefix(prefix, covering) && !slices.Contains(under, prefix) {
				under = append(under, prefix)
			}
		}
		slices.SortFunc(under, func(a, b string) int { return len(b) - len(a) })
		return under
	}
	return Prefixes{Watch: pick(p.Watch), Locks: pick(p.Locks), Elections: pick(p.Elections)}
}

// place is what a key stands for in the queue of a lock or an election.
type place struct {
	lock     string
	prefix   string // the longest that the whole queue is under
	election bool
}

// queue returns the queue that a key stands in. Such a key is the lock's name,
// a slash and the key's own lease in hex: that is what etcd's concurrency.Mutex
// and Election write, which differ only in that a candidate has a value. A
// queue is followed when all of it is under a prefix.
func (p Prefixes) queue(key Key) (place, bool) {
	if key.Lease == 0 {
		return place{}, false
	}
	name, found := strings.CutSuffix(key.Name, "/"+strconv.FormatUint(uint64(key.Lease), 16))
	if !found {
		return place{}, false
	}
	lock, isLock := longest(name+"/", p.Locks)
	election, isElection := longest(name+"/", p.Elections)
	switch {
	case isLock && (!isElection || len(lock) > len(election)):
		return place{name, lock, false}, true
	case isElection && (!isLock || len(election) > len(lock)):
		return place{name, election, true}, true
	case isLock: // It is both.
		return place{name, lock, key.Size > 0}, true
	}
	prefix, ok := longest(name+"/", p.Watch)
	return place{name, prefix, key.Size > 0}, ok
}

// longest returns the first of the prefixes that a key begins with.
func longest(key string, prefixes []string) (string, bool) {
	for _, prefix := range prefixes {
		if strings.HasPrefix(key, prefix) {
			return prefix, true
		}
	}
	return "", false
}
