// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// A prefix has so many streams at once, and then one each openEvery: whatever a
	// server answers, nothing that begins with a watch can go round faster.
	openAtOnce = 20
	openEvery  = time.Second
)

// streams are those of one watch. clientv3 opens another one when one fails, which it
// hides. That is prevented here once the watch is open: what has happened meanwhile has
// no known time, and etcd may have come back with another history.
type streams struct {
	pace *rate.Limiter

	mu      sync.Mutex
	opened  bool
	err     error // that the open one has failed with
	resumed bool  // clientv3 wanted another one
}

type streamsKey struct{}

// watches are those of a prefix, one after the other.
type watches struct {
	pace *rate.Limiter
	n    int // so far
}

// newStreams returns those of the next watch of a prefix, and its number.
func (c *Client) newStreams(prefix string) (number int, s *streams) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.watches[prefix]
	if of == nil {
		of = &watches{pace: rate.NewLimiter(rate.Every(openEvery), openAtOnce)}
		c.watches[prefix] = of
	}
	of.n++
	return of.n, &streams{pace: of.pace}
}

func (s *streams) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamsKey{}, s)
}

// streamsOf returns nil for a stream that is not of a watch.
func streamsOf(ctx context.Context) *streams {
	s, _ := ctx.Value(streamsKey{}).(*streams)
	return s
}

// open waits until another stream may be opened.
func (s *streams) open(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if s.resume() {
		return status.Error(codes.FailedPrecondition, ErrDisconnected.Error()) // which clientv3 does not retry
	}
	return s.pace.Wait(ctx)
}

// resume reports whether another stream would take the place of one that was open.
func (s *streams) resume() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resumed = s.opened && s.err != nil
	return s.resumed
}

// received takes in what was read of a stream.
func (s *streams) received(answer any, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if response, is := answer.(*etcdserverpb.WatchResponse); is && err == nil && response.Created && !response.Canceled {
		s.opened = true
	}
	if err != nil && s.err == nil {
		s.err = err
	}
}

// lost returns why the watch, which was open, has no stream any more; nil if it is
// not for clientv3 to open another one.
func (s *streams) lost() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.resumed {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDisconnected, s.err)
}
