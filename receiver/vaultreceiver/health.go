// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// tries is how often a round is made that contradicts itself: a server that
// changes between two requests does so only for a moment.
const tries = 3

// round is what was answered to the requests that need no token.
type round struct {
	state.Status
	node        string // that answered, where Vault tells it
	contradicts bool   // the answers cannot be of one server

	sealErr, leaderErr error
}

// Look returns the state of the server, as it and its view of its cluster are
// told to anybody. The error is that of its health, without which nothing is known.
func (c *client) Look(ctx context.Context) (r round, err error) {
	for i := range tries {
		if i > 0 {
			pause(ctx, time.Duration(i)*20*time.Millisecond)
		}
		if r, err = c.look(ctx); err != nil || !r.contradicts {
			return r, err
		}
	}
	return r, nil
}

func (c *client) look(ctx context.Context) (r round, err error) {
	r.Server, r.Replication, r.node, err = c.health(ctx)
	if err != nil {
		return r, err
	}
	r.sealErr = c.sealStatus(ctx, &r)
	if r.Sealed {
		return r, nil // It does not know the leader.
	}
	var leader struct {
		api.LeaderResponse
		HAEnabled *bool `json:"ha_enabled" answer:"required"`
		IsSelf    *bool `json:"is_self" answer:"required"`
	}
	node, err := c.ask(ctx, c.api, endpointLeader, nil, &leader)
	r.from(node)
	if errors.Is(err, errSealed) {
		r.contradicts = true
		return r, nil
	}
	r.leaderErr = err
	if err == nil {
		r.HAEnabled, r.LeaderAddress = *leader.HAEnabled, leader.LeaderAddress
		r.LeaderAmong = strings.TrimPrefix(leader.LeaderClusterAddress, "https://")
		r.contradicts = r.contradicts || r.HAEnabled && *leader.IsSelf == r.Standby
	}
	return r, nil
}

// from takes in which node gave another answer.
func (r *round) from(node string) {
	r.contradicts = r.contradicts || node != "" && r.node != "" && node != r.node
}

// Health returns the state of the server without its view of the leader.
func (c *client) Health(ctx context.Context) (state.Server, error) {
	server, _, _, err := c.health(ctx)
	return server, err
}

func (c *client) health(ctx context.Context) (s state.Server, r state.Replication, node string, err error) {
	var answer struct {
		api.HealthResponse
		Initialized *bool `json:"initialized" answer:"required"`
		Sealed      *bool `json:"sealed" answer:"required"`
		Standby     *bool `json:"standby" answer:"required"`
		Removed     bool  `json:"removed_from_cluster"`
	}
	if node, err = c.ask(ctx, c.api, endpointHealth, nil, &answer); err != nil {
		return s, r, node, err
	}
	s = state.Server{
		Initialized:        *answer.Initialized,
		Sealed:             *answer.Sealed,
		Removed:            answer.Removed,
		Standby:            *answer.Standby || answer.PerformanceStandby,
		PerformanceStandby: answer.PerformanceStandby,
		DRSecondary:        answer.ReplicationDRMode == "secondary",
		Connection:         connection(answer.HAConnectionHealthy),
		Version:            answer.Version,
		ClusterID:          answer.ClusterID,
		ClusterName:        answer.ClusterName,
	}
	if !s.Sealed {
		r = state.Replication{Performance: answer.ReplicationPerformanceMode, DR: answer.ReplicationDRMode}
	}
	return s, r, node, nil
}

func connection(healthy *bool) state.Connection {
	switch {
	case healthy == nil:
		return state.Unknown
	case *healthy:
		return state.Healthy
	default:
		return state.Broken
	}
}

// sealStatus adds what is told of the seal.
func (c *client) sealStatus(ctx context.Context, r *round) error {
	var answer struct {
		api.SealStatusResponse
		Initialized *bool `json:"initialized" answer:"required"`
		Sealed      *bool `json:"sealed" answer:"required"`
	}
	node, err := c.ask(ctx, c.api, endpointSeal, nil, &answer)
	if err != nil {
		return err
	}
	r.from(node)
	r.contradicts = r.contradicts || *answer.Sealed != r.Sealed || *answer.Initialized != r.Initialized ||
		answer.ClusterID != "" && r.ClusterID != "" && answer.ClusterID != r.ClusterID
	r.Seal = state.Seal{
		Known:     true,
		Type:      answer.Type,
		Storage:   answer.StorageType,
		Shares:    int64(answer.N),
		Threshold: int64(answer.T),
		Progress:  int64(answer.Progress),
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
