// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// Its first hold after a restart, and one after a gap, has the name and the node of its
// session, so that the signal can have the common state again.
func TestAForkKnowsTheClientsOfHolds(t *testing.T) {
	web := Client{Name: "web", Node: "n1"}
	for name, apart := range map[string]*Keys{"restored": {EmitInitial: true}, "after a gap": {}} {
		c := &collector{evidence: Evidence{Clients: map[string]Client{"s": web}}}
		o := keys{"a": free(1, 4, 1).heldBy("s")}.at(4).Observation
		if name == "after a gap" {
			apart.Step(snapshottest.At(0), keys{"a": free(1, 3, 1)}.at(3).Observation, Evidence{})
			o.Gap = true
		}
		_, effects := c.stepApart(apart)(snapshottest.At(1), o)
		require.NotEmpty(t, effects, name)
		assert.Equal(t, web, effects[len(effects)-1].(Acquired).Client, name)
	}
}

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
