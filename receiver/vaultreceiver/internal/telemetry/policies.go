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

// RecordPolicies records how many policies there are.
func RecordPolicies(mb *metadata.MetricsBuilder, now pcommon.Timestamp, policies state.Policies) {
	mb.RecordVaultPolicyCountDataPoint(now, int64(policies.Count))
	mb.RecordVaultPolicyUnreadCountDataPoint(now, int64(policies.Unread()))
}

// RenderPolicies returns the events of policies.
func (s *Story) RenderPolicies(
	observed, at time.Time, resource pcommon.Resource, changes []state.PolicyChange, reconciled bool,
) watch.Telemetry {
	told := watch.EmptyTelemetry()
	if len(changes) == 0 {
		return told
	}
	ctx, ts := context.Background(), pcommon.NewTimestampFromTime(at)
	records := make([]func(*metadata.LogsBuilder), 0, len(changes))
	for _, c := range changes {
		records = append(records, func(logs *metadata.LogsBuilder) {
			switch c.Event {
			case state.PolicyCreated:
				logs.RecordVaultPolicyCreatedEvent(ctx, ts, c.Name, reconciled)
			case state.PolicyChanged:
				logs.RecordVaultPolicyChangedEvent(ctx, ts, c.Name, reconciled)
			case state.PolicyDeleted:
				logs.RecordVaultPolicyDeletedEvent(ctx, ts, c.Name, reconciled)
			}
		})
	}
	told.Logs = s.logs(observed, resource, describePolicy, records...)
	return told
}

func describePolicy(event plog.LogRecord) (plog.SeverityNumber, string) {
	name, _ := event.Attributes().Get("vault.policy.name")
	switch event.EventName() {
	case "vault.policy.created":
		return plog.SeverityNumberInfo, "policy " + name.Str() + " was created"
	case "vault.policy.deleted":
		return plog.SeverityNumberWarn, "policy " + name.Str() + " was deleted"
	}
	return plog.SeverityNumberInfo, "policy " + name.Str() + " was changed"
}
