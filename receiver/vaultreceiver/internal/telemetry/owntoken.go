// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	attrLeft   = "vault.own_token.left"
	attrDenial = "vault.own_token.denial"
)

// RecordOwnToken records how long the receiver's own token will work yet.
func RecordOwnToken(mb *metadata.MetricsBuilder, now pcommon.Timestamp, source metadata.AttributeVaultOwnTokenSource, s state.OwnSight) {
	if left, ok := s.Left(now.AsTime()); ok {
		mb.RecordVaultOwnTokenTTLDataPoint(now, int64(left.Seconds()), source)
	}
}

// RenderOwnToken returns the events of the receiver's own token.
func (s *Story) RenderOwnToken(now time.Time, source metadata.AttributeVaultOwnTokenSource, resource pcommon.Resource, effects []state.OwnEffect) watch.Telemetry {
	told := watch.EmptyTelemetry()
	if len(effects) == 0 {
		return told
	}
	one, all := metadata.NewLogsBuilder(s.config, s.settings), metadata.NewLogsBuilder(s.config, s.settings)
	for _, e := range effects {
		recordOwnToken(one, pcommon.NewTimestampFromTime(now), source, e)
		eventlog.Each(one.Emit(), all.AppendLogRecord)
	}
	told.Logs = eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), now, describeOwnToken)
	eventlog.Each(told.Logs, func(record plog.LogRecord) {
		record.Attributes().RemoveIf(func(key string, value pcommon.Value) bool {
			return key == attrLeft && value.Double() == 0
		})
	})
	return told
}

func recordOwnToken(logs *metadata.LogsBuilder, at pcommon.Timestamp, source metadata.AttributeVaultOwnTokenSource, e state.OwnEffect) {
	ctx, left := context.Background(), e.Left.Seconds()
	switch e.Event {
	case state.TokenDenied:
		logs.RecordVaultOwnTokenDeniedEvent(ctx, at, source, metadata.MapAttributeVaultOwnTokenDenial[string(e.Denial)])
	case state.TokenReplaced:
		logs.RecordVaultOwnTokenReplacedEvent(ctx, at, source, left)
	case state.TokenRenewed:
		logs.RecordVaultOwnTokenRenewedEvent(ctx, at, source, left)
	case state.TokenExpiring:
		logs.RecordVaultOwnTokenExpiringEvent(ctx, at, source, left)
	}
}

func describeOwnToken(event plog.LogRecord) (plog.SeverityNumber, string) {
	switch event.EventName() {
	case "vault.own_token.replaced":
		return plog.SeverityNumberInfo, "the receiver uses another token"
	case "vault.own_token.renewed":
		return plog.SeverityNumberInfo, "the receiver's token was renewed"
	case "vault.own_token.expiring":
		left, _ := event.Attributes().Get(attrLeft)
		return plog.SeverityNumberWarn, fmt.Sprintf("the receiver's token ends in %s", time.Duration(left.Double()*float64(time.Second)).Round(time.Second))
	}
	if denial, _ := event.Attributes().Get(attrDenial); denial.Str() == string(state.LoginRefused) {
		return plog.SeverityNumberWarn, "the receiver has no token: its login is refused"
	}
	return plog.SeverityNumberWarn, "the receiver's token is not or no longer valid"
}
