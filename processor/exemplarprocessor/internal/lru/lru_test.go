// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lru

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// places are those that a value takes. To each shard belongs how many were given
// up in it.
type places struct{ n int }

func newMap(limit int) *Map[places, int] {
	return New(limit, func(gone *int, v *places) bool {
		*gone++
		v.n--
		return v.n > 0
	})
}

// take takes a place for the key.
func take(m *Map[places, int], key uint64) (ok, gaveUp bool) {
	s := m.Lock(key)
	defer s.Unlock()
	v, gaveUp := s.Take(key)
	if v != nil {
		v.n++
	}
	return v != nil, gaveUp
}

func get(m *Map[places, int], key uint64) int {
	s := m.Lock(key)
	defer s.Unlock()
	if v := s.Get(key); v != nil {
		return v.n
	}
	return 0
}

// held returns the keys of a shard, that of the last use first.
func (s *Shard[Value, Own]) held() (keys []uint64) {
	for e := s.root.next; e != &s.root; e = e.next {
		keys = append(keys, e.key)
	}
	return keys
}

// check checks what always holds, of a map that nobody uses meanwhile.
func check(t *testing.T, m *Map[places, int], limit int) {
	t.Helper()
	sum, gone := 0, 0
	for i := range m.shards {
		s := &m.shards[i]
		keys := s.held()
		require.Len(t, s.entries, len(keys))
		for e := s.root.prev; e != &s.root; e = e.prev {
			require.Same(t, e, s.entries[e.key])
			require.EqualValues(t, i, e.key%Shards)
			require.Same(t, e, e.next.prev)
			require.Positive(t, e.value.n)
			sum += e.value.n
		}
		gone += s.Own
	}
	held, evicted := m.Held()
	require.Equal(t, sum, held)
	require.EqualValues(t, gone, evicted)
	require.LessOrEqual(t, held, max(0, limit))
}

func TestWhatWasNotUsedForLongestIsGivenUp(t *testing.T) {
	m := newMap(3)
	a, b, c, d := uint64(0), uint64(Shards), uint64(2*Shards), uint64(3*Shards)
	for _, key := range []uint64{a, b, c} {
		ok, gaveUp := take(m, key)
		assert.Equal(t, []bool{true, false}, []bool{ok, gaveUp})
	}
	assert.Equal(t, 1, get(m, a))
	assert.Zero(t, get(m, d))
	ok, gaveUp := take(m, d)
	assert.Equal(t, []bool{true, true}, []bool{ok, gaveUp})
	assert.Equal(t, []uint64{d, a, c}, m.shards[0].held())
	check(t, m, 3)
}

func TestAPlaceOfAValueIsGivenUp(t *testing.T) {
	m := newMap(3)
	for range 3 {
		take(m, 0)
	}
	take(m, Shards)
	assert.Equal(t, []int{2, 1}, []int{get(m, 0), get(m, Shards)})
	check(t, m, 3)
}

func TestAKeyGivesUpItsOwnPlaceLast(t *testing.T) {
	m := newMap(2)
	take(m, 0)
	take(m, 1)
	ok, gaveUp := take(m, 0)
	assert.Equal(t, []bool{true, true}, []bool{ok, gaveUp})
	assert.Equal(t, []int{2, 0}, []int{get(m, 0), get(m, 1)}, "that of another shard goes before")
	ok, gaveUp = take(m, 0)
	assert.Equal(t, []bool{true, true}, []bool{ok, gaveUp})
	assert.Equal(t, 2, get(m, 0))
	m = newMap(1)
	take(m, 0)
	take(m, 0)
	assert.Equal(t, 1, get(m, 0), "it was removed, and came back")
	check(t, m, 1)
}

func TestBusyShardsAreNotWaitedFor(t *testing.T) {
	m := newMap(1)
	take(m, 7)
	s := m.Lock(7)
	ok, gaveUp := take(m, 9)
	assert.Equal(t, []bool{false, false}, []bool{ok, gaveUp})
	s.Unlock()
	ok, gaveUp = take(m, 9)
	assert.Equal(t, []bool{true, true}, []bool{ok, gaveUp})
	check(t, m, 1)
}

func TestNoPlaces(t *testing.T) {
	for _, limit := range []int{-1, 0} {
		m := newMap(limit)
		ok, gaveUp := take(m, 0)
		assert.Equal(t, []bool{false, false}, []bool{ok, gaveUp})
		check(t, m, limit)
	}
}

func TestEachFreesAndRemoves(t *testing.T) {
	m := newMap(100)
	for i := range uint64(90) {
		take(m, i%30*Shards)
	}
	seen := map[uint64]bool{}
	before := m.shards[0].held()
	m.Each(func(key uint64, v *places) (int, bool) {
		seen[key] = true
		if key/Shards%4 == 0 {
			v.n -= 3
			return 3, false
		}
		v.n--
		return 1, true
	})
	assert.Len(t, seen, 30)
	check(t, m, 100)
	assert.Equal(t, slices.DeleteFunc(before, func(key uint64) bool { return key/Shards%4 == 0 }), m.shards[0].held(), "the order stays")
}

// Each two bytes are a step: what, and a key.
func FuzzMap(f *testing.F) {
	f.Add(uint8(5), []byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add(uint8(1), []byte{1, 0, 1, 64, 1, 128, 1, 0, 0, 0, 3, 64})
	f.Fuzz(func(t *testing.T, limit uint8, steps []byte) {
		m := newMap(int(limit % 16))
		for ; len(steps) >= 2; steps = steps[2:] {
			key := uint64(steps[1])
			switch steps[0] % 4 {
			case 0:
				had := get(m, key)
				s := m.Lock(key)
				require.Equal(t, had > 0, len(s.held()) > 0 && s.held()[0] == key, "it was used last")
				s.Unlock()
			case 1:
				before, _ := m.Held()
				ok, gaveUp := take(m, key)
				require.Equal(t, limit%16 > 0, ok)
				require.Equal(t, ok && before == int(limit%16), gaveUp)
				require.Equal(t, ok, get(m, key) > 0)
			case 2:
				m.Each(func(of uint64, v *places) (int, bool) {
					if of != key {
						return 0, true
					}
					n := v.n
					v.n = 0
					return n, false
				})
				require.Zero(t, get(m, key))
			case 3:
				s := m.Lock(key)
				if v := s.Get(key); v != nil && v.n > 1 {
					s.Free(v.n - 1)
					v.n = 1
				}
				s.Unlock()
			}
			check(t, m, int(limit%16))
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	const limit, workers = 100, 8
	m := newMap(limit)
	var wg sync.WaitGroup
	for w := range uint64(workers) {
		wg.Go(func() {
			for i := range uint64(3000) {
				take(m, (i*7+w)%200)
				get(m, i%200)
				if i%500 == 0 {
					m.Each(func(_ uint64, v *places) (int, bool) { v.n--; return 1, v.n > 0 })
				}
				if held, _ := m.Held(); held > limit+workers { // Each may have taken a place that it has not paid for yet.
					t.Errorf("%d are held", held)
				}
			}
		})
	}
	wg.Wait()
	check(t, m, limit)
}
