// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package health observes the health checks: incidents of services, outages of
// nodes and checks, maintenance, and the health of instances. README.md says the way
// of a change.
package health

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Catalog is what is needed of the catalog.
type Catalog interface {
	// Instances returns the number of instances by service, or nothing. imported says
	// that instances which peers export may be among them.
	Instances() (totals map[string]int64, imported bool)
	// Changed returns how often the catalog has changed, and a channel that is closed
	// when it changes again.
	Changed() (count uint64, next <-chan struct{})
	// NodeName returns the name of a node as the catalog spells it, or nothing.
	NodeName(lower string) string
}

// Kind returns what observes the checks. catalog returns the catalog of a datacenter.
func Kind(cfg Config, catalog func(*collect.Env) Catalog, metrics metadata.MetricsConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		of := catalog(e)
		c := &collector{
			Env: e, cfg: cfg, catalog: of, metrics: metrics,
			reader: reader{filters: e.Filters, outputLimit: cfg.OutputLimit, nodeName: of.NodeName},
		}
		c.health = *c.fresh()
		return c
	}}
}

type collector struct {
	*collect.Env
	cfg     Config
	catalog Catalog
	metrics metadata.MetricsConfig
	reader  reader
	hosts   hosts

	imported   map[Imported]Instances // as they were last read, and when
	importedAt time.Time

	mu     sync.Mutex
	health Health
}

// fresh returns a Health that has observed nothing.
func (c *collector) fresh() *Health {
	return &Health{EmitInitial: c.EmitInitial, MaxServices: c.Filters.MaxServices, SidecarIncidents: c.cfg.SidecarIncidents}
}

// Run implements collect.Collector.
func (c *collector) Run(ctx context.Context) {
	slot := collect.Slot[SavedIncidents](c.Env, "health")
	w := &watcher{collector: c}
	defer w.stop()
	w.stream = &collect.Stream[observation, Effect]{
		Env: c.Env, Endpoint: Endpoint,
		Next: w.next, Step: w.step, Fork: w.fork, Render: Render,
		Kept:   watch.Keep(ctx, slot, &c.mu, &c.health, c.fresh, w.stepApart),
		Hidden: func(o observation) bool { return o.hidden },
	}
	w.stream.Run(ctx)
}

// Record implements collect.Collector.
func (c *collector) Record(ctx context.Context, m collect.Metrics) {
	if m.Answers && c.Up(Endpoint) && c.begun() {
		c.recordChecks(ctx, m)
	}
	c.mu.Lock()
	transitions := c.health.TransitionsOfAll()
	c.mu.Unlock()
	RecordTransitions(m, transitions)
}

func (c *collector) begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health.Begun()
}

func (c *collector) recordChecks(ctx context.Context, m collect.Metrics) {
	var of Known
	var imported map[Imported]Instances
	if c.Filters.AllNodes && c.Complete(Endpoint) { // else they would count as well what is not observed
		of.Totals, imported = c.totals(ctx)
		of.Hosted = c.refreshHosts(ctx, of.Totals)
	}
	c.mu.Lock()
	counts := c.health.Counts()
	instances := c.health.Instances(m.Now, of)
	c.recordStates(m)
	c.mu.Unlock()
	RecordChecks(m, counts)
	beyond := collect.Bound(instances, nil, c.Filters.MaxServices, strings.Compare)
	imported = maps.Clone(imported)
	beyond += collect.Bound(imported, nil, max(0, c.Filters.MaxServices-len(instances)), Imported.compare)
	c.SetServicesBeyond(beyond)
	RecordInstances(m, instances)
	RecordImported(m, imported)
}

// totals returns the number of instances by service, without those that peers export,
// and the latter.
func (c *collector) totals(ctx context.Context) (own map[string]int64, imported map[Imported]Instances) {
	totals, with := c.catalog.Instances()
	if totals == nil || !with {
		c.RestEndpoint(endpointImported)
		return totals, nil
	}
	imported, err := c.readImported(ctx, totals)
	if err != nil {
		return nil, nil // Nobody knows what of them is imported.
	}
	own = make(map[string]int64, len(totals))
	for name, n := range totals {
		own[name] = n
	}
	for of, counts := range imported {
		if own[of.Service] -= counts.sum(); own[of.Service] <= 0 {
			delete(own, of.Service)
		}
	}
	return own, imported
}

// readImported reads the health of the services that peers export. Consul makes the
// answer of its whole catalog, so the larger that is the longer the last answer counts.
func (c *collector) readImported(ctx context.Context, totals map[string]int64) (map[Imported]Instances, error) {
	var size int64
	for _, n := range totals {
		size += n
	}
	if age := min(longestPause, time.Duration(size)*pausePerCheck); !c.importedAt.IsZero() && time.Since(c.importedAt) < age {
		return c.imported, nil
	}
	imported, err := readImported(ctx, c.API, c.Filters)
	c.SetEndpoint(endpointImported, err)
	if err == nil {
		c.imported, c.importedAt = imported, time.Now()
	}
	return imported, err
}

// recordStates records the states of single checks, nodes and instances, as far as
// they are enabled, and counts those beyond the limit. The caller holds the lock.
func (c *collector) recordStates(m collect.Metrics) {
	if c.metrics.ConsulHealthCheckState.Enabled {
		RecordStates(m, c.health.Checks())
	}
	beyond := 0
	if c.metrics.ConsulHealthNodeState.Enabled {
		beyond += RecordNodes(m, c.health.Nodes(), c.cfg.StatesLimit)
	}
	if c.metrics.ConsulHealthServiceInstanceState.Enabled {
		beyond += RecordInstanceStates(m, c.health.InstanceStates(), c.cfg.StatesLimit)
	}
	c.SetBeyond("metrics of states", collect.Limit{
		Object: metadata.AttributeObjectState, Max: c.cfg.StatesLimit, Setting: "checks::states_limit",
	}, beyond)
}
