// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.uber.org/zap"
)

func TestMiswired(t *testing.T) {
	for _, tc := range []struct {
		name, settings  string
		traces, metrics int // pipelines
		want            string
	}{
		{name: "both", settings: requests(""), traces: 1, metrics: 1},
		{name: "two of both", settings: requests(""), traces: 2, metrics: 2},
		{name: "metrics alone, without rules", metrics: 1},
		{
			name: "metrics alone", settings: requests(""), metrics: 1,
			want: "exemplar attaches nothing, as it sees no spans: put it into a traces pipeline too, under the same ID and behind tail_sampling",
		},
		{
			name: "metrics alone, with a preset", settings: "attach: {presets: [http]}", metrics: 2,
			want: "exemplar attaches nothing, as it sees no spans: put it into a traces pipeline too, under the same ID and behind tail_sampling",
		},
		{
			name: "traces alone", settings: requests(""), traces: 1,
			want: "exemplar attaches nothing, as it sees no metrics: put it into a metrics pipeline too, under the same ID, or take it out of the traces pipeline",
		},
		{
			name: "traces alone, without rules", traces: 1,
			want: "exemplar has no use for spans: set attach::presets or attach::rules, or take it out of the traces pipeline",
		},
		{
			name: "both, without rules", traces: 1, metrics: 1,
			want: "exemplar has no use for spans: set attach::presets or attach::rules, or take it out of the traces pipeline",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := unwired(t, configured(t, tc.settings))
			var all []component.Component
			for range tc.metrics {
				all = append(all, w.newMetrics(t, consumertest.NewNop()))
			}
			for range tc.traces {
				all = append(all, w.newTraces(t, consumertest.NewNop()))
			}
			for _, c := range all {
				w.start(t, c)
			}
			warnings := w.log.FilterLevelExact(zap.WarnLevel).All()
			if tc.want == "" {
				assert.Empty(t, warnings)
				assert.Empty(t, w.host.events)
				return
			}
			require.Len(t, warnings, 1, "once, however many pipelines there are")
			assert.Equal(t, tc.want, warnings[0].Message)
			require.Len(t, w.host.events, len(all), "of each pipeline")
			for _, event := range w.host.events {
				assert.Equal(t, componentstatus.StatusRecoverableError, event.Status())
				assert.EqualError(t, event.Err(), tc.want)
			}
		})
	}
}

// A preset has rules for what nobody has, so only rules of one's own are told.
func TestARuleWithoutMetricsIsTold(t *testing.T) {
	w := wire(t, configured(t, `
attach:
  presets: [http]
  rules:
    - {name: mistaken, metrics: [requests_bucket], join: [{metric: service.name}]}
    - {name: right, metrics: [requests], join: [{metric: service.name}]}
`))
	w.pass(t, 10, sum(1).named("requests", ""))
	w.traces.(*traces).Observer.warnOfUnwanted()
	warnings := w.log.FilterLevelExact(zap.WarnLevel).All()
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0].Message, "attach::rules[0]::metrics")
	assert.Equal(t, "mistaken", warnings[0].ContextMap()["rule"])
}
