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

func TestTheEventsOfTokens(t *testing.T) {
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	now := time.Unix(1_000_000, 0)
	effect := func(event state.LifeEvent, accessor string, token state.Token, left time.Duration) state.TokenEffect {
		return state.TokenEffect{Event: event, At: now, Life: state.Life[state.Token]{
			ID: accessor, Detail: token, Expires: now.Add(left), Expected: now.Add(left),
		}}
	}
	ann := state.NewToken("auth/team/up/login/ann", "team-up-ann")
	told := story.RenderTokens(now.Add(time.Second), resource(), []string{"auth/team/up/", "auth/token/"}, []state.TokenEffect{
		effect(state.LifeExpiring, "aaaaaaaaaaaaaaaaaaaaaaaa", ann, 90*time.Second),
		effect(state.LifeRenewed, "aaaaaaaaaaaaaaaaaaaaaaaa", ann, time.Hour),
		effect(state.LifeExpiring, "bbbbbbbbbbbbbbbbbbbbbbbb", state.NewToken("auth/token/create/app", "token"), -time.Second),
		effect(state.LifeEnded, "bbbbbbbbbbbbbbbbbbbbbbbb", state.NewToken("auth/token/create/app", "token"), -time.Second),
	})
	goldentest.Logs(t, "tokens are about to end", told.Logs)
	require.Zero(t, told.Traces.SpanCount())
	require.Zero(t, story.RenderTokens(now, resource(), nil, []state.TokenEffect{effect(state.LifeCreated, "a", ann, time.Hour)}).Logs.LogRecordCount())
}

func TestTheNumbersOfTokens(t *testing.T) {
	goldentest.Metrics(t, "tokens of two auth methods", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordTokenCounts(mb, now, state.RosterCounts{
			Followed: map[state.Standing]int64{
				{Group: "auth/token/", Expiry: state.ExpiryNever}:     1,
				{Group: "auth/userpass/", Expiry: state.ExpiryHour}:   2,
				{Group: "auth/userpass/", Expiry: state.ExpiryMinute}: 3,
				{Group: "auth/userpass/", Expiry: state.ExpiryPassed}: 4,
				{Group: "auth/userpass/", Expiry: state.ExpiryLater}:  5,
			},
			Groups: map[string]int64{"": 6, "auth/token/": 1, "auth/userpass/": 14},
			Unread: 6, Unfollowed: 7,
		})
	}))
}
