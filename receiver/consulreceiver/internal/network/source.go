// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package network estimates the round trips between nodes, by their network
// coordinates.
package network

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hashicorp/serf/coordinate"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is read at each collection.
const Endpoint = "coordinate/nodes"

// Kind returns what reads the coordinates.
func Kind(cfg Config) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return collector{e, cfg}
	}}
}

type collector struct {
	*collect.Env
	cfg Config
}

// Run implements collect.Collector: nothing is watched.
func (c collector) Run(context.Context) {}

// Record implements collect.Collector.
func (c collector) Record(ctx context.Context, m collect.Metrics) {
	if !m.Answers {
		c.SkipEndpoints(Endpoint)
		return
	}
	trips, meta, err := Read(ctx, c.API, c.Filters, c.cfg.Sample)
	c.SetEndpoint(Endpoint, err)
	if err != nil {
		return
	}
	c.SetFiltered(Endpoint, meta.Filtered)
	if trips != (RoundTrips{}) {
		RecordRoundTrips(m, trips)
	}
}

// Read estimates the round trips between a sample of nodes. Nodes of one network
// segment only have coordinates in common.
func Read(ctx context.Context, c *consulapi.Client, filters collect.Filters, limit int) (RoundTrips, consulapi.Meta, error) {
	type entry struct {
		Node               string `answer:"required"`
		Segment, Partition string
		Coord              *coordinate.Coordinate
	}
	entries, meta, err := consulapi.GetIndexed[[]entry](ctx, c, Endpoint, consulapi.Query{})
	if err != nil {
		return RoundTrips{}, meta, err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.Coord == nil || !filters.Nodes.Match(e.Node) })
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Node, b.Node))
	})
	var sample []time.Duration
	for _, pair := range Pairs(len(entries), limit) {
		a, b := entries[pair[0]], entries[pair[1]]
		if a.Segment == b.Segment && a.Partition == b.Partition && a.Coord.IsCompatibleWith(b.Coord) {
			sample = append(sample, a.Coord.DistanceTo(b.Coord))
		}
	}
	return SumUp(sample), meta, nil
}
