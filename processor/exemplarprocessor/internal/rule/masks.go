// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

// Masks remembers which optional joins the data points of each metric had, as a
// batch may bring only some of the points. It is safe for concurrent use.
type Masks struct{ recent *recent[Mask] }

// NewMasks returns an empty Masks for at most so many metrics, but two at least.
func NewMasks(limit int) *Masks { return &Masks{newRecent[Mask](limit)} }

// Add adds what points of a metric have, and returns what its points ever had.
func (m *Masks) Add(metric uint64, has Mask) Mask {
	return m.recent.change(metric, func(had Mask) Mask { return had | has })
}
