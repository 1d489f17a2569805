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

	// The watcher's lock guards these, as what was stepped may be delivered any time.
	last    time.Time // when it was kept, or tried to be
	pending bool      // something was delivered since it was kept last
	ahead   bool      // what is known is ahead of what was delivered
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

// delivered takes in that what is known has been delivered.
func (k *keeper) delivered(ctx context.Context) {
	if k.due() {
		kept := k.keep(ctx)
		k.w.mu.Lock()
		k.pending = !kept
		k.w.mu.Unlock()
	}
}

// due says whether to keep what was delivered now, rather than later.
func (k *keeper) due() bool {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	if k.ahead {
		k.ahead = false
		k.w.untold--
	}
	if k.keep == nil {
		return false
	}
	if k.pending = time.Since(k.last) < k.every; k.pending {
		return false
	}
	k.last = time.Now() // What cannot be kept now is not tried at once again.
	return true
}

// overdue says whether it is time to keep what is pending.
func (k *keeper) overdue() bool {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	return k.pending && time.Since(k.last) >= k.every
}

// wait returns how long the loop may wait for something new.
func (k *keeper) wait() time.Duration {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	if k.pending || k.keep != nil && k.ahead { // or it is pending once it is delivered
		return k.every
	}
	return idle
}

// end keeps what is pending, unless what is known is ahead of it. All loops have
// ended.
func (k *keeper) end(ctx context.Context) {
	if k.pending && !k.ahead {
		k.keep(ctx)
	}
}
