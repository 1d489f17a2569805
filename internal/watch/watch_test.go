// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/watch/internal/metadatatest"
)

var (
	errBusy      = errors.New("queue is full")
	receiverAttr = attribute.String("receiver", "test")
)

// bench is a Delivery under test, with what its consumers accepted.
type bench struct {
	*Delivery
	telemetry *componenttest.Telemetry
	log       *observer.ObservedLogs
	logs      consumertest.LogsSink
	traces    consumertest.TracesSink
}

func newBench(t *testing.T) *bench {
	b := &bench{telemetry: componenttest.NewTelemetry()}
	t.Cleanup(func() { require.NoError(t, b.telemetry.Shutdown(context.Background())) })
	core, log := observer.New(zap.InfoLevel)
	b.log = log
	settings := receivertest.NewNopSettings(component.MustNewType("test"))
	settings.ID = component.MustNewID("test")
	settings.TelemetrySettings = b.telemetry.NewTelemetrySettings()
	settings.Logger = zap.New(core)
	var err error
	b.Delivery, err = NewDelivery(settings, condition.NewReporter(settings.Logger))
	require.NoError(t, err)
	b.Logs, b.Traces = &b.logs, &b.traces
	return b
}

// refuse has logs refused with what decide returns; nil accepts them. The consumer
// changes what it is given, as a processor may.
func (b *bench) refuse(decide func(logs plog.Logs) error) {
	next, err := consumer.NewLogs(func(ctx context.Context, logs plog.Logs) error {
		refusal := decide(logs)
		if refusal != nil {
			logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetEventName("changed")
			return refusal
		}
		return b.logs.ConsumeLogs(ctx, logs)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
	if err != nil {
		panic(err)
	}
	b.Logs = next
}

// refuseUntil has logs refused until the switch is on.
func (b *bench) refuseUntil() (accepts *atomic.Bool) {
	accepts = &atomic.Bool{}
	b.refuse(func(plog.Logs) error {
		if accepts.Load() {
			return nil
		}
		return errBusy
	})
	return accepts
}

// accepted returns the names of the events that were accepted.
func (b *bench) accepted() (all []string) {
	for _, logs := range b.logs.AllLogs() {
		all = append(all, names(logs)...)
	}
	return all
}

func (b *bench) spans() (all []string) {
	for _, traces := range b.traces.AllTraces() {
		for _, rs := range traces.ResourceSpans().All() {
			all = append(all, rs.ScopeSpans().At(0).Spans().At(0).Name())
		}
	}
	return all
}

func names(logs plog.Logs) (all []string) {
	for _, rl := range logs.ResourceLogs().All() {
		for _, record := range rl.ScopeLogs().At(0).LogRecords().All() {
			all = append(all, record.EventName())
		}
	}
	return all
}

// requireDropped requires that so many records were dropped, and none for another reason.
func (b *bench) requireDropped(t *testing.T, signal, reason string, records int64) {
	t.Helper()
	var points []metricdata.DataPoint[int64]
	for _, of := range []string{"logs", "traces"} {
		for _, why := range []string{droppedRefused, droppedShutdown, droppedQueueFull} {
			point := metricdata.DataPoint[int64]{Attributes: attribute.NewSet(
				receiverAttr, attribute.String("signal", of), attribute.String("reason", why))}
			if of == signal && why == reason {
				point.Value = records
			}
			points = append(points, point)
		}
	}
	metadatatest.AssertEqualWatchDropped(t, b.telemetry, points, metricdatatest.IgnoreTimestamp())
}

// telemetryOf returns an event and a span of that name.
func telemetryOf(name string) Telemetry {
	t := Telemetry{Logs: logsOf(name), Traces: ptrace.NewTraces()}
	t.Traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName(name)
	return t
}

func logsOf(names ...string) plog.Logs {
	logs := plog.NewLogs()
	for _, name := range names {
		logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetEventName(name)
	}
	return logs
}

// source returns what the test gives it, observation or error.
type source chan any

func (s source) next(ctx context.Context) (string, error) {
	select {
	case outcome := <-s:
		if err, failed := outcome.(error); failed {
			return "", err
		}
		return outcome.(string), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// run runs a loop in the background until end is called, or the test is over.
func (b *bench) run(t *testing.T, loop Loop[string]) (s source, end func()) {
	s = make(source)
	loop.Next, loop.Delivery, loop.Limit = s.next, b.Delivery, cmp.Or(loop.Limit, 4)
	if loop.Step == nil {
		loop.Step = func(_ time.Time, name string) Telemetry { return telemetryOf(name) }
	}
	if loop.Condition == nil {
		loop.Condition = func(error) {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); loop.Run(ctx) }()
	return s, func() { synctest.Wait(); cancel(); <-done }
}

// sleep lets time pass, and what is due in it come to its end.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestWhatIsRefusedWaitsUntilItIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, tries := newBench(t), 0
		b.refuse(func(plog.Logs) error {
			if tries++; tries <= 20 {
				return errBusy
			}
			return nil
		})
		s, end := b.run(t, Loop[string]{})
		s <- "a"
		sleep(time.Hour)
		assert.Equal(t, []string{"a"}, b.accepted(), "a refused batch is not offered again as the consumer left it")
		assert.Equal(t, []string{"a"}, b.spans())
		end()
	})
}

func TestARefusedSignalHoldsUpNoOtherAndNoObservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		accepts := b.refuseUntil()
		var stepped []time.Time
		s, end := b.run(t, Loop[string]{Step: func(now time.Time, name string) Telemetry {
			stepped = append(stepped, now)
			return telemetryOf(name)
		}})
		began := time.Now()
		for _, name := range []string{"a", "b", "c"} {
			s <- name
			sleep(10 * time.Second)
		}
		assert.Equal(t, []string{"a", "b", "c"}, b.spans())
		assert.Empty(t, b.accepted())
		assert.Equal(t, []time.Time{began, began.Add(10 * time.Second), began.Add(20 * time.Second)}, stepped, "each at the time it was observed")
		waiting := func(signal string, records int64) metricdata.DataPoint[int64] {
			return metricdata.DataPoint[int64]{Value: records, Attributes: attribute.NewSet(receiverAttr, attribute.String("signal", signal))}
		}
		metadatatest.AssertEqualWatchQueueSize(t, b.telemetry,
			[]metricdata.DataPoint[int64]{waiting("logs", 3), waiting("traces", 0)}, metricdatatest.IgnoreTimestamp())
		metadatatest.AssertEqualWatchQueueOldestTimestamp(t, b.telemetry, []metricdata.DataPoint[float64]{{
			Value: float64(began.Unix()), Attributes: attribute.NewSet(receiverAttr, attribute.String("signal", "logs")),
		}}, metricdatatest.IgnoreTimestamp())

		accepts.Store(true)
		sleep(retryAtMost)
		assert.Equal(t, []string{"a", "b", "c"}, b.accepted())
		metadatatest.AssertEqualWatchQueueSize(t, b.telemetry,
			[]metricdata.DataPoint[int64]{waiting("logs", 0), waiting("traces", 0)}, metricdatatest.IgnoreTimestamp())
		end()
	})
}

func TestDeliveryGoesOnWithinFiveSecondsOfARefusalsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ends := time.Now().Add(time.Hour)
		var offers []time.Duration
		b.refuse(func(plog.Logs) error {
			if offers = append(offers, time.Since(ends)); time.Now().Before(ends) {
				return errBusy
			}
			return nil
		})
		s, end := b.run(t, Loop[string]{})
		s <- "a"
		sleep(2 * time.Hour)
		assert.LessOrEqual(t, offers[len(offers)-1], retryAtMost)
		assert.Equal(t, []string{"a"}, b.accepted())
		end()
	})
}

func TestAllLoopsGoOnWhenOneIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var accepts atomic.Bool
		var mu sync.Mutex
		var acceptedAt []time.Time
		b.refuse(func(plog.Logs) error {
			if !accepts.Load() {
				return errBusy
			}
			mu.Lock()
			defer mu.Unlock()
			acceptedAt = append(acceptedAt, time.Now())
			return nil
		})
		for range 10 {
			s, end := b.run(t, Loop[string]{})
			defer end()
			s <- "a"
		}
		sleep(time.Hour)
		accepts.Store(true)
		sleep(retryAtMost)
		require.Len(t, acceptedAt, 10)
		assert.Equal(t, acceptedAt[0], acceptedAt[9])
	})
}

func TestWhatIsRefusedForGoodIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.refuse(func(logs plog.Logs) error {
			if slices.Contains(names(logs), "bad") {
				return consumererror.NewPermanent(errors.New("bad data"))
			}
			return nil
		})
		s, end := b.run(t, Loop[string]{})
		s <- "bad"
		synctest.Wait() // Else both would be one batch.
		s <- "good"
		end()
		assert.Equal(t, []string{"good"}, b.accepted())
		assert.Equal(t, []string{"bad", "good"}, b.spans())
		b.requireDropped(t, "logs", droppedRefused, 1)
		assert.Equal(t, 1, b.log.FilterMessage("dropped logs that the next consumer refused").Len())
	})
}

func TestWhatSeveralConsumersRefuseIsOfferedAgainToThoseThatMayAccept(t *testing.T) {
	permanent, part := consumererror.NewPermanent(errors.New("bad data")), consumererror.NewLogs(errBusy, logsOf("b"))
	for name, c := range map[string]struct {
		refusal error
		again   []string // that is offered after the refusal of "a", "b" and "c"; nil: nothing
		dropped int64
	}{
		"one for now":                         {refusal: errBusy, again: []string{"a", "b", "c"}},
		"one for good":                        {refusal: permanent, dropped: 3},
		"one a part":                          {refusal: part, again: []string{"b"}},
		"one a part, wrapped":                 {refusal: fmt.Errorf("exporter: %w", part), again: []string{"b"}},
		"one a part for good":                 {refusal: consumererror.NewLogs(permanent, logsOf("b")), dropped: 1},
		"one for good, one for now":           {refusal: errors.Join(permanent, errBusy), again: []string{"a", "b", "c"}},
		"one for now, one for good":           {refusal: errors.Join(errBusy, permanent), again: []string{"a", "b", "c"}},
		"one for good, one a part":            {refusal: errors.Join(permanent, part), again: []string{"b"}},
		"one a part, one for now":             {refusal: errors.Join(part, errBusy), again: []string{"a", "b", "c"}},
		"two a part each":                     {refusal: errors.Join(part, consumererror.NewLogs(errBusy, logsOf("c"))), again: []string{"a", "b", "c"}},
		"two for good":                        {refusal: errors.Join(permanent, permanent), dropped: 3},
		"two within another, one of them bad": {refusal: fmt.Errorf("fan-out: %w", errors.Join(permanent, errBusy)), again: []string{"a", "b", "c"}},
		"two, said to be for good":            {refusal: consumererror.NewPermanent(errors.Join(errBusy, errBusy)), dropped: 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var offered [][]string
				b.refuse(func(logs plog.Logs) error {
					if offered = append(offered, names(logs)); len(offered) == 1 {
						return c.refusal
					}
					return nil
				})
				s, end := b.run(t, Loop[string]{Step: func(time.Time, string) Telemetry {
					return Telemetry{Logs: logsOf("a", "b", "c"), Traces: ptrace.NewTraces()}
				}})
				s <- ""
				sleep(time.Hour)
				end()
				want := [][]string{{"a", "b", "c"}}
				if c.again != nil {
					want = append(want, c.again)
				}
				assert.Equal(t, want, offered)
				if c.dropped > 0 {
					b.requireDropped(t, "logs", droppedRefused, c.dropped)
				}
			})
		})
	}
}

func TestAPartOfSpansIsOfferedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, offers := newBench(t), 0
		next, err := consumer.NewTraces(func(ctx context.Context, traces ptrace.Traces) error {
			if offers++; offers == 1 {
				return consumererror.NewTraces(errBusy, telemetryOf("part").Traces)
			}
			return b.traces.ConsumeTraces(ctx, traces)
		})
		require.NoError(t, err)
		b.Traces = next
		s, end := b.run(t, Loop[string]{})
		s <- "all"
		sleep(time.Hour)
		end()
		assert.Equal(t, []string{"part"}, b.spans())
	})
}

func TestSignalsWithoutAPipelineAreNotQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Logs, b.Traces = nil, nil
		commits := 0
		s, end := b.run(t, Loop[string]{Commit: func(context.Context) { commits++ }})
		s <- "a"
		end()
		assert.Equal(t, 1, commits)
	})
}

func TestARefusalIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var accepts sync.Map
		b.refuse(func(logs plog.Logs) error {
			if _, ok := accepts.Load(names(logs)[0]); ok {
				return nil
			}
			return errBusy
		})
		first, end := b.run(t, Loop[string]{})
		defer end()
		second, end := b.run(t, Loop[string]{})
		defer end()
		first <- "a"
		synctest.Wait()
		second <- "b"
		sleep(time.Hour)
		warnings := b.log.FilterLevelExact(zap.WarnLevel)
		require.Equal(t, 1, warnings.Len())
		assert.Equal(t, "the next consumer refuses logs; 1 records wait", warnings.All()[0].Message)
		accepts.Store("a", true)
		sleep(time.Hour)
		assert.Zero(t, b.log.FilterLevelExact(zap.InfoLevel).Len(), "the other loop waits yet")
		accepts.Store("b", true)
		sleep(time.Hour)
		again := b.log.FilterLevelExact(zap.InfoLevel)
		require.Equal(t, 1, again.Len())
		assert.Equal(t, "the next consumer accepts logs again", again.All()[0].Message)
		assert.Equal(t, 2, b.log.Len())
	})
}

func TestARefusalIsOverWhenTheBatchIsRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, tries := newBench(t), 0
		b.refuse(func(plog.Logs) error {
			if tries++; tries > 1 {
				return consumererror.NewPermanent(errors.New("bad data"))
			}
			return errBusy
		})
		s, end := b.run(t, Loop[string]{})
		s <- "a"
		sleep(time.Hour)
		assert.Equal(t, 1, b.log.FilterLevelExact(zap.WarnLevel).Len())
		assert.Equal(t, 1, b.log.FilterLevelExact(zap.ErrorLevel).Len())
		assert.Zero(t, b.log.FilterLevelExact(zap.InfoLevel).Len(), "it has not accepted")
		end()
	})
}

func TestWhatSurvivesARestartIsCommittedWhenAllSignalsHaveAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		accepts := b.refuseUntil()
		stepped, committed := "", ""
		s, end := b.run(t, Loop[string]{
			Step:   func(_ time.Time, name string) Telemetry { stepped = name; return telemetryOf(name) },
			Commit: func(context.Context) { committed = stepped },
		})
		s <- "a"
		s <- "b"
		sleep(time.Hour)
		assert.Equal(t, []string{"a", "b"}, b.spans())
		assert.Empty(t, committed)
		accepts.Store(true)
		sleep(retryAtMost)
		assert.Equal(t, "b", committed)
		end()
	})
}

func TestShutdownDeliversWhatIsAcceptedAtOnceAndDropsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.refuse(func(logs plog.Logs) error {
			if names(logs)[0] == "c" {
				return errBusy
			}
			return nil
		})
		commits := 0
		s, end := b.run(t, Loop[string]{Commit: func(context.Context) { commits++ }})
		s <- "c"
		sleep(time.Hour)
		s <- "d"
		synctest.Wait()
		end()
		assert.Equal(t, []string{"c", "d"}, b.spans())
		assert.Empty(t, b.accepted())
		assert.Zero(t, commits)
		b.requireDropped(t, "logs", droppedShutdown, 2)
	})
}

func TestShutdownOffersWhatWasRefusedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		accepts := b.refuseUntil()
		commits := 0
		s, end := b.run(t, Loop[string]{Commit: func(context.Context) { commits++ }})
		s <- "a"
		s <- "b"
		synctest.Wait()
		accepts.Store(true)
		end()
		assert.Equal(t, []string{"a", "b"}, b.accepted())
		assert.Equal(t, 1, commits)
	})
}

func TestShutdownDoesNotWaitForAConsumerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		next, err := consumer.NewLogs(func(ctx context.Context, _ plog.Logs) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.NoError(t, err)
		b.Logs = next
		s, end := b.run(t, Loop[string]{})
		s <- "a"
		sleep(time.Hour)
		began := time.Now()
		end()
		assert.Equal(t, flushFor, time.Since(began))
		b.requireDropped(t, "logs", droppedShutdown, 1)
	})
}

func TestLoopSkipsFailuresAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var conditions []error
		s, end := b.run(t, Loop[string]{Condition: func(err error) { conditions = append(conditions, err) }})
		for _, outcome := range []any{"a", errBusy, errBusy, "b"} {
			s <- outcome
		}
		synctest.Wait()
		end()
		assert.Equal(t, []string{"a", "b"}, b.accepted())
		assert.Equal(t, []error{nil, errBusy, errBusy, nil}, conditions)
		attrs := attribute.NewSet(receiverAttr)
		metadatatest.AssertEqualWatchObservations(t, b.telemetry, []metricdata.DataPoint[int64]{{Attributes: attrs, Value: 2}}, metricdatatest.IgnoreTimestamp())
		metadatatest.AssertEqualWatchFailures(t, b.telemetry, []metricdata.DataPoint[int64]{{Attributes: attrs, Value: 2}}, metricdatatest.IgnoreTimestamp())
	})
}

// many returns telemetry of so many events and a span, of that name.
func many(name string, events int) Telemetry {
	t := telemetryOf(name)
	t.Logs = logsOf(slices.Repeat([]string{name}, events)...)
	return t
}

func TestWithoutForkNothingIsObservedWhileAQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		accepts := b.refuseUntil()
		s, end := b.run(t, Loop[string]{Step: func(_ time.Time, name string) Telemetry { return many(name, 2) }})
		s <- "a"
		s <- "b"
		select {
		case s <- "c":
			require.Fail(t, "observed though the queue is full")
		case <-time.After(time.Hour):
		}
		accepts.Store(true)
		s <- "c"
		end()
		assert.Len(t, b.accepted(), 6)
		assert.Equal(t, []string{"a", "b", "c"}, b.spans())
	})
}

// A signal whose queue is full goes on across a gap; the other one is not concerned.
func TestWithForkAFullQueueIsAGapOfItsSignalAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		accepts := b.refuseUntil()
		state, committed := "", ""
		step := func(_ time.Time, name string) Telemetry {
			before := state
			state = name
			return many(before+">"+name, 2)
		}
		var reconciledAt time.Time
		s, end := b.run(t, Loop[string]{
			Step: step,
			Fork: func() Fork[StepFork[string]] {
				before := state
				return Fork[StepFork[string]]{Step: func(now time.Time, name string, gap bool) Telemetry {
					step := before + ">" + name
					if gap {
						reconciledAt = now
						step = before + "..." + name
					}
					before = name
					return many(step, 2)
				}}
			},
			Commit: func(context.Context) { committed = state },
		})
		for _, name := range []string{"a", "b", "c", "d"} {
			s <- name
			sleep(time.Second)
		}
		observed := time.Now().Add(-time.Second)
		sleep(time.Hour)
		assert.Equal(t, []string{">a", "a>b", "b>c", "c>d"}, b.spans())
		full := b.log.FilterLevelExact(zap.ErrorLevel)
		require.Equal(t, 1, full.Len())
		assert.Contains(t, full.All()[0].Message, "the queue of logs is full")
		b.requireDropped(t, "logs", droppedQueueFull, 4)
		assert.Empty(t, committed)

		accepts.Store(true)
		sleep(retryAtMost)
		assert.Equal(t, []string{">a", "a>b", "b...d"}, slices.Compact(b.accepted()))
		assert.Equal(t, observed, reconciledAt)
		assert.Equal(t, "d", committed)

		s <- "e"
		synctest.Wait()
		assert.Equal(t, []string{">a", "a>b", "b...d", "d>e"}, slices.Compact(b.accepted()), "and then as before")
		assert.Equal(t, []string{">a", "a>b", "b>c", "c>d", "d>e"}, b.spans())

		accepts.Store(false) // It may be so again.
		for _, name := range []string{"f", "g", "h", "i"} {
			s <- name
		}
		synctest.Wait()
		accepts.Store(true)
		sleep(retryAtMost)
		assert.Equal(t, []string{">a", "a>b", "b...d", "d>e", "e>f", "f>g", "g...i"}, slices.Compact(b.accepted()))
		assert.Equal(t, "i", committed)
		end()
	})
}

func TestWhatWaitsIsDeliveredTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, calls := newBench(t), 0
		next, err := consumer.NewLogs(func(ctx context.Context, logs plog.Logs) error {
			calls++
			time.Sleep(20 * time.Millisecond)
			return b.logs.ConsumeLogs(ctx, logs)
		})
		require.NoError(t, err)
		b.Logs = next
		const observations = 3000 // one each millisecond
		var want []string
		s, end := b.run(t, Loop[string]{Limit: 100})
		for i := range observations {
			want = append(want, strconv.Itoa(i))
			s <- want[i]
			time.Sleep(time.Millisecond)
		}
		sleep(time.Second)
		end()
		assert.Equal(t, want, b.accepted())
		assert.LessOrEqual(t, calls, observations/20+10)
	})
}

// Also while it is observed as fast as it is delivered.
func TestCommitsGoOnUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		next, err := consumer.NewLogs(func(context.Context, plog.Logs) error {
			time.Sleep(12 * time.Millisecond)
			return nil
		})
		require.NoError(t, err)
		b.Logs = next
		commits := 0
		s, end := b.run(t, Loop[string]{Limit: 1000, Commit: func(context.Context) { commits++ }})
		for range 1000 {
			s <- "a"
			time.Sleep(10 * time.Millisecond)
		}
		end()
		assert.Greater(t, commits, 8, "one in a second")
	})
}

// A consumer that is slow and does not notice that it is over is left alone in time.
func TestShutdownDoesNotWaitForAllThatASlowConsumerAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		next, err := consumer.NewLogs(func(context.Context, plog.Logs) error {
			time.Sleep(time.Second)
			return nil
		})
		require.NoError(t, err)
		b.Logs = next
		s, end := b.run(t, Loop[string]{Limit: 100_000, Step: func(_ time.Time, name string) Telemetry { return many(name, mergeUpTo) }})
		for range 60 {
			s <- "a"
		}
		began := time.Now()
		end()
		assert.LessOrEqual(t, time.Since(began), flushFor+2*time.Second)
	})
}

// What is observed last is delivered, too.
func TestWhatIsSteppedWhenItEndsIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		commits := 0
		s, end := b.run(t, Loop[string]{
			Step: func(_ time.Time, name string) Telemetry {
				time.Sleep(2 * time.Second) // It ends meanwhile.
				return telemetryOf(name)
			},
			Commit: func(context.Context) { commits++ },
		})
		go func() { s <- "a" }()
		time.Sleep(time.Second)
		end()
		assert.Equal(t, []string{"a"}, b.accepted())
		assert.Equal(t, []string{"a"}, b.spans())
		assert.Equal(t, 1, commits)
		b.requireDropped(t, "", "", 0)
	})
}

func TestNothingIsMissedWhenAFullQueueHasNothingMoreToTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		accepts := b.refuseUntil()
		s, end := b.run(t, Loop[string]{
			Step: func(_ time.Time, name string) Telemetry {
				if name == "quiet" {
					return EmptyTelemetry()
				}
				return many(name, 4)
			},
			Fork: func() Fork[StepFork[string]] {
				return Fork[StepFork[string]]{Step: func(time.Time, string, bool) Telemetry { return telemetryOf("gap") }}
			},
		})
		s <- "a"
		s <- "quiet"
		sleep(time.Hour)
		accepts.Store(true)
		sleep(retryAtMost)
		assert.Equal(t, []string{"a"}, slices.Compact(b.accepted()))
		end()
	})
}

func TestTelemetryKeepsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ends := time.Now().Add(time.Minute)
		b.refuse(func(plog.Logs) error {
			if time.Now().Before(ends) {
				return errBusy
			}
			return nil
		})
		s, end := b.run(t, Loop[string]{Step: func(now time.Time, name string) Telemetry {
			t := telemetryOf(name)
			t.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetObservedTimestamp(pcommon.NewTimestampFromTime(now))
			return t
		}})
		observed := time.Now()
		s <- "a"
		sleep(time.Hour)
		end()
		record := b.logs.AllLogs()[0].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
		assert.Equal(t, observed.UTC(), record.ObservedTimestamp().AsTime())
	})
}

// An observation that is completed by slower reads keeps its time.
func TestTheTimeOfAnObservationIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		made := time.Now().Add(-time.Minute)
		var stepped time.Time
		s, end := b.run(t, Loop[string]{
			At:   func(string) time.Time { return made },
			Step: func(now time.Time, name string) Telemetry { stepped = now; return telemetryOf(name) },
		})
		s <- "a"
		sleep(time.Hour)
		end()
		assert.Equal(t, made, stepped)
	})
}

// counted is a state that counts what it has stepped. It is kept as JSON.
type counted struct{ Names []string }

func (c *counted) Save() counted         { return counted{slices.Clone(c.Names)} }
func (c *counted) Restore(saved counted) { *c = saved }
func (c *counted) Clone() *counted       { saved := c.Save(); return &saved }
func (c *counted) step(name string) Telemetry {
	c.Names = append(c.Names, name)
	return telemetryOf(strings.Join(c.Names, ""))
}

func stepCounted(c *counted) StepFork[string] {
	return func(_ time.Time, name string, gap bool) Telemetry {
		if gap {
			c.Names = append(c.Names, "...")
		}
		return c.step(name)
	}
}

// stored is a storage that counts the writes.
type stored struct {
	storage.Client

	values map[string]string
	writes int
}

func (s *stored) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("test"): s}
}
func (*stored) Start(context.Context, component.Host) error { return nil }
func (*stored) Shutdown(context.Context) error              { return nil }

func (s *stored) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return s, nil
}

func (s *stored) Get(_ context.Context, key string) ([]byte, error) {
	if value, found := s.values[key]; found {
		return []byte(value), nil
	}
	return nil, nil
}

func (s *stored) Batch(_ context.Context, operations ...*storage.Operation) error {
	s.writes++
	for _, o := range operations {
		if o.Type == storage.Delete {
			delete(s.values, o.Key)
		} else {
			s.values[o.Key] = string(o.Value)
		}
	}
	return nil
}

// states returns what is stored of states, without what identifies the common one.
func (s *stored) states() map[string]string {
	states := maps.Clone(s.values)
	delete(states, "lanes of state")
	return states
}

// runKept runs a loop over what is stored.
func (b *bench) runKept(t *testing.T, s *stored) (in source, end func()) {
	t.Helper()
	return b.runKeptBy(t, s, stepCounted)
}

// runKeptBy runs it with other steps of a signal that goes on by itself. To the common state
// "same" is nothing new.
func (b *bench) runKeptBy(t *testing.T, s *stored, apart func(*counted) StepFork[string]) (in source, end func()) {
	t.Helper()
	id := component.MustNewID("test")
	store, err := checkpoint.Open(t.Context(), s, &id, component.KindReceiver, id, "")
	require.NoError(t, err)
	state := &counted{}
	slot := checkpoint.Slot[counted]{Store: store, Key: "state", Report: func(err error) { require.NoError(t, err) }}
	kept := Keep(t.Context(), slot, &sync.Mutex{}, state, func() *counted { return &counted{} }, apart)
	changed := true
	kept.Changed = func() bool { return changed }
	return b.run(t, Loop[string]{
		Step: func(_ time.Time, name string) Telemetry {
			if changed = name != "same"; !changed {
				return EmptyTelemetry()
			}
			return state.step(name)
		},
		Fork: func() Fork[StepFork[string]] { return ForkOf(&sync.Mutex{}, state.Clone(), apart) },
		Kept: kept,
	})
}

// keepApart stores a state of a signal beside the common one.
func (s *stored) keepApart(t *testing.T, state, signal, own string) {
	t.Helper()
	id := component.MustNewID("test")
	store, err := checkpoint.Open(t.Context(), s, &id, component.KindReceiver, id, "")
	require.NoError(t, err)
	_, err = store.SaveLanes(t.Context(), "state", json.RawMessage(state), []checkpoint.Lane{{Name: signal, Own: json.RawMessage(own)}})
	require.NoError(t, err)
}

// killed returns what the next process finds.
func (s *stored) killed() *stored { return &stored{values: maps.Clone(s.values)} }

func TestWhatOneSignalHasAcceptedIsStoredWhileTheOtherIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(t), &stored{values: map[string]string{}}
		in, end := b.runKept(t, s)
		in <- "a"
		sleep(time.Second)
		assert.Equal(t, map[string]string{"state": `{"Names":["a"]}`}, s.states())
		assert.Equal(t, 1, s.writes, "there is nothing to store for each signal")

		accepts := b.refuseUntil()
		in <- "b"
		in <- "c"
		sleep(time.Second)
		behind := map[string]string{"state": `{"Names":["a","b","c"]}`, "logs of state": `{"Names":["a"]}`}
		assert.Equal(t, behind, s.states())
		killed := s.killed()

		accepts.Store(true)
		sleep(retryAtMost)
		assert.Equal(t, map[string]string{"state": `{"Names":["a","b","c"]}`}, s.states(), "both are as far again")
		end()

		b = newBench(t)
		in, end = b.runKept(t, killed)
		in <- "d"
		sleep(time.Second)
		assert.Equal(t, []string{"ad"}, b.accepted(), "it goes on from what it had accepted")
		assert.Equal(t, []string{"abcd"}, b.spans())
		assert.Equal(t, map[string]string{"state": `{"Names":["a","b","c","d"]}`, "logs of state": `{"Names":["a","d"]}`}, killed.states())
		end()
	})
}

func TestASignalThatHasAcceptedNothingBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(t), &stored{values: map[string]string{}}
		b.refuseUntil()
		in, _ := b.runKept(t, s)
		in <- "a"
		sleep(time.Second)
		assert.Equal(t, map[string]string{"state": `{"Names":["a"]}`, "logs of state": "null"}, s.states())

		b = newBench(t)
		in, end := b.runKept(t, s.killed())
		in <- "b"
		end()
		assert.Equal(t, []string{"b"}, b.accepted())
		assert.Equal(t, []string{"ab"}, b.spans())
	})
}

// Also what is accepted, or refused, in the end.
func TestAfterAShutdownARefusedSignalGoesOnFromWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(t), &stored{values: map[string]string{}}
		in, end := b.runKept(t, s)
		in <- "a"
		sleep(time.Second)
		b.refuseUntil()
		in <- "b"
		end()
		assert.Equal(t, map[string]string{"state": `{"Names":["a","b"]}`, "logs of state": `{"Names":["a"]}`}, s.states())
	})
}

// Its queue was full, so that it has a state of its own.
func TestASignalHasTheCommonStateAgainWhenBothSaveTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(t), &stored{values: map[string]string{}}
		accepts := b.refuseUntil()
		state, forks := "", 0
		last := func(into *string) func() any { return func() any { return *into } }
		store, err := checkpoint.Open(t.Context(), s, nil, component.KindReceiver, component.MustNewID("test"), "")
		require.NoError(t, err)
		slot := checkpoint.Slot[string]{Store: store, Key: "state", Report: func(err error) { require.NoError(t, err) }}
		var own []string
		in, end := b.run(t, Loop[string]{
			Step: func(_ time.Time, name string) Telemetry { state = name; return many(name, 2) },
			Fork: func() Fork[StepFork[string]] {
				forks++
				apart := state
				return Fork[StepFork[string]]{Save: last(&apart), Step: func(_ time.Time, name string, _ bool) Telemetry {
					own = append(own, name)
					apart = name
					return many(name, 2)
				}}
			},
			Kept: &Kept[StepFork[string]]{Save: last(&state), Store: slot.SaveLanes},
		})
		for _, name := range []string{"a", "b", "c", "d"} {
			in <- name
		}
		sleep(time.Second)
		accepts.Store(true)
		sleep(retryAtMost)
		in <- "e"
		in <- "f"
		end()
		assert.NotZero(t, forks)
		assert.Equal(t, []string{"d"}, own, "then it is stepped once for both")
		assert.Equal(t, []string{"a", "b", "d", "e", "f"}, slices.Compact(b.accepted()))
	})
}

// quiet is a state whose newest observation may be reported to nobody.
func stepQuiet(c *counted) StepFork[string] {
	step := stepCounted(c)
	return func(now time.Time, name string, gap bool) Telemetry {
		if t := step(now, name, gap); name != "quiet" || gap {
			return t
		}
		return EmptyTelemetry()
	}
}

// A signal with a state of its own, too, has a gap only if something was left out.
func TestNothingIsMissedWhenAFullQueueOfASignalApartHasNothingMoreToTake(t *testing.T) {
	for observed, want := range map[string][]string{
		"quiet": {"xb", "xbc", "xbcd", "xbcde"},
		"f":     {"xb", "xbc", "xbcd", "xbcde", "xbcde...f"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			accepts := b.refuseUntil()
			s := &stored{values: map[string]string{}}
			s.keepApart(t, `{"Names":["a"]}`, "logs", `{"Names":["x"]}`)
			in, end := b.runKeptBy(t, s, stepQuiet)
			for _, name := range []string{"b", "c", "d", "e", observed} {
				in <- name
				synctest.Wait()
			}
			accepts.Store(true)
			sleep(retryAtMost)
			assert.Equal(t, want, b.accepted())
			b.requireDropped(t, "logs", droppedQueueFull, int64(len(want)-4))
			end()
		})
	}
}

// Also if the common state does not change with it.
func TestWhatASignalApartAloneReportsIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(t), &stored{values: map[string]string{}}
		s.keepApart(t, `{"Names":["a"]}`, "logs", `{"Names":["x"]}`)
		in, end := b.runKeptBy(t, s, stepCounted)
		in <- "b"
		sleep(time.Second)
		in <- "same"
		sleep(time.Second)
		end()
		assert.Equal(t, []string{"xb", "xbsame"}, b.accepted())
		assert.Equal(t, []string{"ab"}, b.spans())
		assert.Equal(t, map[string]string{"state": `{"Names":["a","b"]}`, "logs of state": `{"Names":["x","b","same"]}`}, s.states())
	})
}

// last is a state that is the newest observation. A step from one to the next is reported
// as such.
type last struct{ name string }

func (l *last) Save() string         { return l.name }
func (l *last) Restore(saved string) { l.name = saved }
func (l *last) Clone() *last         { return &last{l.name} }

func stepLast(l *last) StepFork[string] {
	return func(_ time.Time, name string, _ bool) Telemetry {
		before := l.name
		l.name = name
		return telemetryOf(before + ">" + name)
	}
}

// Whatever is refused and whenever the process is killed, each signal goes on from what it
// has accepted last: nothing is repeated, and nothing that was left out breaks the chain.
func TestEachSignalIsAChainOverRefusalsAndKills(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test repeats its choices
			s := &stored{values: map[string]string{}}
			var logs, traces []string // what was accepted over all processes
			for process, observed := 0, 0; process < 8; process++ {
				b := newBench(t)
				var killed atomic.Bool
				var refused struct{ logs, traces atomic.Bool }
				var err error
				b.Logs, err = consumer.NewLogs(func(_ context.Context, data plog.Logs) error {
					if killed.Load() || refused.logs.Load() {
						return errBusy
					}
					logs = append(logs, names(data)...)
					return nil
				})
				require.NoError(t, err)
				b.Traces, err = consumer.NewTraces(func(_ context.Context, data ptrace.Traces) error {
					if killed.Load() || refused.traces.Load() {
						return errBusy
					}
					for _, rs := range data.ResourceSpans().All() {
						traces = append(traces, rs.ScopeSpans().At(0).Spans().At(0).Name())
					}
					return nil
				})
				require.NoError(t, err)
				id := component.MustNewID("test")
				store, err := checkpoint.Open(t.Context(), s, &id, component.KindReceiver, id, "")
				require.NoError(t, err)
				slot := checkpoint.Slot[string]{Store: store, Key: "last", Report: func(err error) { require.NoError(t, err) }}
				state, lock := &last{}, &sync.Mutex{}
				kept := Keep(t.Context(), slot, lock, state, func() *last { return &last{} }, stepLast)
				common := stepLast(state)
				in, end := b.run(t, Loop[string]{
					Step: func(now time.Time, name string) Telemetry { return common(now, name, false) },
					Fork: func() Fork[StepFork[string]] { return ForkOf(lock, state.Clone(), stepLast) },
					Kept: kept,
				})
				for range 1 + random.IntN(20) {
					switch random.IntN(4) {
					case 0:
						refused.logs.Store(random.IntN(2) == 0)
					case 1:
						refused.traces.Store(random.IntN(2) == 0)
					default:
						observed++
						in <- strconv.Itoa(observed)
					}
					time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
				}
				sleep(2 * lateAfter)
				found := s.killed()
				killed.Store(true)
				end()
				s = found
			}
			for signal, accepted := range map[string][]string{"logs": logs, "traces": traces} {
				at := ""
				for _, step := range accepted {
					before, after, _ := strings.Cut(step, ">")
					require.Equal(t, at, before, "seed %d: %s: %s", seed, signal, accepted)
					at = after
				}
				require.NotEmpty(t, accepted)
			}
		})
	}
}
