// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package agentmetrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
)

const exposition = `
# TYPE consul_raft_apply counter
consul_raft_apply 10
# TYPE consul_raft_leader_lastContact summary
consul_raft_leader_lastContact{quantile="0.5"} NaN
consul_raft_leader_lastContact_sum 42
consul_raft_leader_lastContact_count 7
# TYPE consul_members_clients gauge
consul_members_clients{datacenter="dc1"} 3
consul_members_clients{datacenter="dc2"} NaN
# TYPE process_start_time_seconds gauge
process_start_time_seconds 999999
`

func agentMetrics(t *testing.T, limit int) (pmetric.MetricSlice, int) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(exposition))
	require.NoError(t, err)
	return Convert(families, time.Unix(1_000_000, 0), limit)
}

func TestTheAgentsOwnMetrics(t *testing.T) {
	found, beyond := agentMetrics(t, 100)
	assert.Zero(t, beyond)
	metrics := pmetric.NewMetrics()
	found.MoveAndAppendTo(metrics.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics())
	goldentest.Metrics(t, "the agent's own metrics", metrics)
}

func TestTheAgentsOwnMetricsAreBounded(t *testing.T) {
	found, beyond := agentMetrics(t, 2)
	assert.Equal(t, 3, beyond, "of five series")
	assert.Equal(t, 1, found.Len(), "the first metric has two of them")
}
