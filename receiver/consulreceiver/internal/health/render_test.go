// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collecttest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// serviceAndNode is an observation of a service's check and of one of its node.
func serviceAndNode(service, node Status, index uint64) snapshot.Observation[CheckID, Check] {
	return snapshot.Observation[CheckID, Check]{
		Continuity: snapshot.Continuity{Index: index},
		Objects: Checks{
			{Node: "n1", Check: "service:web"}: {Name: "web alive", Service: "web", ServiceID: "web-1", Status: service, Index: index},
			{Node: "n1", Check: "serfHealth"}:  {Name: "Serf Health Status", Status: node, Index: index},
		},
	}
}

func rendered(config metadata.LogsBuilderConfig, observations ...snapshot.Observation[CheckID, Check]) *collecttest.Scenario {
	s := collecttest.NewScenario(config)
	var h Health
	for _, o := range observations {
		gap, effects := h.Step(s.Now, o)
		collecttest.Step(s, gap, effects, Render)
	}
	return s
}

func TestAnIncidentOpensWorsensAndCloses(t *testing.T) {
	rendered(metadata.DefaultLogsBuilderConfig(),
		serviceAndNode(Passing, Passing, 5),
		serviceAndNode(Warning, Passing, 6),
		snapshottest.AfterGap(serviceAndNode(Critical, Passing, 7)),
		serviceAndNode(Passing, Passing, 8),
	).RequireGolden(t, "an incident opens, worsens and closes")
}

func TestANodeFailsUnderAService(t *testing.T) {
	rendered(metadata.DefaultLogsBuilderConfig(),
		serviceAndNode(Passing, Passing, 5),
		serviceAndNode(Passing, Critical, 6),
		serviceAndNode(Passing, Passing, 7),
	).RequireGolden(t, "a node fails under a service")
}

func TestAnIncidentThatBeganBefore(t *testing.T) {
	rendered(metadata.DefaultLogsBuilderConfig(),
		serviceAndNode(Critical, Passing, 5),
		serviceAndNode(Passing, Passing, 6),
	).RequireGolden(t, "an incident that began before is reported at its end")
}

func TestADisabledEventLeavesTheSpans(t *testing.T) {
	config := metadata.DefaultLogsBuilderConfig()
	config.Events.ConsulCheckTransition.Enabled = false
	s := rendered(config, serviceAndNode(Passing, Passing, 5), serviceAndNode(Critical, Passing, 6))
	require.Equal(t, 2, s.Traces.SpanCount(), "of the incident, and of the outage in it")
	require.Zero(t, s.Logs.LogRecordCount())
}

func TestMaintenanceBeginsAndEnds(t *testing.T) {
	with := func(index uint64, maintenances ...Check) snapshot.Observation[CheckID, Check] {
		o := serviceAndNode(Passing, Passing, 5)
		o.Index = index
		for _, c := range maintenances {
			o.Objects[NewCheckID(c.Node, c.ID)] = c
		}
		return o
	}
	node := Check{Node: "N1", ID: nodeMaintenance, Name: "Node Maintenance Mode", Status: Critical, Index: 6, Reason: "kernel"}
	instance := Check{
		Node: "N1", ID: serviceMaintenance + "web-1", Name: "Service Maintenance Mode", Status: Critical, Index: 6, Reason: "disk swap",
		Service: "web", ServiceID: "web-1",
	}
	rendered(metadata.DefaultLogsBuilderConfig(), with(5), with(6, node, instance), with(7, instance), with(8)).
		RequireGolden(t, "a node and an instance are in maintenance")
}
