// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

// Key is what is known of one key of the KV store.
type Key struct {
	Flags       uint64
	Session     string // that holds it; empty: none
	LockIndex   uint64 // how often it was acquired since it was last written without a session
	CreateIndex uint64
	ModifyIndex uint64
	Value       Fingerprint
	Role        Role  // within a semaphore
	Slots       Slots // of a semaphore, if this key coordinates it
}

// Fingerprint distinguishes values without revealing them; zero unless
// configured.
type Fingerprint struct {
	SHA256 string // hex
	Size   int
}

// held says whether its session holds the key as a lock, or a slot of the semaphore.
func (k Key) held() bool { return k.Session != "" && (k.Role == NoRole || k.Role == Holder) }

// written says whether the key was written, as far as it is known, and not only
// acquired or released: a write without a session sets the LockIndex to 0.
func (k Key) written(next Key) bool {
	switch {
	case k.ModifyIndex == next.ModifyIndex:
		return false
	case k.Value != next.Value, next.ModifyIndex > k.ModifyIndex && next.LockIndex < k.LockIndex:
		return true
	default:
		return k.Session == next.Session && k.LockIndex == next.LockIndex
	}
}

// HoldID identifies one hold of a key, or one wait for a semaphore. Session is
// not a part of what makes it unique, so that the next hold is known beforehand.
type HoldID struct {
	Key         string
	CreateIndex uint64
	LockIndex   uint64
	// Resets is how often the LockIndex was observed to begin anew: Consul sets
	// it to 0 when the key is written without a session, and goes back with all
	// indexes when a snapshot is restored.
	Resets uint64
}

// Next is the hold that follows, if the key stays and is not written.
func (id HoldID) Next() HoldID {
	id.LockIndex++
	return id
}
