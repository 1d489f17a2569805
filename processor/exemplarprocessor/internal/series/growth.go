// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import "slices"

// maxSlots is how many intervals between points are told apart: one for each
// bit of bucket.grew.
const maxSlots = 32

// A memory is what is remembered of one series.
//
// Time is divided into slots by the times of the points, and each bucket has a
// bit for each slot in which it grew. So a span that comes long after the point
// that counted it still finds the bucket and the time in which it was counted.
type memory struct {
	layout uint64 // of the buckets, by Point.check
	start  int64
	time   int64   // of the last point
	unsure bool    // it is unknown since when the next one grew, unless it is a delta with a start
	value  float64 // of the last point of a sum

	scale, offset int32 // of an exponential histogram

	from    int64   // where the oldest slot begins
	slots   []int64 // where each slot ends
	buckets []bucket

	// mark is the newest time that was used: of all exemplars of a series whose
	// exemplars ascend together, and of those before the layout changed.
	mark  int64
	again []repeat // of an explicit histogram in the order of the buckets
}

type bucket struct {
	count uint64
	mark  int64  // the newest time that was used in an explicit histogram
	grew  uint32 // the lowest bit is the newest slot
}

// marked returns the newest time that any exemplar of the series has.
func (m *memory) marked() int64 {
	mark := m.mark
	for i := range m.buckets {
		mark = max(mark, m.buckets[i].mark)
	}
	return mark
}

// rewind forgets the times that were noted before the clock was set back. Spans
// that end at or before used count as used: a candidate.Store, which drops those
// from the future every now and then, holds no used one that is later.
func (m *memory) rewind(used int64) {
	m.mark = min(m.marked(), used)
	for i := range m.buckets {
		m.buckets[i].mark = 0
	}
	m.time, m.unsure = 0, true
}

// relay makes the buckets those of the point. What was used stays used, of
// whichever bucket it was.
func (m *memory) relay(p *Point, layout uint64) {
	m.mark = m.marked()
	m.layout = layout
	m.scale, m.offset = p.Scale, p.Offset
	m.value = 0
	m.again = nil
	n := p.buckets()
	if cap(m.buckets) < n || cap(m.buckets) > 2*n {
		m.buckets = make([]bucket, n)
		return
	}
	m.buckets = m.buckets[:n]
	clear(m.buckets)
}

// begin forgets all growth. The next slot begins at the time.
func (m *memory) begin(from int64) {
	m.from, m.slots = from, m.slots[:0]
	m.value = 0
	m.again = nil
	for i := range m.buckets {
		m.buckets[i].count, m.buckets[i].grew = 0, 0
	}
}

// delta takes the growth of this very point.
func (m *memory) delta(p *Point, layout uint64) Why {
	from := p.Start
	if from == 0 && !m.unsure {
		from = m.time
	}
	m.start, m.time, m.unsure = p.Start, p.Time, false
	if m.layout != layout || len(m.buckets) != p.buckets() {
		m.relay(p, layout)
	}
	m.begin(from)
	m.scale, m.offset = p.Scale, p.Offset
	if from == 0 || from >= p.Time {
		return Baseline
	}
	m.slots = append(m.slots, p.Time)
	m.grow(p, false)
	return Picked
}

// cumulative takes the growth since the last point, which is kept in mind until
// it is older than keep.
func (m *memory) cumulative(p *Point, layout uint64, keep int64) Why {
	moved, last := m.start != p.Start, m.time
	m.start, m.time = p.Start, p.Time
	start := p.Start
	if start > p.Time { // The clock was ahead when the series began: when that was is unknown.
		start = 0
	}
	known := start != 0 && start < p.Time && !m.unsure
	m.unsure = false
	switch {
	case last == 0 || m.layout != layout || !m.align(p):
		m.relay(p, layout)
		m.begin(start)
	case moved:
		m.begin(start)
	case m.fell(p):
		// It began anew after the last point, though it does not say so.
		m.begin(max(start, last))
		known = true
	default:
		m.extend(p, keep)
		m.from = max(m.from, start) // A start may be later than the points before.
		return Picked
	}
	if known {
		m.slots = append(m.slots, p.Time)
		m.grow(p, false)
		return Picked
	}
	m.from = p.Time
	m.level(p)
	return Baseline
}

// extend takes growth after the last point. Slots are not shorter than they
// have to be for all that is kept in mind.
func (m *memory) extend(p *Point, keep int64) {
	before := m.from
	if n := len(m.slots); n > 1 {
		before = m.slots[n-2]
	}
	n := len(m.slots)
	joined := n > 0 && (m.slots[n-1]-before < keep/maxSlots || m.idle(p))
	if joined {
		m.slots[n-1] = p.Time
	} else {
		m.slots = append(m.slots, p.Time)
	}
	old := max(0, len(m.slots)-maxSlots)
	for old < len(m.slots)-1 && m.slots[old] <= p.Time-keep {
		old++
	}
	if old > 0 {
		m.from = m.slots[old-1]
		m.slots = slices.Delete(m.slots, 0, old)
	}
	m.grow(p, joined)
}

// idle says that the last slot has no growth that is not used, and that nothing
// grew since.
func (m *memory) idle(p *Point) bool {
	if p.Kind == Sum && p.Value != m.value {
		return false
	}
	for i := range m.buckets {
		if m.buckets[i].grew&1 != 0 || p.Kind != Sum && p.count(i) != m.buckets[i].count {
			return false
		}
	}
	return true
}

// fell says that a count is less than it was.
func (m *memory) fell(p *Point) bool {
	if p.Kind == Sum {
		return p.Value < m.value
	}
	for i := range m.buckets {
		if p.count(i) < m.buckets[i].count {
			return true
		}
	}
	return false
}

// grow notes which buckets have grown in the newest slot. If joined, it is the
// one that was the newest before too.
func (m *memory) grow(p *Point, joined bool) {
	shift, kept := 1, ^uint32(0)>>(maxSlots-len(m.slots))
	if joined {
		shift = 0
	}
	for i := range m.buckets {
		b := &m.buckets[i]
		b.grew = b.grew << shift & kept
		if p.Kind == Sum {
			if p.Value-m.value >= float64(i+1) {
				b.grew |= 1
			}
			continue
		}
		count := p.count(i)
		if count > b.count {
			b.grew |= 1
		}
		b.count = count
	}
	m.value = p.Value
}

// level notes counts of which it is unknown when they grew.
func (m *memory) level(p *Point) {
	m.value = p.Value
	if p.Kind == Sum {
		return
	}
	for i := range m.buckets {
		m.buckets[i].count = p.count(i)
	}
}

// align makes the buckets of an exponential histogram those of the point. When
// the scale went down, buckets are merged: one of them grew when one of its
// parts did. It returns false if they cannot be made those: when the scale went
// up, or when counts would be lost.
func (m *memory) align(p *Point) bool {
	if p.Kind != Exponential || m.scale == p.Scale && m.offset == p.Offset && len(m.buckets) == p.buckets() {
		return true
	}
	if p.Scale > m.scale {
		return false
	}
	shift := uint(m.scale - p.Scale)
	aligned := make([]bucket, p.buckets())
	aligned[0] = m.buckets[0]
	for i, b := range m.buckets[1:] {
		if b.count == 0 {
			continue
		}
		at := (int(m.offset)+i)>>shift - int(p.Offset) + 1
		if at < 1 || at >= len(aligned) {
			return false
		}
		aligned[at].count += b.count
		aligned[at].grew |= b.grew
	}
	m.buckets, m.scale, m.offset = aligned, p.Scale, p.Offset
	return true
}
