// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import "sync"

// Masks remembers which optional joins the data points of each metric had, as a
// batch may bring only some of the points. It is safe for concurrent use.
//
// There are two generations: when the young one is full, the old one is
// forgotten, and what is asked for again is young again.
type Masks struct {
	half int

	mu         sync.Mutex
	young, old map[uint64]Mask
}

// NewMasks returns an empty Masks for at most so many metrics, but two at least.
func NewMasks(limit int) *Masks {
	return &Masks{half: max(1, limit/2), young: map[uint64]Mask{}}
}

// Add adds what points of a metric have, and returns what its points ever had.
func (m *Masks) Add(metric uint64, has Mask) Mask {
	m.mu.Lock()
	defer m.mu.Unlock()
	had, young := m.young[metric]
	if young && had|has == had {
		return had
	}
	has |= had | m.old[metric]
	if !young && len(m.young) >= m.half {
		m.young, m.old = map[uint64]Mask{}, m.young
	}
	m.young[metric] = has
	return has
}
