// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
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
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/watch/internal/metadatatest"
)

var receiverAttr = attribute.String("receiver", "test")

func newDelivery(t *testing.T) (*Delivery, *componenttest.Telemetry) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	settings := receivertest.NewNopSettings(component.MustNewType("test"))
	settings.ID = component.MustNewID("test")
	settings.TelemetrySettings = tel.NewTelemetrySettings()
	d, err := NewDelivery(settings, condition.NewReporter(settings.Logger))
	require.NoError(t, err)
	return d, tel
}

func someTelemetry(name string) Telemetry {
	t := Telemetry{Logs: plog.NewLogs(), Traces: ptrace.NewTraces()}
	t.Logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().SetEventName(name)
	t.Traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName(name)
	return t
}

// refusing refuses a number of times, then accepts into the sink. It changes
// what it is given, as a processor may.
func refusing(sink *consumertest.LogsSink, times int, refusal error) consumer.Logs {
	next, err := consumer.NewLogs(func(ctx context.Context, ld plog.Logs) error {
		record := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
		record.SetEventName(record.EventName() + "!")
		if times > 0 {
			times--
			return refusal
		}
		return sink.ConsumeLogs(ctx, ld)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
	if err != nil {
		panic(err)
	}
	return next
}

func TestWhatIsRefusedIsHeldUntilAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newDelivery(t)
		logs, traces := &consumertest.LogsSink{}, &consumertest.TracesSink{}
		d.Logs, d.Traces = refusing(logs, 20, errors.New("queue is full")), traces

		require.NoError(t, d.Deliver(t.Context(), someTelemetry("a")))
		require.Equal(t, 1, logs.LogRecordCount())
		assert.Equal(t, "a!", logs.AllLogs()[0].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).EventName(),
			"a refused batch is not given again as the consumer left it")
		assert.Equal(t, 1, traces.SpanCount(), "each signal is told once, however often the other was refused")
	})
}

func TestWhatIsRefusedForGoodIsDroppedAndCounted(t *testing.T) {
	d, tel := newDelivery(t)
	logs, traces := &consumertest.LogsSink{}, &consumertest.TracesSink{}
	d.Logs, d.Traces = refusing(logs, 1, consumererror.NewPermanent(errors.New("bad data"))), traces

	require.NoError(t, d.Deliver(t.Context(), someTelemetry("a")))
	assert.Zero(t, logs.LogRecordCount())
	assert.Equal(t, 1, traces.SpanCount())
	metadatatest.AssertEqualWatchDropped(t, tel, []metricdata.DataPoint[int64]{{
		Attributes: attribute.NewSet(receiverAttr, attribute.String("signal", "logs")), Value: 1,
	}}, metricdatatest.IgnoreTimestamp())
}

func TestSignalsWithoutAPipelineAreNotWanted(t *testing.T) {
	d, _ := newDelivery(t)
	require.NoError(t, d.Deliver(t.Context(), someTelemetry("a")))
}

func TestThatABatchIsHeldIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newDelivery(t)
		d.Logs = refusing(&consumertest.LogsSink{}, 5, errors.New("queue is full"))
		delivered := make(chan error)
		go func() { delivered <- d.Deliver(t.Context(), someTelemetry("a")) }()
		synctest.Wait()
		assert.True(t, d.Holds(), "it was refused once")
		require.NoError(t, <-delivered)
		assert.False(t, d.Holds())
	})
}

func TestARefusalLastsUntilNoLoopHoldsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, log := observer.New(zap.InfoLevel)
		d, _ := newDelivery(t)
		d.condition = condition.NewReporter(zap.New(core))
		next, err := consumer.NewLogs(func(_ context.Context, ld plog.Logs) error {
			name := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).EventName()
			if name == "big" && time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) < time.Hour {
				return errors.New("too big for now")
			}
			return nil
		})
		require.NoError(t, err)
		d.Logs = next
		delivered := make(chan error)
		go func() { delivered <- d.Deliver(t.Context(), someTelemetry("big")) }()
		synctest.Wait()
		require.NoError(t, d.Deliver(t.Context(), someTelemetry("small")))
		recovered := func() int { return log.FilterLevelExact(zap.InfoLevel).Len() }
		assert.Zero(t, recovered(), "the big one waits yet")
		require.NoError(t, <-delivered)
		assert.Equal(t, 1, recovered())
	})
}

func TestARefusalIsOverWhenTheBatchIsRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, log := observer.New(zap.InfoLevel)
		d, _ := newDelivery(t)
		d.condition = condition.NewReporter(zap.New(core))
		times := 0
		next, err := consumer.NewLogs(func(context.Context, plog.Logs) error {
			if times++; times > 1 {
				return consumererror.NewPermanent(errors.New("bad data"))
			}
			return errors.New("not now")
		})
		require.NoError(t, err)
		d.Logs = next
		require.NoError(t, d.Deliver(t.Context(), someTelemetry("a")))
		assert.Equal(t, 1, log.FilterLevelExact(zap.WarnLevel).Len())
		assert.Equal(t, 1, log.FilterLevelExact(zap.InfoLevel).Len())
		assert.False(t, d.Holds())
	})
}

func TestShutdownEndsAHeldDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, tel := newDelivery(t)
		d.Logs = refusing(&consumertest.LogsSink{}, 1<<30, errors.New("down"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.EqualError(t, d.Deliver(ctx, someTelemetry("a")), "down")
		metadatatest.AssertEqualWatchDropped(t, tel, []metricdata.DataPoint[int64]{{
			Attributes: attribute.NewSet(receiverAttr, attribute.String("signal", "logs")), Value: 1,
		}}, metricdatatest.IgnoreTimestamp())
	})
}

// A scripted source: each entry is one observation or one failure.
type script struct {
	outcomes []any
}

func (s *script) next(ctx context.Context) (string, error) {
	if len(s.outcomes) == 0 {
		<-ctx.Done()
		return "", ctx.Err()
	}
	outcome := s.outcomes[0]
	s.outcomes = s.outcomes[1:]
	if err, failed := outcome.(error); failed {
		return "", err
	}
	return outcome.(string), nil
}

func TestLoopSkipsFailuresAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, tel := newDelivery(t)
		logs := &consumertest.LogsSink{}
		d.Logs = logs
		source := &script{outcomes: []any{"a", errors.New("refused"), errors.New("refused"), "b"}}
		var conditions []error
		loop := Loop[string]{
			Next:      source.next,
			Step:      func(_ time.Time, name string) Telemetry { return someTelemetry(name) },
			Delivery:  d,
			Condition: func(err error) { conditions = append(conditions, err) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); loop.Run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		<-done

		var names []string
		for _, ld := range logs.AllLogs() {
			names = append(names, ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).EventName())
		}
		assert.Equal(t, []string{"a", "b"}, names)
		assert.Equal(t, []error{nil, errors.New("refused"), errors.New("refused"), nil}, conditions)
		attrs := attribute.NewSet(receiverAttr)
		metadatatest.AssertEqualWatchObservations(t, tel, []metricdata.DataPoint[int64]{{Attributes: attrs, Value: 2}}, metricdatatest.IgnoreTimestamp())
		metadatatest.AssertEqualWatchFailures(t, tel, []metricdata.DataPoint[int64]{{Attributes: attrs, Value: 2}}, metricdatatest.IgnoreTimestamp())
	})
}

func TestLoopObservesNothingMoreWhileADeliveryIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newDelivery(t)
		d.Logs = refusing(&consumertest.LogsSink{}, 1<<30, errors.New("down"))
		source := &script{outcomes: []any{"a", "b", "c"}}
		loop := Loop[string]{
			Next:      source.next,
			Step:      func(_ time.Time, name string) Telemetry { return someTelemetry(name) },
			Delivery:  d,
			Condition: func(error) {},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		loop.Run(ctx)
		assert.Equal(t, []any{"b", "c"}, source.outcomes)
	})
}
