// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"strings"
	"sync"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Changes holds what other kinds need of the catalog's watches: when it changed, and
// how it spells the names of nodes.
type Changes struct {
	mu      sync.Mutex
	indexes map[string]uint64 // by endpoint
	count   uint64
	next    chan struct{}
	names   map[string]string // of nodes, by the name in lower case
}

// NewChanges returns the Changes of a datacenter.
func NewChanges() *Changes {
	return &Changes{indexes: map[string]uint64{}, next: make(chan struct{})}
}

// Changed returns how often the catalog has changed, and a channel that is closed when
// it changes again.
func (c *Changes) Changed() (count uint64, next <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count, c.next
}

// NodeName returns the name of a node as the catalog spells it, or nothing if it is not
// known.
func (c *Changes) NodeName(lower string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[lower]
}

func (c *Changes) observe(endpoint string, index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.indexes[endpoint] == index {
		return
	}
	c.indexes[endpoint] = index
	c.count++
	close(c.next)
	c.next = make(chan struct{})
}

func (c *Changes) setNames(nodes map[string]Node) {
	names := make(map[string]string, len(nodes))
	for name := range nodes {
		names[strings.ToLower(name)] = name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = names
}

// observed returns the read that also takes its results in here.
func observed[V comparable](c *Changes, endpoint string, read collect.Read[string, V], took func(map[string]V)) collect.Read[string, V] {
	return func(ctx context.Context, api *consulapi.Client, q consulapi.Query) (collect.Result[string, V], error) {
		result, err := read(ctx, api, q)
		if err == nil {
			took(result.Objects)
			c.observe(endpoint, result.Index)
		}
		return result, err
	}
}
