// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// storedServer is the key under which what is known of the server is stored.
const storedServer = "server"

// watcher observes the server for all signals, with one client, so that there is
// one login. Vault has nothing to wait on, so it polls.
type watcher struct {
	*watch.Base
	cfg       *Config
	settings  receiver.Settings
	story     *telemetry.Story
	client    *client
	store     *checkpoint.Store
	endpoints *endpoints
	news      *observations
	asked     chan struct{} // closed when the server was asked once
	domains   []domain
	audit     *auditStream // nil: it is not configured
	pages     *pages

	mu        sync.Mutex
	turned    []chan struct{} // What needs a token may be answered otherwise now.
	terms     int             // see term
	follows   bool            // another node leads
	address   string          // of the server itself, as it told it when it led
	machine   state.Machine
	newest    newest // that the machine was stepped with
	cluster   identity
	server    answer[round]
	nodes     answer[[]state.Node]
	peers     answer[state.RaftPeers]
	autopilot answer[state.Autopilot]

	mountPaths atomic.Pointer[[]string] // of secrets engines and auth methods
}

// answer is what was answered last.
type answer[T any] struct {
	value T
	at    time.Time // when it was
	err   error     // instead of it
}

// fresh says whether there is one that is not older than age.
func (a *answer[T]) fresh(now time.Time, age time.Duration) bool {
	return a.err == nil && !a.at.IsZero() && now.Sub(a.at) <= age
}

func newWatcher(cfg *Config, settings receiver.Settings) (*watcher, error) {
	base, err := watch.NewBase(settings)
	if err != nil {
		return nil, err
	}
	news := newObservations()
	w := &watcher{
		Base:     base,
		cfg:      cfg,
		settings: settings,
		story:    telemetry.NewStory(cfg.Events, settings),
		endpoints: newEndpoints(base.Condition, cfg.Scrape.CollectionInterval, func(a access) bool {
			return news.put(observation{at: time.Now(), access: &a})
		}),
		news:  news,
		asked: make(chan struct{}),
	}
	w.pages = &pages{w: w}
	w.domains = newDomains(w)
	if cfg.Audit.enabled() {
		w.audit = newAuditStream(w)
	}
	return w, nil
}

// Start begins to watch and returns; an absent server is waited for.
func (w *watcher) Start(ctx context.Context, host component.Host) (err error) {
	if w.client, err = newClient(ctx, w.cfg, host, w.settings); err != nil {
		return err
	}
	w.client.session.attach(w.settings.Logger, w.endpoints, w.retry)
	w.store, err = checkpoint.Open(ctx, host, w.cfg.Storage, component.KindReceiver, w.settings.ID, "")
	if err != nil {
		return err
	}
	if w.audit != nil {
		if err := w.audit.open(ctx, host); err != nil {
			return err
		}
	}
	w.Background.Start(w.run)
	return nil
}

// run has the token kept alive, polls the server, and tells what becomes of both.
func (w *watcher) run(ctx context.Context) {
	kept := w.restore(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() { w.client.session.keep(ctx) })
	loops.Go(func() { w.tell(ctx) })
	loops.Go(func() { w.pollServer(ctx) })
	loops.Go(func() { w.pollCluster(ctx) })
	if w.audit != nil {
		loops.Go(func() { w.audit.run(ctx) })
	}
	for _, d := range w.domains {
		loops.Go(func() { d.run(ctx) })
	}
	watch.Loop[observation]{
		Next:      w.news.next,
		Step:      w.step,
		Fork:      w.fork,
		Delivery:  w.Delivery(),
		Kept:      kept,
		Condition: func(error) {}, // Each endpoint has a condition of its own.
	}.Run(ctx)
}

// Shutdown ends the watch, also in the middle of a request.
func (w *watcher) Shutdown(ctx context.Context) error {
	w.Stop()
	w.client.close()
	return errors.Join(w.audit.close(ctx), w.store.Close(ctx))
}

// resource is that of events and spans.
func (w *watcher) resource() pcommon.Resource {
	w.mu.Lock()
	defer w.mu.Unlock()
	return resource(metadata.NewResourceBuilder(w.cfg.Events.ResourceAttributes), w.cfg.HTTP.Endpoint, w.cluster)
}

// learnMounts takes in the paths of all mounts, with a slash at the end of each;
// those of auth methods begin with auth/.
func (w *watcher) learnMounts(paths []string) { w.mountPaths.Store(&paths) }

// mounts returns the paths of the mounts, if they are known.
func (w *watcher) mounts() []string {
	if paths := w.mountPaths.Load(); paths != nil {
		return *paths
	}
	return nil
}

func (w *watcher) instance() string { return address.HostPort(w.cfg.HTTP.Endpoint) }

// kept is what survives a restart.
type kept struct {
	Instance    string // that it is of
	ClusterName string
	Server      state.Saved
}

// restore takes in what an earlier process saved of this server. What cannot be
// read is said, and done without.
func (w *watcher) restore(ctx context.Context) *watch.Kept[stepApart] {
	slot := checkpoint.Slot[kept]{Store: w.store, Key: storedServer, Report: func(err error) { w.Condition.Set(storageState, err) }}
	fresh := func() server { return server{w, &state.Machine{}} }
	return watch.Keep(ctx, slot, &w.mu, server{w, &w.machine}, fresh, w.stepApart)
}

// server is the machine of the watcher, or of a signal that goes on by itself.
type server struct {
	w       *watcher
	machine *state.Machine
}

// Clone returns a server that goes on by itself.
func (s server) Clone() server { return server{s.w, s.machine.Clone()} }

// Save returns what has to survive a restart; before the baseline that is of no server.
func (s server) Save() (k kept) {
	if saved, known := s.machine.Save(); known {
		k = kept{Instance: s.w.instance(), ClusterName: s.w.cluster.clusterName, Server: saved}
	}
	return k
}

// Restore goes on from what was saved, if that is of this server.
func (s server) Restore(saved kept) {
	if saved.Instance != s.w.instance() {
		return
	}
	s.machine.Restore(saved.Server)
	if s.machine == &s.w.machine {
		s.w.cluster = identity{clusterID: saved.Server.ClusterID, clusterName: saved.ClusterName}
	}
}
