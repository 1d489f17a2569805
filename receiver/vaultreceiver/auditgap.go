// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

const (
	// storedHeard is the key of the time until which all that was sent to the
	// socket, or posted, is told.
	storedHeard = "audit.heard"

	// heardEvery is how often that is found out.
	heardEvery = time.Second

	// keepHeardEvery is how often it is stored while nothing comes.
	keepHeardEvery = 10 * time.Second
)

// auditGaps finds out in which time entries may have been lost that were sent to
// the socket, or posted: since all was told to an earlier process, until the first entry
// comes, as Vault dials only when it has something to send. Without storage
// nothing is known of an earlier process. All but came and broke is for
// the loop of the stream.
type auditGaps struct {
	w     *watcher
	since time.Time // zero: nothing is known of an earlier process
	found chan auditGap
	first sync.Once

	mu     sync.Mutex
	resets auditGap // not taken yet
	reset  chan struct{}

	heard *audit.Heard // nil: the gap is not told yet, or nothing is sent or posted
	taken int64        // entries, out of the queue
	kept  int64        // of them, when it was stored last
	at    time.Time    // when that was
}

// auditGap is a time in which entries may have been lost; zero: there is none.
type auditGap struct{ from, until time.Time }

func newAuditGaps(w *watcher) *auditGaps {
	return &auditGaps{w: w, found: make(chan auditGap, 1), reset: make(chan struct{}, 1)}
}

// listens begins, when it is listened.
func (g *auditGaps) listens(ctx context.Context, now time.Time) {
	if g.w.cfg.Storage == nil {
		return
	}
	known, err := g.w.store.Load(ctx, storedHeard, &g.since)
	g.w.Condition.Set(storageState, err)
	if !known || err != nil {
		g.told(ctx, auditGap{until: now})
	}
}

// came is called for each entry that comes, before it is told. Other lines are not of
// Vault, and say nothing of what it has sent.
func (g *auditGaps) came() {
	g.first.Do(func() {
		if !g.since.IsZero() {
			now := time.Now()
			from := g.since
			if from.After(now) {
				from = now // The clock was set back.
			}
			g.found <- auditGap{from, now}
		}
	})
}

// broke is called when a connection was reset, whatever was on its way, after an
// entry of that time; zero when none came.
func (g *auditGaps) broke(last time.Time) {
	now := time.Now()
	if last.IsZero() || last.After(now) {
		last = now
	}
	from := last.Add(-heardEvery) // Vault does not write them strictly in the order of their times.
	g.mu.Lock()
	if g.resets == (auditGap{}) || from.Before(g.resets.from) {
		g.resets.from = from
	}
	g.resets.until = now
	g.mu.Unlock()
	select {
	case g.reset <- struct{}{}:
	default:
	}
}

// takeResets returns the time of all connections that were reset.
func (g *auditGaps) takeResets() auditGap {
	g.mu.Lock()
	defer g.mu.Unlock()
	gap := g.resets
	g.resets = auditGap{}
	return gap
}

// told goes on from the end of a gap.
func (g *auditGaps) told(ctx context.Context, gap auditGap) {
	g.heard = audit.NewHeard(gap.until)
	g.keep(ctx, gap.until)
}

// look finds out until when all is told, while so many entries are in the queue,
// and nothing is taken out of it that is not told, but halves.
func (g *auditGaps) look(ctx context.Context, now time.Time, queued int, oldest func() time.Time) {
	if g.heard == nil || now.Sub(g.heard.Looked()) < heardEvery {
		return
	}
	g.heard.Look(now, g.taken+int64(queued), g.taken, oldest())
	if g.taken != g.kept || now.Sub(g.at) >= keepHeardEvery {
		g.keep(ctx, now)
	}
}

// keep stores what was found out.
func (g *auditGaps) keep(ctx context.Context, now time.Time) {
	if g.heard == nil {
		return // What an earlier process stored is still true.
	}
	g.kept, g.at = g.taken, now
	g.w.Condition.Set(storageState, g.w.store.Save(ctx, storedHeard, g.heard.Until()))
}
