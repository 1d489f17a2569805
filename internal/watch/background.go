// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"sync"
)

// Background runs what outlives Start and ends with Shutdown. Its zero value
// is ready, and can be stopped without having been started.
type Background struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Start runs the function on a context of its own, as the one that a component
// is started with ends when the start is over. It may be called once.
func (b *Background) Start(run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.done.Go(func() { run(ctx) })
}

// Stop cancels the context and waits until the function has returned.
func (b *Background) Stop() {
	if b.cancel != nil {
		b.cancel()
	}
	b.done.Wait()
}
