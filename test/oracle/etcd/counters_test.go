// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"maps"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/test/oracle"
)

// compareCounters compares what was counted with what was reported. It counts from when
// the collector started, and is there at 0 before.
func (s *system) compareCounters(events []oracle.Event, windows []oracle.Window) {
	if slices.ContainsFunc(windows, func(w oracle.Window) bool { return w.Silent || isRestore(w) }) {
		return
	}
	want := map[string]map[string]float64{
		metricKeyChanges: {}, metricAcquisitions: {}, metricAbandonments: {}, metricElections: {},
		metricLeaseGrants: {"": 0}, metricLeaseEnds: {leaseRevoked: 0, leaseExpired: 0, causeUnknown: 0}, metricLeaderChanges: {"": 0},
	}
	for _, prefix := range s.prefixes.watch {
		want[metricKeyChanges][changePut+" "+prefix], want[metricKeyChanges][changeDelete+" "+prefix] = 0, 0
	}
	for _, prefix := range s.prefixes.locks {
		want[metricAcquisitions][prefix], want[metricAbandonments][prefix] = 0, 0
	}
	for _, prefix := range s.prefixes.elections {
		want[metricElections][prefix] = 0
	}
	for _, e := range events {
		s.count(want, e)
	}
	attributes := map[string][]string{
		metricKeyChanges: {attrKeyChange, attrPrefix}, metricAcquisitions: {attrPrefix}, metricAbandonments: {attrPrefix},
		metricElections: {attrPrefix}, metricLeaseEnds: {attrLeaseCause},
	}
	for _, metric := range slices.Sorted(maps.Keys(want)) {
		got := s.sink.Series(metric, attributes[metric]...)
		for _, series := range slices.Sorted(maps.Keys(want[metric])) {
			if value, ok := got[series]; !ok || value != want[metric][series] {
				s.Differ("%s{%s} is %v (there: %t), and %v were reported", metric, series, value, ok, want[metric][series])
			}
		}
	}
}

func (s *system) count(want map[string]map[string]float64, e oracle.Event) {
	a := e.Attributes
	ofLock := func() string {
		if prefix, ok := longest(a[attrLockName]+"/", s.prefixes.locks); ok {
			return prefix
		}
		prefix, _ := longest(a[attrLockName]+"/", s.prefixes.watch)
		return prefix
	}
	switch e.Name {
	case eventPut, eventDelete:
		prefix, _ := longest(a[attrKey], s.prefixes.watch)
		want[metricKeyChanges][strings.TrimPrefix(e.Name, "etcd.key.")+" "+prefix]++
	case eventAcquired:
		want[metricAcquisitions][ofLock()]++
	case eventAbandoned:
		want[metricAbandonments][ofLock()]++
	case eventElected:
		want[metricElections][prefixElections]++
	case eventGranted:
		want[metricLeaseGrants][""]++
	case eventEnded:
		want[metricLeaseEnds][a[attrLeaseCause]]++
	case eventLeaderElected:
		want[metricLeaderChanges][""]++
	}
}
