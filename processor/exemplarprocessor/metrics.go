// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package exemplarprocessor

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/normalize"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/rule"
	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/series"
)

// metrics gives exemplars to the metrics that pass. What it remembers of series
// is its own, as each pipeline has all points of a series.
type metrics struct {
	*shared

	next       consumer.Metrics
	promoter   *normalize.Promoter // nil: no attribute is promoted
	normalizer *normalize.Normalizer
	repeats    *normalize.Repeats // nil: what is repeated is passed
	series     *series.Table      // nil: there are no rules
	masks      *rule.Masks        // goes with series
	passes     sync.Pool
}

func newMetrics(s *shared, next consumer.Metrics) *metrics {
	e := s.Observer
	e.metrics.Add(1)
	m := &metrics{shared: s, next: next, normalizer: normalize.New(e.cfg.Normalize.aliases())}
	if e.attaches() {
		m.series = series.NewTable(e.cfg.Attach.Series, e.now().UnixNano(), e.cfg.Attach.options())
		m.masks = rule.NewMasks(e.cfg.Attach.Series)
		e.tables.add(m.series)
	}
	if len(e.cfg.Promote.TraceIDs) > 0 {
		m.promoter = normalize.NewPromoter(e.cfg.Promote.TraceIDs, e.cfg.Promote.SpanIDs, e.cfg.Attach.MaxPerPoint)
	}
	if e.cfg.Normalize.Repeated == repeatedDrop {
		m.repeats = normalize.NewRepeats(e.cfg.Attach.Series)
	}
	m.passes.New = func() any { return newPass(m) }
	return m
}

// Capabilities implements consumer.Metrics.
func (m *metrics) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// ConsumeMetrics passes metrics on, with their exemplars.
func (m *metrics) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	p := m.passes.Get().(*pass)
	defer m.passes.Put(p)
	p.begin(m.Observer.now().UnixNano())
	for _, rm := range md.ResourceMetrics().All() {
		resource := rm.Resource().Attributes()
		id := identity.Resource(resource)
		for _, sm := range rm.ScopeMetrics().All() {
			scope := identity.Scope(id, sm.Scope().Name())
			for _, metric := range sm.Metrics().All() {
				if m.promoter != nil {
					m.promoter.Metric(metric, &p.changes)
				}
				m.normalizer.Metric(scope, metric, m.repeats, &p.changes)
				if m.series != nil {
					p.attach(resource, scope, metric)
				}
			}
		}
	}
	m.Observer.outcomes.pass(ctx, p)
	return m.next.ConsumeMetrics(ctx, md)
}
