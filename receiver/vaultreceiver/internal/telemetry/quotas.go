// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// RecordQuotas records what the quotas allow.
func RecordQuotas(mb *metadata.MetricsBuilder, now pcommon.Timestamp, quotas state.Quotas) {
	for name, limit := range quotas.Limits {
		mb.RecordVaultQuotaRateLimitDataPoint(now, limit.PerSecond, name, limit.Path)
	}
}

// AppendRefusals appends how many requests the quotas refused since the process
// began that counts them. It takes a builder of its own, as one has one beginning.
func AppendRefusals(to pmetric.MetricSlice, cfg metadata.MetricsBuilderConfig, settings receiver.Settings, now pcommon.Timestamp, quotas state.Quotas) {
	if quotas.Old {
		return
	}
	begin := pcommon.Timestamp(0)
	if !quotas.Refusals.Since.IsZero() {
		begin = pcommon.NewTimestampFromTime(quotas.Refusals.Since)
	}
	mb := metadata.NewMetricsBuilder(cfg, settings, metadata.WithStartTime(begin))
	for name := range quotas.Limits { // What is not counted has refused nothing.
		mb.RecordVaultQuotaRefusalsDataPoint(now, quotas.Refusals.Total(name), name)
	}
	for _, rm := range mb.Emit().ResourceMetrics().All() {
		rm.ScopeMetrics().At(0).Metrics().MoveAndAppendTo(to)
	}
}

// RenderQuotas returns an event for each quota that refused requests.
func (s *Story) RenderQuotas(observed, at time.Time, resource pcommon.Resource, exceeded []state.Exceeded) watch.Telemetry {
	told := watch.EmptyTelemetry()
	var records []func(*metadata.LogsBuilder)
	for _, e := range exceeded {
		records = append(records, func(logs *metadata.LogsBuilder) {
			logs.RecordVaultQuotaExceededEvent(context.Background(), pcommon.NewTimestampFromTime(at), e.Name, e.Path, e.Refused)
		})
	}
	if len(records) > 0 {
		told.Logs = s.logs(observed, resource, describeQuota, records...)
	}
	return told
}

func describeQuota(event plog.LogRecord) (plog.SeverityNumber, string) {
	name, _ := event.Attributes().Get("vault.quota.name")
	refused, _ := event.Attributes().Get("vault.quota.refused")
	requests := " requests"
	if refused.Int() == 1 {
		requests = " request"
	}
	return plog.SeverityNumberWarn, "quota " + name.Str() + " refused " + strconv.FormatInt(refused.Int(), 10) + requests
}
