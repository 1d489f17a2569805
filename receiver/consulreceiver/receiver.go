// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/poll"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

const (
	// discoverInterval is the time between two reads of the datacenters, and
	// maxDatacenters how many are observed: each takes some of the connections
	// that Consul gives a client, which are 200.
	discoverInterval = time.Minute
	maxDatacenters   = 25
)

// watcher observes Consul for all signals.
type watcher struct {
	*watch.Base
	cfg    *Config
	shared *collect.Shared
	kinds  []collect.Kind
	client *consulapi.Client

	mu     sync.Mutex
	scopes []*scope
}

// scope is one datacenter, or the agent, with what observes it.
type scope struct {
	*collect.Env
	agent      bool
	collectors []collect.Collector
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	filters, err1 := collect.NewFilters(cfg.Services, cfg.Nodes)
	keyNames, err2 := cfg.KV.Compile()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	telemetry, err := collect.NewTelemetry(settings)
	if err != nil {
		return nil, err
	}
	return &watcher{
		Base:  base,
		cfg:   cfg,
		kinds: cfg.kinds(keyNames),
		shared: &collect.Shared{
			Settings: settings, Events: cfg.Events, Condition: base.Condition, Delivery: base.Delivery(), Telemetry: telemetry,
			Address: address.HostPort(cfg.endpoint()), Interval: cfg.Scrape.CollectionInterval,
			EmitInitial: cfg.EmitInitialState, Filters: filters,
		},
	}, nil
}

// Start begins to watch and returns; an absent server is waited for.
func (w *watcher) Start(ctx context.Context, host component.Host) (err error) {
	if w.client, err = consulapi.New(ctx, w.apiOptions(), host, w.shared.Settings.TelemetrySettings); err != nil {
		return err
	}
	w.shared.Store, err = checkpoint.Open(ctx, host, w.cfg.Storage, component.KindReceiver, w.shared.Settings.ID, "")
	if err != nil {
		return err
	}
	w.Background.Start(w.run)
	return nil
}

func (w *watcher) apiOptions() consulapi.Options {
	options := w.cfg.apiOptions()
	options.Count = w.shared.Telemetry.Requests.Count
	return options
}

// Shutdown ends the watch, also in the middle of a blocking query.
func (w *watcher) Shutdown(ctx context.Context) error {
	w.Stop()
	w.client.Close()
	w.shared.Telemetry.Shutdown()
	return w.shared.Store.Close(ctx)
}

// run observes until ctx ends. Agent and datacenter are one scope unless
// datacenters are named.
func (w *watcher) run(ctx context.Context) {
	var loops sync.WaitGroup
	defer loops.Wait()
	observe := func(s *scope) {
		w.add(s)
		for _, c := range s.collectors {
			loops.Go(func() { c.Run(ctx) })
		}
	}
	agent := w.newScope("", true, len(w.cfg.Datacenters) == 0)
	observe(agent)
	for _, name := range w.cfg.Datacenters {
		if name == everyDatacenter {
			w.discover(ctx, agent, observe)
			return
		}
		observe(w.newScope(name, false, true))
	}
}

// newScope returns the scope of a datacenter; an empty name stands for that of
// the agent.
func (w *watcher) newScope(name string, agent, datacenter bool) *scope {
	s := &scope{Env: collect.NewEnv(w.shared, w.client.Of(name), name), agent: agent}
	for _, kind := range w.kinds {
		if kind.Enabled && (kind.Scope == collect.Agent && agent || kind.Scope == collect.Datacenter && datacenter) {
			s.collectors = append(s.collectors, kind.New(s.Env))
		}
	}
	return s
}

// discover observes each datacenter that Consul knows, from when it is known.
// One that is gone stays, and fails.
func (w *watcher) discover(ctx context.Context, agent *scope, observe func(*scope)) {
	var observed []string
	limit := collect.Limit{Object: metadata.AttributeObjectDatacenter, Max: maxDatacenters, Setting: "datacenters"}
	read := func(ctx context.Context) ([]string, error) {
		names, err := w.client.Datacenters(ctx)
		fresh := slices.DeleteFunc(names, func(name string) bool { return slices.Contains(observed, name) })
		room := min(len(fresh), maxDatacenters-len(observed))
		agent.SetBeyond(consulapi.EndpointDatacenters, limit, len(fresh)-room)
		return fresh[:room], err
	}
	collect.Poll[[]string, struct{}]{
		Env: agent.Env, Endpoint: consulapi.EndpointDatacenters, Interval: discoverInterval, Read: read,
		Lock: &sync.Mutex{},
		Step: func(_ time.Time, fresh poll.Result[[]string]) []struct{} {
			for _, name := range fresh.Value {
				observed = append(observed, name)
				observe(w.newScope(name, false, true))
			}
			return nil
		},
		Fork: func() watch.Fork[collect.StepRead[[]string, struct{}]] {
			return watch.Fork[collect.StepRead[[]string, struct{}]]{Step: func(time.Time, poll.Result[[]string]) []struct{} { return nil }}
		},
		Render: func(*collect.Renderer, []struct{}) {},
	}.Run(ctx)
}

func (w *watcher) add(s *scope) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = append(w.scopes, s)
}

// observed returns what is observed.
func (w *watcher) observed() []*scope {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.scopes)
}
