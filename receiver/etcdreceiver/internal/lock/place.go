// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

import (
	"strconv"
	"strings"
)

// Prefixes are where locks and elections are recognized, each the longest first.
type Prefixes struct {
	Locks, Elections []string
	Either           []string // both, which their keys tell apart
}

// place is what a key stands for in the queue of a lock or an election.
type place struct {
	lock     string
	prefix   string // the longest that the whole queue is under
	election bool
}

// place returns the queue that a key stands in. Such a key is the lock's name,
// a slash and the key's own lease in hex: that is what etcd's concurrency.Mutex
// and Election write, which differ only in that a candidate has a value. A
// queue is followed when all of it is under a prefix.
func (p Prefixes) place(key Key) (place, bool) {
	if key.Lease == 0 {
		return place{}, false
	}
	name, found := strings.CutSuffix(key.Name, "/"+strconv.FormatUint(uint64(key.Lease), 16))
	if !found || depth(name) >= maxDepth {
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
		return place{name, lock, key.HasValue}, true
	}
	prefix, ok := longest(name+"/", p.Either)
	return place{name, prefix, key.HasValue}, ok
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
