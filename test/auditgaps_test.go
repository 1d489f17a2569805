// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
)

// gaps are times in which requests may have been lost.
type gaps []struct{ from, until time.Time }

func (g gaps) have(x times) bool {
	for _, gap := range g {
		if x.within(gap.from, gap.until) {
			return true
		}
	}
	return false
}

// unsaid returns how many are not of a time in which requests may have been lost.
func unsaid(t *testing.T, lost requests, g gaps) (n int) {
	t.Helper()
	for _, x := range lost {
		if !g.have(x) {
			if n++; n < 10 {
				t.Logf("lost: %v", x)
			}
		}
	}
	return n
}

func (g gaps) String() string {
	var all []string
	for _, gap := range g {
		all = append(all, fmt.Sprintf("%s + %s", gap.from.Format("15:04:05.000"), gap.until.Sub(gap.from).Round(time.Millisecond)))
	}
	return strings.Join(all, ", ")
}

// auditGaps returns those that were told.
func auditGaps(t *testing.T, dir string) (all gaps) {
	t.Helper()
	if readFile(dir, "events.jsonl") == "" {
		return nil // It is made for the first event.
	}
	eachLog(t, filepath.Join(dir, "events.jsonl"), func(event plog.LogRecord) {
		assert.NotEqual(t, "vault.audit.dropped", event.EventName())
		if event.EventName() != "vault.audit.gap" {
			return
		}
		seconds, ok := event.Attributes().Get("observation.gap.duration")
		require.True(t, ok)
		until := event.Timestamp().AsTime()
		all = append(all, struct{ from, until time.Time }{until.Add(-time.Duration(seconds.Double() * float64(time.Second))), until})
	})
	return all
}
