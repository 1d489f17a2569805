// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// RecordChecks records the number of checks in each status.
func RecordChecks(mb *metadata.MetricsBuilder, now pcommon.Timestamp, checks state.Checks) {
	counts := checks.CountByStatus()
	mb.RecordConsulHealthCheckCountDataPoint(now, counts[state.Passing], metadata.AttributeConsulCheckStatusPassing)
	mb.RecordConsulHealthCheckCountDataPoint(now, counts[state.Warning], metadata.AttributeConsulCheckStatusWarning)
	mb.RecordConsulHealthCheckCountDataPoint(now, counts[state.Critical], metadata.AttributeConsulCheckStatusCritical)
}

// RecordUp records whether Consul answered.
func RecordUp(mb *metadata.MetricsBuilder, now pcommon.Timestamp, up bool) {
	var value int64
	if up {
		value = 1
	}
	mb.RecordConsulUpDataPoint(now, value)
}

// RecordUsage records the sizes of the catalog.
func RecordUsage(mb *metadata.MetricsBuilder, now pcommon.Timestamp, usage state.Usage) {
	mb.RecordConsulCatalogNodeCountDataPoint(now, usage.Nodes)
	mb.RecordConsulCatalogServiceCountDataPoint(now, usage.Services)
	mb.RecordConsulCatalogServiceInstanceCountDataPoint(now, usage.Instances)
}
