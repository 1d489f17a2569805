// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"time"
)

// idle is how long a loop waits when there is nothing to save.
const idle = time.Minute

// checkpointer saves what a loop has delivered, but not more often than is useful: to
// save it after each of many small batches would cost more than to deliver them.
type checkpointer struct {
	c     *Collector
	every time.Duration
	save  func(context.Context) bool // nil when there is no storage; says whether it did

	// The collector's lock guards these, as what was stepped may be delivered any time.
	last        time.Time // when it was saved, or tried to be
	pending     bool      // something was delivered since it was saved last
	undelivered bool      // what is known is ahead of what was delivered
}

func (c *Collector) newCheckpointer(every time.Duration, save func(context.Context) bool) checkpointer {
	if !c.config.Stored {
		save = nil
	}
	return checkpointer{c: c, every: every, save: save}
}

// stepped takes in that what is known has changed, and is not delivered yet. The
// collector is locked.
func (p *checkpointer) stepped() {
	if !p.undelivered {
		p.undelivered = true
		p.c.undelivered++
	}
}

// delivered takes in that what is known has been delivered.
func (p *checkpointer) delivered(ctx context.Context) {
	if p.due() {
		saved := p.save(ctx)
		p.c.mu.Lock()
		p.pending = !saved
		p.c.mu.Unlock()
	}
}

// due says whether to save what was delivered now, rather than later.
func (p *checkpointer) due() bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.undelivered {
		p.undelivered = false
		p.c.undelivered--
	}
	if p.save == nil {
		return false
	}
	if p.pending = time.Since(p.last) < p.every; p.pending {
		return false
	}
	p.last = time.Now() // What cannot be saved now is not tried at once again.
	return true
}

// overdue says whether it is time to save what is pending.
func (p *checkpointer) overdue() bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.pending && time.Since(p.last) >= p.every
}

// wait returns how long the loop may wait for something new.
func (p *checkpointer) wait() time.Duration {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.pending || p.save != nil && p.undelivered { // or it is pending once it is delivered
		return p.every
	}
	return idle
}

// end saves what is pending, unless what is known is ahead of it. All loops have
// ended.
func (p *checkpointer) end(ctx context.Context) {
	if p.pending && !p.undelivered {
		p.save(ctx)
	}
}
