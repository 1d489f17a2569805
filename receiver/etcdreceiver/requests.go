// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-infra/otelcol-infra/internal/requestcount"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// requests counts what the receiver does: its telemetry about itself.
type requests struct {
	telemetry *metadata.TelemetryBuilder
	receiver  attribute.KeyValue
	counter   requestcount.Counter
}

func newRequests(settings receiver.Settings) (*requests, error) {
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &requests{
		telemetry: telemetry, receiver: attribute.String("receiver", settings.ID.String()),
		counter: requestcount.New(telemetry.EtcdRequests, settings.ID),
	}, nil
}

func (r *requests) count(request metadata.AttributeRequest, err error) {
	r.counter.Count(request.String(), err)
}

func (r *requests) gap() {
	r.telemetry.EtcdGaps.Add(context.Background(), 1, metric.WithAttributes(r.receiver))
}

func (r *requests) pause() {
	r.telemetry.EtcdPauses.Add(context.Background(), 1, metric.WithAttributes(r.receiver))
}

// queued takes in that a queue has grown, or shrunk.
func (r *requests) queued(by int64) {
	if by != 0 {
		r.telemetry.EtcdQueued.Add(context.Background(), by, metric.WithAttributes(r.receiver))
	}
}
