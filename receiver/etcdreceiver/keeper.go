// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"time"
)

// idle is how long a loop waits when there is nothing to keep.
const idle = time.Minute

// keeper keeps what a loop has told, but not more often than is useful: to keep
// it after each of many small batches would cost more than to tell them.
type keeper struct {
	w     *watcher
	every time.Duration
	keep  func(context.Context) bool // nil when there is no storage; says whether it did

	last    time.Time // when it was kept, or tried to be
	pending bool      // something was told since it was kept last
	ahead   bool      // what is known is ahead of what was told; the watcher's lock guards it
}

func (w *watcher) newKeeper(every time.Duration, keep func(context.Context) bool) keeper {
	if w.cfg.Storage == nil {
		keep = nil
	}
	return keeper{w: w, every: every, keep: keep}
}

// stepped takes in that what is known has changed, and is not told yet. The
// watcher is locked.
func (k *keeper) stepped() {
	if !k.ahead {
		k.ahead = true
		k.w.untold++
	}
}

func (k *keeper) told() {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	if k.ahead {
		k.ahead = false
		k.w.untold--
	}
}

// delivered takes in that what is known has been told.
func (k *keeper) delivered(ctx context.Context) {
	k.told()
	if k.keep == nil {
		return
	}
	if k.pending = time.Since(k.last) < k.every; k.pending {
		return
	}
	k.last = time.Now() // What cannot be kept now is not tried at once again.
	k.pending = !k.keep(ctx)
}

// overdue says whether it is time to keep what is pending.
func (k *keeper) overdue() bool { return k.pending && time.Since(k.last) >= k.every }

// wait returns how long the loop may wait for something new.
func (k *keeper) wait() time.Duration {
	if k.pending {
		return k.every
	}
	return idle
}

// end keeps what is pending, unless what is known is ahead of it.
func (k *keeper) end(ctx context.Context) {
	if k.pending && !k.ahead {
		k.keep(ctx)
	}
}
