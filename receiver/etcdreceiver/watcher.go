// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"crypto/tls"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
)

// watcher observes etcd for all signals: the key space and the members.
type watcher struct {
	*watch.Base
	cfg     *Config
	env     *collect.Env
	keys    *keyspace.Collector
	cluster *collect.Cluster[savedCluster]
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	own, err := collect.NewTelemetry(settings)
	if err != nil {
		return nil, err
	}
	env := &collect.Env{
		Settings: settings, Events: cfg.Events, Condition: base.Condition, Delivery: base.Delivery(), Telemetry: own,
		Interval: cfg.Scrape.CollectionInterval,
	}
	keys, err := keyspace.New(env, cfg.keyspace())
	if err != nil {
		return nil, err
	}
	return &watcher{Base: base, cfg: cfg, env: env, keys: keys, cluster: newCluster(env, cfg)}, nil
}

// Start begins to watch and returns; an absent server is waited for. Without
// prefixes, the members are observed and no keys are.
func (w *watcher) Start(ctx context.Context, host component.Host) error {
	tlsConfig, err := w.cfg.loadTLS(ctx)
	if err != nil {
		return err
	}
	w.env.Store, err = checkpoint.Open(ctx, host, w.cfg.Storage, component.KindReceiver, w.env.Settings.ID, "")
	if err != nil {
		return err
	}
	w.Background.Start(func(ctx context.Context) {
		options := w.apiOptions(tlsConfig)
		w.env.API = etcdapi.New(ctx, options, w.cfg.Endpoints...)
		defer w.env.API.Close()
		var collectors sync.WaitGroup
		collectors.Go(func() {
			w.cluster.Run(ctx, func(endpoint string) *etcdapi.Client { return etcdapi.New(ctx, options, endpoint) })
		})
		collectors.Go(func() { w.keys.Run(ctx) })
		collectors.Wait()
	})
	return nil
}

func (w *watcher) apiOptions(tlsConfig *tls.Config) etcdapi.Options {
	options := w.cfg.apiOptions(tlsConfig)
	options.Applied = &w.env.Applied
	options.Count = w.env.Telemetry.Requests.Count
	return options
}

// Shutdown ends the watches, also while one is being opened.
func (w *watcher) Shutdown(ctx context.Context) error {
	w.Stop()
	return w.env.Store.Close(ctx)
}
