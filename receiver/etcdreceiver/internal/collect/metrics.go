// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Metrics is where collectors record what is known of the cluster at one time.
type Metrics struct {
	*metadata.MetricsBuilder
	Now time.Time

	// Answers reports whether a member answers. What was watched counts only while one
	// does: a watch that hangs is noticed late.
	Answers bool

	// Members are those of the cluster that answered in the last round, and MaxAge is
	// how long an answer counts. They are for parts of a Cluster.
	Members []etcdapi.Status
	MaxAge  time.Duration

	// More gets the metrics that mdatagen has no builder for: histograms.
	More pmetric.MetricSlice
}

// TS returns the time of the data points.
func (m Metrics) TS() pcommon.Timestamp { return pcommon.NewTimestampFromTime(m.Now) }

// Number returns 1 for true and 0 for false.
func Number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
