// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"testing"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collecttest"
)

// render renders what one member reports, every ten seconds.
func render(observations ...observation) *collecttest.Scenario {
	s := collecttest.NewScenario()
	var tracker Tracker
	for _, o := range observations {
		s.Step(func(r *collect.Renderer) {
			if c := tracker.Step(s.Now, o.members, o.gap); c != nil {
				Render(r, *c)
			}
		})
	}
	return s
}

func TestALeaderThatIsLost(t *testing.T) {
	render(members(0x8e9e05c52164694d, 2), members(0, 2), afterGap(members(0xfd422379fda50e48, 3)), members(0x8e9e05c52164694d, 4)).
		RequireGolden(t, "a leader is lost and another one elected")
}

func TestAClusterThatHadNoLeaderBefore(t *testing.T) {
	render(members(0, 2), members(0xfd422379fda50e48, 3)).RequireGolden(t, "a cluster had no leader before")
}
