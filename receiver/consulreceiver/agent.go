// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

// agentMetrics returns the agent's own metrics, none unless they are asked for.
func (s *scope) agentMetrics(ctx context.Context) pmetric.MetricSlice {
	if !s.agent || !s.cfg.AgentTelemetry.Enabled {
		return pmetric.NewMetricSlice()
	}
	metrics, beyond, err := s.client.AgentMetrics(ctx, s.cfg.AgentTelemetry.Limit)
	s.set(endpointTelemetry, err)
	if err != nil {
		return pmetric.NewMetricSlice()
	}
	s.limited(endpointTelemetry, limit{metadata.AttributeConsulObjectSeries, s.cfg.AgentTelemetry.Limit, "agent_telemetry::limit"}, beyond)
	return metrics
}

// A Consul that keeps no metrics for Prometheus refuses, or gives nothing.
var errNoAgentMetrics = errors.New(endpointTelemetry + ": the agent gives none: set telemetry { prometheus_retention_time = \"1m\" } in its configuration")

// AgentMetrics returns at most limit series, and how many there are beyond.
func (c *client) AgentMetrics(ctx context.Context, limit int) (pmetric.MetricSlice, int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	response, err := c.send(ctx, endpointTelemetry, question{agent: true})
	if refusal(err) == http.StatusUnsupportedMediaType {
		return pmetric.MetricSlice{}, 0, errNoAgentMetrics
	}
	if err != nil {
		return pmetric.MetricSlice{}, 0, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return pmetric.MetricSlice{}, 0, fmt.Errorf("%s: %w: %w", endpointTelemetry, errForeign, err)
	}
	if len(families) == 0 {
		return pmetric.MetricSlice{}, 0, errNoAgentMetrics
	}
	metrics, beyond := telemetry.Agent(families, time.Now(), limit)
	return metrics, beyond, nil
}
