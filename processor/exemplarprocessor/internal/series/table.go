// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package series remembers what of each metric series grew and which spans it
// has as exemplars, and chooses from candidates those that are true: that ended
// when the bucket grew which their value is in, and that it does not have yet.
package series

import (
	"time"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/lru"
)

// Options say how exemplars are chosen.
type Options struct {
	// PerPoint is the largest number of exemplars of a point, with those that
	// it has already. Each bucket has at most one, and a sum at most 3.
	PerPoint int

	Prefer Prefer

	// Keep is how long growth is remembered that no candidate was there for. It
	// should be the time that candidates are kept.
	Keep time.Duration

	// Ahead is how much later than now a point may be. Others are left out: no
	// point that follows would be newer.
	Ahead time.Duration

	// Repeat, if not 0, is the age up to which the last exemplar of each bucket
	// is given again with the points that follow.
	Repeat time.Duration
}

// Table remembers series, whose IDs have to be hashes. It is safe for concurrent
// use; most series do not wait for each other.
//
// When it is full, it forgets a series of which no point was seen for long.
type Table struct {
	options Options
	series  *lru.Map[memory, shard]
}

// shard is what series have in common that wait for each other.
type shard struct {
	since int64 // an earlier run, or series that were forgotten, may have used spans that ended before
	scratch
}

// NewTable returns an empty Table for at most so many series. Spans that ended
// before since, in nanoseconds of Unix time, are not used: an earlier run may
// have used them.
func NewTable(limit int, since int64, options Options) *Table {
	// If a series comes back, it is not known what it used, but that it is not
	// newer than what is noted here.
	forget := func(own *shard, m *memory) bool {
		own.since = max(own.since, m.marked())
		return false
	}
	t := &Table{options: options, series: lru.New(limit, forget)}
	for i := range uint64(lru.Shards) {
		sh := t.series.Lock(i)
		sh.Own.since = lastOf(since)
		sh.Unlock()
	}
	return t
}

// Take notes a point of the series, which comes now, and appends to picks the exemplars that it
// shall get, in the order of their ends and then of their values. Scale makes a
// candidate's value one in the metric's unit. Taken are the exemplars that the
// point has. The candidates that draw returns are only read, and not kept; it
// is called at most once, and must not call the Table.
func (t *Table) Take(now int64, id uint64, p Point, scale float64, taken []Existing, draw func(after, upto int64) []candidate.Candidate, picks []Pick) ([]Pick, Tally) {
	layout, ok := p.check(scale)
	if !ok {
		return picks, Tally{Why: Refused}
	}
	sh := t.series.Lock(id)
	defer sh.Unlock()
	m := sh.Get(id)
	ahead := int64(t.options.Ahead)
	if p.Time-now > ahead {
		if m != nil && p.Delta {
			m.unsure = true // It has some of the growth.
		}
		return picks, Tally{Why: Ahead}
	}
	// Times that are further in the future than those of points may be were noted
	// before the clock was set back.
	used := lastOf(now + 2*ahead)
	if m == nil {
		if m, _ = sh.Take(id); m == nil {
			return picks, Tally{Why: Refused}
		}
		sh.Own.since = min(sh.Own.since, used)
		m.mark = sh.Own.since
	} else if m.time-now > ahead {
		m.rewind(used)
	}
	if p.Time <= m.time {
		return picks, Tally{Why: Backwards}
	}
	var why Why
	if p.Delta {
		why = m.delta(&p, layout)
	} else {
		why = m.cumulative(&p, layout, int64(t.options.Keep))
	}
	if why != Picked {
		return picks, Tally{Why: why}
	}
	before := len(picks)
	picks, tally := m.choose(&p, scale, taken, draw, picks, &t.options, &sh.Own.scratch)
	if len(m.again) > 0 && !p.Delta {
		picks = m.repeat(&p, picks, before, t.options.PerPoint-len(taken), t.options.Repeat, &tally)
	}
	return picks, tally
}

// Stats returns how many series there are, and how many were forgotten for
// others so far.
func (t *Table) Stats() (held int, evicted int64) { return t.series.Held() }
