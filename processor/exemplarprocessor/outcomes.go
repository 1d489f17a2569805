// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/candidate"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/normalize"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
)

// outcomes counts what became of spans, data points and exemplars; once for
// each batch.
type outcomes struct {
	telemetry *metadata.TelemetryBuilder
	found     [candidate.Outcomes]metric.MeasurementOption
	refused   [rule.Refusals]metric.MeasurementOption
	changes   [changes]metric.MeasurementOption
	promoted  [promotions]metric.MeasurementOption
	points    map[*rule.Rule]*[pointOutcomes]metric.MeasurementOption
	attached  map[*rule.Rule]metric.MeasurementOption
}
