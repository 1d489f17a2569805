// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"fmt"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// Nodes returns the nodes that the active one has heard of in the last 15 s.
func (c *client) Nodes(ctx context.Context) ([]state.Node, error) {
	var answer struct {
		Data struct {
			Nodes []struct {
				Address string `json:"api_address"`
				Active  *bool  `json:"active_node" answer:"required"`
				Skew    int64  `json:"clock_skew_ms"`
			} `json:"nodes" answer:"nonempty"`
		} `json:"data"`
	}
	if err := c.getWithToken(ctx, endpointNodes, &answer); err != nil {
		return nil, err
	}
	nodes := make([]state.Node, 0, len(answer.Data.Nodes))
	for _, n := range answer.Data.Nodes {
		nodes = append(nodes, state.Node{Address: n.Address, Active: *n.Active, ClockSkew: time.Duration(n.Skew) * time.Millisecond})
	}
	return nodes, nil
}

// Peers returns the servers that are configured in the raft cluster.
func (c *client) Peers(ctx context.Context) (state.RaftPeers, error) {
	var answer struct {
		Data struct {
			Config struct {
				Servers []struct {
					ID            string `json:"node_id" answer:"required"`
					Address       string `json:"address" answer:"required"`
					Voter, Leader bool
				} `json:"servers" answer:"nonempty"`
			} `json:"config"`
		} `json:"data"`
	}
	if err := c.getWithToken(ctx, endpointPeers, &answer); err != nil {
		return state.RaftPeers{}, err
	}
	peers := state.RaftPeers{Peers: map[string]state.Peer{}}
	for _, s := range answer.Data.Config.Servers {
		peers.Peers[s.ID] = state.Peer{Address: s.Address, Voter: s.Voter}
		if s.Leader {
			peers.Leader = s.Address
		}
	}
	return peers, nil
}

// Autopilot returns how the active node finds the servers of the raft cluster.
// It does not know in the first moments, and then there are none.
func (c *client) Autopilot(ctx context.Context) (state.Autopilot, error) {
	var answer struct {
		Data struct {
			Healthy   *bool `json:"healthy" answer:"required"`
			Tolerance int64 `json:"failure_tolerance"`
			Leader    string
			Servers   map[string]struct {
				Address string
				Healthy bool
				Contact string `json:"last_contact"`
				Term    uint64 `json:"last_term"`
				Index   int64  `json:"last_index"`
			} `json:"servers" answer:"required"`
		} `json:"data"`
	}
	if err := c.getWithToken(ctx, endpointAutopilot, &answer); err != nil {
		return state.Autopilot{}, err
	}
	leader := answer.Data.Servers[answer.Data.Leader]
	a := state.Autopilot{
		Leader: leader.Address, Healthy: *answer.Data.Healthy, FailureTolerance: answer.Data.Tolerance,
		Servers: map[string]state.RaftServer{},
	}
	for id, s := range answer.Data.Servers {
		contact, err := time.ParseDuration(s.Contact)
		if err != nil {
			return state.Autopilot{}, fmt.Errorf("%s: last_contact of %s: %w", endpointAutopilot, id, err)
		}
		a.Servers[id] = state.RaftServer{
			Healthy: s.Healthy, LastContact: contact,
			// One that the active node has not heard of has neither term nor index.
			Lag: max(0, leader.Index-s.Index), LagKnown: s.Term > 0 && leader.Term > 0,
		}
	}
	return a, nil
}
