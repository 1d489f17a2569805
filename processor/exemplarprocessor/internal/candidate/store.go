// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package candidate

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
)

const shards = 64

// Store keeps candidates under keys. It is safe for concurrent use; keys that
// fall into different shards do not wait for each other.
//
// When it is full, it gives up a candidate of the key that was not used for
// longest, by Add or Draw, in the shard of the new one.
type Store struct {
	limit int64
	ttl   int64

	// held counts the places that are taken. A place is taken before the
	// candidate is put there, so there are never more than limit.
	held     atomic.Int64
	keys     atomic.Int64
	evicted  atomic.Int64
	expired  atomic.Int64
	replaced atomic.Int64

	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex
	keys map[uint64]*list.Element
	used *list.List // of *entry; what was used last is in front
	_    [40]byte   // A shard to each cache line.
}

// An entry is a key that has candidates.
type entry struct {
	key    uint64
	strata []stratum // by class, none of them empty
}

// NewStore returns an empty Store.
func NewStore(limits Limits) *Store {
	s := &Store{limit: int64(limits.Candidates), ttl: int64(limits.TTL)}
	for i := range s.shards {
		s.shards[i].keys = map[uint64]*list.Element{}
		s.shards[i].used = list.New()
	}
	return s
}

// Add keeps a candidate under the key, unless there are enough like it. The
// time is in nanoseconds of Unix time.
func (s *Store) Add(now int64, key uint64, c Candidate) Outcome {
	switch {
	case !c.valid():
		return Invalid
	case c.End <= now-s.ttl:
		return Expired
	case c.End > now+ahead:
		return Ahead
	}
	class := c.class()
	own := key % shards
	sh := &s.shards[own]
	sh.mu.Lock()
	defer sh.mu.Unlock()

	if e := sh.use(key); e != nil {
		if i, found := slices.BinarySearchFunc(e.strata, class, compareClass); found && len(e.strata[i].ring) == depth {
			st := &e.strata[i]
			if c.End-st.newest() < spacing {
				return Displaced
			}
			if n := st.expire(now - s.ttl); n > 0 {
				s.expired.Add(int64(n))
				s.held.Add(int64(1 - n))
				st.insert(c)
			} else {
				st.replace(c)
				s.replaced.Add(1)
			}
			return Kept
		}
	}
	if s.held.Add(1) > s.limit && !s.makeRoom(own, key) {
		s.held.Add(-1)
		return NoRoom
	}
	// Only now, since the room may have been made under this very key.
	e := sh.use(key)
	if e == nil {
		e = &entry{key: key}
		sh.keys[key] = sh.used.PushFront(e)
		s.keys.Add(1)
	}
	i, found := slices.BinarySearchFunc(e.strata, class, compareClass)
	if !found {
		e.strata = slices.Insert(e.strata, i, stratum{class: class})
	}
	e.strata[i].insert(c)
	return Kept
}

// Draw appends to buf the candidates under the key that ended after the one
// time, not after the other, and are not too old. They are in the order of
// their classes and, within each, of their ends. They stay in the store, since
// other series may draw them too.
func (s *Store) Draw(now int64, key uint64, after, upto int64, buf []Candidate) []Candidate {
	after = max(after, now-s.ttl)
	sh := &s.shards[key%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.use(key)
	if e == nil {
		return buf
	}
	for i := range e.strata {
		ring := e.strata[i].ring
		from, to := 0, len(ring)
		for from < to && ring[from].End <= after {
			from++
		}
		for to > from && ring[to-1].End > upto {
			to--
		}
		buf = append(buf, ring[from:to]...)
	}
	return buf
}

// Expire drops what is too old, to free its memory: Draw gives none of it.
func (s *Store) Expire(now int64) {
	for i := range s.shards {
		s.expireShard(&s.shards[i], now-s.ttl)
	}
}

func (s *Store) expireShard(sh *shard, until int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for el := sh.used.Front(); el != nil; {
		at := el
		el = el.Next()
		e := at.Value.(*entry)
		n := 0
		for i := range e.strata {
			n += e.strata[i].expire(until)
		}
		if n == 0 {
			continue
		}
		s.expired.Add(int64(n))
		s.held.Add(int64(-n))
		e.strata = shrink(slices.DeleteFunc(e.strata, func(st stratum) bool { return len(st.ring) == 0 }))
		if len(e.strata) == 0 {
			s.remove(sh, at)
		}
	}
}

// Stats is how much there is, and how much was forgotten so far.
type Stats struct {
	Candidates, Keys int

	Evicted  int64 // given up for others, as there were too many
	Expired  int64
	Replaced int64 // given up for a newer one like them
}

// Stats returns what is there now.
func (s *Store) Stats() Stats {
	return Stats{
		Candidates: int(s.held.Load()), Keys: int(s.keys.Load()),
		Evicted: s.evicted.Load(), Expired: s.expired.Load(), Replaced: s.replaced.Load(),
	}
}

// use returns nil for a key without candidates.
func (sh *shard) use(key uint64) *entry {
	el := sh.keys[key]
	if el == nil {
		return nil
	}
	sh.used.MoveToFront(el)
	return el.Value.(*entry)
}

func (s *Store) remove(sh *shard, el *list.Element) {
	sh.used.Remove(el)
	delete(sh.keys, el.Value.(*entry).key)
	s.keys.Add(-1)
}

// makeRoom gives up one candidate. The shard of the key is locked; the others
// are only looked at when it has no other key, and left out while they are busy.
func (s *Store) makeRoom(own, key uint64) bool {
	sh := &s.shards[own]
	back := sh.used.Back()
	if back != nil && back.Value.(*entry).key != key {
		s.giveUp(sh, back)
		return true
	}
	for i := uint64(1); i < shards; i++ {
		if s.giveUpIn(&s.shards[(own+i)%shards]) {
			return true
		}
	}
	if back != nil {
		s.giveUp(sh, back)
	}
	return back != nil
}

func (s *Store) giveUpIn(sh *shard) bool {
	if !sh.mu.TryLock() {
		return false
	}
	defer sh.mu.Unlock()
	back := sh.used.Back()
	if back != nil {
		s.giveUp(sh, back)
	}
	return back != nil
}

// giveUp gives up the oldest candidate of the class that has the most: what is
// rare stays.
func (s *Store) giveUp(sh *shard, el *list.Element) {
	e := el.Value.(*entry)
	most := 0
	for i := range e.strata {
		at, best := e.strata[i].ring, e.strata[most].ring
		if len(at) > len(best) || len(at) == len(best) && at[0].End < best[0].End {
			most = i
		}
	}
	st := &e.strata[most]
	st.ring = shrink(slices.Delete(st.ring, 0, 1))
	s.evicted.Add(1)
	s.held.Add(-1)
	if len(st.ring) > 0 {
		return
	}
	e.strata = shrink(slices.Delete(e.strata, most, most+1))
	if len(e.strata) == 0 {
		s.remove(sh, el)
	}
}
