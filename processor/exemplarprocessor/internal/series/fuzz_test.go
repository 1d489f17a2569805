// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
)

// fuzzTick is what times of points are multiples of.
const fuzzTick = int64(time.Millisecond)

// fuzzKeep is short and leaves no interval too short to be told from others, so
// that what is remembered can be compared with what was true.
const fuzzKeep = (maxSlots - 1) * fuzzTick

// fuzzAhead is more than what points and spans are apart, and than a clock is set
// back that was right.
const fuzzAhead = 6 * fuzzTick

const fuzzYear = year * int64(time.Second)

// A growth is a bucket that grew in an interval.
type growth struct {
	from, to     int64
	lower, upper float64 // its values are above the one, up to the other
	by           float64
	used         float64
	open         bool // the next point counts it too
}

// A source is a metric series that is told truthfully, and what was told of it.
type source struct {
	point Point // its time is that of the last one that was not from the future
	made  int64 // when the last one was made
	seen  bool
	lost  bool // of a delta: it is not known when the last one was made
	grown []growth
	used  map[[8]byte]bool
	last  map[float64]int64 // by the upper bound of the bucket
	floor int64             // of all buckets
}

// setBack notes that the clock was set back since the last point.
func (s *source) setBack(now int64) {
	s.point.Time, s.lost = s.made, true
	for _, last := range s.last {
		s.floor = max(s.floor, lastOf(last))
	}
	s.floor = min(s.floor, lastOf(now+2*fuzzAhead))
	clear(s.last)
}

var fuzzBounds = [][]float64{{1, 4}, {2, 4, 8}, nil}

func (s *source) bounds(bucket int) (lower, upper float64) {
	p := &s.point
	switch p.Kind {
	case Explicit:
		lower, upper = math.Inf(-1), math.Inf(1)
		if bucket > 0 {
			lower = p.Bounds[bucket-1]
		}
		if bucket < len(p.Bounds) {
			upper = p.Bounds[bucket]
		}
	case Exponential:
		if bucket == 0 {
			return math.Inf(-1), p.ZeroThreshold
		}
		width := math.Exp2(-float64(p.Scale))
		n := float64(int(p.Offset) + bucket - 1)
		lower, upper = max(p.ZeroThreshold, math.Exp2(n*width)), math.Exp2((n+1)*width)
	default:
		lower, upper = math.Inf(-1), math.Inf(1)
	}
	return lower, upper
}

// next makes the next point of three bytes. What it grew by is noted. If the
// point is from the future, it is known of a cumulative one only by the next.
func (s *source) next(now int64, ahead bool, step []byte) Point {
	p := &s.point
	if !ahead && p.Time > now+fuzzAhead {
		s.setBack(now)
	}
	before, lost, last := s.seen, s.lost, s.made
	if !p.Delta { // It counts all since then.
		last = min(last, cmp.Or(p.Time, p.Start))
	}
	s.seen, s.made, s.lost = true, now, ahead
	if !ahead {
		p.Time = now
		for i := range s.grown {
			if g := &s.grown[i]; g.open {
				g.open, g.to = false, now
			}
		}
	}
	known := true
	var from int64
	switch {
	case p.Delta:
		p.Start = max(last, now-4*fuzzTick)
		p.Value, p.ZeroCount = 0, 0
		clear(p.Counts)
		from, known = p.Start, p.Start > 0
		if step[0]%16 == 2 {
			p.Start, from, known = 0, last, before && !lost
		}
		if step[0]%16 == 1 && p.Kind == Explicit {
			p.Bounds = fuzzBounds[step[1]%3]
			p.Counts = make([]uint64, len(p.Bounds)+1)
		}
	case !before, step[0]%16 == 0: // It begins, or begins anew.
		p.Start = max(1, last, now-int64(step[1]%4)*fuzzTick)
		p.Value, p.ZeroCount = 0, 0
		clear(p.Counts)
		from = p.Start
	case step[0]%16 == 1 && p.Kind == Explicit:
		p.Start = now
		p.Bounds = fuzzBounds[step[1]%3]
		p.Counts = make([]uint64, len(p.Bounds)+1)
		from = now
	case step[0]%16 == 1 && p.Kind == Exponential && p.Scale > -3:
		lower, upper := int(p.Offset)>>1, (int(p.Offset)+len(p.Counts)-1)>>1
		counts := make([]uint64, upper-lower+1)
		for i, n := range p.Counts {
			counts[(int(p.Offset)+i)>>1-lower] += n
		}
		p.Scale--
		p.Offset, p.Counts = int32(lower), counts
		from = last
	case step[0]%16 == 2 && p.Kind == Exponential && len(p.Counts) < 12:
		p.Offset--
		p.Counts = append([]uint64{0}, p.Counts...)
		from = last
	default:
		from = last
	}
	if ahead {
		known = !p.Delta
	} else if from >= now {
		known = false
	}
	grow := func(bucket int, by float64) {
		if by > 0 && known {
			lower, upper := s.bounds(bucket)
			s.grown = append(s.grown, growth{from: from, to: now, lower: lower, upper: upper, by: by, open: ahead})
		}
	}
	s.count(step[2], grow)
	made := *p
	if ahead {
		made.Time = now + fuzzYear
	}
	return made
}

// count has the buckets grow.
func (s *source) count(step byte, grow func(bucket int, by float64)) {
	p := &s.point
	if p.Kind == Sum {
		p.Value += float64(step % 5)
		grow(0, float64(step%5))
		return
	}
	for i := range p.Counts {
		by := uint64(step>>(i%8)) & 1
		p.Counts[i] += by
		if p.Kind == Explicit {
			grow(i, float64(by))
		} else {
			grow(i+1, float64(by))
		}
	}
	if p.Kind == Exponential && step&16 != 0 {
		p.ZeroCount++
		grow(0, 1)
	}
}

// took notes an exemplar that the point had: it is used like a pick.
func (s *source) took(e Existing) {
	bucket, _ := s.point.locate(e.Value)
	series := 0.0
	if s.point.Kind == Explicit {
		_, series = s.bounds(bucket)
	}
	if lastOf(e.Time) <= max(lastOf(s.last[series]), s.floor) {
		return
	}
	s.last[series] = e.Time
	for i := range s.grown {
		g := &s.grown[i]
		if lower, upper := s.bounds(bucket); e.Time > g.from && e.Time <= g.to && g.lower == lower && g.upper == upper && g.used < g.by {
			g.used++
			return
		}
	}
}

// check checks a pick against all that was told.
func (s *source) check(t *testing.T, pick Pick, scale float64, forgets bool) {
	p := &s.point
	require.False(t, s.used[pick.Span], "a span is used once")
	s.used[pick.Span] = true
	require.LessOrEqual(t, pick.End, p.Time)
	if p.Start <= p.Time {
		require.Greater(t, pick.End, p.Start)
	}

	value := pick.Candidate.Value * scale
	if p.Kind == Sum {
		require.Equal(t, 1.0, pick.Value)
	} else {
		require.Equal(t, value, pick.Value)
	}
	bucket, ok := p.locate(value)
	require.True(t, ok)
	lower, upper := s.bounds(bucket)
	const slack = 1e-9
	require.Greater(t, value*(1+slack), lower)
	require.LessOrEqual(t, value*(1-slack), upper)
	series := upper
	if p.Kind != Explicit {
		series = 0
	}
	require.Greater(t, lastOf(pick.End), max(lastOf(s.last[series]), s.floor), "times ascend, in milliseconds")
	s.last[series] = pick.End
	if forgets {
		return
	}
	for i := range s.grown {
		g := &s.grown[i]
		within := g.lower >= lower*(1-slack) || g.lower == lower
		within = within && (g.upper <= upper*(1+slack) || g.upper == upper)
		if pick.End > g.from && pick.End <= g.to && within && (p.Kind == Exponential || g.used < g.by) {
			g.used++
			return
		}
	}
	t.Errorf("the bucket of %v did not grow at its time by more than was used", pick)
}

// Each five bytes are a step: what, which series, and three for the rest.
func FuzzTake(f *testing.F) {
	f.Add(uint8(9), uint8(3), []byte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
	f.Add(uint8(1), uint8(0), []byte{3, 0, 1, 1, 1, 0, 0, 2, 9, 3, 1, 0, 3, 200, 1, 3, 0, 0, 255, 255})
	f.Fuzz(func(t *testing.T, limit, flags uint8, steps []byte) { follow(t, limit, flags, steps) })
}

// FuzzTake's steps at random are long, and so give many exemplars.
func TestTakeAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	picked := [3]int{}
	for round := range 60 {
		steps := make([]byte, 5000)
		for i := range steps {
			steps[i] = byte(random.Uint32())
		}
		for kind, n := range follow(t, uint8(round), byte(random.Uint32()), steps) {
			picked[kind] += n
		}
	}
	for _, n := range picked {
		assert.Greater(t, n, 1000)
	}
}

// follow returns how many exemplars each kind got.
func follow(t *testing.T, limit, flags uint8, steps []byte) (picked [3]int) {
	sources := make([]*source, 6)
	for i := range sources {
		s := &source{used: map[[8]byte]bool{}, last: map[float64]int64{}}
		s.point.Kind, s.point.Delta = Kind(i%3), i >= 3
		switch s.point.Kind {
		case Explicit:
			s.point.Bounds, s.point.Counts = fuzzBounds[0], make([]uint64, 3)
		case Exponential:
			s.point.Scale, s.point.Offset, s.point.Counts = 1, -2, make([]uint64, 8)
			s.point.ZeroThreshold = float64(flags>>4) / 16
		}
		sources[i] = s
	}
	n := int(limit % 8)
	// What was true is not known exactly when series are forgotten or intervals
	// share slots.
	forgets, keep := n < len(sources), fuzzKeep
	if flags&64 != 0 {
		forgets, keep = true, 200*fuzzTick
	}
	table := NewTable(n, 0, Options{PerPoint: 1 + int(flags%4), Prefer: Prefer(flags >> 2 % 3), Keep: time.Duration(keep), Ahead: time.Duration(fuzzAhead)})
	scale := []float64{1, 2}[flags>>5&1]
	var pool []candidate.Candidate
	now, wrong := 100*fuzzTick, false
	for number := uint64(1); len(steps) >= 5; number, steps = number+1, steps[5:] {
		if steps[0]%4 != 0 {
			c := candidate.Candidate{Trace: [16]byte{1}, End: now + (2-int64(steps[2]%24))*fuzzTick + int64(steps[2]/24)*fuzzTick/16, Value: math.Exp2(float64(int8(steps[3])) / 32), Error: steps[4]&1 != 0}
			binary.BigEndian.PutUint64(c.Span[:], number)
			pool = append(pool, c)
			switch {
			case steps[4] < 253:
				continue
			case steps[4] == 253:
				now -= 2 * fuzzTick
			case !wrong:
				now, wrong = now+fuzzYear, true
				continue
			default:
				now, wrong = now-fuzzYear, false
				pool = slices.DeleteFunc(pool, func(c candidate.Candidate) bool { return c.End > now+fuzzAhead })
			}
			for _, s := range sources {
				s.made = min(s.made, now)
			}
			continue
		}
		now += int64(steps[1]>>4%4) * fuzzTick
		s := sources[int(steps[1])%len(sources)]
		if now <= s.point.Time && s.point.Time <= now+fuzzAhead {
			continue
		}
		point := s.next(now, steps[0]>>2%16 == 15, steps[2:5])
		var taken []Existing
		if steps[0]&64 != 0 {
			taken = append(taken, Existing{Value: float64(steps[4] % 9), Time: now - int64(steps[3]%9)*fuzzTick})
		}
		counts, bounds := slices.Clone(s.point.Counts), slices.Clone(s.point.Bounds)
		picks, tally := table.Take(now, uint64(int(steps[1])%len(sources)), point, scale, taken, drawing(pool), nil)
		require.Equal(t, counts, s.point.Counts)
		require.Equal(t, bounds, s.point.Bounds)
		require.Equal(t, point.Time > now, tally.Why == Ahead)
		require.NotEqual(t, Backwards, tally.Why, "nothing from the future keeps it out")
		if tally.Why != Ahead && tally.Why != Baseline && tally.Why != Refused {
			for _, e := range taken {
				s.took(e)
			}
		}
		picked[s.point.Kind] += len(picks)
		require.Len(t, picks, tally.Picked)
		require.Equal(t, tally.Drawn, tally.Picked+tally.Outside+tally.Used+tally.Ungrown+tally.Surplus)
		require.Equal(t, tally.Why == Picked, len(picks) > 0)
		require.LessOrEqual(t, len(picks)+len(taken), max(len(taken), table.options.PerPoint))
		require.True(t, slices.IsSortedFunc(picks, func(a, b Pick) int { return int(a.End - b.End) }))
		buckets := map[int]bool{}
		for _, pick := range picks {
			s.check(t, pick, scale, forgets)
			if bucket, _ := s.point.locate(pick.Value); s.point.Kind != Sum {
				require.False(t, buckets[bucket], "a bucket gets one")
				buckets[bucket] = true
			}
		}
		for _, e := range taken {
			if bucket, ok := s.point.locate(e.Value); ok && s.point.Kind != Sum {
				require.False(t, buckets[bucket], "one that has one gets none")
			}
		}
		checkTable(t, table, n)
	}
	if n >= len(sources) {
		for id, s := range sources {
			s.requireRecovers(t, table, uint64(id), now)
		}
	}
	return picked
}

// requireRecovers requires that the series gets an exemplar in time, whatever
// came before.
func (s *source) requireRecovers(t *testing.T, table *Table, id uint64, now int64) {
	t.Helper()
	all := []byte{9, 0, 247} // The bucket of the candidate grows.
	for range 2 {            // With the first it is noticed that the clock was set back.
		now += 3 * fuzzAhead
		table.Take(now, id, s.next(now, false, all), 1, nil, drawing(nil), nil)
	}
	now += fuzzTick
	point := s.next(now, false, all)
	c := candidate.Candidate{Trace: [16]byte{1}, End: now, Value: 1}
	if point.Kind == Exponential {
		_, c.Value = s.bounds(1)
	}
	binary.BigEndian.PutUint64(c.Span[:], math.MaxUint64)
	picks, tally := table.Take(now, id, point, 1, nil, drawing([]candidate.Candidate{c}), nil)
	require.Lenf(t, picks, 1, "%+v got none: %+v", point, tally)
}

// Points that make no sense at all must do no harm.
func FuzzHostilePoints(f *testing.F) {
	f.Add(int64(1), int64(2), int32(0), int32(0), 1.0, 1.0, []byte{1, 2, 3, 4})
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int32(20), int32(math.MaxInt32), math.Inf(1), -1.0, []byte{255, 0, 255})
	f.Add(int64(0), int64(math.MaxInt64), int32(-11), int32(math.MinInt32), math.NaN(), math.MaxFloat64, []byte{7, 7, 7, 7, 7})
	f.Fuzz(func(t *testing.T, start, time int64, scale, offset int32, value, unit float64, steps []byte) {
		table := NewTable(2, start/2, Options{Keep: 50, Repeat: 100})
		cs := []candidate.Candidate{
			{Trace: [16]byte{1}, Span: [8]byte{1}, End: time, Value: max(0, value)},
			{Trace: [16]byte{2}, Span: [8]byte{2}, End: start, Value: 1},
			{Trace: [16]byte{3}, Span: [8]byte{3}, End: time - 1, Value: math.MaxFloat64},
		}
		p := Point{Start: start, Time: time, Scale: scale, Offset: offset, ZeroThreshold: value, Value: value, Counts: []uint64{1}}
		for _, step := range steps {
			p.Kind, p.Delta = Kind(step%4), step&4 != 0
			switch step >> 3 % 8 {
			case 0:
				p.Counts = append(p.Counts, math.MaxUint64)
				p.Bounds = append(p.Bounds, float64(len(p.Bounds))*value)
			case 1:
				p.Scale--
			case 2:
				p.Offset += 1 << 30
			case 3:
				p.Start = -p.Start
			case 4:
				p.Bounds, p.Counts = nil, []uint64{2}
			case 5:
				p.Scale++
			case 6:
				p.Counts = make([]uint64, int(step)*3)
			}
			picks, tally := takeNow(table, uint64(step>>6), p, unit, []Existing{{Value: value, Time: start}}, drawing(cs), nil)
			require.Len(t, picks, tally.Picked+tally.Repeated)
			for _, pick := range picks {
				require.LessOrEqual(t, pick.End, p.Time)
			}
			checkTable(t, table, 2)
			p.Time += int64(step)
		}
	})
}

// checkTable checks that memory is bounded.
func checkTable(t *testing.T, table *Table, limit int) {
	t.Helper()
	held := 0
	table.series.Each(func(_ uint64, m *memory) (int, bool) {
		held++
		require.LessOrEqual(t, len(m.slots), maxSlots)
		require.LessOrEqual(t, cap(m.slots), 2*maxSlots)
		require.True(t, slices.IsSorted(m.slots))
		require.LessOrEqual(t, len(m.buckets), MaxBuckets+1)
		require.LessOrEqual(t, cap(m.buckets), 2*max(1, len(m.buckets)))
		require.LessOrEqual(t, len(m.again), MaxBuckets+1)
		for _, b := range m.buckets {
			require.Zero(t, uint64(b.grew)>>len(m.slots), "growth is in a slot")
		}
		return 0, true
	})
	got, _ := table.Stats()
	require.Equal(t, held, got)
	require.LessOrEqual(t, held, limit)
}
