// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package collecttest renders the effects of steps for golden files.
package collecttest

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Resource returns the resource of a Consul.
func Resource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("consul")
	rb.SetServiceInstanceID("127.0.0.1:8500")
	rb.SetConsulDatacenter("dc1")
	return rb.Emit()
}

// Scenario renders steps, one every ten seconds.
type Scenario struct {
	Now    time.Time
	Traces ptrace.Traces
	Logs   plog.Logs

	config metadata.LogsBuilderConfig
}

// NewScenario returns a Scenario without steps.
func NewScenario(config metadata.LogsBuilderConfig) *Scenario {
	return &Scenario{Now: time.Unix(1_000_000, 0), Traces: ptrace.NewTraces(), Logs: plog.NewLogs(), config: config}
}

// Step renders the gap and the effects of a step.
func Step[E any](s *Scenario, gap *snapshot.Gap, effects []E, render func(*collect.Renderer, []E)) {
	r := collect.NewRenderer(s.config, receivertest.NewNopSettings(metadata.Type), s.Now, "dc1")
	r.Instance = "127.0.0.1:8500"
	if gap != nil {
		r.Gap("the endpoint", *gap)
	}
	render(r, effects)
	rendered := r.Emit(Resource())
	rendered.Traces.ResourceSpans().MoveAndAppendTo(s.Traces.ResourceSpans())
	if rendered.Logs.LogRecordCount() > 0 {
		rendered.Logs.ResourceLogs().MoveAndAppendTo(s.Logs.ResourceLogs())
	}
	s.Now = s.Now.Add(10 * time.Second)
}

// RequireGolden requires that all that was rendered equals the files of a scenario.
func (s *Scenario) RequireGolden(t *testing.T, scenario string) {
	t.Helper()
	if s.Traces.SpanCount() > 0 {
		goldentest.Traces(t, scenario, s.Traces)
	}
	goldentest.Logs(t, scenario, s.Logs)
}
