// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package candidate

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/lru"
)

const (
	second = int64(time.Second)
	epoch  = 1_700_000_000 * second
	ttl    = 5 * time.Minute
)

// span returns a candidate that ended so many nanoseconds after epoch. The
// number tells it from others.
func span(number uint32, end int64, value float64) Candidate {
	c := Candidate{End: epoch + end, Value: value}
	binary.BigEndian.PutUint32(c.Trace[:], number+1)
	binary.BigEndian.PutUint32(c.Span[:], number+1)
	return c
}

func failed(c Candidate) Candidate {
	c.Error = true
	return c
}

// all returns the ends, in seconds after epoch, of what can be drawn.
func all(s *Store, now int64, key uint64) []int64 {
	var ends []int64
	for _, c := range s.Draw(epoch+now, key, math.MinInt64, math.MaxInt64, nil) {
		ends = append(ends, (c.End-epoch)/second)
	}
	slices.Sort(ends)
	return ends
}

func TestOutcomes(t *testing.T) {
	now := 600 * second
	cases := []struct {
		name   string
		before []Candidate
		add    Candidate
		want   Outcome
	}{
		{name: "first", add: span(0, now, 0.1), want: Kept},
		{name: "zero", add: span(0, now, 0), want: Kept},
		{name: "tiny", add: span(0, now, math.SmallestNonzeroFloat64), want: Kept},
		{name: "huge", add: span(0, now, math.MaxFloat64), want: Kept},
		{name: "negative", add: span(0, now, -0.1), want: Invalid},
		{name: "not a number", add: span(0, now, math.NaN()), want: Invalid},
		{name: "infinite", add: span(0, now, math.Inf(1)), want: Invalid},
		{name: "no trace", add: Candidate{Span: [8]byte{1}, End: epoch + now}, want: Invalid},
		{name: "no span", add: Candidate{Trace: [16]byte{1}, End: epoch + now}, want: Invalid},
		{name: "as old as the TTL", add: span(0, now-int64(ttl), 0.1), want: Expired},
		{name: "younger than the TTL", add: span(0, now-int64(ttl)+1, 0.1), want: Kept},
		{name: "as far ahead as clocks differ", add: span(0, now+int64(MaxAhead), 0.1), want: Kept},
		{name: "further ahead", add: span(0, now+int64(MaxAhead)+1, 0.1), want: Ahead},
		{name: "eighth", before: alike(depth-1, now), add: span(9, now, 0.1), want: Kept},
		{name: "ninth", before: alike(depth, now-second), add: span(9, now-1, 0.1), want: Displaced},
		{name: "ninth, later", before: alike(depth, now-second), add: span(9, now, 0.1), want: Kept},
		{name: "ninth, out of order", before: alike(depth, now), add: span(9, now-10*second, 0.1), want: Displaced},
		{name: "ninth, but slow", before: alike(depth, now), add: span(9, now, 0.2), want: Kept},
		{name: "ninth, but failed", before: alike(depth, now), add: failed(span(9, now, 0.1)), want: Kept},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := NewStore(Limits{Candidates: 100, TTL: ttl})
			for _, b := range c.before {
				require.Equal(t, Kept, s.Add(epoch+now, 1, b))
			}
			assert.Equal(t, c.want, s.Add(epoch+now, 1, c.add))
			check(t, s, 100)
		})
	}
}

func alike(n int, end int64) []Candidate {
	var cs []Candidate
	for i := range n {
		cs = append(cs, span(uint32(i), end, 0.1))
	}
	return cs
}

func TestClassesAreQuarterOctaves(t *testing.T) {
	class := func(value float64) uint16 { c := span(0, 0, value); return c.class() }
	assert.Equal(t, class(1), class(1.24))
	assert.NotEqual(t, class(1.24), class(1.26))
	seen := map[uint16]bool{}
	for v := 1.0; v < 2; v += 1. / 64 {
		seen[class(v)] = true
	}
	assert.Len(t, seen, 4)
	assert.Equal(t, class(0), class(1e-10), "what is too short to matter is one class")
	errored := failed(span(0, 0, 1))
	assert.NotEqual(t, class(1), errored.class())
}

func TestRareSlowSpanStaysAmongManyFastOnes(t *testing.T) {
	s := NewStore(Limits{Candidates: 1000, TTL: ttl})
	slow, bad := span(1, 0, 30), failed(span(2, 0, 0.01))
	s.Add(epoch, 1, slow)
	s.Add(epoch, 1, bad)
	for i := range 100_000 {
		end := int64(i) * int64(time.Millisecond)
		s.Add(epoch+end, 1, span(uint32(10+i), end, 0.01))
	}
	drawn := s.Draw(epoch+100*second, 1, 0, epoch+100*second, nil)
	assert.Contains(t, drawn, slow)
	assert.Contains(t, drawn, bad)
	assert.Len(t, drawn, depth+2)
}

// A point may only take what ended before it, and comes at any time after.
func TestWhatStaysIsSpreadOverTime(t *testing.T) {
	s := NewStore(Limits{Candidates: 1000, TTL: ttl})
	for i := range int64(20_000) {
		now := i * second / 20
		s.Add(epoch+now, 1, span(uint32(i), now, 0.1))
		if i < 7000 || i%777 != 0 {
			continue
		}
		for _, lag := range []int64{1, 2, 5, 10, 20, 40, 80, 120} {
			// The newest that ended at least so long ago.
			best := int64(math.MaxInt64)
			for _, c := range s.Draw(epoch+now, 1, 0, epoch+now-lag*second, nil) {
				best = min(best, epoch+now-c.End)
			}
			assert.Lessf(t, best, (4*lag+3)*second, "%d s ago, after %d spans", lag, i)
		}
	}
	check(t, s, 1000)
}

func TestDrawTakesAnIntervalAndLeavesThemThere(t *testing.T) {
	s := NewStore(Limits{Candidates: 100, TTL: ttl})
	for i, end := range []int64{40, 10, 30, 20} { // Tail sampling decides out of order.
		s.Add(epoch+40*second, 1, span(uint32(i), end*second, 0.1))
	}
	buf := make([]Candidate, 1, 8)
	for range 2 {
		drawn := s.Draw(epoch+40*second, 1, epoch+10*second, epoch+30*second, buf)
		require.Len(t, drawn, 3)
		assert.Equal(t, epoch+20*second, drawn[1].End)
		assert.Equal(t, epoch+30*second, drawn[2].End)
	}
	assert.Len(t, s.Draw(epoch+40*second, 2, 0, math.MaxInt64, buf), 1, "another key has none")
}

func TestDrawGivesNothingExpired(t *testing.T) {
	s := NewStore(Limits{Candidates: 100, TTL: 10 * time.Second})
	s.Add(epoch, 1, span(1, 0, 0.1))
	s.Add(epoch, 1, span(2, 5*second, 0.1))
	assert.Equal(t, []int64{0, 5}, all(s, 10*second-1, 1))
	assert.Equal(t, []int64{5}, all(s, 10*second, 1))
}

func TestExpire(t *testing.T) {
	s := NewStore(Limits{Candidates: 100, TTL: 10 * time.Second})
	s.Add(epoch, 1, span(1, 0, 0.1))
	s.Add(epoch, 1, span(2, 5*second, 0.1))
	s.Add(epoch, 1, span(3, 0, 5))
	s.Add(epoch, 2, span(4, 0, 0.1))
	s.Expire(epoch + 10*second)
	check(t, s, 100)
	assert.Equal(t, Stats{Candidates: 1, Expired: 3}, s.Stats())
	s.Expire(epoch + 15*second)
	check(t, s, 100)
	assert.Equal(t, Stats{Expired: 4}, s.Stats())
}

// What ended in the future was kept before the clock was set back.
func TestExpireDropsWhatIsAhead(t *testing.T) {
	s := NewStore(Limits{Candidates: 100, TTL: 10 * time.Second})
	const year = 365 * 24 * 3600 * second
	for _, c := range alike(depth, year) {
		require.Equal(t, Kept, s.Add(epoch+year, 1, c))
	}
	require.Equal(t, Kept, s.Add(epoch+10*second, 1, span(9, 20*second, 5)))
	require.Equal(t, Displaced, s.Add(epoch+10*second, 1, span(10, 10*second, 0.1)))
	s.Expire(epoch + 10*second)
	check(t, s, 100)
	assert.Equal(t, Stats{Candidates: 1, Ahead: depth}, s.Stats())
	for _, c := range append(alike(depth-1, 10*second), span(11, 20*second, 0.1)) {
		require.Equal(t, Kept, s.Add(epoch+10*second, 1, c))
	}
	s.Expire(epoch + 9*second)
	check(t, s, 100)
	assert.Equal(t, Stats{Candidates: depth - 1, Ahead: depth + 2}, s.Stats())
}

func TestExpiredOnesMakeRoomInTheirClass(t *testing.T) {
	s := NewStore(Limits{Candidates: 100, TTL: 10 * time.Second})
	for _, c := range alike(depth, 0) {
		s.Add(epoch, 1, c)
	}
	require.Equal(t, Kept, s.Add(epoch+10*second, 1, span(9, 10*second, 0.1)))
	check(t, s, 100)
	assert.Equal(t, Stats{Candidates: 1, Expired: depth}, s.Stats())
}

// The keys are in one shard, or the order would be that of the shards.
func TestFullStoreGivesUpWhatWasNotUsedForLongest(t *testing.T) {
	a, b, c, d := uint64(0), uint64(lru.Shards), uint64(2*lru.Shards), uint64(3*lru.Shards)
	s := NewStore(Limits{Candidates: 6, TTL: ttl})
	for i, key := range []uint64{a, b, c} {
		s.Add(epoch, key, span(uint32(2*i), 0, 0.1))
		s.Add(epoch, key, span(uint32(2*i+1), second, 0.1))
	}
	s.Draw(epoch, a, 0, 0, nil) // Drawing is use, even if nothing is found.
	s.Add(epoch, b, span(1, 0, -1))
	require.Equal(t, Kept, s.Add(epoch, d, span(9, 0, 0.1)))
	check(t, s, 6)
	assert.Equal(t, []int64{1}, all(s, 0, b), "its oldest goes")
	assert.Equal(t, []int64{0, 1}, all(s, 0, a))
	assert.EqualValues(t, 1, s.Stats().Evicted)
}

func TestFullStoreGivesUpWhatThereIsMostOf(t *testing.T) {
	for _, rare := range []float64{0.001, 30} {
		s := NewStore(Limits{Candidates: 4, TTL: ttl})
		s.Add(epoch, 0, span(0, 0, rare))
		for i := range 3 {
			s.Add(epoch, 0, span(uint32(1+i), int64(1+i)*second, 0.1))
		}
		require.Equal(t, Kept, s.Add(epoch, lru.Shards, span(9, 0, 0.1)))
		assert.Equal(t, []int64{0, 2, 3}, all(s, 0, 0), "the rare one is older, but stays")
	}
	for _, older := range []float64{0.001, 30} {
		s := NewStore(Limits{Candidates: 2, TTL: ttl})
		s.Add(epoch, 0, span(0, second, 0.1))
		s.Add(epoch, 0, span(1, 0, older))
		require.Equal(t, Kept, s.Add(epoch, lru.Shards, span(9, 0, 0.1)))
		assert.Equal(t, []int64{1}, all(s, 0, 0), "of the same number the older goes")
	}
}

func TestFullStoreLooksIntoOtherShards(t *testing.T) {
	s := NewStore(Limits{Candidates: 4, TTL: ttl})
	for i := range 4 {
		s.Add(epoch, 0, span(uint32(i), 0, 0.1))
	}
	for i := range 3 {
		require.Equal(t, Kept, s.Add(epoch, 7, span(uint32(10+i), 0, 0.1)))
		check(t, s, 4)
	}
	assert.Len(t, all(s, 0, 0), 1)
	assert.Len(t, all(s, 0, 7), 3)
	for _, busy := range []uint64{0, 7} { // They are not waited for.
		defer s.keys.Lock(busy).Unlock()
	}
	assert.Equal(t, NoRoom, s.Add(epoch, 9, span(20, 0, 0.1)))
}

func TestNoRoomWithoutLimit(t *testing.T) {
	s := NewStore(Limits{TTL: ttl})
	assert.Equal(t, NoRoom, s.Add(epoch, 1, span(1, 0, 0.1)))
	check(t, s, 0)
}

// check checks what always holds, of a store that nobody uses meanwhile.
func check(t *testing.T, s *Store, limit int) {
	t.Helper()
	held := 0
	s.keys.Each(func(_ uint64, of *strata) (int, bool) {
		require.NotEmpty(t, *of)
		require.True(t, slices.IsSortedFunc(*of, func(a, b stratum) int { return int(a.class) - int(b.class) }))
		require.LessOrEqual(t, cap(*of), max(4, 3*len(*of)))
		for _, st := range *of {
			require.NotEmpty(t, st.ring)
			require.LessOrEqual(t, len(st.ring), depth)
			require.LessOrEqual(t, cap(st.ring), 2*len(st.ring))
			require.True(t, slices.IsSortedFunc(st.ring, func(a, b Candidate) int { return int(a.End - b.End) }))
			require.Equal(t, st.ring[len(st.ring)-1].End, st.newest)
			for _, c := range st.ring {
				require.Equal(t, st.class, c.class())
			}
			held += len(st.ring)
		}
		return 0, true
	})
	require.Equal(t, held, s.Stats().Candidates)
	require.LessOrEqual(t, held, limit)
}

// Each five bytes are a step: what, key, value, and by how much time goes on and
// how long ago the span ended.
func FuzzStore(f *testing.F) {
	f.Add(uint8(5), []byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add(uint8(40), []byte{0, 0, 1, 1, 1, 0, 64, 2, 9, 3, 1, 0, 3, 200, 1, 2, 0, 0, 255, 0})
	f.Fuzz(func(t *testing.T, limit uint8, steps []byte) {
		const keep = 30 * time.Second
		s := NewStore(Limits{Candidates: int(limit), TTL: keep})
		added := map[uint64]map[Candidate]bool{}
		now := int64(0)
		for n := uint32(0); len(steps) >= 5; n, steps = n+1, steps[5:] {
			key := uint64(steps[1])
			now += int64(steps[3]) * second / 16
			switch steps[0] % 8 {
			case 0:
				s.Expire(epoch + now)
			case 1, 2:
				upto := epoch + now - int64(steps[4])*second/8
				after := upto - int64(steps[2])*second
				for _, c := range s.Draw(epoch+now, key, after, upto, nil) {
					require.True(t, added[key][c], "it was added under this key")
					require.Greater(t, c.End, max(after, epoch+now-int64(keep)))
					require.LessOrEqual(t, c.End, upto)
				}
			default:
				value := math.Exp2(float64(int8(steps[2])) / 8)
				c := span(n, now-(int64(steps[4])-8)*second/8, value)
				c.Error = steps[0]&64 != 0
				if s.Add(epoch+now, key, c) == Kept {
					if added[key] == nil {
						added[key] = map[Candidate]bool{}
					}
					added[key][c] = true
					require.Contains(t, s.Draw(epoch+now, key, c.End-1, c.End, nil), c)
				}
			}
			check(t, s, int(limit))
		}
	})
}

func TestBoundHoldsWhenManyWriteAtOnce(t *testing.T) {
	const limit = 300
	s := NewStore(Limits{Candidates: limit, TTL: ttl})
	var wg sync.WaitGroup
	for w := range uint32(8) {
		wg.Go(func() {
			var buf []Candidate
			for i := range uint32(3000) {
				now := epoch + int64(i)*second/8
				s.Add(now, uint64(i*7+w)%200, span(w<<16|i, int64(i)*second/8, float64(i%50)))
				buf = s.Draw(now, uint64(i%200), 0, now, buf[:0])
				if i%500 == 0 {
					s.Expire(now)
				}
				if held := s.Stats().Candidates; held > limit+8 { // Each writer may have taken a place that it has not paid for yet.
					t.Errorf("%d are held", held)
				}
			}
		})
	}
	wg.Wait()
	check(t, s, limit)
	assert.Positive(t, s.Stats().Evicted)
}

func TestWhatIsReplacedIsCounted(t *testing.T) {
	s := NewStore(Limits{Candidates: 100, TTL: ttl})
	for i := range depth + 3 {
		require.Equal(t, Kept, s.Add(epoch+100*second, 1, span(uint32(i+1), int64(i)*second, 0.1)))
	}
	assert.Equal(t, Stats{Candidates: depth, Replaced: 3}, s.Stats())
}
