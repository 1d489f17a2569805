// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-infra/otelcol-infra/internal/requestcount"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Telemetry is the receiver's telemetry about itself.
type Telemetry struct {
	Requests requestcount.Counter

	builder  *metadata.TelemetryBuilder
	receiver attribute.KeyValue
}

// NewTelemetry returns the Telemetry of a receiver.
func NewTelemetry(settings receiver.Settings) (*Telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &Telemetry{
		Requests: requestcount.New(builder.EtcdRequests, settings.ID),
		builder:  builder, receiver: attribute.String("receiver", settings.ID.String()),
	}, nil
}

// Gap counts a gap in the observation of keys.
func (t *Telemetry) Gap() {
	t.builder.EtcdGaps.Add(context.Background(), 1, metric.WithAttributes(t.receiver))
}

// Pause counts a watch that ended as its queue was full.
func (t *Telemetry) Pause() {
	t.builder.EtcdPauses.Add(context.Background(), 1, metric.WithAttributes(t.receiver))
}

// Queued takes in by how much a queue has grown, or shrunk.
func (t *Telemetry) Queued(by int64) {
	if by != 0 {
		t.builder.EtcdQueued.Add(context.Background(), by, metric.WithAttributes(t.receiver))
	}
}
