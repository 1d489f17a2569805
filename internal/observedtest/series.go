// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package observedtest

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Series returns each data point of the newest batch as a text of its name, attributes and value, sorted. Of the
// metrics with the names in withoutValue, which change with the time, the value is left out.
func (r *Receiver) Series(withoutValue ...string) (series []string) {
	all := r.Metrics.AllMetrics()
	if len(all) == 0 {
		return nil
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, point := range points(m).All() {
					text := fmt.Sprint(m.Name(), rm.Resource().Attributes().AsRaw(), point.Attributes().AsRaw())
					if !slices.Contains(withoutValue, m.Name()) {
						text += fmt.Sprint(" ", value(point))
					}
					series = append(series, text)
				}
			}
		}
	}
	slices.Sort(series)
	return series
}

func value(point pmetric.NumberDataPoint) any {
	if point.ValueType() == pmetric.NumberDataPointValueTypeDouble {
		return point.DoubleValue()
	}
	return point.IntValue()
}
