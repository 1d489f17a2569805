// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

const (
	// discoverEvery is how often it is asked for new datacenters, and
	// maxDatacenters how many are observed: each takes some of the connections
	// that Consul gives a client, which are 200.
	discoverEvery  = time.Minute
	maxDatacenters = 30
)

// watcher observes Consul for all signals: it makes events and traces of what
// it sees, and knows what the metrics need.
type watcher struct {
	*watch.Base
	cfg      *Config
	settings receiver.Settings
	story    *telemetry.Story
	pick     *selection

	client *client
	store  *checkpoint.Store

	mu     sync.Mutex
	scopes []*scope
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	pick, err := newSelection(cfg)
	if err != nil {
		return nil, err
	}
	return &watcher{
		Base:     base,
		cfg:      cfg,
		settings: settings,
		story:    telemetry.NewStory(cfg.Events, settings),
		pick:     pick,
	}, nil
}

// Start begins to watch and returns; an absent server is waited for.
func (w *watcher) Start(ctx context.Context, host component.Host) (err error) {
	if w.client, err = newClient(ctx, w.cfg, host, w.settings.TelemetrySettings); err != nil {
		return err
	}
	w.store, err = checkpoint.Open(ctx, host, w.cfg.Storage, component.KindReceiver, w.settings.ID, "")
	if err != nil {
		return err
	}
	w.Background.Start(w.run)
	return nil
}

// Shutdown ends the watch, also in the middle of a blocking query.
func (w *watcher) Shutdown(ctx context.Context) error {
	w.Stop()
	w.client.close()
	return w.store.Close(ctx)
}

// run observes until ctx ends. Agent and datacenter are one scope unless
// datacenters are named.
func (w *watcher) run(ctx context.Context) {
	var loops sync.WaitGroup
	defer loops.Wait()
	observe := func(s *scope) {
		w.add(s)
		s.follow(func(run func(context.Context)) { loops.Go(func() { run(ctx) }) })
	}
	agent := newScope(w, w.client, "")
	agent.agent, agent.datacenter = true, len(w.cfg.Datacenters) == 0
	observe(agent)
	for _, name := range w.cfg.Datacenters {
		if name == everyDatacenter {
			w.discover(ctx, agent, observe)
			return
		}
		observe(w.scopeOf(name))
	}
}

func (w *watcher) scopeOf(datacenter string) *scope {
	s := newScope(w, w.client.of(datacenter), datacenter)
	s.datacenter = true
	return s
}

// discover observes each datacenter that Consul knows, from when it is known.
// One that is gone stays, and fails. There is nothing to tell of it.
func (w *watcher) discover(ctx context.Context, agent *scope, observe func(*scope)) {
	var observed []string
	read := func(ctx context.Context) ([]string, error) {
		names, err := w.client.Datacenters(ctx)
		fresh := slices.DeleteFunc(names, func(name string) bool { return slices.Contains(observed, name) })
		room := min(len(fresh), maxDatacenters-len(observed))
		agent.limited(endpointDatacenters, limit{metadata.AttributeConsulObjectDatacenter, maxDatacenters, "datacenters"}, len(fresh)-room)
		return fresh[:room], err
	}
	poll(ctx, agent, endpointDatacenters, discoverEvery, read, func(_ time.Time, fresh sight[[]string]) []state.Effect {
		for _, name := range fresh.value {
			observed = append(observed, name)
			observe(w.scopeOf(name))
		}
		return nil
	}, nothingToReport[[]string], nil)
}

func (w *watcher) add(s *scope) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = append(w.scopes, s)
}

// Scopes returns what is observed.
func (w *watcher) Scopes() []*scope {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.scopes)
}
