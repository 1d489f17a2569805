// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
)

// Requests are those of one round.
type Requests struct {
	// API reads from a member that can answer for the cluster: the leader, or else one
	// that follows it. It is nil when there is none.
	API *etcdapi.Client
	// Members are those of the cluster that answered in this round.
	Members []etcdapi.Status

	ctx        context.Context
	env        *Env
	background *sync.WaitGroup
	answered   func()
}

// Poll is a request that is made again and again, and not twice at once: one that
// gets no answer waits alone. It is safe for concurrent use.
type Poll[T any] struct {
	// Name is that of its condition.
	Name string

	mu      sync.Mutex
	pending bool
	sent    time.Time // when it was last sent, or could not be
	err     error     // of the last answer
	gap     bool      // there was no answer since that could be used
	value   T         // of the last answer that was one
	at      time.Time // when that came
	next    Answer[T] // to be taken
}

// Answer is what a request was answered. Gap means that the one before failed.
type Answer[T any] struct {
	Value T
	Gap   bool
	known bool
}

// Request makes the request in the background if the last one is so long ago, and
// reports whether it did. Without a member to read from, there is a gap.
func (p *Poll[T]) Request(r Requests, every time.Duration, read func(context.Context, *etcdapi.Client) (T, error)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.pending || now.Sub(p.sent) < every {
		return false
	}
	p.sent = now
	if r.API == nil {
		p.gap = true
		return false
	}
	p.pending = true
	r.background.Go(func() {
		value, err := read(r.ctx, r.API)
		if r.ctx.Err() != nil {
			return // What Shutdown cut off says nothing.
		}
		r.env.Condition.Set(p.Name, etcdapi.Explain(err))
		p.answer(value, err)
		r.answered()
	})
	return true
}

// Answered takes in a value that needed no request.
func (p *Poll[T]) Answered(r Requests, value T) {
	p.answer(value, nil)
	r.env.Condition.Set(p.Name, nil)
}

func (p *Poll[T]) answer(value T, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending, p.err = false, err
	if err != nil {
		p.gap = true
		return
	}
	p.next = Answer[T]{Value: value, Gap: p.gap || p.next.Gap, known: true}
	p.value, p.at, p.gap = value, time.Now(), false
}

// Pending reports whether an answer is waited for.
func (p *Poll[T]) Pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending
}

// AnsweredSince reports whether a request that was made since then has its answer.
func (p *Poll[T]) AnsweredSince(began time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.pending && p.err == nil && !p.sent.Before(began)
}

// Take returns the answer that came since the last Take, if one did.
func (p *Poll[T]) Take() (Answer[T], bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.next
	p.next = Answer[T]{}
	return next, next.known
}

// Value returns the last value, of whatever age.
func (p *Poll[T]) Value() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}

// Forget forgets the last value.
func (p *Poll[T]) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var none T
	p.value = none
}

// Fresh returns the last value, and whether the last answer was one that is not too old.
func (p *Poll[T]) Fresh(now time.Time, age time.Duration) (T, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value, p.err == nil && !p.at.IsZero() && now.Sub(p.at) <= age
}

// Changes returns what renders the changes that came of an answer, or nil. step finds
// them in it.
func Changes[T, C any](now time.Time, p *Poll[T], step func(now time.Time, value T, gap bool) []C, render func(*Renderer, []C)) func(*Renderer) {
	answer, ok := p.Take()
	if !ok {
		return nil
	}
	changes := step(now, answer.Value, answer.Gap)
	if len(changes) == 0 {
		return nil
	}
	return func(r *Renderer) { render(r, changes) }
}
