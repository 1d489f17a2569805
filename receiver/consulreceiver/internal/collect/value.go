// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/poll"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
)

// Value polls a value of which only the newest counts. It makes no events.
type Value[T any] struct {
	Poll[T, struct{}]

	mu     sync.Mutex
	newest T
}

// NewValue returns the Value of an endpoint.
func NewValue[T any](e *Env, endpoint string, interval time.Duration, read func(context.Context) (T, error)) *Value[T] {
	v := &Value[T]{}
	v.Poll = Poll[T, struct{}]{
		Env: e, Endpoint: endpoint, Interval: interval, Read: read, Lock: &v.mu,
		Step: func(_ time.Time, result poll.Result[T]) []struct{} {
			v.newest = result.Value
			return nil
		},
		Fork: func() watch.Fork[StepRead[T, struct{}]] {
			return watch.Fork[StepRead[T, struct{}]]{Step: func(time.Time, poll.Result[T]) []struct{} { return nil }}
		},
		Render: func(*Renderer, []struct{}) {},
	}
	return v
}

// Known returns the newest value, and whether the last use of the endpoint succeeded.
func (v *Value[T]) Known() (T, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.newest, v.Up(v.Endpoint)
}
