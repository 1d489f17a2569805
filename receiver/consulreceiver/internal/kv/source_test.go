// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// A signal whose queue was full once goes on to report how holds end.
func TestAForkKnowsHowHoldsEnd(t *testing.T) {
	c := &collector{}
	c.keys.Step(snapshottest.At(0), keys{"a": free(1, 3, 1).heldBy("s")}.at(3).Observation, Evidence{})
	for gap, want := range map[bool]End{false: Invalidated, true: Unknown} {
		step := c.stepApart(c.keys.Clone())
		c.evidence = Evidence{Sessions: map[string]SessionState{"s": {Index: 4}}}
		o := keys{"a": free(1, 4, 1)}.at(4).Observation
		o.Gap = gap
		_, effects := step(snapshottest.At(1), o)
		assert.Equal(t, want, effects[0].(Ended).How, "gap: %v", gap)
	}
}
