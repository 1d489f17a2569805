// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/catalog"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func newEnv() *collect.Env {
	return collect.NewEnv(&collect.Shared{
		Settings: receivertest.NewNopSettings(metadata.Type), Events: metadata.DefaultLogsBuilderConfig(),
	}, nil, "dc1")
}

func attribute(event plog.LogRecord, key string) string {
	value, _ := event.Attributes().Get(key)
	return value.AsString()
}

// A signal whose queue was full goes on with a gap, which names the indexes, and
// with what differs. The state of the other one is left as it is.
func TestAFullQueueIsAGapWithItsRange(t *testing.T) {
	var h health.Health
	w := collect.Watch[health.CheckID, health.Check, health.Effect]{
		Env: newEnv(), Endpoint: health.Endpoint, Lock: &sync.Mutex{}, Step: h.Step,
		Fork: func() watch.Fork[collect.Step[health.CheckID, health.Check, health.Effect]] {
			return watch.Fork[collect.Step[health.CheckID, health.Check, health.Effect]]{Step: h.Clone().Step}
		},
		Render: health.Render,
	}
	began := time.Unix(1000, 0)
	observed := func(index uint64, a, b health.Status) snapshot.Observation[health.CheckID, health.Check] {
		check := func(status health.Status) health.Check {
			return health.Check{Service: "web", Status: status, Index: index}
		}
		return snapshot.Observation[health.CheckID, health.Check]{
			Continuity: snapshot.Continuity{Index: index},
			Objects:    health.Checks{{Node: "n", Check: "a"}: check(a), {Node: "n", Check: "b"}: check(b)},
		}
	}
	names := func(t watch.Telemetry) (all []string) {
		for _, rl := range t.Logs.ResourceLogs().All() {
			for _, record := range rl.ScopeLogs().At(0).LogRecords().All() {
				all = append(all, record.EventName())
			}
		}
		return all
	}
	assert.Empty(t, names(w.Report(began, observed(10, health.Passing, health.Passing), false)))
	w.Report(began.Add(time.Second), observed(11, health.Critical, health.Passing), false)
	across := w.ForkReport()
	w.Report(began.Add(2*time.Second), observed(12, health.Passing, health.Passing), false)
	w.Report(began.Add(3*time.Second), observed(13, health.Passing, health.Warning), false)
	last := observed(14, health.Passing, health.Critical)
	w.Report(began.Add(4*time.Second), last, false)
	before := h.Save()
	transitions := h.Transitions()

	got := across(began.Add(4*time.Second), last, true)
	const transition = "consul.check.transition"
	require.Equal(t, []string{"consul.watch.gap", transition, transition}, names(got))
	events := got.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	for key, want := range map[string]string{"consul.gap.old_index": "11", "consul.gap.new_index": "14"} {
		assert.Equal(t, want, attribute(events.At(0), key))
	}
	for i, check := range []string{"a", "b"} {
		assert.Equal(t, check, attribute(events.At(i+1), "consul.check.id"))
		assert.Equal(t, "true", attribute(events.At(i+1), "observation.reconciled"))
		assert.Equal(t, began.Add(4*time.Second).UTC(), events.At(i+1).Timestamp().AsTime())
	}
	assert.Equal(t, before, h.Save(), "the present state is left as it is")
	assert.Equal(t, transitions, h.Transitions())
	// What began in the signal ends in it, whatever the other one calls it.
	started := spansOf(got, health.SpanOutage+".start")
	require.Len(t, started, 1)
	after := observed(15, health.Passing, health.Passing)
	w.Report(began.Add(5*time.Second), after, false)
	ended := spansOf(across(began.Add(5*time.Second), after, false), health.SpanOutage)
	require.Len(t, ended, 1)
	assert.Equal(t, started[0].ParentSpanID(), ended[0].SpanID())
	assert.Equal(t, started[0].TraceID(), ended[0].TraceID())
}

// When the token was narrowed meanwhile, what it hides has not gone.
func TestWhatATokenHidesMeanwhileHasNotGone(t *testing.T) {
	w := collect.NewObjects(newEnv(), catalog.EndpointServices, collect.Limit{}, catalog.ReadServices(collect.Filters{}), catalog.RenderService)
	observed := func(index uint64, names ...string) snapshot.Observation[string, catalog.Service] {
		o := snapshot.Observation[string, catalog.Service]{
			Continuity: snapshot.Continuity{Index: index}, Objects: map[string]catalog.Service{},
		}
		for _, name := range names {
			o.Objects[name] = catalog.Service{}
		}
		return o
	}
	at := time.Unix(1000, 0)
	w.Report(at, observed(10, "hidden", "shown"), false)
	apart := w.ForkReport()
	narrowed := observed(10, "shown")
	narrowed.Rebased = true
	w.Report(at.Add(time.Second), narrowed, true)
	last := observed(11, "shown", "new")
	w.Report(at.Add(2*time.Second), last, false)
	var names []string
	for _, record := range apart(at.Add(2*time.Second), last, true).Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		names = append(names, record.EventName())
	}
	assert.Equal(t, []string{"consul.watch.gap", "consul.results.filtered"}, names, "what came or went may have with the view")
}

func spansOf(t watch.Telemetry, name string) (spans []ptrace.Span) {
	for _, rs := range t.Traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			if span.Name() == name {
				spans = append(spans, span)
			}
		}
	}
	return spans
}
