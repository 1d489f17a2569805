// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/queue"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// maxObservations is how many observations may wait to be stepped, which takes
// no longer than to store what has to survive a restart.
const maxObservations = 1000

// observation is what was observed at a time: of the server, of the raft cluster,
// or of the rights of the token.
type observation struct {
	at     time.Time
	server *state.Observation
	raft   *state.RaftObservation
	access *access
}

// observations brings what several loops observe to the one that steps it.
type observations struct {
	queue *queue.Queue[observation]

	mu     sync.Mutex
	missed bool // There was no room for one of the server.
}

func newObservations() *observations {
	return &observations{queue: queue.New[observation](maxObservations)}
}

// put adds an observation; it is false when there is no room.
func (q *observations) put(o observation) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if o.server != nil {
		o.server.Gap = o.server.Gap || q.missed
	}
	ok := q.queue.Put(o, 1, o.at)
	if o.server != nil {
		q.missed = !ok
	}
	return ok
}

// next waits for the oldest observation and takes it.
func (q *observations) next(ctx context.Context) (observation, error) {
	o, _, ok := q.queue.Head(ctx)
	if !ok {
		return o, ctx.Err()
	}
	q.queue.Remove()
	return o, nil
}

// newest is what was stepped last of the server and of the raft cluster; nil:
// nothing yet.
type newest struct {
	at     time.Time
	server *state.Observation
	raft   *state.RaftObservation
}

func (n *newest) take(o observation) {
	if o.server != nil {
		n.at, n.server = o.at, o.server
	}
	if o.raft != nil {
		n.raft = o.raft
	}
}

func (w *watcher) step(_ time.Time, o observation) watch.Telemetry {
	if o.access != nil {
		return w.accessed(o)
	}
	w.mu.Lock()
	w.newest.take(o)
	effects := stepMachine(&w.machine, o)
	if o.server != nil {
		w.cluster.learn(o.server.Server)
	}
	w.mu.Unlock()
	return w.story.Render(o.at, w.instance(), w.resource(), effects)
}

// gap reports that nothing is known of the time from one observation to the next.
func (w *watcher) gap(now, before time.Time) watch.Telemetry {
	if before.IsZero() {
		return watch.EmptyTelemetry()
	}
	gap := state.Effect{Event: state.WatchGap, At: now, Unseen: now.Sub(before)}
	return w.story.Render(now, w.instance(), w.resource(), []state.Effect{gap})
}

func stepMachine(m *state.Machine, o observation) []state.Effect {
	if o.server != nil {
		return m.Step(o.at, *o.server)
	}
	return m.StepRaft(o.at, *o.raft)
}

type stepApart = watch.StepFork[observation]

// fork returns a state for a signal that goes on by itself: see watch.Loop.
func (w *watcher) fork() watch.Fork[stepApart] {
	w.mu.Lock()
	defer w.mu.Unlock()
	return watch.ForkOf(&w.mu, server{w, &w.machine}.Clone(), w.stepApart)
}

// stepApart returns what steps the state of such a signal.
func (w *watcher) stepApart(apart server) stepApart {
	machine := apart.machine
	return func(_ time.Time, o observation, gap bool) watch.Telemetry {
		if !gap {
			if o.access != nil {
				return w.accessed(o)
			}
			return w.story.Render(o.at, w.instance(), w.resource(), stepMachine(machine, o))
		}
		w.mu.Lock()
		seen := w.newest
		w.mu.Unlock()
		var effects []state.Effect
		if seen.server != nil {
			server := *seen.server
			server.Gap = true
			effects = machine.Step(seen.at, server)
		}
		if seen.raft != nil {
			raft := *seen.raft
			raft.PeersGap, raft.HealthyGap = true, true
			effects = append(effects, machine.StepRaft(o.at, raft)...)
		}
		return w.story.Render(o.at, w.instance(), w.resource(), effects)
	}
}

func (w *watcher) accessed(o observation) watch.Telemetry {
	return w.story.RenderAccess(o.at, o.at, w.resource(), o.access.endpoint, o.access.denied)
}
