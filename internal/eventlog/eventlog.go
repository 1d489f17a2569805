// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package eventlog completes the event records that mdatagen's LogsBuilder
// makes, which knows neither severity nor the observed time.
package eventlog

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Complete sets the observed time and the severity of every record, and puts
// the records in order of time: the builder groups them by event name.
func Complete(logs plog.Logs, observed time.Time, severity func(plog.LogRecord) plog.SeverityNumber) plog.Logs {
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				record.SetObservedTimestamp(pcommon.NewTimestampFromTime(observed))
				number := severity(record)
				record.SetSeverityNumber(number)
				record.SetSeverityText(number.String())
			}
			sl.LogRecords().Sort(func(a, b plog.LogRecord) bool { return a.Timestamp() < b.Timestamp() })
		}
	}
	return logs
}
