// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package server reads the health of the Consul servers.
package server

import (
	"context"
	"slices"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is read at each collection.
const Endpoint = "operator/autopilot/state"

// Kind returns what reads the health of the servers.
func Kind(cfg collect.SwitchConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return collector{e}
	}}
}

type collector struct{ *collect.Env }

// Run implements collect.Collector: nothing is watched.
func (c collector) Run(context.Context) {}

// Record implements collect.Collector.
func (c collector) Record(ctx context.Context, m collect.Metrics) {
	if !m.Answers {
		c.SkipEndpoints(Endpoint)
		return
	}
	RecordPeers(m, len(m.Peers))
	servers, err := Read(ctx, c.API)
	c.SetEndpoint(Endpoint, err)
	if err == nil {
		RecordAutopilot(m, servers)
	}
}

// Read returns what is known of the servers.
func Read(ctx context.Context, c *consulapi.Client) (Autopilot, error) {
	reply, _, err := consulapi.Get[struct {
		Healthy          *bool `answer:"required"`
		FailureTolerance int
		Leader           string
		Voters           []string
		Servers          map[string]struct {
			ID          string `answer:"required"`
			Name        string
			LastContact *consulapi.Duration
			LastIndex   uint64
			Healthy     bool
			StableSince time.Time
		} `answer:"required"`
	}](ctx, c, Endpoint, consulapi.Query{})
	if err != nil {
		return Autopilot{}, err
	}
	a := Autopilot{
		Healthy:          *reply.Healthy,
		FailureTolerance: int64(reply.FailureTolerance),
		Voters:           int64(len(reply.Voters)),
	}
	for _, s := range reply.Servers {
		var lastContact time.Duration
		if s.LastContact != nil {
			lastContact = s.LastContact.Duration()
		}
		a.Servers = append(a.Servers, Server{
			ID: s.ID, Name: s.Name, Leader: s.ID == reply.Leader, Healthy: s.Healthy, Voter: slices.Contains(reply.Voters, s.ID),
			LastContact: lastContact, LastIndex: s.LastIndex, StableSince: s.StableSince,
		})
	}
	return a, nil
}
