// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"sync"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// maxQueue is how many sightings wait to be told. Only those wait that differ
// from the one before.
const maxQueue = 1000

// sighting is what was seen at a time: of the server, or of the raft cluster.
type sighting struct {
	at     time.Time
	server *state.Observation
	raft   *state.RaftObservation
	access *access
	err    error // there was nothing to be seen
}

// queue holds what was seen until it is told, as a consumer may refuse it.
type queue struct {
	ready chan struct{}

	mu     sync.Mutex
	seen   []sighting
	last   state.Observation // that was put of the server
	missed bool              // one of the server could not be put since
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// put adds a sighting, unless it is one more of the same while others wait. It is
// false when there is no room.
func (q *queue) put(s sighting) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	same := s.server != nil && *s.server == q.last
	if waits := len(q.seen) > 0; waits && (same || s.err != nil) {
		return true
	}
	if len(q.seen) >= maxQueue {
		q.missed = q.missed || s.server != nil
		return false
	}
	if s.server != nil {
		s.server.Gap = s.server.Gap || q.missed
		q.last, q.missed = *s.server, false
	}
	q.seen = append(q.seen, s)
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return true
}

// next waits for the oldest sighting and takes it.
func (q *queue) next(ctx context.Context) (sighting, error) {
	for {
		if s, ok := q.take(); ok {
			return s, s.err
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return sighting{}, ctx.Err()
		}
	}
}

func (q *queue) take() (s sighting, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.seen) == 0 {
		return s, false
	}
	s, q.seen = q.seen[0], q.seen[1:]
	return s, true
}
