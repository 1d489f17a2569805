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

// RecordTokenCounts records how many tokens there are, by the mounts that made
// them. What was not looked up yet is of none.
func RecordTokenCounts(mb *metadata.MetricsBuilder, now pcommon.Timestamp, counts state.RosterCounts) {
	counts = byMount(counts)
	for mount := range counts.Groups {
		if mount == "" {
			continue
		}
		for expiry, name := range expiries {
			mb.RecordVaultTokenFollowedCountDataPoint(now, counts.Followed[state.Standing{Group: mount, Expiry: expiry}], mount, name)
		}
	}
	mb.RecordVaultTokenUnreadCountDataPoint(now, counts.Unread)
	mb.RecordVaultTokenUnfollowedCountDataPoint(now, counts.Unfollowed)
}

// RenderTokens returns the events of tokens that are about to end; nothing else
// that happens to a token is told. mounts are the paths of those that are known.
func (s *Story) RenderTokens(observed time.Time, resource pcommon.Resource, mounts []string, effects []state.TokenEffect) watch.Telemetry {
	told := watch.EmptyTelemetry()
	var records []func(*metadata.LogsBuilder)
	for _, e := range effects {
		if e.Event != state.LifeExpiring {
			continue
		}
		token, left := e.Life.Detail, max(0, e.Life.Expected.Sub(e.At).Seconds())
		records = append(records, func(logs *metadata.LogsBuilder) {
			logs.RecordVaultTokenExpiringEvent(context.Background(), pcommon.NewTimestampFromTime(e.At),
				token.Mount(mounts), token.Path, token.DisplayName, state.HashOf(e.Life.ID), left)
		})
	}
	if len(records) > 0 {
		told.Logs = s.logs(observed, resource, describeToken, records...)
	}
	return told
}

func describeToken(event plog.LogRecord) (plog.SeverityNumber, string) {
	path, _ := event.Attributes().Get("vault.token.path")
	return plog.SeverityNumberWarn, "a token of " + path.Str() + " is about to end"
}
