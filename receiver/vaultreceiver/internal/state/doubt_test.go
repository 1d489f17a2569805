// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDoubt(t *testing.T) {
	var d Doubt
	assert.False(t, d.See(at(100), "", false))
	assert.True(t, d.See(at(101), "", true), "a contradiction is not believed")
	assert.False(t, d.See(at(102), "", false), "one may be a server that changes")
	assert.False(t, d.Lasts())
	assert.True(t, d.See(at(103), "", true))
	assert.True(t, d.See(at(104), "", false), "two are several servers")
	assert.True(t, d.Lasts())
	assert.False(t, d.See(at(164), "", false), "until they are not seen for a while")
	assert.False(t, d.Lasts())
}

func TestDoubtByNode(t *testing.T) {
	var d Doubt
	assert.False(t, d.See(at(100), "a", false))
	assert.False(t, d.See(at(101), "", false), "not told is not another one")
	assert.True(t, d.See(at(102), "b", false))
	assert.False(t, d.See(at(103), "b", false), "a failover")
	assert.True(t, d.See(at(104), "a", false))
	assert.True(t, d.See(at(105), "a", false))
}

func TestSeveralServersTellOnlyWhoLeads(t *testing.T) {
	var m Machine
	var told []string
	step := func(i int, s Server, several bool) {
		for _, e := range m.Step(at(i), Observation{Server: s, Several: several}) {
			told = append(told, describe(e))
		}
	}
	step(0, active("a"), false)
	step(1, sealed, true)
	step(2, standby("a", Broken), true)
	step(3, standby("a", Healthy), true)
	step(4, fresh, true)
	step(5, removed, true)
	assert.Empty(t, told)
	step(6, standby("b", Healthy), true)
	assert.Equal(t, []string{` leader changed "a">"b"`}, told)
	assert.Equal(t, int64(1), m.LeaderChanges())
	step(7, sealed, false)
	assert.Equal(t, " sealed reconciled, sealed opened", told[1], "what is believed again may have happened before")
}

func TestSeveralServersAreNoBaseline(t *testing.T) {
	var m Machine
	assert.Empty(t, m.Step(at(0), Observation{Server: sealed, Several: true}))
	_, known := m.Save()
	assert.False(t, known)
	assert.Empty(t, m.Step(at(1), Observation{Server: sealed}))
	assert.True(t, m.sealed.BeganBefore)
}
