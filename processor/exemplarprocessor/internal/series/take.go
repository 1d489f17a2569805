// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
)

// maxPerSum is how many exemplars a point of a sum gets at most: they all say
// the same.
const maxPerSum = 3

// Pick is a candidate that became an exemplar.
type Pick struct {
	candidate.Candidate

	// Value is what the exemplar has: in the unit of the metric, and 1 in sums.
	Value float64
}

// Existing is an exemplar that a point has already.
type Existing struct {
	Value float64
	Time  int64 // in nanoseconds of Unix time
}

// Prefer says which of the candidates that fit a bucket is taken.
type Prefer uint8

const (
	// Newest prefers what ended last.
	Newest Prefer = iota
	// Errors prefers what failed, and of those the newest.
	Errors
	// Slowest prefers the greatest value.
	Slowest
)

// Why is what became of a point.
type Why uint8

const (
	// Picked is a point that got exemplars.
	Picked Why = iota
	// Baseline is one of which it is unknown since when it grew.
	Baseline
	// Still is one no bucket of which grew but those that have exemplars.
	Still
	// Empty is one for whose time there were no candidates.
	Empty
	// Unfit is one that no candidate fits.
	Unfit
	// Backwards is one that is not later than the last one of its series.
	Backwards
	// Ahead is one that is in the future.
	Ahead
	// Refused is one that is not valid, has too many buckets, or for whose
	// series there is no room.
	Refused
)

// Tally is what became of a point and of the candidates for it.
type Tally struct {
	Why Why

	Drawn    int // candidates that were looked at; they are the sum of those below
	Picked   int
	Outside  int // their value is in no bucket of the point
	Used     int // not newer than what was used before
	Ungrown  int // their bucket did not grow when they ended, or has an exemplar
	Surplus  int // they fit, but others were picked
	Repeated int // picks of earlier points that were given again
}

// A choice is a drawn candidate for a bucket.
type choice struct {
	bucket, slot, drawn int
}

// scratch is what choosing needs, to be used for one point after the other.
type scratch struct {
	best    []choice // for each bucket; drawn is -1 without one, or a reason below
	choices []choice
}

const (
	none   = -1
	closed = -2 // the bucket has an exemplar already
)

// unchosen is what as many buckets as a point can have begin with.
var unchosen = slices.Repeat([]choice{{drawn: none}}, MaxBuckets+1)

// choose appends to picks what fits the growth.
func (m *memory) choose(p *Point, scale float64, taken []Existing, draw func(after, upto int64) []candidate.Candidate, picks []Pick, o *Options, sc *scratch) ([]Pick, Tally) {
	var tally Tally
	sc.best = append(sc.best[:0], unchosen[:len(m.buckets)]...)
	m.close(p, taken, sc.best)

	limit := o.PerPoint
	if p.Kind == Sum {
		limit = min(limit, maxPerSum)
	}
	limit -= len(taken)
	after, upto := m.wanted(p, sc.best)
	if limit <= 0 || after >= upto {
		tally.Why = Still
		return picks, tally
	}
	drawn := draw(after, upto)
	tally.Drawn = len(drawn)
	if len(drawn) == 0 {
		tally.Why = Empty
		return picks, tally
	}
	if p.Kind == Sum {
		m.several(drawn, limit, o.Prefer, sc, &tally)
	} else {
		m.each(p, scale, drawn, limit, o.Prefer, sc, &tally)
	}
	if len(sc.choices) > 0 && p.Kind != Explicit {
		m.again = m.again[:0]
	}
	for _, c := range sc.choices {
		pick := Pick{Candidate: drawn[c.drawn], Value: 1}
		if p.Kind != Sum {
			pick.Value = pick.Candidate.Value * scale
		}
		m.use(p, c, pick.End)
		picks = append(picks, pick)
		if o.Repeat > 0 && !p.Delta {
			m.remember(p, c.bucket, pick)
		}
	}
	tally.Picked = len(sc.choices)
	tally.Surplus = tally.Drawn - tally.Picked - tally.Outside - tally.Used - tally.Ungrown
	if tally.Picked == 0 {
		tally.Why = Unfit
	}
	return picks, tally
}

// close notes the exemplars that the point has: they are used like picks. What
// ends in the future does not count as used, or nothing could be until then.
func (m *memory) close(p *Point, taken []Existing, best []choice) {
	before := m.mark
	for _, t := range taken {
		end := min(t.Time, p.Time)
		if p.Kind != Explicit {
			m.mark = max(m.mark, lastOf(end))
			m.again = m.again[:0]
		}
		bucket, ok := p.locate(t.Value)
		if !ok {
			continue
		}
		slot, within := m.slotOf(end)
		if p.Kind == Sum {
			for bucket < maxPerSum-1 && within && !m.grewIn(bucket, slot) {
				bucket++
			}
		} else {
			best[bucket].drawn = closed
		}
		if p.Kind == Explicit {
			m.again = slices.DeleteFunc(m.again, func(r repeat) bool { return r.bucket == bucket })
		}
		if end <= max(before, m.buckets[bucket].mark) {
			continue // It was there before, or is older than what was used.
		}
		if p.Kind == Explicit {
			m.buckets[bucket].mark = lastOf(end)
		}
		if within {
			m.use(p, choice{bucket: bucket, slot: slot}, end)
		}
	}
}

// wanted returns the time from which candidates can fit.
func (m *memory) wanted(p *Point, best []choice) (after, upto int64) {
	after, upto = p.Time, m.from
	n := len(m.slots)
	for i := range m.buckets {
		b := &m.buckets[i]
		if b.grew == 0 || best[i].drawn == closed {
			continue
		}
		oldest, newest := n-bits.Len32(b.grew), n-1-bits.TrailingZeros32(b.grew)
		after = min(after, max(m.mark, b.mark, m.begins(oldest)))
		upto = max(upto, m.slots[newest])
	}
	return after, upto
}

func (m *memory) begins(slot int) int64 {
	if slot == 0 {
		return m.from
	}
	return m.slots[slot-1]
}

// slotOf returns the slot of a time, and false if there is none. Most times are
// in the last ones.
func (m *memory) slotOf(time int64) (int, bool) {
	slot := len(m.slots)
	for slot > 0 && time <= m.begins(slot) {
		slot--
	}
	return slot, slot < len(m.slots) && time > m.from
}

func (m *memory) grewIn(bucket, slot int) bool {
	return m.buckets[bucket].grew>>(len(m.slots)-1-slot)&1 != 0
}

// each chooses the best candidate for each bucket, but not more than limit.
func (m *memory) each(p *Point, scale float64, drawn []candidate.Candidate, limit int, prefer Prefer, sc *scratch, tally *Tally) {
	for i := range drawn {
		c := &drawn[i]
		bucket, ok := p.locate(c.Value * scale)
		if !ok {
			tally.Outside++
			continue
		}
		if c.End <= max(m.mark, m.buckets[bucket].mark) {
			tally.Used++
			continue
		}
		slot, ok := m.slotOf(c.End)
		best := &sc.best[bucket]
		if !ok || best.drawn == closed || !m.grewIn(bucket, slot) {
			tally.Ungrown++
			continue
		}
		if best.drawn == none || better(prefer, c, &drawn[best.drawn]) {
			*best = choice{bucket: bucket, slot: slot, drawn: i}
		}
	}
	sc.choices = sc.choices[:0]
	for _, c := range sc.best {
		if c.drawn >= 0 {
			sc.choices = append(sc.choices, c)
		}
	}
	sc.choices = spread(sc.choices, limit)
	slices.SortFunc(sc.choices, func(a, b choice) int {
		return cmp.Or(cmp.Compare(drawn[a.drawn].End, drawn[b.drawn].End), cmp.Compare(drawn[a.drawn].Value, drawn[b.drawn].Value))
	})
	if p.Kind == Exponential {
		// They are all of one series, so their times have to ascend.
		sc.choices = slices.CompactFunc(sc.choices, func(a, b choice) bool { return lastOf(drawn[a.drawn].End) == lastOf(drawn[b.drawn].End) })
	}
}

// several chooses the best candidates for a sum, from each slot not more than
// it grew by.
func (m *memory) several(drawn []candidate.Candidate, limit int, prefer Prefer, sc *scratch, tally *Tally) {
	sc.choices = sc.choices[:0]
	for range limit {
		best := choice{drawn: none}
		for i := range drawn {
			c := &drawn[i]
			slot, ok := m.slotOf(c.End)
			if !ok || c.End <= m.mark || best.drawn >= 0 && !better(prefer, c, &drawn[best.drawn]) {
				continue
			}
			// It gets the place of its slot after those of the ones chosen.
			place, same := 0, false
			for _, other := range sc.choices {
				same = same || lastOf(drawn[other.drawn].End) == lastOf(c.End)
				if other.slot == slot {
					place = max(place, other.bucket+1)
				}
			}
			for place < maxPerSum && !m.grewIn(place, slot) {
				place++
			}
			if !same && place < maxPerSum {
				best = choice{bucket: place, slot: slot, drawn: i}
			}
		}
		if best.drawn == none {
			break
		}
		sc.choices = append(sc.choices, best)
	}
	for i := range drawn {
		if drawn[i].End <= m.mark {
			tally.Used++
		} else if slot, ok := m.slotOf(drawn[i].End); !ok || !m.grewIn(0, slot) {
			tally.Ungrown++
		}
	}
	slices.SortFunc(sc.choices, func(a, b choice) int { return cmp.Compare(drawn[a.drawn].End, drawn[b.drawn].End) })
}

// spread leaves out choices, evenly from the lowest bucket to the highest; if
// only one may stay, it is the highest.
func spread(choices []choice, limit int) []choice {
	n := len(choices)
	if n <= limit {
		return choices
	}
	if limit == 1 {
		return append(choices[:0], choices[n-1])
	}
	for i := range limit {
		choices[i] = choices[i*(n-1)/(limit-1)]
	}
	return choices[:limit]
}

// better says that a is preferred to b. Among equals the IDs decide, so that
// the choice does not depend on the order in which they were drawn.
func better(prefer Prefer, a, b *candidate.Candidate) bool {
	switch {
	case prefer == Errors && a.Error != b.Error:
		return a.Error
	case prefer == Slowest && a.Value != b.Value:
		return a.Value > b.Value
	case a.End != b.End:
		return a.End > b.End
	case a.Value != b.Value:
		return a.Value > b.Value
	}
	return cmp.Or(bytes.Compare(a.Trace[:], b.Trace[:]), bytes.Compare(a.Span[:], b.Span[:])) < 0
}

// use notes that a candidate was used: nothing that ended before it is used
// any more, and its slot has given what it grew by.
func (m *memory) use(p *Point, c choice, end int64) {
	b := &m.buckets[c.bucket]
	bit := uint32(1) << (len(m.slots) - 1 - c.slot)
	if p.Kind == Sum {
		b.grew &^= bit
	} else {
		b.grew &= bit - 1
	}
	if p.Kind == Explicit {
		b.mark = max(b.mark, lastOf(end))
	} else {
		m.mark = max(m.mark, lastOf(end))
	}
}

// lastOf returns the last nanosecond of the millisecond that a time is in.
// Prometheus keeps milliseconds, and refuses some of what is of the same one.
func lastOf(time int64) int64 {
	const milli = 1_000_000
	last := time - time%milli + milli - 1
	return max(last, time) // It may be the last that there is.
}
