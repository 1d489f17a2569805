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

// ServiceTransitions are the numbers of transitions of one service's checks.
type ServiceTransitions struct {
	Service string // empty for checks of nodes
	counts  [classes]int64
}

// Counter counts transitions of a bounded number of services.
type Counter struct {
	counts map[string]*[classes]int64 // by service; those of nodes, and Other, have room always
}

// own returns how many services have counts of their own.
func (c *Counter) own() int {
	n := len(c.counts)
	for _, always := range []string{"", Other} {
		if c.counts[always] != nil {
			n--
		}
	}
	return n
}

func (c *Counter) of(service string) *[classes]int64 {
	if c.counts == nil {
		c.counts = map[string]*[classes]int64{}
	}
	if c.counts[service] == nil {
		c.counts[service] = new([classes]int64)
	}
	return c.counts[service]
}

func (c *Counter) add(limit int, service string, status class) {
	if service != "" && c.counts[service] == nil && c.own() >= limit {
		service = Other
	}
	c.of(service)[status]++
}

// reserve gives services counts of their own, as long as there is room, and takes them
// from those that are gone and had no transition. A counter that begins with its first
// increment hides that from whoever computes a rate.
func (c *Counter) reserve(limit int, services []string) {
	c.of("")
	keep := make(map[string]bool, len(services))
	for _, service := range services {
		keep[service] = true
	}
	for service, counts := range c.counts {
		if service != "" && !keep[service] && *counts == [classes]int64{} {
			delete(c.counts, service)
		}
	}
	room := limit - c.own()
	for _, service := range services {
		if c.counts[service] != nil {
			continue
		}
		if room--; room < 0 {
			c.of(Other)
			return
		}
		c.of(service)
	}
}

// all returns all counts.
func (c *Counter) all() []ServiceTransitions {
	all := make([]ServiceTransitions, 0, len(c.counts))
	for service, counts := range c.counts {
		all = append(all, ServiceTransitions{service, *counts})
	}
	return all
}

// nonzero returns the counts that are not zero.
func (c *Counter) nonzero() map[Counted]int64 {
	var counts map[Counted]int64
	for service, byStatus := range c.counts {
		for status, n := range byStatus {
			if n == 0 {
				continue
			}
			if counts == nil {
				counts = map[Counted]int64{}
			}
			counts[Counted{service, statusOf[status]}] = n
		}
	}
	return counts
}
