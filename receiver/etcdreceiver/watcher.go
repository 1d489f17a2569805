// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/telemetry"
)

// watcher makes events and traces, from one watch for each covering prefix.
type watcher struct {
	*watch.Base
	cfg      *Config
	settings receiver.Settings
	story    *telemetry.Story
	store    *checkpoint.Store
	cluster  *cluster

	mu      sync.Mutex
	machine *state.Machine
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	w := &watcher{
		Base:     base,
		cfg:      cfg,
		settings: settings,
		story:    telemetry.NewStory(cfg.Events, settings),
		machine:  state.NewMachine(cfg.prefixes(), cfg.Watch.Limit),
	}
	w.cluster = newCluster(w)
	return w, nil
}

// Start begins to watch and returns; an absent server is waited for. Without
// prefixes, the cluster is observed and no keys are.
func (w *watcher) Start(ctx context.Context, host component.Host) error {
	tlsConfig, err := w.cfg.loadTLS(ctx)
	if err != nil {
		return err
	}
	w.store, err = checkpoint.Open(ctx, host, w.cfg.Storage, component.KindReceiver, w.settings.ID, "")
	if err != nil {
		return err
	}
	covering := w.cfg.prefixes().Covering()
	w.Background.Start(func(ctx context.Context) {
		client := newClient(ctx, w.cfg, tlsConfig, w.cfg.Endpoints...)
		defer client.close()
		var loops sync.WaitGroup
		loops.Go(func() { w.cluster.run(ctx, tlsConfig) })
		for _, prefix := range covering {
			f := &follower{watcher: w, client: client, prefix: prefix}
			loops.Go(func() { f.run(ctx) })
		}
		loops.Wait()
	})
	return nil
}

// Shutdown ends the watches, also while one is being opened.
func (w *watcher) Shutdown(ctx context.Context) error {
	w.Background.Stop()
	return w.store.Close(ctx)
}

func (w *watcher) step(now time.Time, observed state.Observation) []state.Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	effects := w.machine.Step(now, observed)
	var err error
	if beyond := w.machine.Beyond(); beyond > 0 {
		err = fmt.Errorf("%d keys are not remembered: raise watch::limit above %d", beyond, w.cfg.Watch.Limit)
	}
	w.Condition.Set(limitKeys, err)
	return effects
}

// follower follows the keys under one covering prefix.
type follower struct {
	*watcher
	client *client
	prefix string

	cluster  uint64
	revision int64     // all changes up to it were observed; 0 before the first list
	lost     bool      // changes after it cannot be read any more
	listed   bool      // it is of a list, and nothing was watched since
	keys     *keyWatch // nil while none is open
}

func (f *follower) run(ctx context.Context) {
	defer f.stop()
	watch.Loop[state.Observation]{
		Next:      f.next,
		Step:      f.step,
		Delivery:  f.Delivery(),
		Condition: func(err error) { f.Condition.Set(watchOf+f.prefix, explain(err)) },
	}.Run(ctx)
}

// next lists the keys and then watches from the revision of the list on. After
// a failure it resumes where it was. When the changes in between are lost, it
// lists again.
func (f *follower) next(ctx context.Context) (state.Observation, error) {
	if f.revision == 0 || f.lost {
		return f.list(ctx)
	}
	if f.keys == nil {
		var err error
		if f.keys, err = f.client.Watch(ctx, f.prefix, f.revision+1); err != nil {
			return state.Observation{}, err
		}
	}
	response, err := f.keys.Next()
	if err != nil {
		f.stop()
		f.lost = errors.Is(err, rpctypes.ErrCompacted)
		if f.lost {
			return f.list(ctx)
		}
		return state.Observation{}, err
	}
	if response.Created {
		// A revision below the known one is of a restored backup, or of a
		// member that lags; a list, which goes through the leader, can tell.
		if behind := response.Header.Revision < f.revision || response.Header.ClusterId != f.cluster; behind && !f.listed {
			f.stop()
			f.lost = true
			return f.list(ctx)
		}
		return state.Observation{Prefix: f.prefix, Revision: f.revision}, nil
	}
	f.listed = false
	f.revision = response.Header.Revision
	if n := len(response.Events); n > 0 {
		f.revision = response.Events[n-1].Kv.ModRevision
	}
	return state.Observation{Prefix: f.prefix, Revision: f.revision, Changes: changesOf(response.Events)}, nil
}

func (f *follower) list(ctx context.Context) (state.Observation, error) {
	observed, cluster, err := f.client.List(ctx, f.prefix)
	if err != nil {
		return state.Observation{}, err
	}
	f.cluster, f.revision, f.lost, f.listed = cluster, observed.Revision, false, true
	return observed, nil
}

func (f *follower) stop() {
	if f.keys != nil {
		f.keys.cancel()
		f.keys = nil
	}
}

func (f *follower) step(now time.Time, observed state.Observation) watch.Telemetry {
	effects := f.watcher.step(now, observed)
	cluster := hex(f.cluster)
	res := clusterResource(metadata.NewResourceBuilder(f.cfg.Events.ResourceAttributes), cluster)
	return f.story.Render(now, cluster, res, effects)
}
