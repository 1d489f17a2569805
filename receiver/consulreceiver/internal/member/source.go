// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package member observes the members of the gossip pools.
package member

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/jsonanswer"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Endpoints are the parts of the API that are polled.
var Endpoints = map[Pool]string{LAN: "agent/members", WAN: "agent/members?wan=1"}

// Kind returns what observes the members of a gossip pool of the agent.
func Kind(cfg collect.LimitConfig, pool Pool) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Agent, New: func(e *collect.Env) collect.Collector {
		limit := collect.Limit{Object: metadata.AttributeObjectMember, Max: cfg.Limit, Setting: "members::limit"}
		members := collect.NewObjects(e, Endpoints[pool], limit, NewRead(e.Filters, pool), Render)
		members.Interval, members.Unordered = e.Interval, true
		return collector{members, pool}
	}}
}

type collector struct {
	*collect.Objects[Member]
	pool Pool
}

// Record implements collect.Collector.
func (c collector) Record(_ context.Context, m collect.Metrics) {
	if members, up := c.Known(); up && m.Answers {
		RecordCounts(m, c.pool, members)
		RecordVersions(m, c.pool, members)
	}
}

// NewRead returns what reads a pool. An agent that has just started does not know the
// others yet: a member that was alive counts as missing when it is absent for a while.
func NewRead(filters collect.Filters, pool Pool) collect.Read[string, Member] {
	alive := map[string]absence{}
	return func(ctx context.Context, c *consulapi.Client, _ consulapi.Query) (collect.Result[string, Member], error) {
		entries, meta, err := readPool(ctx, c, pool)
		if err != nil {
			return collect.Result[string, Member]{Meta: meta}, err
		}
		members := make(map[string]Member, len(entries))
		for _, m := range entries {
			if filters.Nodes.Match(nodeName(pool, m.Name, m.Tags.Datacenter)) {
				members[m.Name] = Member{
					Pool:    pool,
					Status:  statusOf(*m.Status),
					Address: net.JoinHostPort(m.Addr, strconv.Itoa(int(m.Port))),
					Role:    roleOf(m.Tags.Role),
					Version: versionOf(m.Tags.Build),
				}
			}
		}
		keepAbsent(time.Now(), alive, members, meta.Filtered)
		return collect.Result[string, Member]{Meta: meta, Objects: members}, nil
	}
}

type entry struct {
	Name   string `answer:"required"`
	Addr   string
	Port   uint16
	Status *int `answer:"required"`
	Tags   struct {
		Datacenter string `json:"dc"`
		Role       string `json:"role"`
		Build      string `json:"build"`
	}
}

// errNoMembers is the error of an answer without the agent itself, which is in its own
// pools. Consul means that it hides something only to who has a token.
var errNoMembers = errors.New("the answer names no member, not even the agent: see Permissions in the receiver's README, and check endpoint")

// readPool reads a pool. An agent that is no server is in no WAN pool: it answers null.
func readPool(ctx context.Context, c *consulapi.Client, pool Pool) (entries []entry, meta consulapi.Meta, err error) {
	endpoint := Endpoints[pool]
	list, meta, err := consulapi.GetLocal[json.RawMessage](ctx, c, endpoint, consulapi.Query{})
	if err != nil {
		return nil, meta, err
	}
	if pool == WAN && string(list) == "null" {
		_, _, err = readPool(ctx, c, LAN) // Servers that are not Consul answer null to everything.
		return nil, meta, err
	}
	if err = jsonanswer.Decode(bytes.NewReader(list), &entries); err == nil && len(entries) == 0 && !meta.Filtered {
		err = errNoMembers
	}
	if err != nil {
		return nil, meta, consulapi.Explain(endpoint, err)
	}
	return entries, meta, nil
}

// statusOf reads the number that serf gives a status.
func statusOf(s int) Status {
	switch s {
	case 2:
		return Leaving
	case 3:
		return Left
	case 4:
		return Failed
	default:
		return Alive
	}
}
