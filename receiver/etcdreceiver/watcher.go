// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"
	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// watcher observes etcd for all signals: the keys with one watch for each
// covering prefix, the leases, and the members.
type watcher struct {
	*watch.Base
	cfg       *Config
	settings  receiver.Settings
	durations *keyspace.Durations
	pick      selection
	asking    *rate.Limiter // of requests about single leases
	env       *collect.Env
	cluster   *collect.Cluster[savedCluster]
	unlisted  atomic.Int32 // prefixes whose keys are not known yet

	mu       sync.Mutex
	machine  *keyspace.Machine
	restored bool            // what was kept of leases
	untold   int             // loops that know more than they have told
	current  map[string]bool // what is up to date: by covering prefix, and of leases
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	names, err := cfg.Watch.Compile()
	if err != nil {
		return nil, err
	}
	own, err := collect.NewTelemetry(settings)
	if err != nil {
		return nil, err
	}
	limits := keyspace.Limits{Keys: cfg.Watch.Limit, Leases: cfg.Leases.Limit}
	w := &watcher{
		Base:      base,
		cfg:       cfg,
		settings:  settings,
		durations: keyspace.NewDurations(cfg.prefixes(), time.Now()),
		env: &collect.Env{
			Settings: settings, Events: cfg.Events, Condition: base.Condition, Delivery: base.Delivery(), Telemetry: own,
			Interval: cfg.Scrape.CollectionInterval,
		},
		pick:    selection{names: names, limit: cfg.Watch.Limit, prevKV: cfg.Watch.PrevKV, fingerprint: cfg.Watch.Fingerprint},
		asking:  rate.NewLimiter(rate.Limit(cfg.Leases.RequestsPerSecond), max(1, int(cfg.Leases.RequestsPerSecond))),
		machine: keyspace.NewMachine(cfg.prefixes(), limits, cfg.Leases.each()),
	}
	// A lease that keys are attached to is known with them.
	w.current = map[string]bool{leasesAsked: cfg.Leases.Mode == LeasesWatched}
	w.cluster = newCluster(w.env, cfg)
	return w, nil
}

// Start begins to watch and returns; an absent server is waited for. Without
// prefixes, the members are observed and no keys are.
func (w *watcher) Start(ctx context.Context, host component.Host) error {
	tlsConfig, err := w.cfg.loadTLS(ctx)
	if err != nil {
		return err
	}
	w.env.Store, err = checkpoint.Open(ctx, host, w.cfg.Storage, component.KindReceiver, w.settings.ID, "")
	if err != nil {
		return err
	}
	covering := w.cfg.prefixes().Covering()
	w.Background.Start(func(ctx context.Context) {
		options := w.apiOptions(tlsConfig)
		w.env.API = etcdapi.New(ctx, options, w.cfg.Endpoints...)
		defer w.env.API.Close()
		w.unlisted.Store(int32(len(covering)))
		var loops sync.WaitGroup
		loops.Go(func() {
			w.cluster.Run(ctx, func(endpoint string) *etcdapi.Client { return etcdapi.New(ctx, options, endpoint) })
		})
		for _, prefix := range covering {
			f := newFollower(w, prefix)
			loops.Go(func() { f.run(ctx) })
		}
		leases := newLeaseFollower(w)
		if w.cfg.Leases.Mode != LeasesOff {
			loops.Go(func() { leases.run(ctx) })
		}
		loops.Wait()
		leases.end(context.WithoutCancel(ctx))
	})
	return nil
}

func (w *watcher) apiOptions(tlsConfig *tls.Config) etcdapi.Options {
	options := w.cfg.apiOptions(tlsConfig)
	options.Count = w.env.Telemetry.Requests.Count
	return options
}

// Shutdown ends the watches, also while one is being opened.
func (w *watcher) Shutdown(ctx context.Context) error {
	w.Stop()
	return w.env.Store.Close(ctx)
}

// render reports effects of a time, and counts how long what ended had lasted.
func (w *watcher) render(now, at time.Time, id uint64, effects []keyspace.Effect) watch.Telemetry {
	cluster := collect.Hex(id)
	w.durations.Observe(cluster, at, effects)
	for _, e := range effects {
		if _, is := e.(key.Gap); is {
			w.env.Telemetry.Gap()
		}
	}
	if len(effects) == 0 || !w.Delivery().HasConsumers() {
		return watch.EmptyTelemetry()
	}
	r := collect.NewRenderer(w.cfg.Events, w.settings, now, cluster)
	r.At = collect.Timestamp(at)
	keyspace.Render(r, effects)
	return r.Emit(collect.ClusterResource(metadata.NewResourceBuilder(w.cfg.Events.ResourceAttributes), cluster))
}

// saw takes in whether something could be observed.
func (w *watcher) saw(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current[what] = err == nil
}

// stepMachine steps the machine for the loop of a keeper, and says when there is
// more than it remembers.
func (w *watcher) stepMachine(k *keeper, do func(*keyspace.Machine) []keyspace.Effect) []keyspace.Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.stepped()
	effects := do(w.machine)
	w.limited(limitKeys, w.machine.KeysOverLimit(), w.cfg.Watch.Limit, "keys are not remembered")
	w.limited(limitLeases, w.machine.LeasesOverLimit(), w.cfg.Leases.Limit, "leases are not followed")
	return effects
}

func (w *watcher) limited(key string, beyond, limit int, what string) {
	var err error
	if beyond > 0 {
		err = fmt.Errorf("%d %s: raise %s above %d", beyond, what, key, limit)
	}
	w.Condition.Set(key, err)
}
