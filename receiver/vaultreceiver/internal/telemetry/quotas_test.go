// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func TestQuotas(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	began := now.Add(-time.Hour)
	quotas := state.Quotas{
		Limits:   map[string]state.RateLimit{"all": {PerSecond: 166.675}, "small": {Path: "kv/", PerSecond: 2}},
		Refusals: state.Refusals{Since: began, Counts: map[string]int64{"small": 8, "gone": 3}},
	}
	settings := receivertest.NewNopSettings(metadata.Type)
	mb := metadata.NewMetricsBuilder(metadata.NewDefaultMetricsBuilderConfig(), settings)
	RecordQuotas(mb, pcommon.NewTimestampFromTime(now), quotas)
	metrics := mb.Emit(metadata.WithResource(resource()))
	all := metrics.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	cfg := metadata.NewDefaultMetricsBuilderConfig()
	AppendRefusals(all, cfg, settings, pcommon.NewTimestampFromTime(now), quotas)
	begun := 0
	for _, m := range all.All() {
		if m.Name() == "vault.quota.refusals" {
			for _, p := range m.Sum().DataPoints().All() {
				assert.Equal(t, began.UTC(), p.StartTimestamp().AsTime())
				begun++
			}
		}
	}
	assert.Equal(t, 2, begun)
	goldentest.Metrics(t, "quotas refuse requests", metrics)

	quotas.Old = true
	none := pmetric.NewMetricSlice()
	AppendRefusals(none, cfg, settings, pcommon.NewTimestampFromTime(now), quotas)
	assert.Zero(t, none.Len(), "what is old is not measured")
	quotas.Old, cfg.Metrics.VaultQuotaRefusals.Enabled = false, false
	AppendRefusals(none, cfg, settings, pcommon.NewTimestampFromTime(now), quotas)
	assert.Zero(t, none.Len(), "nor what nobody wants")

	story := NewStory(metadata.DefaultLogsBuilderConfig(), settings)
	told := story.RenderQuotas(now, now.Add(-time.Second), resource(), []state.Exceeded{{Name: "all", Refused: 1}, {Name: "small", Path: "kv/", Refused: 8}})
	goldentest.Logs(t, "quotas refuse requests", told.Logs)
	require.Zero(t, story.RenderQuotas(now, now, resource(), nil).Logs.LogRecordCount())
}
