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
	pick   Pick
}

// remember keeps a pick to give it again. In an explicit histogram it replaces
// that of its bucket; of other series, those of earlier points are forgotten
// already, since all their exemplars have to ascend together.
func (m *memory) remember(p *Point, bucket int, pick Pick) {
	if p.Kind == Explicit {
		for i := range m.again {
			if m.again[i].bucket == bucket {
				m.again[i].pick = pick
				return
			}
		}
	}
	m.again = append(m.again, repeat{bucket: bucket, pick: pick})
}

// repeat appends earlier picks that are not too old to those of this point,
// which begin at first; not more than limit together.
func (m *memory) repeat(p *Point, picks []Pick, first, limit int, age time.Duration, tally *Tally) []Pick {
	m.again = slices.DeleteFunc(m.again, func(r repeat) bool { return p.Time-r.pick.End >= int64(age) })
	fresh := picks[first:]
	for _, r := range m.again {
		if len(picks)-first >= limit {
			break
		}
		if !slices.ContainsFunc(fresh, func(f Pick) bool { return f.Trace == r.pick.Trace && f.Span == r.pick.Span }) {
			picks = append(picks, r.pick)
			tally.Repeated++
		}
	}
	if tally.Repeated > 0 {
		slices.SortFunc(picks[first:], func(a, b Pick) int { return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Value, b.Value)) })
	}
	return picks
}
