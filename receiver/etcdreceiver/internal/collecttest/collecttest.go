// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package collecttest renders changes, and records metrics, for golden files.
package collecttest

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

const cluster = "cdf818194e3a8c32"

// Resource returns the resource of a cluster.
func Resource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("etcd")
	rb.SetEtcdClusterID(cluster)
	return rb.Emit()
}

// Scenario renders steps, one every ten seconds.
type Scenario struct {
	Now    time.Time
	Traces ptrace.Traces
	Logs   plog.Logs
}

// NewScenario returns a Scenario without steps.
func NewScenario() *Scenario {
	return &Scenario{Now: time.Unix(1_000_000, 0), Traces: ptrace.NewTraces(), Logs: plog.NewLogs()}
}

// Step renders a step.
func (s *Scenario) Step(render func(*collect.Renderer)) {
	r := collect.NewRenderer(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type), s.Now, cluster)
	render(r)
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

// RequireMetrics requires that what is recorded equals the file of a scenario.
func RequireMetrics(t *testing.T, scenario string, record func(collect.Metrics)) {
	t.Helper()
	mb := metadata.NewMetricsBuilder(metadata.NewDefaultMetricsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	record(collect.Metrics{MetricsBuilder: mb, Now: time.Unix(1_000_000, 0), More: pmetric.NewMetricSlice()})
	goldentest.Metrics(t, scenario, mb.Emit(metadata.WithResource(Resource())))
}
