// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
)

const (
	// batchSize is how many changes are delivered together, if they are there.
	batchSize = 1000

	// atOnce is how long after each other they may have been read.
	atOnce = 100 * time.Millisecond
)

// errFull is why a stream ended that nothing is wrong with.
var errFull = errors.New("watch::queue is full")

// stream is an open watch of the keys under a prefix. The client's own buffer
// has no bound, so the stream is read at once, into a queue that has one. When
// the queue is full the stream ends: etcd's history keeps the rest, and another
// stream can go on from there.
type stream struct {
	telemetry *collect.Telemetry
	watch     *etcdapi.Watch
	filter    filter
	limit     int
	done      chan struct{}

	mu     sync.Mutex
	queue  []batch
	queued int
	err    error         // why no more will come
	ready  chan struct{} // there is something in the queue, or an error
}

// batch is what was read of a stream. The first one has no changes, but says
// which cluster it is of.
type batch struct {
	at       time.Time // when it was read
	opened   bool
	cluster  uint64
	revision int64 // everything up to it was read; of the first one, the newest in etcd
	changes  []key.Change
}

// openStream opens a watch from a revision on, with a queue of so many changes.
func openStream(ctx context.Context, env *collect.Env, f filter, prevKV bool, prefix string, revision int64, limit int) (*stream, error) {
	opened, err := env.API.Watch(ctx, prefix, revision, prevKV)
	if err != nil {
		return nil, err
	}
	s := &stream{
		telemetry: env.Telemetry, watch: opened, filter: f, limit: limit,
		done: make(chan struct{}), ready: make(chan struct{}, 1),
	}
	go s.read()
	return s, nil
}

// stop ends the stream; what is in its queue is forgotten.
func (s *stream) stop() {
	s.watch.Close()
	<-s.done
	s.telemetry.Queued(-int64(s.queued))
}

// read reads the stream until it fails or the queue is full.
func (s *stream) read() {
	defer close(s.done)
	defer s.watch.Close()
	for {
		response, err := s.watch.Next()
		if err == nil {
			err = s.add(response)
		}
		if err == nil {
			continue
		}
		if errors.Is(err, errFull) {
			s.telemetry.Pause()
		}
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		s.wake()
		return
	}
}

func (s *stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default: // It was woken already.
	}
}

func (s *stream) add(response etcdapi.Response) error {
	b := batch{at: time.Now(), opened: response.Opened, cluster: response.Cluster, revision: response.Revision}
	if response.Count > 0 {
		b.changes = s.filter.changes(response)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.queue) - 1; last >= 0 && len(b.changes) == 0 && !b.opened && !s.queue[last].opened {
		s.queue[last].revision = b.revision // There is no bound to how many say nothing but this.
		s.wake()
		return nil
	}
	if s.queued > 0 && s.queued+len(b.changes) > s.limit {
		return errFull
	}
	s.queue = append(s.queue, b)
	s.queued += len(b.changes)
	s.telemetry.Queued(int64(len(b.changes)))
	s.wake()
	return nil
}

// take returns what was read since the last time, up to about batchSize changes.
// It waits until there is something, for patience, or until enough. It fails when the
// stream has, and all of it was taken.
func (s *stream) take(ctx context.Context, patience time.Duration, enough <-chan struct{}) (batch, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			taken := s.pop()
			s.mu.Unlock()
			return taken, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return batch{}, err
		}
		select {
		case <-s.ready:
		case <-timer.C:
			return batch{}, nil
		case <-enough:
			return batch{}, nil
		case <-ctx.Done():
			return batch{}, ctx.Err()
		}
	}
}

// pop takes the first batch out of the queue, together with those after it that
// fit in with it.
func (s *stream) pop() batch {
	first, n := s.queue[0], 1
	size := len(first.changes)
	for n < len(s.queue) && !first.opened && size+len(s.queue[n].changes) <= batchSize && s.queue[n].at.Sub(first.at) < atOnce {
		size += len(s.queue[n].changes)
		n++
	}
	if n > 1 {
		changes := make([]key.Change, 0, size)
		for _, b := range s.queue[:n] {
			changes = append(changes, b.changes...)
		}
		first.changes, first.revision = changes, s.queue[n-1].revision
	}
	clear(s.queue[:n]) // for the garbage collector
	s.queue = s.queue[n:]
	s.queued -= size
	s.telemetry.Queued(-int64(size))
	return first
}
