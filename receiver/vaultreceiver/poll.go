// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// serverEvery is how often the server is asked for its state, so that a short
// time is seen: it answers that from its memory, and does not audit it.
const serverEvery = time.Second

var errSeveral = errors.New("several servers answer, so what they say of themselves is not told: name the server itself, not a load balancer")

// pollServer asks the server for its state until ctx ends.
func (w *watcher) pollServer(ctx context.Context) {
	pace := rate.NewLimiter(rate.Every(min(w.cfg.Scrape.CollectionInterval, serverEvery)), 1)
	var doubt state.Doubt
	var before state.Server
	gap := false
	for first := true; pace.Wait(ctx) == nil; first = false {
		r, err := w.client.Look(ctx)
		if err == nil && r.node == "" && !first && (r.Sealed != before.Sealed || r.Initialized != before.Initialized) {
			r, err = w.confirm(ctx, r)
		}
		if ctx.Err() != nil {
			return // What Shutdown cut off says nothing.
		}
		now := time.Now()
		w.saw(now, r, err)
		if err = errors.Join(err, r.leaderErr); err != nil {
			gap = true
			w.Delivery().CountFailure(ctx)
		} else {
			before = r.Server
			several := doubt.See(now, r.node, r.contradicts)
			w.news.put(observation{at: now, server: &state.Observation{Server: r.Server, Gap: gap, Several: several}})
			gap = false
			w.doubted(doubt.Lasts())
		}
		if first {
			close(w.asked)
		}
	}
}

// confirm asks once more: a load balancer may have asked another server.
func (w *watcher) confirm(ctx context.Context, r round) (round, error) {
	again, err := w.client.Look(ctx)
	again.contradicts = again.contradicts || err == nil && (again.Sealed != r.Sealed || again.Initialized != r.Initialized)
	return again, err
}

func (w *watcher) doubted(several bool) {
	var err error
	if several {
		err = errSeveral
	}
	w.Condition.Set(severalServers, err)
}

// saw takes in what the server answered, or why it did not.
func (w *watcher) saw(now time.Time, r round, err error) {
	w.endpoints.set(now, endpointHealth, err)
	if err != nil {
		w.endpoints.rest(endpointSeal, endpointLeader)
	} else {
		w.endpoints.set(now, endpointSeal, r.sealErr)
	}
	if err == nil && !r.Sealed {
		w.endpoints.set(now, endpointLeader, r.leaderErr)
	} else {
		w.endpoints.rest(endpointLeader)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		// What needs a token waits for the first answer anyway.
		if was := w.server.err == nil && w.server.value.Active(); was != r.Active() && !w.server.at.IsZero() {
			w.hasten()
		}
		if w.count(r.Server); r.Sealed != w.server.value.Sealed || w.server.at.IsZero() && r.Sealed {
			w.saySealed(r.Sealed)
		}
	} else {
		r.Sealed = w.server.value.Sealed // as far as known, so that it is said once
	}
	w.server = answer[round]{value: r, at: now, err: err}
}

// saySealed logs what else only the absence of much would tell.
func (w *watcher) saySealed(sealed bool) {
	if sealed {
		w.settings.Logger.Warn("the server is sealed, so what needs a token is not asked until it is unsealed")
	} else {
		w.settings.Logger.Info("the server is unsealed")
	}
}

// count begins another term when the server is of another cluster, or stands by
// for another node. The watcher is locked.
func (w *watcher) count(s state.Server) {
	if s.Active() && s.LeaderAddress != "" {
		w.address = s.LeaderAddress
	}
	follows := s.Led() && (s.LeaderAddress == "" || s.LeaderAddress != w.address)
	other := s.ClusterID != "" && w.cluster.clusterID != "" && s.ClusterID != w.cluster.clusterID
	if follows && !w.follows || other {
		w.terms++
	}
	w.follows = follows
	w.cluster.learn(s)
}

// hasten has what needs a token asked for at once. The watcher is locked.
func (w *watcher) hasten() {
	for _, turned := range w.turned {
		signal(turned)
	}
}

// retry has what needs a token asked for at once, as there is another.
func (w *watcher) retry() {
	w.endpoints.forgive()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hasten()
}

// pollCluster asks for what needs a token, until ctx ends: at each interval,
// and at once when the server becomes active or there is another token.
func (w *watcher) pollCluster(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.Scrape.CollectionInterval)
	defer ticker.Stop()
	turned := w.turns()
	var peersGap, healthGap bool
	for w.wait(ctx, w.asked) {
		r, known := w.now()
		token := known && w.client.hasToken()
		active := token && r.AcceptsTokens()
		raft := token && r.PassesTokens() && w.cfg.Raft.Enabled && r.Seal.Raft()

		poll(ctx, w, endpointNodes, active && r.HAEnabled, &w.nodes, w.client.Nodes)
		peers, peersKnown := poll(ctx, w, endpointPeers, raft, &w.peers, w.client.Peers)
		autopilot, healthKnown := poll(ctx, w, endpointAutopilot, raft, &w.autopilot, w.client.Autopilot)

		r, known = w.now()
		seen := state.RaftObservation{PeersGap: peersGap, HealthyGap: healthGap, Tell: r.AcceptsTokens()}
		if peersKnown && known && r.Follows(peers.Leader) {
			seen.Peers = peers.Peers
		}
		if healthKnown && known && r.Follows(autopilot.Leader) {
			seen.Healthy = autopilot.Health()
		}
		peersGap, healthGap = seen.Peers == nil, seen.Healthy == nil
		if !peersGap || !healthGap {
			w.news.put(observation{at: time.Now(), raft: &seen})
		}
		select {
		case <-ticker.C:
		case <-turned:
		case <-ctx.Done():
		}
	}
}

// poll asks for one part, if it can be asked now and is not known to be denied.
func poll[T any](ctx context.Context, w *watcher, endpoint string, possible bool, into *answer[T], read func(context.Context) (T, error)) (value T, ok bool) {
	if !possible {
		w.endpoints.rest(endpoint)
		if _, known := w.now(); known { // Else it is as old as what is known of the server.
			w.put(func() { *into = answer[T]{} })
		}
		return value, false
	}
	if w.endpoints.off(time.Now(), endpoint) {
		return value, false
	}
	value, err := read(ctx)
	if ctx.Err() != nil {
		return value, false
	}
	now := time.Now()
	refused := refusedWith(err)
	absent := refused == http.StatusNotFound || refused == http.StatusBadRequest // as without raft storage
	if absent || errors.Is(err, errSealed) || err != nil && refused != http.StatusForbidden && !w.leads(ctx) {
		w.endpoints.rest(endpoint)
	} else {
		w.endpoints.set(now, endpoint, err)
	}
	w.put(func() { *into = answer[T]{value: value, at: now, err: err} })
	return value, err == nil
}

// now returns what the server answered last, if it did.
func (w *watcher) now() (r round, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server.value, w.server.err == nil
}

func (w *watcher) put(set func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set()
}

// leads says whether the server is the active node now. A standby goes on
// passing requests to a node that was lost, until it finds out.
func (w *watcher) leads(ctx context.Context) bool {
	server, err := w.client.Health(ctx)
	return err == nil && server.AcceptsTokens()
}
