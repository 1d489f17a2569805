// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package lru keeps values under keys, and gives up what was not used for
// longest when they take more places than there are.
package lru

import (
	"sync"
	"sync/atomic"
)

// Shards is how many there are. Keys that are equal modulo Shards are in one.
const Shards = 64

// Map keeps values under keys, which have to be hashes. Each takes one place or
// more. It is safe for concurrent use: keys that fall into different shards do
// not wait for each other. To each shard belongs something of the kind Own.
//
// When there is no place, it gives up one of the value that was not used for
// longest in the shard of the key.
type Map[Value, Own any] struct {
	limit  int64
	giveUp func(*Own, *Value) (left bool)

	// held counts the places that are taken. One is taken before anything is
	// put there, so there are never more than limit.
	held    atomic.Int64
	evicted atomic.Int64

	shards [Shards]Shard[Value, Own]
}

// Shard is a part of a Map, which is used while it is locked.
type Shard[Value, Own any] struct {
	Own Own

	mu      sync.Mutex
	of      *Map[Value, Own]
	entries map[uint64]*entry[Value]
	root    entry[Value] // of a ring: what was used last is behind it
}

type entry[Value any] struct {
	next, prev *entry[Value]
	key        uint64
	value      Value
}

// New returns an empty Map with so many places. giveUp frees one place of a
// value, and says whether it takes any still; if not, the value is removed. It
// must not use the Map.
func New[Value, Own any](limit int, giveUp func(*Own, *Value) (left bool)) *Map[Value, Own] {
	m := &Map[Value, Own]{limit: int64(limit), giveUp: giveUp}
	for i := range m.shards {
		s := &m.shards[i]
		s.of, s.entries = m, map[uint64]*entry[Value]{}
		s.root.next, s.root.prev = &s.root, &s.root
	}
	return m
}

// Held returns how many places are taken, and how many were given up so far.
func (m *Map[Value, Own]) Held() (held int, evicted int64) {
	return int(m.held.Load()), m.evicted.Load()
}

// Lock returns the shard of the key, for which nobody else uses it until Unlock.
func (m *Map[Value, Own]) Lock(key uint64) *Shard[Value, Own] {
	s := &m.shards[key%Shards]
	s.mu.Lock()
	return s
}

// Unlock ends the use that Lock began.
func (s *Shard[Value, Own]) Unlock() { s.mu.Unlock() }

// Get returns the value of a key; nil if there is none. That is a use of it.
func (s *Shard[Value, Own]) Get(key uint64) *Value {
	e := s.entries[key]
	if e == nil {
		return nil
	}
	if s.root.next != e {
		e.unlink()
		s.link(e)
	}
	return &e.value
}

// Take takes a place for the value of a key, which is a new one if there is
// none, and says whether one was given up for it: of the key's own value only
// if there is no other, or it was not got before. It returns nil if there was
// none to be given up; other shards are left out while they are busy.
func (s *Shard[Value, Own]) Take(key uint64) (value *Value, gaveUp bool) {
	if s.of.held.Add(1) > s.of.limit {
		if gaveUp = s.makeRoom(key); !gaveUp {
			s.of.held.Add(-1)
			return nil, false
		}
	}
	if value = s.Get(key); value == nil {
		e := &entry[Value]{key: key}
		s.entries[key] = e
		s.link(e)
		value = &e.value
	}
	return value, gaveUp
}

// Free says that values take so many places less.
func (s *Shard[Value, Own]) Free(places int) { s.of.held.Add(int64(-places)) }

// Each visits all values, one shard after the other, which is no use of them.
// visit frees places of a value, and says how many and whether it takes any
// still; if not, the value is removed. It must not use the Map.
func (m *Map[Value, Own]) Each(visit func(key uint64, value *Value) (freed int, left bool)) {
	for i := range m.shards {
		m.shards[i].each(visit)
	}
}

func (s *Shard[Value, Own]) each(visit func(uint64, *Value) (int, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := 0
	for e := s.root.next; e != &s.root; {
		at := e
		e = e.next
		freed, left := visit(at.key, &at.value)
		all += freed
		if !left {
			s.remove(at)
		}
	}
	s.Free(all)
}

// makeRoom gives up a place. The other shards are only looked at when there is
// no other key in this one.
func (s *Shard[Value, Own]) makeRoom(key uint64) bool {
	if last := s.root.prev; last.key != key && s.giveUpLast() {
		return true
	}
	for i := uint64(1); i < Shards; i++ {
		other := &s.of.shards[(key+i)%Shards]
		if !other.mu.TryLock() {
			continue
		}
		ok := other.giveUpLast()
		other.mu.Unlock()
		if ok {
			return true
		}
	}
	return s.giveUpLast()
}

func (s *Shard[Value, Own]) giveUpLast() bool {
	last := s.root.prev
	if last == &s.root {
		return false
	}
	if !s.of.giveUp(&s.Own, &last.value) {
		s.remove(last)
	}
	s.of.held.Add(-1)
	s.of.evicted.Add(1)
	return true
}

func (s *Shard[Value, Own]) remove(e *entry[Value]) {
	e.unlink()
	delete(s.entries, e.key)
}

func (s *Shard[Value, Own]) link(e *entry[Value]) {
	e.prev, e.next = &s.root, s.root.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry[Value]) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
