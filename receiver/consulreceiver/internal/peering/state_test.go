// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package peering

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A new leader lists what was stored when the peering was made until it is in
// contact with the peer.
func TestTheStateLastsUntilANewLeaderKnowsIt(t *testing.T) {
	type read struct {
		after     time.Duration
		id        string
		state     State
		connected bool
		want      State
	}
	for name, reads := range map[string][]read{
		"it was active, and is again": {
			{0, "1", Active, true, Active},
			{10 * time.Second, "1", Pending, false, Active},
			{10 * time.Second, "1", Active, true, Active},
		},
		"it was failing, and goes on so": {
			{0, "1", Failing, true, Failing},
			{time.Second, "1", Pending, false, Failing},
			{time.Second, "1", Failing, true, Failing},
		},
		"the peer does not come back": {
			{0, "1", Active, true, Active},
			{time.Second, "1", Pending, false, Active},
			{59 * time.Second, "1", Pending, false, Active},
			{time.Second, "1", Pending, false, Pending},
			{time.Second, "1", Pending, false, Pending},
			{time.Second, "1", Active, true, Active},
		},
		"two new leaders": {
			{0, "1", Active, true, Active},
			{time.Second, "1", Pending, false, Active},
			{50 * time.Second, "1", Active, true, Active},
			{50 * time.Second, "1", Pending, false, Active},
			{50 * time.Second, "1", Pending, false, Active},
		},
		"it was never active": {
			{0, "1", Pending, false, Pending},
			{time.Second, "1", Establishing, false, Establishing},
		},
		"the peer deleted it": {
			{0, "1", Active, true, Active},
			{time.Second, "1", Terminated, false, Terminated},
		},
		"it is another one of its name": {
			{0, "1", Active, true, Active},
			{time.Second, "2", Pending, false, Pending},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s settling
			now := time.Unix(1_000_000, 0)
			for i, r := range reads {
				now = now.Add(r.after)
				peerings := map[string]Peering{"dc2": {ID: r.id, State: r.state, Connected: r.connected}}
				s.step(now, peerings)
				assert.Equal(t, r.want, peerings["dc2"].State, "read %d", i)
			}
		})
	}
}
