// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// What a cycle asks for: each function here is one request.

// Usage returns the size of the catalog of the datacenter.
func (c *client) Usage(ctx context.Context) (state.Usage, error) {
	reply, a, err := get[struct {
		Usage map[string]struct {
			Nodes, Services, ServiceInstances *int64 `answer:"required"`
		} `answer:"nonempty"`
	}](ctx, c, endpointUsage, question{local: true}) // It is never forwarded.
	if err != nil {
		return state.Usage{}, err
	}
	var usage state.Usage
	for datacenter, u := range reply.Usage { // one entry, as `global` is not asked for
		usage = state.Usage{
			Datacenter: datacenter,
			Nodes:      *u.Nodes, Services: *u.Services, Instances: *u.ServiceInstances,
			LastContact: a.LastContact,
		}
	}
	return usage, nil
}

// Leader returns the address of the leader, or nothing if there is none.
func (c *client) Leader(ctx context.Context) (string, error) {
	address, _, err := get[*string](ctx, c, endpointLeader, question{})
	if err != nil {
		return "", err
	}
	return *address, nil
}

// Peers returns the addresses of the servers. There are none while they wait for more
// of them, and then there is no leader either.
func (c *client) Peers(ctx context.Context) ([]string, error) {
	peers, _, err := get[[]string](ctx, c, endpointPeers, question{})
	if err != nil || len(peers) > 0 {
		return peers, err
	}
	if leader, err := c.Leader(ctx); err != nil {
		return nil, err
	} else if leader != "" {
		return nil, fmt.Errorf("%s: %w: it names no server, but there is a leader", endpointPeers, errForeign)
	}
	return peers, nil
}

// Datacenters returns the names of the datacenters that the agent knows.
func (c *client) Datacenters(ctx context.Context) ([]string, error) {
	names, _, err := get[[]string](ctx, c, endpointDatacenters, question{})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: %w: it names no datacenter", endpointDatacenters, errForeign)
	}
	return names, err
}

// nullable is a list for which Consul sends null when there is nothing in it, which
// it does in a few answers only. Elsewhere null is an error.
type nullable[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (n *nullable[T]) UnmarshalJSON(data []byte) error {
	var list []T
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	if *n = list; list == nil {
		*n = []T{}
	}
	return nil
}

// Autopilot returns what is known of the servers.
func (c *client) Autopilot(ctx context.Context) (state.Autopilot, error) {
	reply, _, err := get[struct {
		Healthy          *bool `answer:"required"`
		FailureTolerance int
		Leader           string
		Voters           []string
		Servers          map[string]struct {
			ID          string `answer:"required"`
			Name        string
			LastContact *api.ReadableDuration
			LastIndex   uint64
			Healthy     bool
			StableSince time.Time
		} `answer:"required"`
	}](ctx, c, endpointAutopilot, question{})
	if err != nil {
		return state.Autopilot{}, err
	}
	a := state.Autopilot{
		Healthy:          *reply.Healthy,
		FailureTolerance: int64(reply.FailureTolerance),
		Voters:           int64(len(reply.Voters)),
	}
	for _, s := range reply.Servers {
		var lastContact time.Duration
		if s.LastContact != nil {
			lastContact = s.LastContact.Duration()
		}
		a.Servers = append(a.Servers, state.Server{
			ID: s.ID, Name: s.Name, Leader: s.ID == reply.Leader, Healthy: s.Healthy, Voter: slices.Contains(reply.Voters, s.ID),
			LastContact: lastContact, LastIndex: s.LastIndex, StableSince: s.StableSince,
		})
	}
	return a, nil
}

// overview returns the number of instances by service, and the size of the
// catalog, of which Usage knows that of the agent's own datacenter only. Consul
// counts every few seconds, for its own page; the answer is as large as the
// number of services.
func (p *selection) overview(ctx context.Context, c *client) (map[string]int64, state.Usage, error) {
	type count struct {
		Name, Namespace, Partition string
		Total                      int64
	}
	reply, _, err := get[struct {
		Nodes, Services nullable[count] `answer:"required"` // null before Consul has counted
	}](ctx, c, endpointOverview, question{})
	if err != nil {
		return nil, state.Usage{}, err
	}
	totals := make(map[string]int64, len(reply.Services))
	usage := state.Usage{Services: int64(len(reply.Services)), LastContact: -1}
	for _, n := range reply.Nodes {
		usage.Nodes += n.Total
	}
	for _, s := range reply.Services {
		usage.Instances += s.Total
		own := cmp.Or(s.Namespace, "default") == cmp.Or(p.cfg.namespace(), "default") &&
			cmp.Or(s.Partition, "default") == cmp.Or(p.cfg.partition(), "default")
		if own && p.services.Match(s.Name) {
			totals[s.Name] = s.Total
		}
	}
	return totals, usage, nil
}

// roundTrips estimates the round trips between a sample of nodes, by their
// coordinates. Nodes of one network segment only have coordinates in common.
func (p *selection) roundTrips(ctx context.Context, c *client) (state.RoundTrips, answer, error) {
	type entry struct {
		Node               string `answer:"required"`
		Segment, Partition string
		Coord              *coordinate.Coordinate
	}
	entries, a, err := getIndexed[[]entry](ctx, c, endpointCoordinates, question{})
	if err != nil {
		return state.RoundTrips{}, a, err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.Coord == nil || !p.nodes.Match(e.Node) })
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Node, b.Node))
	})
	var sample []time.Duration
	for _, pair := range state.Pairs(len(entries), p.cfg.Coordinates.Sample) {
		a, b := entries[pair[0]], entries[pair[1]]
		if a.Segment == b.Segment && a.Partition == b.Partition && a.Coord.IsCompatibleWith(b.Coord) {
			sample = append(sample, a.Coord.DistanceTo(b.Coord))
		}
	}
	return state.SumUp(sample), a, nil
}
