// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// The names of conditions: of a watch, followed by its prefix, and of limits, which
// are their keys in the configuration.
const (
	WatchOf     = "watch of "
	LimitKeys   = "watch::limit"
	LimitLeases = "leases::limit"
)

// Collector observes the key space: keys, locks and elections with one watch for each
// covering prefix, and leases with queries.
type Collector struct {
	env       *collect.Env
	config    Config
	prefixes  Prefixes
	filter    filter
	durations *Durations
	leases    *lease.Source
	storage   *lease.Storage
	unlisted  atomic.Int32 // prefixes whose keys are not known yet
	histories histories

	mu          sync.Mutex
	machine     *Machine
	restored    bool            // what was saved of leases
	undelivered int             // loops that know more than they have delivered
	current     map[string]bool // covering prefixes that are up to date
}

// New returns a Collector that knows nothing yet.
func New(e *collect.Env, config Config) (*Collector, error) {
	names, err := config.Watch.Compile()
	if err != nil {
		return nil, err
	}
	prefixes := config.Prefixes()
	c := &Collector{
		env:       e,
		config:    config,
		prefixes:  prefixes,
		filter:    filter{names: names, limit: config.Watch.Limit, fingerprint: config.Watch.Fingerprint},
		durations: NewDurations(prefixes, time.Now()),
		machine:   config.newMachine(config.Leases.Followed()),
		current:   map[string]bool{},
	}
	c.unlisted.Store(int32(len(prefixes.Covering())))
	c.leases, c.storage = lease.NewSource(e, config.Leases, c), lease.NewStorage(e)
	return c, nil
}

func (c Config) newMachine(follow bool) *Machine {
	return NewMachine(c.Prefixes(), Limits{Keys: c.Watch.Limit, Leases: c.Leases.Limit}, follow)
}

// Run observes until ctx ends. Without prefixes, no keys are observed.
func (c *Collector) Run(ctx context.Context) {
	var loops sync.WaitGroup
	if c.config.Watch.AllKeys() {
		c.env.Settings.Logger.Info("all keys of etcd are watched: each change makes an event, and at the start, and after lost changes, all of them are read with their values",
			zap.Int("watch::limit", c.config.Watch.Limit))
	}
	for _, prefix := range c.prefixes.Covering() {
		w := newPrefixWatcher(c, prefix)
		loops.Go(func() { w.run(ctx) })
	}
	checkpoints := c.newCheckpointer(5*time.Second, c.saveLeases)
	if c.config.Leases.Mode != lease.ModeOff {
		loops.Go(func() { c.runLeases(ctx, &checkpoints) })
	}
	loops.Wait()
	// All loops have ended: what those of keys reported is of leases, too.
	checkpoints.pending = checkpoints.pending || checkpoints.save != nil && c.restored
	checkpoints.end(context.WithoutCancel(ctx))
}

func (c *Collector) runLeases(ctx context.Context, checkpoints *checkpointer) {
	watch.Loop[lease.Observation]{
		Next: func(ctx context.Context) (lease.Observation, error) {
			return c.leases.Next(ctx, checkpoints.overdue)
		},
		Step: func(now time.Time, observed lease.Observation) watch.Telemetry {
			var restores int
			effects := c.step(checkpoints, func(m *Machine) []Effect {
				restores = m.RestoresAnywhere()
				return m.StepLeases(now, observed)
			})
			return c.render(now, now, c.env.ClusterID.Load(), restores, effects)
		},
		Delivery:  c.env.Delivery,
		Commit:    checkpoints.delivered,
		Condition: c.leases.Condition,
	}.Run(ctx)
}

// Ready says whether all prefixes were listed, or cannot be.
func (c *Collector) Ready() bool { return c.unlisted.Load() == 0 }

// DueLease returns the lease to query at now, if there is one.
func (c *Collector) DueLease(now time.Time) (id int64, preferred, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.DueLease(now)
}

// LeasesWait returns how long the lease has been due at now that has been longest.
func (c *Collector) LeasesWait(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.LeasesWait(now)
}

// RestoreLeases goes on from what an earlier process saved of the leases of the
// cluster, before the first step.
func (c *Collector) RestoreLeases(ctx context.Context, cluster uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.restored || !c.config.Leases.Followed() {
		return
	}
	c.restored = true
	if c.config.Stored {
		c.machine.ChangeAllLeases()
	}
	if c.config.Watch.Start == StartLatest {
		return
	}
	if saved, found := c.storage.Load(ctx, cluster); found {
		c.machine.RestoreLeases(time.Now(), saved)
	}
}

// saveLeases stores what has changed of the leases.
func (c *Collector) saveLeases(ctx context.Context) bool {
	c.mu.Lock()
	restored := c.restored
	c.mu.Unlock()
	return restored && c.storage.Save(ctx, c.env.ClusterID.Load(), c)
}

// ChangedLeases takes what has changed of some leases since it was taken last, at most
// so many, and says whether there is more. It fails while one has ended whose end was
// not delivered yet: a loop that follows keys may have found that out.
func (c *Collector) ChangedLeases(limit int) (changes lease.SavedChanges, more, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.undelivered > 0 {
		return changes, true, false
	}
	changes, more = c.machine.ChangedLeases(limit)
	return changes, more, true
}

// ChangeAllLeases has all leases taken as changed.
func (c *Collector) ChangeAllLeases() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.machine.ChangeAllLeases()
}

// step steps the machine for a loop, and reports when there is more than it remembers.
func (c *Collector) step(checkpoints *checkpointer, do func(*Machine) []Effect) []Effect {
	c.mu.Lock()
	defer c.mu.Unlock()
	checkpoints.stepped()
	effects := do(c.machine)
	c.limit(LimitKeys, c.machine.KeysOverLimit(), c.config.Watch.Limit, "keys are not remembered")
	c.limit(LimitLeases, c.machine.LeasesOverLimit(), c.config.Leases.Limit, "leases are not followed")
	return effects
}

func (c *Collector) limit(name string, over, limit int, what string) {
	var err error
	if over > 0 {
		err = fmt.Errorf("%d %s: raise %s above %d", over, what, name, limit)
	}
	c.env.Condition.Set(name, err)
}

// render renders the effects of what was observed at a time, and counts how long what
// ended had lasted.
func (c *Collector) render(now, at time.Time, id uint64, restores int, effects []Effect) watch.Telemetry {
	cluster := collect.Hex(id)
	c.durations.Observe(cluster, at, effects)
	for _, e := range effects {
		if _, is := e.(key.Gap); is {
			c.env.Telemetry.Gap()
		}
	}
	if len(effects) == 0 || !c.env.Delivery.HasConsumers() {
		return watch.EmptyTelemetry()
	}
	r := collect.NewRenderer(c.env.Events, c.env.Settings, now, cluster)
	r.At, r.Restores = collect.Timestamp(at), restores
	Render(r, effects)
	return r.Emit(collect.ClusterResource(metadata.NewResourceBuilder(c.env.Events.ResourceAttributes), cluster))
}

// Record records what is known, where anything is observed. Of what is not up to
// date, only what counts up is recorded.
func (c *Collector) Record(ctx context.Context, m collect.Metrics) {
	covering := c.prefixes.Covering()
	if len(covering) == 0 && !c.config.Leases.Listed() {
		return
	}
	c.mu.Lock()
	counts, current := c.machine.Counts(), maps.Clone(c.current)
	c.mu.Unlock()
	stalled := c.env.Delivery.Stalled()
	if m.Answers && stalled {
		counts = counts.At(c.present(ctx, m.Now, current))
	}
	Record(m.MetricsBuilder, m.TS(), counts, func(prefix string) bool {
		return m.Answers && slices.ContainsFunc(covering, func(c string) bool { return current[c] && strings.HasPrefix(prefix, c) })
	})
	if c.config.Leases.Mode != lease.ModeOff {
		unknown := func(prefix string) bool { return !current[prefix] }
		known := c.leases.Current() && (c.config.Leases.Mode != lease.ModeWatched || !slices.ContainsFunc(covering, unknown))
		lease.Record(m.MetricsBuilder, m.TS(), counts.Leases, c.config.Leases.Followed(), m.Answers && !stalled && known)
	}
	c.durations.AppendTo(m.More, m.TS())
}

// present returns what is counted of the keys that are there now, for the metrics
// alone: the watches wait for a consumer, and do not know. It marks in current
// which prefixes could be listed.
func (c *Collector) present(ctx context.Context, now time.Time, current map[string]bool) Counts {
	machine := c.config.newMachine(false)
	for _, prefix := range c.prefixes.Covering() {
		observed, _, err := c.filter.list(ctx, c.env.API, prefix, 0)
		if current[prefix] = err == nil; err == nil {
			machine.Step(now, observed)
		}
	}
	return machine.Counts()
}

// Counts returns what is counted so far.
func (c *Collector) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.Counts()
}

// Leases returns what would be saved of the leases.
func (c *Collector) Leases() []lease.Saved {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machine.SaveLeases()
}
