// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package leader observes who leads the servers.
package leader

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/leadership"
	"github.com/otelcol-infra/otelcol-infra/internal/poll"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Interval is the time between two reads of the leader. The request is small,
// and needs no ACL.
const Interval = time.Second

// Change is the loss or the election of a leader, which is an address.
type Change = leadership.Change[string]

// Kind returns what observes the leader.
func Kind(cfg collect.SwitchConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return &collector{Env: e, leader: leadership.Tracker[string]{EmitInitial: e.EmitInitial}}
	}}
}

type collector struct {
	*collect.Env

	mu     sync.Mutex
	leader leadership.Tracker[string]
}

// Run implements collect.Collector.
func (c *collector) Run(ctx context.Context) {
	slot := collect.Slot[*leadership.Leaderless[string]](c.Env, "leader")
	fresh := func() *leadership.Tracker[string] { return &leadership.Tracker[string]{EmitInitial: c.EmitInitial} }
	collect.Poll[string, Change]{
		Env: c.Env, Endpoint: consulapi.EndpointLeader, Interval: Interval, Read: c.API.Leader,
		Lock: &c.mu, Step: stepOf(&c.leader),
		Fork:   func() watch.Fork[step] { return watch.ForkOf(&c.mu, c.leader.Clone(), stepOf) },
		Kept:   watch.Keep(ctx, slot, &c.mu, &c.leader, fresh, stepOf),
		Render: Render,
	}.Run(ctx)
}

type step = collect.StepRead[string, Change]

func stepOf(leader *leadership.Tracker[string]) step {
	return func(now time.Time, read poll.Result[string]) []Change {
		if change := leader.Step(now, read.Value, read.Gap); change != nil {
			return []Change{*change}
		}
		return nil
	}
}

// Record implements collect.Collector.
func (c *collector) Record(_ context.Context, m collect.Metrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if has, known := c.leader.Known(); known && m.Answers && c.Up(consulapi.EndpointLeader) {
		RecordLeader(m, has)
	}
	RecordChanges(m, c.leader.Changes())
}
