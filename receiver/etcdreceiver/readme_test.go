// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

func TestTheReadmeNamesEverything(t *testing.T) {
	names := []string{
		lock.SpanAttempt, lock.SpanWait, lock.SpanHold, lock.SpanTerm, lease.Span, leader.SpanLeaderless,
	}
	names = append(names, histogramNames()...)
	names = append(names, readmetest.Settings[metadata.MetricsConfig]()...)
	names = append(names, readmetest.Settings[metadata.EventsConfig]()...)
	names = append(names, readmetest.Settings[Config]()...)
	readmetest.RequireNames(t, names...)
}

// histogramNames returns the metrics that mdatagen does not know.
func histogramNames() (names []string) {
	now := time.Now()
	durations := keyspace.NewDurations(keyspace.Prefixes{Locks: []string{"/"}, Elections: []string{"/"}}, now)
	durations.Observe("", now, []keyspace.Effect{lease.Queried{Lease: lease.Lease{First: true}}})
	metrics := pmetric.NewMetricSlice()
	durations.AppendTo(metrics, pcommon.NewTimestampFromTime(now))
	for _, metric := range metrics.All() {
		names = append(names, metric.Name())
	}
	return names
}
