// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// restart returns a machine that knows what the other one saves, by way of JSON.
func restart(t *testing.T, m *Machine) *Machine {
	t.Helper()
	saved, known := m.Save()
	require.True(t, known)
	encoded, err := json.Marshal(saved)
	require.NoError(t, err)
	var read Saved
	require.NoError(t, json.Unmarshal(encoded, &read))
	after := &Machine{}
	after.Restore(read)
	return after
}

func TestRestarts(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after []Server
		want          []string
	}{
		"nothing has happened": {
			[]Server{active("a")}, []Server{active("a")}, nil,
		},
		"a sealed time that lasts ends when it ends": {
			[]Server{active("a"), sealed}, []Server{sealed, active("a")},
			[]string{"11: unsealed, sealed closed after 10s"},
		},
		"a sealed time that has ended meanwhile": {
			[]Server{active("a"), sealed}, []Server{active("a")},
			[]string{"10: unsealed reconciled, sealed closed after 9s"},
		},
		"a seal meanwhile is news": {
			[]Server{active("a")}, []Server{sealed, active("a")},
			[]string{"10: sealed reconciled, sealed opened", "11: unsealed, sealed closed after 1s"},
		},
		"another leader meanwhile is news, and who was restarted did not step down": {
			[]Server{active("a")}, []Server{standby("b", Healthy)},
			[]string{`10: leader changed "a">"b" reconciled`},
		},
		"a leaderless time that lasts": {
			[]Server{standby("a", Healthy), lost}, []Server{lost, standby("b", Healthy)},
			[]string{`11: leader changed "">"b", leaderless closed after 10s`},
		},
		"another cluster is a new baseline": {
			[]Server{active("a"), sealed}, []Server{other}, nil,
		},
		"what began before stays so": {
			[]Server{sealed}, []Server{active("a")},
			[]string{"10: unsealed reconciled, sealed closed after 10s began before"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Machine{}
			for i, s := range tc.before {
				m.Step(at(i), Observation{Server: s})
			}
			m = restart(t, m)
			var told []string
			for i, s := range tc.after {
				for _, e := range m.Step(at(10+i), Observation{Server: s}) {
					told = append(told, fmt.Sprintf("%d:%s", 10+i, describe(e)))
				}
			}
			assert.Equal(t, tc.want, told)
		})
	}
}

func TestNothingIsSavedBeforeTheBaseline(t *testing.T) {
	_, known := (&Machine{}).Save()
	assert.False(t, known)
}

func TestAGapRightAfterARestartHasNoLength(t *testing.T) {
	m := &Machine{}
	m.Step(at(0), Observation{Server: active("a")})
	assert.Empty(t, restart(t, m).Step(at(9), Observation{Server: active("a"), Gap: true}))
}
