// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

const (
	// endpointSession is where one session is read, followed by its ID.
	endpointSession = "session/info/"

	// maxAsked bounds how many sessions, and how many deleted keys, are asked for
	// one by one, and maxParallel how many at a time.
	maxAsked    = 100
	maxParallel = 8
)

// readEvidence reads how holds ended, at once, as most holders end their session
// within milliseconds after they released its key. All of it is read from the leader,
// as the keys were: another server may not know yet what they showed. It takes as long
// as one request may, and ends with the first that fails. The watch of sessions reports
// it when they cannot be read. It returns also how many sessions it listed.
func (c *collector) readEvidence(ctx context.Context, needs Needs) (e Evidence, listed int) {
	ctx, cancel := context.WithTimeout(ctx, c.API.Timeout())
	defer cancel()
	e = Evidence{Sessions: map[string]SessionState{}, DeletedAt: map[string]uint64{}}
	var mu sync.Mutex // of e
	reads, reading := errgroup.WithContext(ctx)
	reads.SetLimit(maxParallel)
	for _, id := range needs.Sessions[:min(len(needs.Sessions), maxAsked)] {
		reads.Go(func() error {
			state, known, err := c.session(reading, id)
			if known {
				mu.Lock()
				e.Sessions[id] = state
				mu.Unlock()
			}
			return err
		})
	}
	for _, name := range needs.Deleted[:min(len(needs.Deleted), maxAsked)] {
		reads.Go(func() error {
			index, err := c.deletedAt(reading, name)
			if index > 0 {
				mu.Lock()
				e.DeletedAt[name] = index
				mu.Unlock()
			}
			return err
		})
	}
	if reads.Wait() == nil && e.needsCreated(needs) {
		e.Created = c.created(ctx)
	}
	return e, len(e.Created)
}

// session returns the state of a session, unless the token may not read it.
func (c *collector) session(ctx context.Context, id string) (state SessionState, known bool, err error) {
	if err := ctx.Err(); err != nil { // Another read failed.
		return SessionState{}, false, err
	}
	found, meta, err := consulapi.GetIndexed[[]sessionEntry](ctx, c.API, endpointSession+id, consulapi.Query{Leader: true, Class: endpointSession})
	if err != nil {
		return SessionState{}, false, err
	}
	return SessionState{Alive: len(found) > 0, Index: meta.Index}, !meta.Filtered, nil
}

// needsCreated reports whether a session is gone, and sessions changed after it gave up
// a key. If those changes are creations, it ended when it gave up the key.
func (e Evidence) needsCreated(needs Needs) bool {
	for session, index := range needs.GivenUp {
		if state, known := e.Sessions[session]; known && !state.Alive && state.Index > index {
			return true
		}
	}
	return false
}

type sessionEntry struct {
	ID          string `answer:"required"`
	CreateIndex uint64 `answer:"required"`
}

// created returns the indexes at which the sessions that live were created.
func (c *collector) created(ctx context.Context) map[uint64]bool {
	found, _, err := consulapi.GetIndexed[[]sessionEntry](ctx, c.API, consulapi.EndpointSessions, consulapi.Query{Leader: true})
	if err != nil {
		return nil
	}
	created := make(map[uint64]bool, len(found))
	for _, session := range found {
		created[session.CreateIndex] = true
	}
	return created
}

// deletedAt returns the index at which a key was deleted, or 0. Consul remembers
// it for some minutes, as the index of a list of the keys that begin with its name.
func (c *collector) deletedAt(ctx context.Context, name string) (uint64, error) {
	if err := ctx.Err(); err != nil { // Another read failed.
		return 0, err
	}
	var newest uint64
	meta, err := readPairs(ctx, c.API, name, consulapi.Query{Leader: true, Class: Endpoint}, func(pair entry) {
		newest = max(newest, pair.ModifyIndex)
	})
	if err != nil || meta.Filtered || newest >= meta.Index { // It is the index of another key.
		return 0, err
	}
	return meta.Index, nil
}

var _ collect.Collector = (*collector)(nil)
