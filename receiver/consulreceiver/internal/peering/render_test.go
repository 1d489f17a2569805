// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package peering

import (
	"testing"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func TestAPeeringIsMadeFailsAndEnds(t *testing.T) {
	s := collecttest.NewScenario(metadata.DefaultLogsBuilderConfig())
	var c snapshot.Catalog[Peering]
	for i, peerings := range []map[string]Peering{
		{},
		{"dc2": {ID: "1", State: Pending}},
		{"dc2": {ID: "1", State: Active, Connected: true}},
		{"dc2": {ID: "1", State: Active, Connected: true, Imported: 1}}, // no event
		{"dc2": {ID: "1", State: Failing, Connected: true}},
		{"dc2": {ID: "1", State: Terminated}},
		{"dc2": {ID: "2", State: Pending}},
		{},
	} {
		gap, changes := c.Step(snapshot.Observation[string, Peering]{Continuity: snapshot.Continuity{Index: uint64(i + 1)}, Objects: peerings})
		collecttest.Step(s, gap, changes, func(r *collect.Renderer, changes []snapshot.Change[string, Peering]) {
			for _, change := range changes {
				Render(r, change)
			}
		})
	}
	s.RequireGolden(t, "a peering is made, fails and ends")
}
