// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package health observes the health checks: incidents of services, outages of
// nodes and checks.
package health

import (
	"context"
	"strings"
	"sync"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Endpoint is the part of the API that is watched.
const Endpoint = "health/state/any"

// Totals knows the number of instances by service, or nothing.
type Totals interface {
	Instances() map[string]int64
}

// Kind returns what observes the checks. totals returns the sizes of the catalog
// of a datacenter. state says whether the state of each check is a metric.
func Kind(cfg Config, totals func(*collect.Env) Totals, state bool) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		return &collector{
			Env: e, cfg: cfg, totals: totals(e), checkStates: state,
			health: Health{EmitInitial: e.EmitInitial, MaxServices: e.Filters.MaxServices},
		}
	}}
}

type collector struct {
	*collect.Env
	cfg         Config
	totals      Totals
	checkStates bool

	mu     sync.Mutex
	health Health
}

// Run implements collect.Collector.
func (c *collector) Run(ctx context.Context) {
	slot := collect.Slot[Trouble](c.Env, "health")
	if saved, found := slot.Load(ctx); found {
		c.mu.Lock()
		c.health.Restore(saved)
		c.mu.Unlock()
	}
	collect.Watch[CheckID, Check, Effect]{
		Env: c.Env, Endpoint: Endpoint, Compare: CheckID.Compare,
		IndexOf: func(check Check) uint64 { return check.Index },
		Read: func(ctx context.Context, api *consulapi.Client, q consulapi.Query) (collect.Result[CheckID, Check], error) {
			return Read(ctx, api, q, c.Filters, c.cfg.OutputLimit)
		},
		Limit: collect.Limit{Object: metadata.AttributeObjectCheck, Max: c.cfg.Limit, Setting: "checks::limit"},
		Lock:  &c.mu, Step: c.health.Step,
		Fork:   func() collect.Step[CheckID, Check, Effect] { return c.health.Clone().Step },
		Render: Render,
		Commit: func(ctx context.Context) error {
			c.mu.Lock()
			saved := c.health.Save()
			c.mu.Unlock()
			return slot.Save(ctx, saved)
		},
	}.Run(ctx)
}

// Only what is needed is decoded of a check: its output can be huge.
type checkEntry struct {
	Node, CheckID, Status        string `answer:"required"`
	Name, ServiceID, ServiceName string
	ModifyIndex                  uint64
}

type checkEntryWithOutput struct {
	checkEntry
	Output string
}

// Read reads the checks that the filters select, with the first outputLimit bytes
// of their output.
func Read(ctx context.Context, c *consulapi.Client, q consulapi.Query, filters collect.Filters, outputLimit int) (collect.Result[CheckID, Check], error) {
	if outputLimit == 0 {
		return readChecks(ctx, c, q, filters, func(e checkEntry) (checkEntry, string) { return e, "" })
	}
	return readChecks(ctx, c, q, filters, func(e checkEntryWithOutput) (checkEntry, string) {
		return e.checkEntry, truncate(e.Output, outputLimit)
	})
}

func readChecks[E any](ctx context.Context, c *consulapi.Client, q consulapi.Query, filters collect.Filters, split func(E) (checkEntry, string)) (collect.Result[CheckID, Check], error) {
	entries, meta, err := consulapi.GetIndexed[[]E](ctx, c, Endpoint, q)
	if err != nil {
		return collect.Result[CheckID, Check]{Meta: meta}, err
	}
	checks := make(Checks, len(entries))
	for _, entry := range entries {
		e, output := split(entry)
		if !filters.Nodes.Match(e.Node) || e.ServiceName != "" && !filters.Services.Match(e.ServiceName) {
			continue
		}
		checks[CheckID{Node: e.Node, Check: e.CheckID}] = Check{
			Name: e.Name, Service: e.ServiceName, ServiceID: e.ServiceID,
			Status: Status(e.Status), Index: e.ModifyIndex, Output: output,
		}
	}
	return collect.Result[CheckID, Check]{Meta: meta, Objects: checks, Read: len(entries)}, nil
}

// truncate does not cut characters in two.
func truncate(text string, limit int) string {
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// Record implements collect.Collector.
func (c *collector) Record(_ context.Context, m collect.Metrics) {
	c.mu.Lock()
	checks, transitions := c.health.Checks(), c.health.Transitions()
	c.mu.Unlock()
	if m.Answers && checks != nil && c.Up(Endpoint) {
		c.recordChecks(m, checks)
	}
	RecordTransitions(m, transitions)
}

func (c *collector) recordChecks(m collect.Metrics, checks Checks) {
	RecordChecks(m, checks)
	if c.checkStates {
		RecordStates(m, checks)
	}
	totals := c.totals.Instances()
	if !c.Filters.AllNodes || !c.Complete(Endpoint) {
		totals = nil // They would count as well what is not observed.
	}
	instances := InstancesByHealth(checks, totals)
	c.SetServicesBeyond(collect.Bound(instances, nil, c.Filters.MaxServices, strings.Compare))
	RecordInstances(m, instances)
}
