// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// RecordChecks records the number of checks in each status.
func RecordChecks(m collect.Metrics, checks Checks) {
	counts := CountByStatus(checks)
	m.RecordConsulHealthCheckCountDataPoint(m.TS(), counts[Passing], metadata.AttributeConsulCheckStatusPassing)
	m.RecordConsulHealthCheckCountDataPoint(m.TS(), counts[Warning], metadata.AttributeConsulCheckStatusWarning)
	m.RecordConsulHealthCheckCountDataPoint(m.TS(), counts[Critical], metadata.AttributeConsulCheckStatusCritical)
}

// RecordStates records the state of each check as a value.
func RecordStates(m collect.Metrics, checks Checks) {
	for id, check := range checks {
		m.RecordConsulHealthCheckStateDataPoint(m.TS(), int64(check.Status.Badness()), id.Node, id.Check, check.Service)
	}
}

// RecordInstances records the instances of each service by health.
func RecordInstances(m collect.Metrics, services map[string]Instances) {
	for service, i := range services {
		m.RecordConsulHealthServiceInstanceCountDataPoint(m.TS(), i.Passing, service, metadata.AttributeConsulCheckStatusPassing)
		m.RecordConsulHealthServiceInstanceCountDataPoint(m.TS(), i.Warning, service, metadata.AttributeConsulCheckStatusWarning)
		m.RecordConsulHealthServiceInstanceCountDataPoint(m.TS(), i.Critical, service, metadata.AttributeConsulCheckStatusCritical)
	}
}

// RecordTransitions records how often checks changed their status.
func RecordTransitions(m collect.Metrics, counts map[Counted]int64) {
	for c, n := range counts {
		if status, ok := metadata.MapAttributeConsulCheckStatus[string(c.Status)]; ok {
			m.RecordConsulHealthCheckTransitionsDataPoint(m.TS(), n, c.Service, status)
		}
	}
}
