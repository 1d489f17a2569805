// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestTheEventsOfTheOwnToken(t *testing.T) {
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	render := func(effects ...state.OwnEffect) (int, func()) {
		told := story.RenderOwnToken(time.Unix(1_000_000, 0), metadata.AttributeVaultOwnTokenSourceApprole, resource(), effects)
		require.Zero(t, told.Traces.SpanCount())
		return told.Logs.LogRecordCount(), func() { goldentest.Logs(t, "the own token is denied, replaced and renewed", told.Logs) }
	}
	count, compare := render(
		state.OwnEffect{Event: state.TokenExpiring, Left: 1500 * time.Millisecond},
		state.OwnEffect{Event: state.TokenDenied, Denial: state.InvalidToken},
		state.OwnEffect{Event: state.TokenDenied, Denial: state.LoginRefused},
		state.OwnEffect{Event: state.TokenReplaced},
		state.OwnEffect{Event: state.TokenRenewed, Left: time.Hour},
	)
	require.Equal(t, 5, count)
	compare()
	count, _ = render()
	require.Zero(t, count)
}

func TestTheEndOfTheOwnToken(t *testing.T) {
	record := func(sight state.OwnSight) func(*metadata.MetricsBuilder, pcommon.Timestamp) {
		return func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
			RecordOwnToken(mb, now, metadata.AttributeVaultOwnTokenSourceTokenFile, sight)
		}
	}
	ends := state.OwnToken{ID: "a", Known: true, Expires: time.Unix(1_003_600, 0)}
	goldentest.Metrics(t, "the own token ends in an hour", metrics(record(state.OwnSight{}.Accept(ends))))
	require.Zero(t, metrics(record(state.OwnSight{}.Accept(ends).Deny(state.InvalidToken))).DataPointCount())
}
