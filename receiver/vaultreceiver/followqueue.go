// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// hold waits while too much waits to be told; it is false when ctx has ended.
func (f *follower[D]) hold(ctx context.Context) bool {
	for ctx.Err() == nil {
		f.mu.Lock()
		full := f.full()
		if full {
			f.miss()
		}
		f.mu.Unlock()
		if !full {
			return true
		}
		pauseUntil(ctx, dueEvery, f.room)
	}
	return false
}

// full says whether too much waits to be told. The follower is locked.
func (f *follower[D]) full() bool {
	return len(f.waiting) >= f.most
}

// next takes some of what is to be told, or nothing when it is time to save.
func (f *follower[D]) next(ctx context.Context) ([]state.LifeEffect[D], error) {
	for ctx.Err() == nil {
		if effects := f.take(); len(effects) > 0 {
			return effects, nil
		}
		f.save(ctx, max(saveEvery, f.cfg.Interval))
		pauseUntil(ctx, saveEvery, f.ready)
	}
	return nil, ctx.Err()
}

func (f *follower[D]) take() []state.LifeEffect[D] {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(f.waiting), tellAtMost)
	effects := f.waiting[:n:n]
	if f.waiting = f.waiting[n:]; len(f.waiting) == 0 {
		f.waiting = nil
	}
	f.telling = f.telling || n > 0
	f.inHand = n > 0
	signal(f.room)
	return effects
}

// step renders what was taken.
func (f *follower[D]) step(now time.Time, effects []state.LifeEffect[D]) watch.Telemetry {
	f.mu.Lock()
	f.inHand = false
	f.mu.Unlock()
	return f.tell(now, effects)
}

// delivered takes in that all was delivered that was stepped so far.
func (f *follower[D]) delivered(ctx context.Context) {
	f.mu.Lock()
	f.telling = f.inHand
	f.mu.Unlock()
	f.save(ctx, max(saveEvery, f.cfg.Interval))
}
