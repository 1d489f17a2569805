// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import "sync"

// recent remembers something of each of so many keys, but two at least. It is
// safe for concurrent use.
//
// There are two generations: when the young one is full, the old one is
// forgotten, and what is changed again is young again.
type recent[V comparable] struct {
	half int

	mu         sync.Mutex
	young, old map[uint64]V
}

func newRecent[V comparable](limit int) *recent[V] {
	return &recent[V]{half: max(1, limit/2), young: map[uint64]V{}}
}

// change makes of what is remembered, which may be nothing, what is to be, and
// returns it.
func (r *recent[V]) change(key uint64, change func(V) V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	had, young := r.young[key]
	if !young {
		had = r.old[key]
	}
	now := change(had)
	if young && now == had {
		return now
	}
	if !young && len(r.young) >= r.half {
		r.young, r.old = map[uint64]V{}, r.young
	}
	r.young[key] = now
	return now
}

// get returns what is remembered, which may be nothing.
func (r *recent[V]) get(key uint64) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if had, ok := r.young[key]; ok {
		return had
	}
	return r.old[key]
}
