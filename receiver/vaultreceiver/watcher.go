// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// watcher makes events and traces, and has the client that the metrics use too,
// so that there is one login for all signals. Vault has nothing to wait on, so it polls:
// two requests each time, or one while the server is sealed, without a token.
type watcher struct {
	*watch.Base
	cfg      *Config
	settings receiver.Settings
	story    *telemetry.Story
	machine  state.Machine

	client  *client
	cluster identity
	ticker  *time.Ticker
	due     bool // a poll that does not wait: the first, and after one that failed
	gap     bool
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	return &watcher{
		Base:     base,
		cfg:      cfg,
		settings: settings,
		story:    telemetry.NewStory(cfg.Events, settings),
		due:      true,
	}, nil
}

// Start begins to watch and returns; an absent server is waited for.
func (w *watcher) Start(ctx context.Context, host component.Host) (err error) {
	if w.client, err = newClient(ctx, w.cfg, host, w.settings.TelemetrySettings); err != nil {
		return err
	}
	w.client.session.attach(w.settings.Logger, w.Condition)
	w.Background.Start(w.run)
	return nil
}

// run has the token kept alive, and observes the server for those who want it.
func (w *watcher) run(ctx context.Context) {
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { w.client.session.keep(ctx) })
	loops.Go(func() { w.tell(ctx) })
	if to := w.Delivery(); to.Logs == nil && to.Traces == nil {
		return
	}
	w.ticker = time.NewTicker(w.cfg.Scrape.CollectionInterval)
	defer w.ticker.Stop()
	watch.Loop[state.Observation]{
		Next:      w.next,
		Step:      w.step,
		Delivery:  w.Delivery(),
		Condition: func(err error) { w.Condition.Set(watchServer, err) },
	}.Run(ctx)
}

// Shutdown ends the watch, also in the middle of a request.
func (w *watcher) Shutdown(context.Context) error {
	w.Background.Stop()
	w.client.close()
	return nil
}

func (w *watcher) next(ctx context.Context) (state.Observation, error) {
	if err := w.wait(ctx); err != nil {
		return state.Observation{}, err
	}
	server, err := w.client.Server(ctx)
	if err != nil {
		// The loop pauses after a failure, so the next poll need not.
		w.due, w.gap = true, true
		return state.Observation{}, err
	}
	observed := state.Observation{Server: server, Gap: w.gap}
	w.gap = false
	return observed, nil
}

// wait returns when the next poll is due.
func (w *watcher) wait(ctx context.Context) error {
	if w.due {
		w.due = false
		w.ticker.Reset(w.cfg.Scrape.CollectionInterval)
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.ticker.C:
		return nil
	}
}

func (w *watcher) step(now time.Time, observed state.Observation) watch.Telemetry {
	w.cluster.learn(observed.Server)
	res := resource(metadata.NewResourceBuilder(w.cfg.Events.ResourceAttributes), w.cfg.HTTP.Endpoint, w.cluster)
	return w.story.Render(now, address.HostPort(w.cfg.HTTP.Endpoint), res, w.machine.Step(now, observed))
}
