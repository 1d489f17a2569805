// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package sharedcomponent lets the receivers or processors of several signals
// that were made from one configuration be one component, so that what they
// observe is observed once. The collector has such a package too, but not for
// others to import.
package sharedcomponent

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
)

// Observer is a component that serves several signals.
type Observer interface {
	component.Component

	// AddHost is called at the start of each signal; the host reports the
	// component's status under that signal's name.
	AddHost(component.Host)
}

// Map holds the shared component of each configuration, keyed by the pointer
// to the configuration: the collector passes the same one for every signal.
type Map[C comparable, O Observer] struct {
	// UntilLast has the component end with its last user: one that emits nothing of
	// its own accord may be used until then.
	UntilLast bool

	mu         sync.Mutex
	components map[C]*Shared[O]
}

// GetOrAdd returns the component of a configuration, made by create when it
// is asked for the first time.
func (m *Map[C, O]) GetOrAdd(config C, create func() (O, error)) (*Shared[O], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if shared, ok := m.components[config]; ok {
		return shared, nil
	}
	observer, err := create()
	if err != nil {
		return nil, err
	}
	if m.components == nil {
		m.components = map[C]*Shared[O]{}
	}
	lifetime, end := context.WithCancel(context.Background())
	shared := &Shared[O]{Observer: observer, untilLast: m.UntilLast, lifetime: lifetime, end: end, forget: func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.components, config)
	}}
	m.components[config] = shared
	return shared, nil
}

// Shared is a component that is started with its first user.
type Shared[O Observer] struct {
	Observer O

	untilLast bool
	lifetime  context.Context
	end       context.CancelFunc
	forget    func()
	mu        sync.Mutex
	users     int
	startErr  error
}

// Start starts the observer once; later calls return what the first returned.
func (s *Shared[O]) Start(ctx context.Context, host component.Host) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Observer.AddHost(host)
	s.users++
	if s.users == 1 {
		s.startErr = s.Observer.Start(ctx, host)
	}
	return s.startErr
}

// Lifetime is over when the observer is being shut down, by whichever user.
func (s *Shared[O]) Lifetime() context.Context { return s.lifetime }

// Shutdown shuts the observer down when it is called for the first time, unless that
// is for the last: the collector may end a user's pipeline before it calls the next, so
// that nothing could be emitted in it any more. It may be called without a Start.
func (s *Shared[O]) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.lifetime.Err() != nil || s.untilLast && s.users > 0 {
		return nil
	}
	s.end()
	s.forget()
	return s.Observer.Shutdown(ctx)
}
