// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// RecordAuditDevices records how many audit devices of each type are enabled, with
// zeros of those that Vault has, so that none at all is seen.
func RecordAuditDevices(mb *metadata.MetricsBuilder, now pcommon.Timestamp, devices state.AuditDevices) {
	count := map[string]int64{"file": 0, "socket": 0, "syslog": 0}
	for _, device := range devices {
		count[device.Type]++
	}
	for kind, n := range count {
		mb.RecordVaultAuditDeviceCountDataPoint(now, n, kind)
	}
}

// RenderAuditDevices returns the events of devices that were enabled or disabled.
func (s *Story) RenderAuditDevices(
	observed, at time.Time, resource pcommon.Resource, changes []diff.Change[string, state.AuditDevice], reconciled bool,
) watch.Telemetry {
	told := watch.EmptyTelemetry()
	ctx, ts := context.Background(), pcommon.NewTimestampFromTime(at)
	var records []func(*metadata.LogsBuilder)
	for _, c := range changes {
		if !c.Added {
			records = append(records, func(logs *metadata.LogsBuilder) {
				logs.RecordVaultAuditDeviceDisabledEvent(ctx, ts, c.Key, c.Prev.Type, reconciled)
			})
		}
		if !c.Removed {
			records = append(records, func(logs *metadata.LogsBuilder) {
				logs.RecordVaultAuditDeviceEnabledEvent(ctx, ts, c.Key, c.Next.Type, reconciled)
			})
		}
	}
	if len(records) > 0 {
		told.Logs = s.logs(observed, resource, describeAuditDevice, records...)
	}
	return told
}

func describeAuditDevice(event plog.LogRecord) (plog.SeverityNumber, string) {
	path, _ := event.Attributes().Get("vault.audit.device.path")
	if event.EventName() == "vault.audit.device.enabled" {
		return plog.SeverityNumberInfo, "audit device " + path.Str() + " was enabled"
	}
	return plog.SeverityNumberWarn, "audit device " + path.Str() + " was disabled"
}
