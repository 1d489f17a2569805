// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Telemetry is what one step returns. Both are valid, and may be empty. A
// consumer may keep them, so nothing changes them afterwards.
type Telemetry struct {
	Logs   plog.Logs
	Traces ptrace.Traces
}

// EmptyTelemetry is that of a step after which there is nothing to deliver.
func EmptyTelemetry() Telemetry { return Telemetry{Logs: plog.NewLogs(), Traces: ptrace.NewTraces()} }
