// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
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

// Delivery is the one place where telemetry leaves a watching receiver.
// Logs and Traces are the next consumers; one that is nil has no pipeline, and
// its part of the telemetry is not wanted.
type Delivery struct {
	Logs   consumer.Logs
	Traces consumer.Traces

	logs      held
	traces    held
	logger    *zap.Logger
	condition *condition.Reporter
	report    *receiverhelper.ObsReport
	telemetry *metadata.TelemetryBuilder
	receiver  attribute.KeyValue
	format    string
}

// held is of one signal: how many loops hold a batch that was refused.
type held struct {
	signal string
	loops  atomic.Int32
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
	return &Delivery{
		logs:      held{signal: "logs"},
		traces:    held{signal: "traces"},
		logger:    settings.Logger,
		condition: reporter,
		report:    report,
		telemetry: telemetry,
		receiver:  attribute.String("receiver", settings.ID.String()),
		format:    settings.ID.Type().String(),
	}, nil
}

// Wanted says whether there is a pipeline for any of it.
func (d *Delivery) Wanted() bool { return d.Logs != nil || d.Traces != nil }

// Holds says whether a batch is held because a consumer refuses it. What its
// loop knows is then not up to date.
func (d *Delivery) Holds() bool { return d.logs.loops.Load()+d.traces.loops.Load() > 0 }

// Deliver returns nil when every consumer has accepted its part, or has
// refused it for good, which is counted and logged. A refusal that is not for
// good is reported as a condition and tried again, with growing pauses, until
// ctx ends; its error is then returned.
func (d *Delivery) Deliver(ctx context.Context, t Telemetry) error {
	var notLogs, notTraces error
	if records := t.Logs.LogRecordCount(); d.Logs != nil && records > 0 {
		notLogs = d.insist(ctx, &d.logs, records, func() error {
			logs := t.Logs
			if d.Logs.Capabilities().MutatesData { // Also what it refuses.
				logs = plog.NewLogs()
				t.Logs.CopyTo(logs)
			}
			op := d.report.StartLogsOp(ctx)
			err := d.Logs.ConsumeLogs(op, logs)
			d.report.EndLogsOp(op, d.format, records, err)
			return err
		})
	}
	if spans := t.Traces.SpanCount(); d.Traces != nil && spans > 0 {
		notTraces = d.insist(ctx, &d.traces, spans, func() error {
			traces := t.Traces
			if d.Traces.Capabilities().MutatesData {
				traces = ptrace.NewTraces()
				t.Traces.CopyTo(traces)
			}
			op := d.report.StartTracesOp(ctx)
			err := d.Traces.ConsumeTraces(op, traces)
			d.report.EndTracesOp(op, d.format, spans, err)
			return err
		})
	}
	return errors.Join(notLogs, notTraces)
}

// insist consumes until that is accepted or refused for good. The condition of
// the signal lasts while any loop holds a batch.
func (d *Delivery) insist(ctx context.Context, of *held, records int, consume func() error) error {
	var refusal error
	holds := false
	release := func() {
		if holds {
			holds = false
			of.loops.Add(-1)
		}
	}
	defer release()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		refusal = consume()
		switch {
		case consumererror.IsPermanent(refusal):
			return struct{}{}, backoff.Permanent(refusal)
		case refusal == nil:
			release()
			if of.loops.Load() == 0 {
				d.condition.Set("delivery of "+of.signal, nil)
			}
			return struct{}{}, nil
		case !holds:
			holds = true
			of.loops.Add(1)
		}
		d.condition.Set("delivery of "+of.signal, refusal)
		return struct{}{}, refusal
	}, backoff.WithMaxElapsedTime(0))
	if err == nil {
		return nil
	}
	if holds && consumererror.IsPermanent(refusal) {
		if release(); of.loops.Load() == 0 {
			d.condition.Set("delivery of "+of.signal, nil)
		}
	}
	d.drop(ctx, of.signal, records, refusal)
	if consumererror.IsPermanent(refusal) {
		return nil
	}
	return refusal
}

func (d *Delivery) drop(ctx context.Context, signal string, records int, err error) {
	d.telemetry.WatchDropped.Add(ctx, int64(records), metric.WithAttributes(d.receiver, attribute.String("signal", signal)))
	d.logger.Error("dropped what the next consumer refused",
		zap.String("signal", signal), zap.Int("records", records), zap.Error(err))
}

func (d *Delivery) countObservation(ctx context.Context, err error) {
	if err != nil {
		d.telemetry.WatchFailures.Add(ctx, 1, metric.WithAttributes(d.receiver))
		return
	}
	d.telemetry.WatchObservations.Add(ctx, 1, metric.WithAttributes(d.receiver))
}
