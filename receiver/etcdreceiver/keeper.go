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
	every time.Duration
	keep  func(context.Context) // nil when there is no storage

	last    time.Time
	pending bool // something was told since it was kept last
	ahead   bool // what is known is ahead of what was told
}

func (w *watcher) newKeeper(every time.Duration, keep func(context.Context)) keeper {
	if w.cfg.Storage == nil {
		keep = nil
	}
	return keeper{every: every, keep: keep}
}

// stepped takes in that what is known has changed, and is not told yet.
func (k *keeper) stepped() { k.ahead = true }

// delivered takes in that what is known has been told.
func (k *keeper) delivered(ctx context.Context) {
	k.ahead = false
	if k.keep == nil {
		return
	}
	if k.pending = time.Since(k.last) < k.every; !k.pending {
		k.keep(ctx)
		k.last = time.Now()
	}
}

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
