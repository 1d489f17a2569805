// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"maps"
	"slices"
)

// Other is the name under which a Counter counts what is beyond its limit.
const Other = "_OTHER"

// Counted is what transitions are counted by.
type Counted struct {
	Service string // empty for checks of nodes
	Status  Status // after the transition
}

// Counter counts transitions of a bounded number of services.
type Counter struct {
	counts   map[Counted]int64
	services map[string]bool
}

func (c *Counter) add(limit int, t Counted) {
	if t.Status == None {
		return
	}
	if c.counts == nil {
		c.counts, c.services = map[Counted]int64{}, map[string]bool{}
	}
	if t.Service != "" && !c.services[t.Service] {
		if len(c.services) >= limit {
			t.Service = Other
		} else {
			c.services[t.Service] = true
		}
	}
	c.counts[t]++
}

// withZeros returns the counts, and zero for each status of the services that had no
// transition, up to a limit, and of nodes. A counter that begins with its first increment
// hides that from whoever computes a rate. A service that has a zero keeps its series
// until it is gone.
func (c *Counter) withZeros(limit int, services []string) map[Counted]int64 {
	c.reserve(limit, services)
	names := append(slices.Collect(maps.Keys(c.services)), "")
	if len(services) > len(c.services) {
		names = append(names, Other)
	}
	counts := make(map[Counted]int64, len(names)*len(statusOf))
	for _, name := range names {
		for _, status := range statusOf {
			counts[Counted{name, status}] = 0
		}
	}
	for counted, n := range c.counts {
		counted.Status = nameOf(counted.Status)
		counts[counted] += n
	}
	return counts
}

// reserve gives services series of their own, as long as there is room, and takes them
// from those that are gone and had no transition.
func (c *Counter) reserve(limit int, services []string) {
	if c.counts == nil {
		c.counts, c.services = map[Counted]int64{}, map[string]bool{}
	}
	keep := make(map[string]bool, len(services))
	for _, name := range services {
		keep[name] = true
	}
	for counted := range c.counts {
		keep[counted.Service] = true
	}
	maps.DeleteFunc(c.services, func(name string, _ bool) bool { return !keep[name] })
	for _, name := range services {
		if len(c.services) >= limit {
			return
		}
		c.services[name] = true
	}
}
