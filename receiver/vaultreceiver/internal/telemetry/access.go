// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// RenderAccess returns the event of a part of the API that is denied, or is
// allowed again.
func (s *Story) RenderAccess(observed, at time.Time, resource pcommon.Resource, endpoint string, denied bool) watch.Telemetry {
	told := watch.EmptyTelemetry()
	told.Logs = s.logs(observed, resource, describeAccess, func(logs *metadata.LogsBuilder) {
		if denied {
			logs.RecordVaultEndpointDeniedEvent(context.Background(), pcommon.NewTimestampFromTime(at), endpoint)
		} else {
			logs.RecordVaultEndpointAllowedEvent(context.Background(), pcommon.NewTimestampFromTime(at), endpoint)
		}
	})
	return told
}

func describeAccess(event plog.LogRecord) (plog.SeverityNumber, string) {
	endpoint, _ := event.Attributes().Get("vault.endpoint")
	if event.EventName() == "vault.endpoint.allowed" {
		return plog.SeverityNumberInfo, "the token may use " + endpoint.Str() + " again"
	}
	return plog.SeverityNumberWarn, "the token may not use " + endpoint.Str()
}

// logs returns events in the order in which they are recorded, each by one of
// the functions, with the severity and the line that describe gives them.
func (s *Story) logs(
	observed time.Time, resource pcommon.Resource,
	describe func(plog.LogRecord) (plog.SeverityNumber, string), record ...func(*metadata.LogsBuilder),
) plog.Logs {
	one, all := metadata.NewLogsBuilder(s.config, s.settings), metadata.NewLogsBuilder(s.config, s.settings)
	for _, r := range record {
		r(one)
		eventlog.Each(one.Emit(), all.AppendLogRecord)
	}
	return eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), observed, describe)
}
