// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// RecordChecks records the number of checks in each status.
func RecordChecks(m collect.Metrics, counts map[Status]int64) {
	for status, attribute := range statusAttributes {
		m.RecordConsulHealthCheckCountDataPoint(m.TS(), counts[status], attribute)
	}
}

// statusAttributes are the statuses as attributes.
var statusAttributes = map[Status]metadata.AttributeConsulCheckStatus{
	Passing:     metadata.AttributeConsulCheckStatusPassing,
	Warning:     metadata.AttributeConsulCheckStatusWarning,
	Critical:    metadata.AttributeConsulCheckStatusCritical,
	Maintenance: metadata.AttributeConsulCheckStatusMaintenance,
	Unknown:     metadata.AttributeConsulCheckStatusUnknown,
}

// RecordStates records the state of each check as a value.
func RecordStates(m collect.Metrics, checks Checks) {
	for id, check := range checks {
		if !isMaintenance(id) {
			m.RecordConsulHealthCheckStateDataPoint(m.TS(), int64(check.Status.Severity()),
				cmp.Or(check.Node, id.Node), cmp.Or(check.ID, id.Check), check.Service)
		}
	}
}

// RecordInstances records the instances of each service by health.
func RecordInstances(m collect.Metrics, services map[string]Instances) {
	for service, counts := range services {
		recordInstances(m, service, counts)
	}
}

// RecordImported records those of the services that peers export.
func RecordImported(m collect.Metrics, services map[Imported]Instances) {
	for of, counts := range services {
		recordInstances(m, of.Service, counts, metadata.WithConsulPeerNameMetricAttribute(of.Peer))
	}
}

func recordInstances(m collect.Metrics, service string, i Instances, options ...metadata.MetricAttributeOption) {
	record := func(n int64, status metadata.AttributeConsulCheckStatus) {
		m.RecordConsulHealthServiceInstanceCountDataPoint(m.TS(), n, service, status, options...)
	}
	record(i.Passing, metadata.AttributeConsulCheckStatusPassing)
	record(i.Warning, metadata.AttributeConsulCheckStatusWarning)
	record(i.Critical, metadata.AttributeConsulCheckStatusCritical)
	record(i.Maintenance, metadata.AttributeConsulCheckStatusMaintenance)
	record(i.Unknown, metadata.AttributeConsulCheckStatusUnknown)
}

// RecordNodes records the states of nodes as a state set, up to a limit. It returns how
// many are beyond.
func RecordNodes(m collect.Metrics, nodes []NodeState, limit int) (beyond int) {
	for _, n := range nodes[:min(len(nodes), limit)] {
		for status, attribute := range statusAttributes {
			m.RecordConsulHealthNodeStateDataPoint(m.TS(), collect.Number(status == n.Status), n.Node, attribute)
		}
	}
	return max(0, len(nodes)-limit)
}

// RecordInstanceStates records the states of instances as a state set, up to a limit. It
// returns how many are beyond.
func RecordInstanceStates(m collect.Metrics, instances []InstanceState, limit int) (beyond int) {
	for _, i := range instances[:min(len(instances), limit)] {
		for status, attribute := range statusAttributes {
			m.RecordConsulHealthServiceInstanceStateDataPoint(m.TS(), collect.Number(status == i.Status), i.Service, i.ID, i.Node, attribute)
		}
	}
	return max(0, len(instances)-limit)
}

// RecordTransitions records how often checks changed their status.
func RecordTransitions(m collect.Metrics, services []ServiceTransitions) {
	for _, s := range services {
		for class, n := range s.counts {
			m.RecordConsulHealthCheckTransitionsDataPoint(m.TS(), n, s.Service, statusAttributes[statusOf[class]])
		}
	}
}
