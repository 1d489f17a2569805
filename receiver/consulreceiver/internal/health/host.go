// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"slices"
)

// maxHosts is how many nodes that are ill are read at a collection.
const maxHosts = 64

// hosts are the nodes of which all instances were read, with how often the catalog had
// changed by then.
type hosts map[string]uint64

// refreshHosts reads which instances are on the nodes that are ill: no instance on them
// is passing, also if it has no check of its own. It says whether all are known.
func (c *collector) refreshHosts(ctx context.Context, totals map[string]int64) (all bool) {
	changed, _ := c.catalog.Changed()
	c.mu.Lock()
	ill := c.health.Ill()
	var sum int64
	for _, n := range totals {
		sum += n
	}
	if sum <= int64(c.health.KnownInstances()) {
		ill = slices.DeleteFunc(ill, func(node string) bool { return c.hosts[node] == 0 }) // Each instance has a check.
	}
	for node := range c.hosts {
		if !slices.Contains(ill, node) {
			c.health.Host(node, nil)
			delete(c.hosts, node)
		}
	}
	c.mu.Unlock()
	if len(ill) == 0 {
		c.RestEndpoint(endpointOnNode)
	}
	all = true
	left := maxHosts
	for _, node := range ill {
		if c.hosts[node] == changed+1 {
			continue
		}
		if left--; left < 0 {
			return false
		}
		instances, err := instancesOn(ctx, c.API, c.Filters, node)
		c.SetEndpoint(endpointOnNode, err)
		if err != nil {
			return false
		}
		if c.hosts == nil {
			c.hosts = hosts{}
		}
		c.hosts[node] = changed + 1
		c.mu.Lock()
		c.health.Host(node, instances)
		c.mu.Unlock()
	}
	return all
}
