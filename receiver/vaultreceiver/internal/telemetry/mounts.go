// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// MountClass is what mounts are: secrets engines or auth methods.
type MountClass = metadata.AttributeVaultMountClass

// RecordMounts records how many mounts of each kind there are.
func RecordMounts(mb *metadata.MetricsBuilder, now pcommon.Timestamp, class MountClass, mounts state.Mounts) {
	type kind struct{ mount, version, plugin string }
	count := map[kind]int64{}
	for _, m := range mounts {
		count[kind{m.Type, m.Version, m.PluginVersion}]++
	}
	for k, n := range count {
		mb.RecordVaultMountCountDataPoint(now, n, class, k.mount, k.version, k.plugin)
	}
}

// RenderMounts returns the events of mounts.
func (s *Story) RenderMounts(
	observed, at time.Time, resource pcommon.Resource, class MountClass, changes []state.MountChange, reconciled bool,
) watch.Telemetry {
	told := watch.EmptyTelemetry()
	if len(changes) == 0 {
		return told
	}
	records := make([]func(*metadata.LogsBuilder), 0, len(changes))
	for _, c := range changes {
		records = append(records, func(logs *metadata.LogsBuilder) {
			recordMount(logs, pcommon.NewTimestampFromTime(at), class, c, reconciled)
		})
	}
	told.Logs = s.logs(observed, resource, describeMount, records...)
	return told
}

func recordMount(logs *metadata.LogsBuilder, at pcommon.Timestamp, class MountClass, c state.MountChange, reconciled bool) {
	ctx, m := context.Background(), c.Mount
	switch c.Event {
	case state.MountEnabled:
		logs.RecordVaultMountEnabledEvent(ctx, at, m.Path, class, m.Type, m.Version, m.PluginVersion, m.Accessor, reconciled)
	case state.MountDisabled:
		logs.RecordVaultMountDisabledEvent(ctx, at, m.Path, class, m.Type, m.Version, m.PluginVersion, m.Accessor, reconciled)
	case state.MountMoved:
		logs.RecordVaultMountMovedEvent(ctx, at, m.Path, class, m.Type, m.Version, m.PluginVersion, m.Accessor, c.Before.Path, reconciled)
	case state.MountTuned:
		logs.RecordVaultMountTunedEvent(ctx, at, m.Path, class, m.Type, m.Version, m.PluginVersion, m.Accessor, reconciled)
	case state.MountUpgraded:
		logs.RecordVaultMountUpgradedEvent(ctx, at, m.Path, class, m.Type, m.Version, m.PluginVersion, m.Accessor,
			c.Before.Version, c.Before.PluginVersion, reconciled)
	}
}

func describeMount(event plog.LogRecord) (plog.SeverityNumber, string) {
	text := func(name string) string {
		value, _ := event.Attributes().Get(name)
		return value.AsString()
	}
	mount := "secrets engine " + text("vault.mount.path")
	if text("vault.mount.class") == metadata.AttributeVaultMountClassAuth.String() {
		mount = "auth method " + text("vault.mount.path")
	}
	switch event.EventName() {
	case "vault.mount.disabled":
		return plog.SeverityNumberWarn, mount + " was disabled"
	case "vault.mount.moved":
		return plog.SeverityNumberInfo, mount + " was moved from " + text("vault.mount.path.old")
	case "vault.mount.tuned":
		return plog.SeverityNumberInfo, mount + " was tuned"
	case "vault.mount.upgraded":
		return plog.SeverityNumberInfo, mount + " has another version"
	}
	return plog.SeverityNumberInfo, mount + " was enabled"
}
