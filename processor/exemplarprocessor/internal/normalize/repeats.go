// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"container/list"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
)

const (
	// Powers of two. Pipelines seldom have more batches at once than this.
	shards = 32

	// maxRemembered is more than the buckets of most histograms.
	maxRemembered = 64
)

// Repeats passes an exemplar once, although a scraper tells it again with each
// scrape until the program has a newer one. It remembers the exemplars of the
// last point of each series that had any; of the series, the most recently used
// up to a limit. It is safe for concurrent use; a nil one passes everything.
//
// An exemplar is remembered when it is seen, not when it is accepted: a batch
// that is refused and sent again has lost the exemplars that it brings
// the second time. And what is passed once can be missed: an exporter that is
// scraped, such as prometheus, shows the last point only, so that exemplars are
// lost when it is scraped less often than points come. That is what repeated:
// pass is for.
type Repeats struct {
	shards []shard
}

type shard struct {
	mu      sync.Mutex
	limit   int
	series  map[uint64]*list.Element
	used    list.List // of *remembered, the last used first
	current []uint64  // is built while exemplars are looked at
}

type remembered struct {
	series    uint64
	exemplars []uint64 // by their identity
}

// NewRepeats returns a memory of at most so many series, rounded up to a
// multiple of the number of its shards. A series takes about 110 bytes, and 8
// for each of its exemplars, of which 64 are remembered.
func NewRepeats(limit int) *Repeats {
	r := &Repeats{shards: make([]shard, shards)}
	for i := range r.shards {
		r.shards[i].limit = max(1, (limit+shards-1)/shards)
		r.shards[i].series = map[uint64]*list.Element{}
	}
	return r
}

// Exemplars removes what was in the previous point of the series. at is the
// time of the point. The order is kept. A point without exemplars changes
// nothing: what was before it is still known.
//
// A scraper gives an exemplar without a time that of the scrape. So the time of
// an exemplar that is its point's own is not compared.
func (r *Repeats) Exemplars(series uint64, at pcommon.Timestamp, exemplars pmetric.ExemplarSlice, c *Counts) {
	if r == nil || exemplars.Len() == 0 {
		return
	}
	s := &r.shards[series%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	previous := s.find(series, c)
	s.current = s.current[:0]
	exemplars.RemoveIf(func(e pmetric.Exemplar) bool {
		told := e.Timestamp()
		if told == at {
			told = 0
		}
		hash := identity.Exemplar(e, told)
		if len(s.current) < maxRemembered {
			s.current = append(s.current, hash)
		} else {
			c.Forgotten++
		}
		if slices.Contains(previous.exemplars, hash) {
			c.Repeated++
			return true
		}
		return false
	})
	previous.exemplars = append(previous.exemplars[:0], s.current...)
}

// Len returns how many series are remembered.
func (r *Repeats) Len() int {
	if r == nil {
		return 0
	}
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += len(s.series)
		s.mu.Unlock()
	}
	return n
}

// find returns what is known of the series. The series that was not used for
// the longest time makes room for a new one.
func (s *shard) find(series uint64, c *Counts) *remembered {
	if element, ok := s.series[series]; ok {
		s.used.MoveToFront(element)
		return element.Value.(*remembered)
	}
	if s.used.Len() < s.limit {
		known := &remembered{series: series}
		s.series[series] = s.used.PushFront(known)
		return known
	}
	c.Forgotten++
	oldest := s.used.Back()
	known := oldest.Value.(*remembered)
	delete(s.series, known.series)
	known.series, known.exemplars = series, known.exemplars[:0]
	s.series[series] = oldest
	s.used.MoveToFront(oldest)
	return known
}
