// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMetricsOfTemporalAreServedInSeconds(t *testing.T) {
	handler, measure, err := metrics()
	require.NoError(t, err)
	tagged := measure.WithTags(map[string]string{"namespace": "default"})
	tagged.Counter("temporal_request").Inc(2)
	tagged.Gauge("temporal_num_pollers").Update(3)
	tagged.Timer("temporal_request_latency").Record(70 * time.Millisecond)

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`temporal_request_total{namespace="default"} 2`,
		`temporal_num_pollers{namespace="default"} 3`,
		`temporal_request_latency_seconds_bucket{namespace="default",le="0.05"} 0`,
		`temporal_request_latency_seconds_bucket{namespace="default",le="0.1"} 1`,
	} {
		assert.Contains(t, answer.Body.String(), line)
	}
}
