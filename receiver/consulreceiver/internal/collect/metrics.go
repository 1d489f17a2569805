// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Metrics is where collectors record what is known at one time.
type Metrics struct {
	*metadata.MetricsBuilder
	Now time.Time

	// Answers reports whether the agent answers. What was watched counts only while
	// it does: a watch that hangs is noticed late.
	Answers bool

	// Peers are the addresses of the servers, while the agent answers.
	Peers []string
}

// TS returns the time of the data points.
func (m Metrics) TS() pcommon.Timestamp { return pcommon.NewTimestampFromTime(m.Now) }

// Up records whether the agent answers.
func (m Metrics) Up(up bool) { m.RecordConsulUpDataPoint(m.TS(), Number(up)) }

// UnixSeconds returns a time as the value of a data point, or of an attribute.
func UnixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Number returns 1 for true and 0 for false.
func Number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
