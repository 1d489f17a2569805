// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package eventlog completes the event records that mdatagen's LogsBuilder
// makes: it knows neither severity nor the observed time, cannot leave an
// attribute out, and groups events by name.
package eventlog

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Each calls add with every record. Events that are emitted one by one and
// added to another builder keep their order.
func Each(emitted plog.Logs, add func(plog.LogRecord)) {
	for _, rl := range emitted.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, record := range sl.LogRecords().All() {
				add(record)
			}
		}
	}
}

// Complete finishes every record, with the severity and the line that describe
// returns.
func Complete(logs plog.Logs, observed time.Time, describe func(plog.LogRecord) (plog.SeverityNumber, string)) plog.Logs {
	at := pcommon.NewTimestampFromTime(observed)
	Each(logs, func(record plog.LogRecord) {
		severity, line := describe(record)
		Finish(record, at, severity, line)
	})
	return logs
}

// Finish sets the observed time, the severity and the body, which is one line for
// people, and leaves out the attributes that are empty, which stand for what is
// not known.
func Finish(record plog.LogRecord, observed pcommon.Timestamp, severity plog.SeverityNumber, line string) {
	record.SetObservedTimestamp(observed)
	record.Body().SetStr(line)
	record.SetSeverityNumber(severity)
	record.SetSeverityText(severity.String())
	record.Attributes().RemoveIf(func(_ string, value pcommon.Value) bool {
		return value.Type() == pcommon.ValueTypeStr && value.Str() == ""
	})
}
