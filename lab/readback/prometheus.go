// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package readback

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Prometheus is the URL of a Prometheus server.
type Prometheus string

// Series is one series and its newest value.
type Series struct {
	Name   string
	Labels map[string]string // without the name
	Value  float64
}

// Query returns the series that a PromQL instant query gives, ordered by their
// names and labels.
func (p Prometheus) Query(ctx context.Context, query string) ([]Series, error) {
	client, err := api.NewClient(api.Config{Address: string(p)})
	if err != nil {
		return nil, fmt.Errorf("ask prometheus: %w", err)
	}
	answer, _, _, err := v1.NewAPI(client).Query(ctx, query, time.Now())
	if err != nil {
		return nil, fmt.Errorf("ask prometheus for %s: %w", query, err)
	}
	vector, ok := answer.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("ask prometheus for %s: the answer is a %s, not a vector", query, answer.Type())
	}
	slices.SortFunc(vector, func(a, b *model.Sample) int {
		if a.Metric.Before(b.Metric) {
			return -1
		}
		return 1
	})
	series := make([]Series, 0, len(vector))
	for _, sample := range vector {
		labels := map[string]string{}
		for name, value := range sample.Metric {
			if name != model.MetricNameLabel {
				labels[string(name)] = string(value)
			}
		}
		series = append(series, Series{Name: string(sample.Metric[model.MetricNameLabel]), Labels: labels, Value: float64(sample.Value)})
	}
	return series, nil
}
