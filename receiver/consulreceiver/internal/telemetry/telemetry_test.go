// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

var (
	web  = state.CheckID{Node: "n1", Check: "service:web"}
	serf = state.CheckID{Node: "n1", Check: "serfHealth"}
)

func checks(status state.Status, index uint64) state.Checks {
	return state.Checks{
		web:  {Name: "web alive", Service: "web", ServiceID: "web-1", Status: status, Index: index},
		serf: {Name: "Serf Health Status", Status: state.Passing, Index: 1},
	}
}

func resource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("consul")
	rb.SetServiceInstanceID("127.0.0.1:8500")
	rb.SetConsulDatacenter("dc1")
	return rb.Emit()
}

// tell renders a course of observations, one every ten seconds.
func tell(config metadata.LogsBuilderConfig, observations ...state.Observation) (ptrace.Traces, plog.Logs) {
	story := NewStory(config, receivertest.NewNopSettings(metadata.Type))
	var machine state.Machine
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	for i, o := range observations {
		now := time.Unix(1_000_000, 0).Add(time.Duration(i) * 10 * time.Second)
		told := story.Render(now, "dc1", resource(), machine.Step(now, o))
		told.Traces.ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
		told.Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return traces, logs
}

func TestAnOutageOpensWorsensAndCloses(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		state.Observation{Index: 5, Checks: checks(state.Passing, 5)},
		state.Observation{Index: 6, Checks: checks(state.Warning, 6)},
		state.Observation{Index: 7, Checks: checks(state.Critical, 7), Gap: true},
		state.Observation{Index: 8, Checks: checks(state.Passing, 8)},
	)
	goldentest.Traces(t, "an outage opens, worsens and closes", traces)
	goldentest.Logs(t, "an outage opens, worsens and closes", logs)
}

func TestAnOutageThatBeganBefore(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		state.Observation{Index: 5, Checks: checks(state.Critical, 5)},
		state.Observation{Index: 6, Checks: checks(state.Passing, 6)},
	)
	goldentest.Traces(t, "an outage that began before is told at its end", traces)
	goldentest.Logs(t, "an outage that began before is told at its end", logs)
}

func TestADisabledEventLeavesTheSpans(t *testing.T) {
	config := metadata.DefaultLogsBuilderConfig()
	config.Events.ConsulCheckTransition.Enabled = false
	traces, logs := tell(config,
		state.Observation{Index: 5, Checks: checks(state.Passing, 5)},
		state.Observation{Index: 6, Checks: checks(state.Critical, 6)},
	)
	require.Equal(t, 1, traces.SpanCount())
	require.Zero(t, logs.LogRecordCount())
}

func metrics(record func(*metadata.MetricsBuilder, pcommon.Timestamp)) pmetric.Metrics {
	mb := metadata.NewMetricsBuilder(metadata.NewDefaultMetricsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	record(mb, pcommon.NewTimestampFromTime(time.Unix(1_000_000, 0)))
	return mb.Emit(metadata.WithResource(resource()))
}

func TestMetricsOfAConsulThatAnswers(t *testing.T) {
	goldentest.Metrics(t, "metrics of a Consul that answers", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, true)
		RecordChecks(mb, now, checks(state.Critical, 5))
		RecordUsage(mb, now, state.Usage{Datacenter: "dc1", Nodes: 3, Services: 2, Instances: 5})
	}))
}

func TestMetricsOfAConsulThatIsAbsent(t *testing.T) {
	goldentest.Metrics(t, "metrics of a Consul that is absent", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, false)
	}))
}
