// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package goldentest compares telemetry with golden files. `go test -update`
// rewrites them; commit that only when you understand what changed them.
package goldentest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/ptracetest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var update = flag.Bool("update", false, "rewrite the golden files with what the test got")

// Traces requires that got equals scenario/traces.yaml, IDs and times included.
func Traces(t *testing.T, scenario string, got ptrace.Traces) {
	t.Helper()
	file := goldenFile(t, scenario, "traces.yaml", func(file string) error { return golden.WriteTracesToFile(file, got) })
	want, err := golden.ReadTraces(file)
	require.NoError(t, err)
	require.NoError(t, ptracetest.CompareTraces(want, got))
}

// Logs requires that got equals scenario/logs.yaml, IDs and times included.
func Logs(t *testing.T, scenario string, got plog.Logs) {
	t.Helper()
	file := goldenFile(t, scenario, "logs.yaml", func(file string) error { return golden.WriteLogsToFile(file, got) })
	want, err := golden.ReadLogs(file)
	require.NoError(t, err)
	require.NoError(t, plogtest.CompareLogs(want, got))
}

// Metrics requires that got equals scenario/metrics.yaml but for the
// times and the order, which the generated builders choose.
func Metrics(t *testing.T, scenario string, got pmetric.Metrics) {
	t.Helper()
	file := goldenFile(t, scenario, "metrics.yaml", func(file string) error { return golden.WriteMetricsToFile(file, got) })
	want, err := golden.ReadMetrics(file)
	require.NoError(t, err)
	require.NoError(t, pmetrictest.CompareMetrics(want, got,
		pmetrictest.IgnoreStartTimestamp(), pmetrictest.IgnoreTimestamp(),
		pmetrictest.IgnoreMetricsOrder(), pmetrictest.IgnoreMetricDataPointsOrder()))
}

// MetricsExactly requires that got equals scenario/metrics.yaml in everything:
// order, times and the filtered attributes of exemplars too, which Metrics does
// not compare.
func MetricsExactly(t *testing.T, scenario string, got pmetric.Metrics) {
	t.Helper()
	text, err := golden.MarshalMetricsYAML(got)
	require.NoError(t, err)
	file := goldenFile(t, scenario, "metrics.yaml", func(file string) error { return os.WriteFile(file, text, 0o644) })
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(text))
}

func goldenFile(t *testing.T, scenario, name string, write func(string) error) string {
	t.Helper()
	file := filepath.Join("testdata", scenario, name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, write(file))
	}
	return file
}
