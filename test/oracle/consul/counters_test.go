// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consul

import (
	"maps"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// compareCounters compares the transitions that were counted with those that were
// reported. They count from when the collector started.
func (s *system) compareCounters(events []oracle.Event, windows []oracle.Window) {
	if slices.ContainsFunc(windows, func(w oracle.Window) bool { return w.Silent }) {
		return
	}
	want := map[string]float64{}
	for _, e := range events {
		if e.Name == eventTransition && e.Attributes[attrStatusNew] != statusNone {
			want[e.Attributes[attrService]+" "+e.Attributes[attrStatusNew]]++
		}
		if e.Name == eventServiceMaintained || e.Name == eventNodeMaintained {
			want[e.Attributes[attrService]+" "+api.HealthMaint]++
		}
	}
	got := map[string]float64{}
	for series, value := range s.sink.Series(metricTransitions, attrService, attrStatus, attrDatacenter) {
		series, of, _ := cutLast(series)
		if len(s.systems) == 1 || of == s.datacenter {
			got[series] = value
		}
	}
	for _, series := range slices.Sorted(maps.Keys(want)) {
		if got[series] != want[series] {
			s.Differ("%s{%s} is %v, and %v were reported", metricTransitions, series, got[series], want[series])
		}
	}
	services, _, err := s.client.Catalog().Services(nil)
	if err != nil {
		s.Differ("services cannot be read: %v", err)
	}
	for service := range services {
		checks, _, _ := s.client.Health().Checks(service, nil)
		for _, status := range []string{api.HealthPassing, api.HealthWarning, api.HealthCritical} {
			if _, ok := got[service+" "+status]; !ok && len(checks) > 0 {
				s.Differ("%s{%s %s} is not there", metricTransitions, service, status)
			}
		}
	}
}
