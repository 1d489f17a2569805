// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// saw makes an observation that the active node tells of: of peers, and whether
// they are healthy. Nil stands for what could not be had.
func saw(healthy map[string]bool) RaftObservation {
	if healthy == nil {
		return RaftObservation{Tell: true}
	}
	peers := map[string]Peer{}
	for id := range healthy {
		peers[id] = Peer{Address: id + ":8201", Voter: true}
	}
	return RaftObservation{Peers: peers, Healthy: healthy, Tell: true}
}

func silent(o RaftObservation) RaftObservation {
	o.Tell = false
	return o
}

func afterGap(o RaftObservation) RaftObservation {
	o.PeersGap, o.HealthyGap = true, true
	return o
}

func tellRaft(m *Machine, observations ...RaftObservation) (told []string) {
	for i, o := range observations {
		for _, e := range m.StepRaft(at(i), o) {
			line := fmt.Sprintf("%d: %s %s", e.At.Unix(), e.Event, e.PeerID)
			if e.Reconciled {
				line += " reconciled"
			}
			told = append(told, line)
		}
	}
	return told
}

func TestRaft(t *testing.T) {
	type health = map[string]bool
	for name, tc := range map[string]struct {
		saw  []RaftObservation
		want []string
	}{
		"the baseline is not news": {
			[]RaftObservation{saw(health{"a": true, "b": false}), saw(health{"a": true, "b": false})}, nil,
		},
		"who joins is told once, and not as unhealthy": {
			[]RaftObservation{saw(health{"a": true}), saw(health{"a": true, "b": false}), saw(health{"a": true, "b": true})},
			[]string{"1: peer added b", "2: peer healthy b"},
		},
		"who is removed is not unhealthy as well": {
			[]RaftObservation{saw(health{"a": true, "b": true}), saw(health{"a": true})},
			[]string{"1: peer removed b"},
		},
		"who ails": {
			[]RaftObservation{saw(health{"a": true, "b": true}), saw(health{"a": true, "b": false}), saw(health{"a": true, "b": true})},
			[]string{"1: peer unhealthy b", "2: peer healthy b"},
		},
		"what could not be had says nothing": {
			[]RaftObservation{saw(health{"a": true, "b": true}), saw(nil), afterGap(saw(health{"a": false}))},
			[]string{"2: peer removed b reconciled", "2: peer unhealthy a reconciled"},
		},
		"a standby knows, and does not tell": {
			[]RaftObservation{silent(saw(health{"a": true})), silent(saw(health{"a": true, "b": true})), saw(health{"a": true, "b": false})},
			[]string{"2: peer unhealthy b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, tellRaft(&Machine{}, tc.saw...))
		})
	}
}

func TestAPeerThatVotesNowIsNoNews(t *testing.T) {
	var m Machine
	peer := Peer{Address: "a:8201"}
	m.StepRaft(at(0), RaftObservation{Peers: map[string]Peer{"a": peer}, Tell: true})
	peer.Voter = true
	assert.Empty(t, m.StepRaft(at(1), RaftObservation{Peers: map[string]Peer{"a": peer}, Tell: true}))
	unhealthy := m.StepRaft(at(2), RaftObservation{Healthy: map[string]bool{"a": true}, Tell: true})
	assert.Empty(t, unhealthy)
	unhealthy = m.StepRaft(at(3), RaftObservation{Healthy: map[string]bool{"a": false}, Tell: true})
	assert.Equal(t, peer, unhealthy[0].Peer)
}

func TestPeersSurviveARestart(t *testing.T) {
	before := &Machine{}
	before.Step(at(0), Observation{Server: active("a")})
	tellRaft(before, saw(map[string]bool{"a": true, "b": true}))
	after := restart(t, before)
	assert.Equal(t, []string{"0: peer removed b reconciled", "1: peer added c"},
		tellRaft(after, saw(map[string]bool{"a": true}), saw(map[string]bool{"a": true, "c": true})))
}

func TestAnotherClusterHasOtherPeers(t *testing.T) {
	m := &Machine{}
	m.Step(at(0), Observation{Server: active("a")})
	tellRaft(m, saw(map[string]bool{"a": true}))
	m.Step(at(1), Observation{Server: other})
	assert.Empty(t, tellRaft(m, saw(map[string]bool{"z": true})))
}
