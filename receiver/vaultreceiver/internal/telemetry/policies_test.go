// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestTheEventsOfPolicies(t *testing.T) {
	story := newStory()
	seen, now := time.Unix(1_000_000, 0), time.Unix(1_000_001, 0)
	told := story.RenderPolicies(now, seen, resource(), []state.PolicyChange{
		{Event: state.PolicyCreated, Name: "app"}, {Event: state.PolicyChanged, Name: "ops"}, {Event: state.PolicyDeleted, Name: "team/old"},
	}, false)
	require.Zero(t, told.Traces.SpanCount())
	goldentest.Logs(t, "policies come, change and go", told.Logs)
	require.Zero(t, story.RenderPolicies(now, seen, resource(), nil, true).Logs.LogRecordCount())
}
