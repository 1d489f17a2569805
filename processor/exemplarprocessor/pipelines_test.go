// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var errRefused = errors.New("refused, but not for good")

func text(t *testing.T, td ptrace.Traces) string {
	t.Helper()
	json, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	require.NoError(t, err)
	return string(json)
}

func held(w *wired) int {
	return w.traces.(*traces).Observer.store.Stats().Candidates
}

func TestSpansPassAsTheyAre(t *testing.T) {
	w := wire(t, configured(t, requests("")))
	require.False(t, w.traces.Capabilities().MutatesData)
	require.True(t, w.metrics.Capabilities().MutatesData)
	td := tracesOf(t, span{n: 1, end: 1, took: 1, attrs: map[string]any{"a": "b"}}, span{n: 2, end: 2, took: 1, flags: 0x102})
	before := text(t, td)
	td.MarkReadOnly() // A change panics.
	w.clock.Store(int64(at(3)))
	require.NoError(t, w.traces.ConsumeTraces(t.Context(), td))
	require.Len(t, w.spans.AllTraces(), 1)
	assert.Equal(t, before, text(t, w.spans.AllTraces()[0]))
	assert.Equal(t, 1, held(w))
}

func TestSpansThatWereRefusedAreNotRemembered(t *testing.T) {
	w := unwired(t, configured(t, requests("")))
	refuses := true
	next, err := consumer.NewTraces(func(context.Context, ptrace.Traces) error {
		if refuses {
			return errRefused
		}
		return nil
	})
	require.NoError(t, err)
	w.traces, w.metrics = w.newTraces(t, next), w.newMetrics(t, &w.out)
	w.start(t, w.traces, w.metrics)
	w.clock.Store(int64(at(5)))
	td := tracesOf(t, span{n: 1, end: 4, took: .05})
	require.ErrorIs(t, w.traces.ConsumeTraces(t.Context(), td), errRefused)
	assert.Zero(t, held(w))
	assert.Zero(t, exemplarsIn(w.pass(t, 6, sum(1))))

	refuses = false
	require.NoError(t, w.traces.ConsumeTraces(t.Context(), td))
	assert.Equal(t, 1, held(w))
	assert.Equal(t, 1, exemplarsIn(w.pass(t, 7, sum(1))), "once")
	assert.Zero(t, exemplarsIn(w.pass(t, 8, sum(2))))
}

func TestTheNextConsumerMayTakeTheSpansAway(t *testing.T) {
	w := unwired(t, configured(t, requests("")))
	next, err := consumer.NewTraces(func(_ context.Context, td ptrace.Traces) error {
		td.ResourceSpans().MoveAndAppendTo(ptrace.NewTraces().ResourceSpans()) // As batch does.
		return nil
	})
	require.NoError(t, err)
	w.traces, w.metrics = w.newTraces(t, next), w.newMetrics(t, &w.out)
	w.start(t, w.traces, w.metrics)
	w.feed(t, 5, span{n: 1, end: 4, took: .05})
	assert.Equal(t, 1, exemplarsIn(w.pass(t, 6, durations(1, 0, 0))))
}

func TestErrorsOfTheNextConsumerPass(t *testing.T) {
	w := unwired(t, configured(t, requests("")))
	w.traces, w.metrics = w.newTraces(t, consumertest.NewNop()), w.newMetrics(t, consumertest.NewErr(errRefused))
	w.start(t, w.traces, w.metrics)
	require.ErrorIs(t, w.metrics.ConsumeMetrics(t.Context(), metricsOf(t, 1, sum(1))), errRefused)
}

func TestPipelinesShareWhatTheyRemember(t *testing.T) {
	w := unwired(t, configured(t, requests("")))
	other := unwired(t, configured(t, requests("")))
	other.factory = w.factory // Another ID has another configuration, even if it says the same.

	w.traces, w.metrics = w.newTraces(t, &w.spans), w.newMetrics(t, &w.out)
	secondTraces, secondMetrics := w.newTraces(t, consumertest.NewNop()), w.newMetrics(t, &other.out)
	w.start(t, w.traces, w.metrics, secondTraces, secondMetrics)
	other.traces, other.metrics = other.newTraces(t, &other.spans), other.newMetrics(t, &other.out)
	other.start(t, other.traces, other.metrics)

	w.feed(t, 3, span{n: 1, end: 2, took: .05})
	require.NoError(t, secondTraces.ConsumeTraces(t.Context(), tracesOf(t, span{n: 2, end: 3, took: .5})))
	assert.Equal(t, 2, exemplarsIn(w.pass(t, 4, durations(1, 1, 0))), "spans of both")
	require.NoError(t, secondMetrics.ConsumeMetrics(t.Context(), metricsOf(t, 4, durations(1, 1, 0))))
	assert.Equal(t, 2, exemplarsIn(other.out.AllMetrics()[0]), "in the series of both")
	other.clock.Store(int64(at(4)))
	assert.Zero(t, exemplarsIn(other.pass(t, 4, durations(1, 1, 0))), "not in those of another processor")
}

func TestWhatIsSharedEndsWithTheLastPipeline(t *testing.T) {
	w := unwired(t, configured(t, requests("")))
	w.traces, w.metrics = w.newTraces(t, &w.spans), w.newMetrics(t, &w.out)
	secondTraces, secondMetrics := w.newTraces(t, consumertest.NewNop()), w.newMetrics(t, consumertest.NewNop())
	ctx := t.Context()
	for _, c := range []component.Component{w.traces, w.metrics, secondTraces, secondMetrics} {
		require.NoError(t, c.Start(ctx, w.host))
	}
	require.NoError(t, secondTraces.Shutdown(ctx))
	require.NoError(t, secondMetrics.Shutdown(ctx))
	w.feed(t, 3, span{n: 1, end: 2, took: .05})
	assert.Equal(t, 1, exemplarsIn(w.pass(t, 4, durations(1, 0, 0))), "the others work on")
	require.NoError(t, w.metrics.Shutdown(ctx))
	require.NoError(t, w.traces.Shutdown(ctx))

	w.traces, w.metrics = w.newTraces(t, &w.spans), w.newMetrics(t, &w.out)
	w.start(t, w.traces, w.metrics)
	assert.Zero(t, held(w), "a new start knows nothing")
	assert.Zero(t, exemplarsIn(w.pass(t, 5, durations(2, 0, 0))))
	w.feed(t, 7, span{n: 2, end: 3, took: .05}, span{n: 3, end: 6, took: .05})
	out := w.pass(t, 8, durations(3, 0, 0))
	require.Equal(t, 1, exemplarsIn(out), "and works")
	eachExemplars(out, func(_ pcommon.Map, _ pmetric.Metric, _ dataPoint, exemplars pmetric.ExemplarSlice) {
		assert.Equal(t, pcommon.TraceID{15: 3}, exemplars.At(0).TraceID(), "only with what it can know of")
	})
}

func TestManyAtOnce(t *testing.T) {
	const workers, rounds = 8, 200
	w := unwired(t, configured(t, "attach: {candidates: 50, series: 20, rules: [{metrics: [requests.*], join: ["+
		"{metric: service.name}, {metric: service.instance.id, optional: true}, {metric: zone, optional: true}]}]}"))
	w.traces, w.metrics = w.newTraces(t, consumertest.NewNop()), w.newMetrics(t, &w.out)
	w.start(t, w.traces, w.metrics)
	w.clock.Store(int64(at(rounds)))
	errs := make([]error, workers)
	var all sync.WaitGroup
	for worker := range workers {
		service := attrs{"service.name": string(rune('a' + worker/2)), "service.instance.id": string(rune('a' + worker/4))}
		var feed []func() error
		for i := range rounds {
			seconds := float64(i)
			td := tracesOf(t, span{n: byte(i), end: seconds, took: .05, resource: service})
			md := metricsOf(t, seconds+1, durations(uint64(i), 0, 0).of(service), sum(int64(i)).of(service),
				exponential(uint64(i)).named("requests.exponential", "s").of(service))
			if worker%2 == 0 {
				feed = append(feed, func() error { return w.traces.ConsumeTraces(t.Context(), td) })
			} else {
				feed = append(feed, func() error { return w.metrics.ConsumeMetrics(t.Context(), md) })
			}
		}
		all.Go(func() {
			for _, do := range feed {
				errs[worker] = errors.Join(errs[worker], do())
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	assert.LessOrEqual(t, held(w), 50)
	assert.Len(t, w.out.AllMetrics(), workers/2*rounds)
}

// Flags tell that a span was not sampled where they tell of others that they were.
func TestSpansOfOneResourceTellWhichWereSampled(t *testing.T) {
	for name, tc := range map[string]struct {
		flags []uint32
		want  int
	}{
		"of an SDK that tells":         {[]uint32{0x100, 0x101, 0x301}, 2},
		"of one that tells of parents": {[]uint32{0x100, 0x100, 0x300}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := wire(t, configured(t, requests("")))
			td := tracesOf(t, span{n: 1, end: 1, took: .1}, span{n: 2, end: 2, took: .1}, span{n: 3, end: 3, took: .1})
			spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
			for i := 1; i < td.ResourceSpans().Len(); i++ {
				td.ResourceSpans().At(i).ScopeSpans().At(0).Spans().MoveAndAppendTo(spans)
			}
			for i, flags := range tc.flags {
				spans.At(i).SetFlags(flags)
			}
			w.clock.Store(int64(at(4)))
			require.NoError(t, w.traces.ConsumeTraces(t.Context(), td))
			assert.Equal(t, tc.want, held(w))
		})
	}
}

// One client whose clock is ahead takes nothing from the series of others that
// come after its own was forgotten.
func TestAClockThatIsAheadKeepsNoSpansOut(t *testing.T) {
	w := wire(t, configured(t, requests("series: 1")))
	ahead := durations(1, 0, 0).named("requests.ahead", "s").having(exemplar{n: 9, value: .05, at: 5000})
	w.clock.Store(int64(at(1)))
	require.NoError(t, w.metrics.ConsumeMetrics(t.Context(), metricsOf(t, 6000, ahead)))
	for i := range 300 { // In each shard of the series.
		w.feed(t, float64(10*i+5), span{n: byte(i%250 + 1), end: float64(10*i + 4), took: .05})
		got := w.pass(t, float64(10*i+10), durations(1, 0, 0).with(attrs{"n": i}))
		require.Equal(t, 1, exemplarsIn(got), i)
	}
}
