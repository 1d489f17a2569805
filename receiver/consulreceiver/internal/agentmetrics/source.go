// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package agentmetrics reads the agent's own metrics.
package agentmetrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Endpoint is the part of the API that is read at each collection.
const Endpoint = "agent/metrics?format=prometheus"

// Config is of the agent's own metrics.
type Config struct {
	Enabled bool `mapstructure:"enabled"`
	// Limit is the largest number of series.
	Limit int `mapstructure:"limit"`
}

// Collect returns the agent's own metrics, none unless they are enabled.
func Collect(ctx context.Context, e *collect.Env, cfg Config) pmetric.MetricSlice {
	if !cfg.Enabled {
		return pmetric.NewMetricSlice()
	}
	metrics, beyond, err := Read(ctx, e.API, cfg.Limit)
	e.SetEndpoint(Endpoint, err)
	if err != nil {
		return pmetric.NewMetricSlice()
	}
	e.SetBeyond(Endpoint, collect.Limit{Object: metadata.AttributeObjectSeries, Max: cfg.Limit, Setting: "agent_telemetry::limit"}, beyond)
	return metrics
}

// A Consul that keeps no metrics for Prometheus refuses, or gives nothing.
var errNoMetrics = errors.New(Endpoint + ": the agent gives none: set telemetry { prometheus_retention_time = \"1m\" } in its configuration")

// Read returns at most limit series, and how many there are beyond.
func Read(ctx context.Context, c *consulapi.Client, limit int) (pmetric.MetricSlice, int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout())
	defer cancel()
	response, err := c.Send(ctx, Endpoint, consulapi.Query{Agent: true})
	if consulapi.StatusCode(err) == http.StatusUnsupportedMediaType {
		return pmetric.MetricSlice{}, 0, errNoMetrics
	}
	if err != nil {
		return pmetric.MetricSlice{}, 0, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return pmetric.MetricSlice{}, 0, fmt.Errorf("%s: %w: %w", Endpoint, consulapi.ErrForeign, err)
	}
	if len(families) == 0 {
		return pmetric.MetricSlice{}, 0, errNoMetrics
	}
	metrics, beyond := Convert(families, time.Now(), limit)
	return metrics, beyond, nil
}
