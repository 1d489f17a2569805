// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"cmp"
	"slices"
	"time"
)

// A repeat is a pick that is given again, for exporters that are scraped less
// often than points come and that keep the exemplars of the last point only.
type repeat struct {
	bucket int
	point  int64 // the time of the point that it was picked for
	pick   Pick
}

// remember keeps a pick to give it again. In an explicit histogram it replaces
// that of its bucket; of other series, those of earlier points are forgotten
// already, since all their exemplars have to ascend together.
func (m *memory) remember(p *Point, bucket int, pick Pick) {
	r := repeat{bucket: bucket, point: p.Time, pick: pick}
	if p.Kind != Explicit {
		m.again = append(m.again, r)
		return
	}
	i, found := slices.BinarySearchFunc(m.again, bucket, func(r repeat, bucket int) int { return cmp.Compare(r.bucket, bucket) })
	if found {
		m.again[i] = r
	} else {
		m.again = slices.Insert(m.again, i, r)
	}
}

// repeat appends earlier picks that are not too old to those of this point,
// which begin at first; not more than limit together.
func (m *memory) repeat(p *Point, picks []Pick, first, limit int, age time.Duration, tally *Tally) []Pick {
	m.again = slices.DeleteFunc(m.again, func(r repeat) bool { return p.Time-r.pick.End >= int64(age) })
	for _, r := range m.again {
		if len(picks)-first >= limit {
			break
		}
		if r.point != p.Time {
			picks = append(picks, r.pick)
			tally.Repeated++
		}
	}
	if tally.Repeated > 0 {
		slices.SortFunc(picks[first:], func(a, b Pick) int { return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Value, b.Value)) })
	}
	return picks
}
