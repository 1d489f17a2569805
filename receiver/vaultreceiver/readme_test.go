// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// histogramNames returns the metrics that mdatagen does not know.
func histogramNames() (names []string) {
	metrics := pmetric.NewMetricSlice()
	telemetry.NewLeaseTally(time.Now(), telemetry.LeaseNaming{}).AppendTo(metrics, 0)
	tally := telemetry.NewRequestTally(time.Now())
	tally.Take(audit.Exchange{Request: &audit.Entry{}, Response: &audit.Entry{}}, pcommon.TraceID{}, pcommon.SpanID{})
	tally.AppendTo(metrics, 0)
	for _, metric := range metrics.All() {
		names = append(names, metric.Name())
	}
	return names
}

func TestTheReadmeNamesEverything(t *testing.T) {
	names := []string{telemetry.SpanSealed, telemetry.SpanLeaderless, telemetry.SpanSealed + ".start", telemetry.SpanLeaderless + ".start",
		telemetry.SpanLease, telemetry.SpanLease + ".start"}
	names = append(names, histogramNames()...)
	names = append(names, telemetry.SpanCertificate, telemetry.SpanCertificate+".start")
	names = append(names, readmetest.Settings[metadata.MetricsConfig]()...)
	names = append(names, readmetest.Settings[metadata.EventsConfig]()...)
	names = append(names, readmetest.Settings[Config]()...)
	for _, key := range readmetest.Settings[AppRoleConfig]() {
		names = append(names, "approle::"+key)
	}
	for _, key := range readmetest.Settings[KubernetesConfig]() {
		names = append(names, "kubernetes::"+key)
	}
	readmetest.RequireNames(t, names...)
}
