// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// requests counts what the receiver asks: its telemetry about itself.
type requests struct {
	telemetry *metadata.TelemetryBuilder
	receiver  attribute.KeyValue
}

func newRequests(settings receiver.Settings) (*requests, error) {
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	return &requests{telemetry: telemetry, receiver: attribute.String("receiver", settings.ID.String())}, err
}

// count counts a request to one part of the API. An answer that tells a state
// is a success, whatever its status is.
func (r *requests) count(endpoint string, err error) {
	outcome := metadata.AttributeOutcomeSuccess
	if err != nil {
		outcome = metadata.AttributeOutcomeFailure
	}
	r.telemetry.VaultRequests.Add(context.Background(), 1, metric.WithAttributes(r.receiver,
		attribute.String("request", endpoint), attribute.String("outcome", outcome.String())))
}
