// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package eventlog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

func TestRecordsAreCompletedAndOrdered(t *testing.T) {
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, at := range []uint64{30, 10, 20} {
		r := records.AppendEmpty()
		r.Attributes().PutInt("at", int64(at))
		r.SetTimestamp(pcommon.Timestamp(at))
	}

	Complete(logs, time.Unix(100, 0), func(r plog.LogRecord) plog.SeverityNumber {
		if at, _ := r.Attributes().Get("at"); at.Int() == 10 {
			return plog.SeverityNumberError
		}
		return plog.SeverityNumberInfo
	})

	var order []int64
	for _, r := range records.All() {
		at, _ := r.Attributes().Get("at")
		order = append(order, at.Int())
		assert.Equal(t, time.Unix(100, 0).UTC(), r.ObservedTimestamp().AsTime())
	}
	assert.Equal(t, []int64{10, 20, 30}, order)
	assert.Equal(t, "Error", records.At(0).SeverityText())
	assert.Equal(t, plog.SeverityNumberInfo, records.At(2).SeverityNumber())
}
