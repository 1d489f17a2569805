// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package eventlog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"
)

func TestRecordsAreCompleted(t *testing.T) {
	logs := plog.NewLogs()
	for _, name := range []string{"b", "a"} {
		record := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		record.SetEventName(name)
		record.Attributes().PutStr("known", "yes")
		record.Attributes().PutStr("unknown", "")
		record.Attributes().PutBool("false", false)
	}
	Complete(logs, time.Unix(100, 0), func(record plog.LogRecord) (plog.SeverityNumber, string) {
		if record.EventName() == "b" {
			return plog.SeverityNumberError, "b is bad"
		}
		return plog.SeverityNumberInfo, "a is good"
	})

	var told []string
	Each(logs, func(record plog.LogRecord) {
		told = append(told, record.EventName()+" "+record.SeverityText()+" "+record.Body().Str())
		assert.Equal(t, time.Unix(100, 0).UTC(), record.ObservedTimestamp().AsTime())
		assert.Equal(t, map[string]any{"known": "yes", "false": false}, record.Attributes().AsRaw())
	})
	assert.Equal(t, []string{"b Error b is bad", "a Info a is good"}, told)
}
