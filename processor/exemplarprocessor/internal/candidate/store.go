// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package candidate

import (
	"slices"
	"sync/atomic"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/lru"
)

// Store keeps candidates under keys, which have to be hashes. It is safe for
// concurrent use; most keys do not wait for each other.
//
// When it is full, it gives up a candidate of a key that was not used for long,
// by Add or Draw.
type Store struct {
	ttl      int64
	keys     *lru.Map[strata, struct{}]
	expired  atomic.Int64
	ahead    atomic.Int64
	replaced atomic.Int64
}

// strata are the candidates of a key by their classes; none of them is empty.
type strata []stratum

// NewStore returns an empty Store.
func NewStore(limits Limits) *Store {
	giveUp := func(_ *struct{}, of *strata) bool { return of.giveUp() }
	return &Store{ttl: int64(limits.TTL), keys: lru.New(limits.Candidates, giveUp)}
}

// Add keeps a candidate under the key, unless there are enough like it. The
// time is in nanoseconds of Unix time.
func (s *Store) Add(now int64, key uint64, c Candidate) Outcome {
	switch {
	case !c.valid():
		return Invalid
	case c.End <= now-s.ttl:
		return Expired
	case c.End > now+int64(MaxAhead):
		return Ahead
	}
	class := c.class()
	sh := s.keys.Lock(key)
	defer sh.Unlock()
	if of := sh.Get(key); of != nil {
		if i, found := of.find(class); found && len((*of)[i].ring) == depth {
			st := &(*of)[i]
			if c.End-st.newest < spacing {
				return Displaced
			}
			if n := st.expire(now - s.ttl); n > 0 {
				s.expired.Add(int64(n))
				sh.Free(n - 1)
				st.insert(c)
			} else {
				st.replace(c)
				s.replaced.Add(1)
			}
			return Kept
		}
	}
	of, _ := sh.Take(key)
	if of == nil {
		return NoRoom
	}
	i, found := of.find(class) // Only now, since the room may have been made under this very key.
	if !found {
		*of = slices.Insert(*of, i, stratum{class: class})
	}
	(*of)[i].insert(c)
	return Kept
}

// Draw appends to buf the candidates under the key that ended after the one
// time, not after the other, and are not too old. They are in the order of
// their classes and, within each, of their ends. They stay in the store, since
// other series may draw them too.
func (s *Store) Draw(now int64, key uint64, after, upto int64, buf []Candidate) []Candidate {
	after = max(after, now-s.ttl)
	sh := s.keys.Lock(key)
	defer sh.Unlock()
	of := sh.Get(key)
	if of == nil {
		return buf
	}
	for _, st := range *of {
		ring := st.ring
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

// Expire drops what is too old, to free its memory: Draw gives none of it. It
// also drops what is too far in the future, which was kept before the clock was
// set back: it would displace what ends now.
func (s *Store) Expire(now int64) {
	expired, ahead := 0, 0
	s.keys.Each(func(_ uint64, of *strata) (int, bool) {
		e, a := of.expire(now-s.ttl, now+int64(MaxAhead))
		expired, ahead = expired+e, ahead+a
		return e + a, len(*of) > 0
	})
	s.expired.Add(int64(expired))
	s.ahead.Add(int64(ahead))
}

// Stats is how much there is, and how much was forgotten so far.
type Stats struct {
	Candidates int

	Ahead    int64 // in the future, after the clock was set back
	Evicted  int64 // given up for others, as there were too many
	Expired  int64
	Replaced int64 // given up for a newer one like them
}

// Stats returns what is there now.
func (s *Store) Stats() Stats {
	held, evicted := s.keys.Held()
	return Stats{Candidates: held, Ahead: s.ahead.Load(), Evicted: evicted, Expired: s.expired.Load(), Replaced: s.replaced.Load()}
}

// find returns where the class is, or would be. slices.BinarySearchFunc calls a
// function for each step, which made each span dearer by 6 %.
func (s strata) find(class uint16) (int, bool) {
	from, to := 0, len(s)
	for from < to {
		if middle := (from + to) / 2; s[middle].class < class {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from, from < len(s) && s[from].class == class
}

// expire drops what ended at or before the one time or ends after the other, and
// returns how many.
func (s *strata) expire(until, limit int64) (expired, ahead int) {
	all := *s
	for i := range all {
		expired += all[i].expire(until)
		ahead += all[i].cut(limit)
	}
	if expired+ahead > 0 {
		*s = shrink(slices.DeleteFunc(all, func(st stratum) bool { return len(st.ring) == 0 }))
	}
	return expired, ahead
}

// giveUp drops the oldest candidate of the class that has the most: what is
// rare stays. It says whether any is left.
func (s *strata) giveUp() bool {
	most := 0
	for i := range *s {
		at, best := (*s)[i].ring, (*s)[most].ring
		if len(at) > len(best) || len(at) == len(best) && at[0].End < best[0].End {
			most = i
		}
	}
	st := &(*s)[most]
	st.ring = shrink(slices.Delete(st.ring, 0, 1))
	if len(st.ring) == 0 {
		*s = shrink(slices.Delete(*s, most, most+1))
	}
	return len(*s) > 0
}
