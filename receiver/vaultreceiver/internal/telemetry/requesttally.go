// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/histogram"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// RequestTally measures the requests that audit devices tell of.
type RequestTally struct{ duration *histogram.Histogram }

// NewRequestTally returns a tally that begins at start.
func NewRequestTally(start time.Time) *RequestTally {
	return &RequestTally{duration: histogram.New(histogram.Config{
		Name: "vault.request.duration", Unit: "s", Start: start,
		Description: "How long requests took, from when Vault had checked who makes them until it had the response.",
		Attributes:  [3]string{"vault.request.operation", "vault.mount.type", "vault.request.outcome"},
		Bounds:      []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90},
	})}
}

// Take counts a whole exchange, with the span of it as the exemplar.
func (t *RequestTally) Take(x audit.Exchange, trace pcommon.TraceID, span pcommon.SpanID) {
	known := x.Known()
	key := histogram.Key{known.Operation, known.Mount.Type, outcomeOf(known.Failure)}
	t.duration.Record(key, max(0, x.Response.Time.Sub(x.Request.Time).Seconds()), x.Response.Time, trace, span)
}

// AppendTo appends the metrics.
func (t *RequestTally) AppendTo(metrics pmetric.MetricSlice, now pcommon.Timestamp) {
	t.duration.AppendTo(metrics, now)
}

func outcomeOf(f audit.Failure) string {
	switch f {
	case audit.None:
		return "ok"
	case audit.Denied, audit.InvalidToken:
		return "denied"
	default:
		return "error"
	}
}

// RenderDropped returns the event of entries that were dropped.
func (s *Story) RenderDropped(observed time.Time, resource pcommon.Resource, entries int64) plog.Logs {
	return s.logs(observed, resource, func(plog.LogRecord) (plog.SeverityNumber, string) {
		return plog.SeverityNumberWarn, "entries of audit devices were dropped, as the pipeline was slower than vault"
	}, func(logs *metadata.LogsBuilder) {
		logs.RecordVaultAuditDroppedEvent(context.Background(), pcommon.NewTimestampFromTime(observed), entries)
	})
}

// RenderAuditGap returns the event of a time in which entries may have been lost.
func (s *Story) RenderAuditGap(observed time.Time, resource pcommon.Resource, reason metadata.AttributeVaultAuditGapReason, from, until time.Time) plog.Logs {
	return s.logs(observed, resource, func(plog.LogRecord) (plog.SeverityNumber, string) {
		return plog.SeverityNumberWarn, "entries that audit devices sent may be lost"
	}, func(logs *metadata.LogsBuilder) {
		logs.RecordVaultAuditGapEvent(context.Background(), pcommon.NewTimestampFromTime(until),
			reason, until.Sub(from).Seconds())
	})
}
