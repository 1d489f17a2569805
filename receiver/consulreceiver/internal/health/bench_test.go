// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"fmt"
	"maps"
	"testing"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// A step over 20,000 checks of which one has changed, beside the least that
// any comparison must do: find every check once.
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
		var h Health
		h.Step(snapshottest.At(0), snapshot.Observation[CheckID, Check]{Objects: before})
		for i := 0; b.Loop(); i++ {
			// The check, and its service's incident.
			if _, effects := h.Step(snapshottest.At(i), snapshot.Observation[CheckID, Check]{Objects: []Checks{after, before}[i%2]}); len(effects) != 2 {
				b.Fatalf("%d effects, want 2", len(effects))
			}
		}
	})
	// The same change by the list of critical checks, which has no other.
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		var h Health
		h.Step(snapshottest.At(0), snapshot.Observation[CheckID, Check]{Objects: before})
		index := uint64(checks)
		for i := 0; b.Loop(); i++ {
			index++
			var effects []Effect
			if i%2 == 0 {
				effects = h.StepList(snapshottest.At(i), Critical, index, Checks{changed: {Service: "web", Status: Critical, Index: index}})
			} else {
				h.StepList(snapshottest.At(i), Critical, index, Checks{})
				effects = h.StepResolved(snapshottest.At(i), index, []CheckID{changed}, Checks{changed: {Service: "web", Status: Passing, Index: index}})
			}
			if len(effects) != 2 {
				b.Fatalf("%d effects, want 2", len(effects))
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

// The 10,000 instances of 5,000 services with 20,000 checks, beside the least that any
// count of them must do: add every check to its service once.
func BenchmarkInstancesByHealth(b *testing.B) {
	const all, services = 20_000, 5_000
	checks := make(Checks, all)
	totals := map[string]int64{}
	for i := range all {
		node, service, instance := fmt.Sprint("node-", i%500), fmt.Sprint("service-", i%services), fmt.Sprint("instance-", i/(2*services))
		checks[CheckID{Node: node, Check: fmt.Sprint("service:", i)}] = Check{
			Service: service, ServiceID: instance, Status: []Status{Passing, Passing, Warning, Critical}[i%4],
		}
		totals[service] = 2
	}

	b.Run("instances", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if counts := InstancesByHealth(checks, totals); len(counts) != services {
				b.Fatalf("%d services, want %d", len(counts), services)
			}
		}
	})
	b.Run("bare loop", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			counts := make(map[string]Instances, services)
			for _, check := range checks {
				c := counts[check.Service]
				c.Passing++
				counts[check.Service] = c
			}
			if len(counts) != services {
				b.Fatalf("%d services, want %d", len(counts), services)
			}
		}
	})
}
