// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// What a cycle asks for: each function here is one request.

// Usage returns the size of the catalog of the datacenter.
func (c *client) Usage(ctx context.Context) (state.Usage, error) {
	reply, a, err := get[struct {
		Usage map[string]struct{ Nodes, Services, ServiceInstances int64 }
	}](ctx, c, endpointUsage, question{})
	if err != nil {
		return state.Usage{}, err
	}
	for datacenter, u := range reply.Usage { // one entry, as `global` is not asked for
		return state.Usage{
			Datacenter: datacenter,
			Nodes:      u.Nodes, Services: u.Services, Instances: u.ServiceInstances,
			LastContact: a.LastContact,
		}, nil
	}
	return state.Usage{}, fmt.Errorf("%s: the answer names no datacenter", endpointUsage)
}

// Autopilot returns what the leader knows of the servers.
func (c *client) Autopilot(ctx context.Context) (state.Autopilot, error) {
	reply, _, err := get[api.AutopilotState](ctx, c, endpointAutopilot, question{})
	if err != nil {
		return state.Autopilot{}, err
	}
	a := state.Autopilot{
		Healthy:          reply.Healthy,
		FailureTolerance: int64(reply.FailureTolerance),
		Voters:           int64(len(reply.Voters)),
	}
	for _, s := range reply.Servers {
		var lastContact time.Duration
		if s.LastContact != nil {
			lastContact = s.LastContact.Duration()
		}
		a.Servers = append(a.Servers, state.Server{
			ID: s.ID, Name: s.Name, Healthy: s.Healthy, Voter: slices.Contains(reply.Voters, s.ID),
			LastContact: lastContact, LastIndex: s.LastIndex, StableSince: s.StableSince,
		})
	}
	return a, nil
}

// instances returns the number of instances by service. Consul counts them
// every few seconds, for its own page; the answer is as large as the number of
// services.
func (p *selection) instances(ctx context.Context, c *client) (map[string]int64, error) {
	reply, _, err := get[struct {
		Services []struct {
			Name  string
			Total int64
		}
	}](ctx, c, endpointOverview, question{})
	totals := make(map[string]int64, len(reply.Services))
	for _, s := range reply.Services {
		if p.services.Match(s.Name) {
			totals[s.Name] += s.Total // Namespaces have services of their own.
		}
	}
	return totals, err
}

// roundTrips estimates the round trips between a sample of nodes, by their
// coordinates. Nodes of one network segment only have coordinates in common.
func (p *selection) roundTrips(ctx context.Context, c *client) (state.RoundTrips, error) {
	entries, _, err := get[[]api.CoordinateEntry](ctx, c, endpointCoordinates, question{})
	if err != nil {
		return state.RoundTrips{}, err
	}
	entries = slices.DeleteFunc(entries, func(e api.CoordinateEntry) bool { return e.Coord == nil || !p.nodes.Match(e.Node) })
	slices.SortFunc(entries, func(a, b api.CoordinateEntry) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Node, b.Node))
	})
	var sample []time.Duration
	for _, pair := range state.Pairs(len(entries), p.cfg.Coordinates.Sample) {
		a, b := entries[pair[0]], entries[pair[1]]
		if a.Segment == b.Segment && a.Partition == b.Partition && a.Coord.IsCompatibleWith(b.Coord) {
			sample = append(sample, a.Coord.DistanceTo(b.Coord))
		}
	}
	return state.SumUp(sample), nil
}
