// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/requestcount"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// newRequests returns what counts the requests to each part of the API. An answer
// that gives a state is a success, whatever its status is.
func newRequests(settings receiver.Settings) (requestcount.Counter, error) {
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return requestcount.Counter{}, err
	}
	return requestcount.New(telemetry.VaultRequests, settings.ID), nil
}
