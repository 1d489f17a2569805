// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/internal/watch/internal/metadata"
)

// Why records were dropped.
const (
	droppedRefused   = "refused"
	droppedShutdown  = "shutdown"
	droppedQueueFull = "queue_full"
)

var errDropped = errors.New("the next consumer refused telemetry until shutdown")

// Delivery is the one place where telemetry leaves a watching receiver.
// Logs and Traces are the next consumers; one that is nil has no pipeline, and
// its part of the telemetry is not wanted.
//
// Each signal is delivered for itself. A refusal that is not for good is retried
// without end; when a partial error names what was refused, only that is offered
// again. Nothing is offered twice to a consumer that accepted it, with two
// exceptions that the API leaves no way around: when several consumers are
// behind one receiver and only some refuse, all of them get the batch again; and
// so it is with a consumer that accepts a part without saying which.
type Delivery struct {
	Logs   consumer.Logs
	Traces consumer.Traces

	logs      *signal[plog.Logs]
	traces    *signal[ptrace.Traces]
	logger    *zap.Logger
	condition *condition.Reporter
	telemetry *metadata.TelemetryBuilder
	receiver  attribute.KeyValue
	stalled   atomic.Int32 // loops
}

// NewDelivery returns a Delivery without consumers, which reports their
// refusals as a condition.
func NewDelivery(settings receiver.Settings, reporter *condition.Reporter) (*Delivery, error) {
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID:             settings.ID,
		LongLivedCtx:           true,
		ReceiverCreateSettings: settings,
	})
	if err != nil {
		return nil, err
	}
	d := &Delivery{
		logger:    settings.Logger,
		condition: reporter,
		telemetry: telemetry,
		receiver:  attribute.String("receiver", settings.ID.String()),
	}
	format := settings.ID.Type().String()
	d.logs, d.traces = newLogsSignal(d, report, format), newTracesSignal(d, report, format)
	for _, reason := range []string{droppedRefused, droppedShutdown, droppedQueueFull} {
		d.countDropped(context.Background(), d.logs.name, reason, 0)
		d.countDropped(context.Background(), d.traces.name, reason, 0)
	}
	return d, d.reportWaiting()
}

// reportWaiting reports how much waits, and since when.
func (d *Delivery) reportWaiting() error {
	signals := []struct {
		name    string
		waiting func() (int, time.Time)
	}{{d.logs.name, d.logs.waiting}, {d.traces.name, d.traces.waiting}}
	if err := d.telemetry.RegisterWatchQueueSizeCallback(func(_ context.Context, o metric.Int64Observer) error {
		for _, s := range signals {
			records, _ := s.waiting()
			o.Observe(int64(records), d.attributes(s.name))
		}
		return nil
	}); err != nil {
		return err
	}
	return d.telemetry.RegisterWatchQueueOldestTimestampCallback(func(_ context.Context, o metric.Float64Observer) error {
		for _, s := range signals {
			if records, since := s.waiting(); records > 0 {
				o.Observe(float64(since.UnixMilli())/1000, d.attributes(s.name))
			}
		}
		return nil
	})
}

// HasConsumers reports whether there is a pipeline for any of it.
func (d *Delivery) HasConsumers() bool { return d.Logs != nil || d.Traces != nil }

// Stalled reports whether a loop without Fork observes nothing, as a queue is full.
func (d *Delivery) Stalled() bool { return d.stalled.Load() > 0 }

// Deliver returns nil when every consumer has accepted its part, or has refused it
// for good. When ctx ends before, what is refused is dropped.
func (d *Delivery) Deliver(ctx context.Context, t Telemetry) error {
	var signals sync.WaitGroup
	all := d.outlets(maxWaiting)
	for _, out := range all {
		out.put(time.Now(), t)
		signals.Go(func() {
			waiting, done := context.WithCancel(ctx)
			defer done()
			if !out.empty() {
				out.run(waiting, ctx, done)
			}
		})
	}
	signals.Wait()
	for _, out := range all {
		if !out.empty() {
			return errDropped
		}
	}
	return nil
}

// end ends what reports about the delivery.
func (d *Delivery) end() { d.telemetry.Shutdown() }

// outlet is a lane, of whichever signal.
type outlet interface {
	label() string
	full() bool
	empty() bool
	late() bool
	records(Telemetry) int
	put(now time.Time, t Telemetry)
	overflow(ctx context.Context, t Telemetry, begins bool)
	run(ctx, consuming context.Context, drained func())
}

// outlets returns a lane for each signal that has a pipeline, in which so many
// records may wait.
func (d *Delivery) outlets(limit int) (all []outlet) {
	if d.logs.wanted() {
		all = append(all, newLane(d, d.logs, limit))
	}
	if d.traces.wanted() {
		all = append(all, newLane(d, d.traces, limit))
	}
	return all
}

func (d *Delivery) attributes(signal string) metric.MeasurementOption {
	return metric.WithAttributes(d.receiver, attribute.String("signal", signal))
}

func (d *Delivery) countDropped(ctx context.Context, signal, reason string, records int) {
	d.telemetry.WatchDropped.Add(ctx, int64(records), d.attributes(signal), metric.WithAttributes(attribute.String("reason", reason)))
}

func (d *Delivery) drop(ctx context.Context, signal, reason string, records int, err error) {
	d.countDropped(ctx, signal, reason, records)
	d.logger.Error("dropped "+signal+" that the next consumer refused",
		zap.Int("records", records), zap.String("reason", reason), zap.Error(err))
}

func (d *Delivery) logFull(signal string, records int) {
	d.logger.Error("the queue of "+signal+" is full and more is dropped; once the next consumer accepts, the differences are reported as reconciled",
		zap.Int("records", records))
}

// CountFailure counts an observation that failed outside a Loop.
func (d *Delivery) CountFailure(ctx context.Context) {
	d.telemetry.WatchFailures.Add(ctx, 1, metric.WithAttributes(d.receiver))
}

func (d *Delivery) countObservation(ctx context.Context, err error) {
	if err != nil {
		d.CountFailure(ctx)
		return
	}
	d.telemetry.WatchObservations.Add(ctx, 1, metric.WithAttributes(d.receiver))
}
