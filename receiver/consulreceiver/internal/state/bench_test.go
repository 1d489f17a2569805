// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"maps"
	"testing"
)

// A step over 20,000 checks of which one has changed, beside the least that
// any comparison must do: look every check up once.
func BenchmarkStep(b *testing.B) {
	const checks = 20_000
	before := make(Checks, checks)
	for i := range checks {
		before[CheckID{Node: fmt.Sprint("node-", i%500), Check: fmt.Sprint("service:", i)}] = Check{Service: "web", Status: Passing, Index: uint64(i)}
	}
	after := maps.Clone(before)
	changed := CheckID{Node: "node-0", Check: "service:0"}
	after[changed] = Check{Service: "web", Status: Critical, Index: checks}

	b.Run("step", func(b *testing.B) {
		b.ReportAllocs()
		var m Machine
		m.Step(at(0), Observation{Checks: before})
		for i := 0; b.Loop(); i++ {
			if effects := m.Step(at(i), Observation{Checks: []Checks{after, before}[i%2]}); len(effects) != 1 {
				b.Fatalf("%d effects, want 1", len(effects))
			}
		}
	})
	b.Run("bare loop", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			differ := 0
			for id, check := range before {
				if after[id] != check {
					differ++
				}
			}
			if differ != 1 {
				b.Fatalf("%d differ, want 1", differ)
			}
		}
	})
}
