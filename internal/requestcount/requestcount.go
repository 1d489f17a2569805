// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package requestcount counts the requests that a receiver makes, as its
// telemetry about itself.
package requestcount

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Counter counts requests by what they request and whether they succeeded.
type Counter struct {
	counter  metric.Int64Counter
	receiver attribute.KeyValue
}

// New returns a Counter of the requests of a receiver.
func New(counter metric.Int64Counter, receiver component.ID) Counter {
	return Counter{counter, attribute.String("receiver", receiver.String())}
}

// Count counts one request, which failed with err unless that is nil.
func (c Counter) Count(request string, err error) {
	outcome := "success"
	if err != nil {
		outcome = "failure"
	}
	c.counter.Add(context.Background(), 1, metric.WithAttributes(c.receiver,
		attribute.String("request", request), attribute.String("outcome", outcome)))
}
