// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

// A signal whose queue was full goes on with a gap, which names the indexes, and
// with what differs. The state of the other one is left as it is.
func TestAFullQueueIsAGapWithItsRange(t *testing.T) {
	w, err := newWatcher(defaultConfig(), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	scope := newScope(w, nil, "dc1")
	s := source[state.CheckID, state.Check]{
		scope: scope, endpoint: endpointChecks,
		step: scope.health.Step, fork: func() step[state.CheckID, state.Check] { return scope.health.Clone().Step },
	}
	began := time.Unix(1000, 0)
	seen := func(index uint64, a, b state.Status) observation[state.CheckID, state.Check] {
		check := func(status state.Status) state.Check {
			return state.Check{Service: "web", Status: status, Index: index}
		}
		return observation[state.CheckID, state.Check]{Observation: state.Observation[state.CheckID, state.Check]{
			Seen:    state.Seen{Index: index},
			Objects: state.Checks{{Node: "n", Check: "a"}: check(a), {Node: "n", Check: "b"}: check(b)},
		}}
	}
	names := func(t watch.Telemetry) (all []string) {
		for _, rl := range t.Logs.ResourceLogs().All() {
			for _, record := range rl.ScopeLogs().At(0).LogRecords().All() {
				all = append(all, record.EventName())
			}
		}
		return all
	}
	assert.Empty(t, names(s.report(began, seen(10, state.Passing, state.Passing))))
	s.report(began.Add(time.Second), seen(11, state.Critical, state.Passing))
	across := s.reportApart()
	s.report(began.Add(2*time.Second), seen(12, state.Passing, state.Passing))
	s.report(began.Add(3*time.Second), seen(13, state.Passing, state.Warning))
	last := seen(14, state.Passing, state.Critical)
	s.report(began.Add(4*time.Second), last)
	before := scope.health.Save()
	transitions := scope.health.Transitions()

	got := across(began.Add(4*time.Second), last, true)
	require.Equal(t, []string{"consul.watch.gap", transition, transition}, names(got))
	events := got.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	for key, want := range map[string]string{"consul.index.old": "11", "consul.index.new": "14"} {
		assert.Equal(t, want, attribute(t, events.At(0), key))
	}
	for i, check := range []string{"a", "b"} {
		assert.Equal(t, check, attribute(t, events.At(i+1), attrCheck))
		assert.Equal(t, "true", attribute(t, events.At(i+1), "observation.reconciled"))
		assert.Equal(t, began.Add(4*time.Second).UTC(), events.At(i+1).Timestamp().AsTime())
	}
	assert.Equal(t, before, scope.health.Save(), "the present state is left as it is")
	assert.Equal(t, transitions, scope.health.Transitions())
	// What began in the signal ends in it, whatever the other one calls it.
	started := spansOf(got, telemetry.SpanOutage+".start")
	require.Len(t, started, 1)
	after := seen(15, state.Passing, state.Passing)
	s.report(began.Add(5*time.Second), after)
	ended := spansOf(across(began.Add(5*time.Second), after, false), telemetry.SpanOutage)
	require.Len(t, ended, 1)
	assert.Equal(t, started[0].ParentSpanID(), ended[0].SpanID())
	assert.Equal(t, started[0].TraceID(), ended[0].TraceID())
}

// When the token was narrowed meanwhile, what it hides has not gone.
func TestWhatATokenHidesMeanwhileHasNotGone(t *testing.T) {
	w, err := newWatcher(defaultConfig(), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	scope := newScope(w, nil, "dc1")
	s := register(scope, endpointServices, w.pick.catalogServices, &scope.services, limit{})
	seen := func(index uint64, names ...string) observation[string, state.Service] {
		o := observation[string, state.Service]{Observation: state.Observation[string, state.Service]{
			Seen: state.Seen{Index: index}, Objects: map[string]state.Service{},
		}}
		for _, name := range names {
			o.Objects[name] = state.Service{}
		}
		return o
	}
	at := time.Unix(1000, 0)
	s.report(at, seen(10, "hidden", "shown"))
	apart := s.reportApart()
	narrowed := seen(10, "shown")
	narrowed.Rebased, narrowed.hidden = true, true
	s.report(at.Add(time.Second), narrowed)
	last := seen(11, "shown", "new")
	s.report(at.Add(2*time.Second), last)
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
