// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

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
