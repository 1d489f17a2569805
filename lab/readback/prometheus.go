// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package readback

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
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

// Exemplar is a value that a series counted, and the span that it leads to.
type Exemplar struct {
	Series          Series // without its value
	Value           float64
	Time            time.Time // in milliseconds
	TraceID, SpanID string
}

// Query returns the series that a PromQL instant query gives, ordered by their
// names and labels.
func (p Prometheus) Query(ctx context.Context, query string) ([]Series, error) {
	prometheus, err := p.api()
	if err != nil {
		return nil, err
	}
	answer, _, _, err := prometheus.Query(ctx, query, time.Now())
	if err != nil {
		return nil, fmt.Errorf("ask prometheus for %s: %w", query, err)
	}
	vector, ok := answer.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("ask prometheus for %s: the answer is a %T, not a vector", query, answer) // or nil
	}
	series := make([]Series, 0, len(vector))
	for _, sample := range vector {
		s := seriesOf(model.LabelSet(sample.Metric))
		s.Value = float64(sample.Value)
		series = append(series, s)
	}
	slices.SortFunc(series, func(a, b Series) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(fmt.Sprint(a.Labels), fmt.Sprint(b.Labels)))
	})
	return series, nil
}

// Exemplars returns those of the series that a PromQL query selects, since a
// time.
func (p Prometheus) Exemplars(ctx context.Context, query string, since time.Time) ([]Exemplar, error) {
	prometheus, err := p.api()
	if err != nil {
		return nil, err
	}
	answer, err := prometheus.QueryExemplars(ctx, query, since, time.Now().Add(time.Minute))
	if err != nil {
		return nil, fmt.Errorf("ask prometheus for exemplars of %s: %w", query, err)
	}
	var exemplars []Exemplar
	for _, found := range answer {
		for _, e := range found.Exemplars {
			exemplars = append(exemplars, Exemplar{
				Series: seriesOf(found.SeriesLabels), Value: float64(e.Value), Time: e.Timestamp.Time(),
				TraceID: string(e.Labels["trace_id"]), SpanID: string(e.Labels["span_id"]),
			})
		}
	}
	slices.SortStableFunc(exemplars, func(a, b Exemplar) int {
		return cmp.Or(strings.Compare(a.Series.Name, b.Series.Name), cmp.Compare(a.Value, b.Value))
	})
	return exemplars, nil
}

func (p Prometheus) api() (v1.API, error) {
	client, err := api.NewClient(api.Config{Address: string(p)})
	if err != nil {
		return nil, fmt.Errorf("ask prometheus: %w", err)
	}
	return v1.NewAPI(client), nil
}

func seriesOf(set model.LabelSet) Series {
	labels := map[string]string{}
	for name, value := range set {
		if name != model.MetricNameLabel {
			labels[string(name)] = string(value)
		}
	}
	return Series{Name: string(set[model.MetricNameLabel]), Labels: labels}
}
