// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-infra/otelcol-infra/internal/requestcount"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Telemetry is the receiver's telemetry about itself.
type Telemetry struct {
	Requests requestcount.Counter

	builder  *metadata.TelemetryBuilder
	receiver attribute.KeyValue

	mu   sync.Mutex
	envs []*Env
}

// NewTelemetry returns the Telemetry of a receiver.
func NewTelemetry(settings receiver.Settings) (*Telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{
		Requests: requestcount.New(builder.ConsulRequests, settings.ID),
		builder:  builder, receiver: attribute.String("receiver", settings.ID.String()),
	}
	if err := builder.RegisterConsulEndpointUpCallback(t.observeEndpoints); err != nil {
		return nil, err
	}
	return t, builder.RegisterConsulOverLimitCallback(t.observeLimits)
}

// Shutdown ends what reports.
func (t *Telemetry) Shutdown() { t.builder.Shutdown() }

func (t *Telemetry) add(e *Env) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.envs = append(t.envs, e)
}

func (t *Telemetry) all() []*Env {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.envs)
}

func (t *Telemetry) observeEndpoints(_ context.Context, o metric.Int64Observer) error {
	for _, e := range t.all() {
		for endpoint, up := range e.endpoints.states() {
			o.Observe(Number(up), t.attributes(e, attribute.String("endpoint", endpoint)))
		}
	}
	return nil
}

func (t *Telemetry) observeLimits(_ context.Context, o metric.Int64Observer) error {
	for _, e := range t.all() {
		for object, count := range e.endpoints.overLimit() {
			o.Observe(int64(count), t.attributes(e, attribute.String("object", object.String())))
		}
	}
	return nil
}

func (t *Telemetry) attributes(e *Env, of attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(t.receiver, attribute.String("datacenter", e.Name), of)
}
