// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/hashicorp/consul/api"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"
	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/telemetry"
)

// watcher makes events and traces, from one blocking query over all checks.
type watcher struct {
	*watch.Base
	cfg      *Config
	settings receiver.Settings
	story    *telemetry.Story
	machine  state.Machine

	// The query returns at every change of any check's output, so a busy
	// cluster would be asked without a pause.
	queries *rate.Limiter

	client     *client
	identified bool
	datacenter string
	index      uint64 // to wait for a newer one; 0 asks at once
	last       checks // the last answer, without its checks
	gap        bool
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
		queries:  rate.NewLimiter(rate.Every(time.Second), 2),
	}, nil
}

// Start begins to watch and returns; an absent server is waited for.
func (w *watcher) Start(ctx context.Context, host component.Host) (err error) {
	if w.client, err = newClient(ctx, w.cfg, host, w.settings.TelemetrySettings); err != nil {
		return err
	}
	loop := watch.Loop[state.Observation]{
		Next:      w.next,
		Step:      w.step,
		Delivery:  w.Delivery(),
		Condition: func(err error) { w.Condition.Set(watchChecks, err) },
	}
	w.Background.Start(loop.Run)
	return nil
}

// Shutdown ends the watch, also in the middle of a blocking query.
func (w *watcher) Shutdown(context.Context) error {
	w.Background.Stop()
	w.client.close()
	return nil
}

func (w *watcher) next(ctx context.Context) (state.Observation, error) {
	if err := w.queries.Wait(ctx); err != nil {
		return state.Observation{}, err
	}
	if err := w.identify(ctx); err != nil {
		return state.Observation{}, err
	}
	answer, err := w.client.NewChecks(ctx, w.index)
	if err != nil {
		// Without an index the next answer comes at once.
		w.index, w.gap = 0, true
		return state.Observation{}, err
	}
	w.Condition.Set(limitChecks, answer.Limit)
	w.Condition.Set(viewChecks, answer.partial())
	w.identified = true
	backwards := answer.Index < w.last.Index // a snapshot was restored
	observed := state.Observation{
		Checks:  answer.Checks,
		Index:   answer.Index,
		Gap:     w.gap || backwards,
		Rebased: answer.Filtered != w.last.Filtered || answer.Filtered && answer.Token != w.last.Token,
	}
	w.last, w.index, w.gap = answer, answer.Index, false
	w.last.Checks = nil // The machine keeps them.
	if backwards {
		w.index = 0
	}
	return observed, nil
}

// identify finds out the datacenter, which the IDs of traces depend on, before
// the first observation. A Consul that answers, but not this, is no obstacle:
// the scraper reports this endpoint.
func (w *watcher) identify(ctx context.Context) error {
	if w.identified {
		return nil
	}
	usage, err := w.client.Usage(ctx)
	var refused api.StatusError
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	w.datacenter = usage.Datacenter
	return nil
}

func (w *watcher) step(now time.Time, observed state.Observation) watch.Telemetry {
	cluster := cmp.Or(w.datacenter, address.HostPort(w.cfg.endpoint()))
	res := resource(metadata.NewResourceBuilder(w.cfg.Events.ResourceAttributes), w.cfg.endpoint(), w.datacenter)
	return w.story.Render(now, cluster, res, w.machine.Step(now, observed))
}
