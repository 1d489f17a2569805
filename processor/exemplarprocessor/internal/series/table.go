// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package series remembers what of each metric series grew and which spans it
// has as exemplars, and chooses from candidates those that are true: that ended
// when the bucket grew which their value is in, and that it does not have yet.
package series

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
)

const (
	shards = 64

	// defaultPerPoint is what SDKs keep for an exponential histogram.
	defaultPerPoint = 20

	defaultKeep = 5 * time.Minute
)

// Options say how exemplars are chosen.
type Options struct {
	// PerPoint is the largest number of exemplars of a point, with those that
	// it has already; without one it is 20. Each bucket has at most one, and a
	// sum at most 3.
	PerPoint int

	Prefer Prefer

	// Keep is how long growth is remembered that no candidate was there for. It
	// should be the time that candidates are kept; without it it is 5 minutes.
	Keep time.Duration

	// Repeat, if not 0, is the age up to which the last exemplar of each bucket
	// is given again with the points that follow.
	Repeat time.Duration
}

// Table remembers series. It is safe for concurrent use; series that fall into
// different shards do not wait for each other.
//
// When it is full, it forgets the series of which no point was seen for
// longest, in the shard of the new one.
type Table struct {
	limit   int64
	options Options

	// held counts the places that are taken. A place is taken before the series
	// is put there, so there are never more than limit.
	held    atomic.Int64
	evicted atomic.Int64

	shards [shards]shard
}

type shard struct {
	mu     sync.Mutex
	series map[uint64]*list.Element
	used   *list.List // of *memory; what was used last is in front
	since  int64      // spans that ended before may have been used
	scratch
}

// NewTable returns an empty Table for at most so many series. Spans that ended
// before since, in nanoseconds of Unix time, are not used: an earlier run may
// have used them.
func NewTable(limit int, since int64, options Options) *Table {
	if options.PerPoint <= 0 {
		options.PerPoint = defaultPerPoint
	}
	if options.Keep <= 0 {
		options.Keep = defaultKeep
	}
	t := &Table{limit: int64(limit), options: options}
	for i := range t.shards {
		t.shards[i].series = map[uint64]*list.Element{}
		t.shards[i].used = list.New()
		t.shards[i].since = since
	}
	return t
}

// Take notes a point of the series and appends to picks the exemplars that it
// shall get, in the order of their ends and then of their values. Scale makes a
// candidate's value one in the metric's unit. Taken are the exemplars that the
// point has. The candidates that draw returns are only read, and not kept; it
// is called at most once, and must not call the Table.
func (t *Table) Take(id uint64, p Point, scale float64, taken []Existing, draw func(after, upto int64) []candidate.Candidate, picks []Pick) ([]Pick, Tally) {
	layout, ok := p.check(scale)
	if !ok {
		return picks, Tally{Why: Refused}
	}
	own := id % shards
	sh := &t.shards[own]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m := t.find(own, id)
	if m == nil {
		return picks, Tally{Why: Refused}
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
	picks, tally := m.choose(&p, scale, taken, draw, picks, &t.options, &sh.scratch)
	if len(m.again) > 0 && !p.Delta {
		picks = m.repeat(&p, picks, before, t.options.PerPoint-len(taken), t.options.Repeat, &tally)
	}
	return picks, tally
}

// Stats returns how many series there are, and how many were forgotten for
// others so far.
func (t *Table) Stats() (held int, evicted int64) {
	return int(t.held.Load()), t.evicted.Load()
}

// find returns the series, a new one if there is none, or nil if no other could
// be forgotten for it.
func (t *Table) find(own, id uint64) *memory {
	sh := &t.shards[own]
	if el := sh.series[id]; el != nil {
		sh.used.MoveToFront(el)
		return el.Value.(*memory)
	}
	if t.held.Add(1) > t.limit && !t.makeRoom(own) {
		t.held.Add(-1)
		return nil
	}
	m := &memory{id: id, mark: sh.since}
	sh.series[id] = sh.used.PushFront(m)
	return m
}

// makeRoom forgets one series. The own shard is locked; the others are only
// looked at when it is empty, and left out while they are busy.
func (t *Table) makeRoom(own uint64) bool {
	if t.forget(&t.shards[own]) {
		return true
	}
	for i := uint64(1); i < shards; i++ {
		sh := &t.shards[(own+i)%shards]
		if !sh.mu.TryLock() {
			continue
		}
		ok := t.forget(sh)
		sh.mu.Unlock()
		if ok {
			return true
		}
	}
	return false
}

// forget forgets the series in a shard of which no point was seen for longest.
// If it comes back, it is not known what it used, but that it is not newer than
// what is noted here.
func (t *Table) forget(sh *shard) bool {
	back := sh.used.Back()
	if back == nil {
		return false
	}
	m := back.Value.(*memory)
	sh.since = max(sh.since, m.marked())
	sh.used.Remove(back)
	delete(sh.series, m.id)
	t.held.Add(-1)
	t.evicted.Add(1)
	return true
}
