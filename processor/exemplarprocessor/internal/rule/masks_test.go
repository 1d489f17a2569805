// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMasksAreRemembered(t *testing.T) {
	m := NewMasks(10)
	assert.Equal(t, Mask(1), m.Add(7, 1))
	assert.Equal(t, Mask(1), m.Add(7, 0))
	assert.Equal(t, Mask(0), m.Add(8, 0), "each metric has its own")
	assert.Equal(t, Mask(3), m.Add(7, 2))
	assert.Equal(t, Mask(3), m.Add(7, 1))
}

func TestMasksAreBounded(t *testing.T) {
	for _, limit := range []int{1, 2, 10, 11} {
		m := NewMasks(limit)
		for metric := range uint64(100) {
			m.Add(metric, 1)
			assert.Equal(t, Mask(3), m.Add(1000, 3), "what comes again and again is not forgotten")
			assert.LessOrEqual(t, len(m.recent.young)+len(m.recent.old), max(2, limit))
		}
		assert.Zero(t, m.Add(1, 0), "it did not come for long")
	}
}
