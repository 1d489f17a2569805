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

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// RecordQuotas records what the quotas allow, and how many requests they refused.
func RecordQuotas(mb *metadata.MetricsBuilder, now pcommon.Timestamp, quotas state.Quotas) {
	for name, limit := range quotas.Limits {
		mb.RecordVaultQuotaRateLimitDataPoint(now, limit.PerSecond, name, limit.Path)
		if !quotas.Old { // What is not counted has refused nothing.
			mb.RecordVaultQuotaRefusalsDataPoint(now, quotas.Refusals.Counts[name], name)
		}
	}
}

// BeginRefusals has the counters of refused requests begin with the process that
// counts them, rather than with the receiver.
func BeginRefusals(metrics pmetric.MetricSlice, since time.Time) {
	begin := pcommon.Timestamp(0)
	if !since.IsZero() {
		begin = pcommon.NewTimestampFromTime(since)
	}
	for _, metric := range metrics.All() {
		if metric.Name() != metadata.MetricsInfo.VaultQuotaRefusals.Name {
			continue
		}
		for _, point := range metric.Sum().DataPoints().All() {
			point.SetStartTimestamp(begin)
		}
	}
}

// RenderQuotas returns an event for each quota that refused requests.
func (s *Story) RenderQuotas(observed, at time.Time, resource pcommon.Resource, exceeded []state.Exceeded) watch.Telemetry {
	told := watch.Silence()
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
