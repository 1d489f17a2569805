// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"testing"

	"github.com/otelcol-infra/otelcol-infra/internal/leadership"
	"github.com/otelcol-infra/otelcol-infra/internal/poll"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func TestTheLeaderIsLost(t *testing.T) {
	s := collecttest.NewScenario(metadata.DefaultLogsBuilderConfig())
	step := stepOf(&leadership.Tracker[string]{})
	for _, address := range []string{"10.0.0.1:8300", "", "10.0.0.2:8300", "10.0.0.3:8300"} {
		collecttest.Step(s, nil, step(s.Now, poll.Result[string]{Value: address}), Render)
	}
	s.RequireGolden(t, "the leader is lost, another one follows, and another one at once")
}
