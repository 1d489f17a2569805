// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"sync"
)

// epoch is the time in which the indexes of a Consul count: until it restores a snapshot,
// or the server that answers is cut off from the others.
type epoch struct {
	mu      sync.Mutex
	current context.Context // done at its end
	end     context.CancelFunc
}

func (e *epoch) begin() { e.current, e.end = context.WithCancel(context.Background()) }

// present returns the epoch. Indexes of before its end may not be reached again
// for long, so that a blocking query for a newer one would miss changes.
func (e *epoch) present() context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// next ends an epoch, and returns the present one. Consul does not say that it
// restores a snapshot, but answers then at once all blocking queries, with what
// was before.
func (e *epoch) next(ended context.Context) context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == ended {
		e.end()
		e.begin()
	}
	return e.current
}
