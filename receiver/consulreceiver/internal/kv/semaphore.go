// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
)

// A semaphore of the Consul API, such as `consul lock -n=2`, is a prefix with a
// key for each contender, which its session holds, and the coordinating key
// `.lock`, whose value lists those contenders that have a slot.

const (
	// semaphoreFlags mark the keys of a semaphore.
	semaphoreFlags = 0xe0f69a2baa414de0
	// coordinatorName is the last part of the name of the coordinating key.
	coordinatorName = ".lock"
)

// Role is what a key is within a semaphore.
type Role string

// The roles of keys.
const (
	NoRole      Role = ""
	Coordinator Role = "coordinator"
	Waiter      Role = "waiter"
	Holder      Role = "holder"
	// Contender is a waiter or a holder: the coordinating key is not observed.
	Contender Role = "contender"
)

// Slots of a semaphore.
type Slots struct {
	Limit   int
	Holders string // IDs of sessions, in order, each followed by a space
}

// Semaphore is the state of one semaphore.
type Semaphore struct {
	Prefix                  string
	Limit, Holders, Waiters int
}

// readSlots reads the value of a coordinating key. A value that the Consul API
// did not write has no slots.
func readSlots(value []byte) Slots {
	var lock struct {
		Limit   int
		Holders map[string]bool
	}
	if json.Unmarshal(value, &lock) != nil {
		return Slots{}
	}
	var holders strings.Builder
	for _, session := range slices.Sorted(maps.Keys(lock.Holders)) {
		holders.WriteString(session)
		holders.WriteByte(' ')
	}
	return Slots{Limit: lock.Limit, Holders: holders.String()}
}

func (s Slots) has(session string) bool {
	return strings.HasPrefix(s.Holders, session+" ") || strings.Contains(s.Holders, " "+session+" ")
}

// coordinates says whether a key coordinates a semaphore. `consul lock` has a
// key of the same name for a lock, with other flags.
func coordinates(name string, key Key) bool {
	return key.Flags == semaphoreFlags && key.Session == "" && path.Base(name) == coordinatorName
}

// contends says whether a key is that of a contender for a semaphore.
func contends(name string, key Key) bool {
	return key.Flags == semaphoreFlags && key.Session != "" && path.Base(name) == key.Session
}

// assignRoles finds the semaphores among all keys under a prefix.
func assignRoles(prefix string, keys map[string]Key) {
	for name, key := range keys {
		switch {
		case coordinates(name, key):
			key.Role = Coordinator
		case !contends(name, key):
			continue
		default:
			key.Role = roleOf(prefix, name, key.Session, keys)
		}
		keys[name] = key
	}
}

func roleOf(prefix, name, session string, keys map[string]Key) Role {
	coordinator := coordinatorOf(name)
	if !strings.HasPrefix(coordinator, prefix) {
		return Contender
	}
	// Without it, no contender has a slot yet.
	if keys[coordinator].Slots.has(session) {
		return Holder
	}
	return Waiter
}

func coordinatorOf(contender string) string {
	return path.Join(semaphoreOf(contender), coordinatorName)
}

// semaphoreOf returns the prefix of the semaphore of a contender.
func semaphoreOf(contender string) string { return path.Dir(contender) }

// semaphores returns the state of each semaphore among keys, in order.
func semaphores(keys map[string]Key) []Semaphore {
	found := map[string]*Semaphore{}
	for name, key := range keys {
		if key.Role == Coordinator {
			found[name] = &Semaphore{Prefix: path.Dir(name), Limit: key.Slots.Limit}
		}
	}
	for name, key := range keys {
		if s := found[coordinatorOf(name)]; s != nil {
			switch key.Role {
			case Holder:
				s.Holders++
			case Waiter:
				s.Waiters++
			}
		}
	}
	all := make([]Semaphore, 0, len(found))
	for _, s := range found {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Semaphore) int { return strings.Compare(a.Prefix, b.Prefix) })
	return all
}
