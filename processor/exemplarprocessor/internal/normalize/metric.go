// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/processor/exemplarprocessor/internal/identity"
)

// Metric mends the exemplars of all data points of a metric, and removes those
// that the repeats know, which may be nil. The resource is an
// identity.Resource or identity.Scope. Points without exemplars cost nothing but the look.
func (n *Normalizer) Metric(resource uint64, metric pmetric.Metric, repeats *Repeats, c *Counts) {
	point := func(attrs pcommon.Map, at pcommon.Timestamp, exemplars pmetric.ExemplarSlice) {
		if exemplars.Len() == 0 {
			return
		}
		n.Exemplars(exemplars, c)
		if repeats != nil && exemplars.Len() > 0 {
			repeats.Exemplars(identity.Series(resource, metric.Name(), attrs), at, exemplars, c)
		}
	}
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range metric.Gauge().DataPoints().All() {
			point(p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	case pmetric.MetricTypeSum:
		for _, p := range metric.Sum().DataPoints().All() {
			point(p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range metric.Histogram().DataPoints().All() {
			point(p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range metric.ExponentialHistogram().DataPoints().All() {
			point(p.Attributes(), p.Timestamp(), p.Exemplars())
		}
	}
}
