// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/lru"
)

// maxRemembered is more than the buckets of most histograms.
const maxRemembered = 64

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
	series *lru.Map[remembered, []uint64] // To a shard belongs what is built while exemplars are looked at.
}

// remembered are the exemplars of a series by their identity.
type remembered []uint64

// NewRepeats returns a memory of at most so many series. A series takes about
// 70 bytes, and 8 for each of its exemplars, of which 64 are remembered.
func NewRepeats(limit int) *Repeats {
	return &Repeats{lru.New(limit, func(*[]uint64, *remembered) bool { return false })}
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
	s := r.series.Lock(series)
	defer s.Unlock()
	previous := s.Get(series)
	if previous == nil {
		var gaveUp bool
		if previous, gaveUp = s.Take(series); gaveUp || previous == nil {
			c.Forgotten++
		}
		if previous == nil {
			return
		}
	}
	current := s.Own[:0]
	exemplars.RemoveIf(func(e pmetric.Exemplar) bool {
		told := e.Timestamp()
		if told == at {
			told = 0
		}
		hash := identity.Exemplar(e, told)
		if len(current) < maxRemembered {
			current = append(current, hash)
		} else {
			c.Forgotten++
		}
		if slices.Contains(*previous, hash) {
			c.Repeated++
			return true
		}
		return false
	})
	*previous = append((*previous)[:0], current...)
	s.Own = current
}

// Len returns how many series are remembered.
func (r *Repeats) Len() int {
	if r == nil {
		return 0
	}
	held, _ := r.series.Held()
	return held
}
