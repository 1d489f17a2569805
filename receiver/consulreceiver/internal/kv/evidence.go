// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

const (
	// endpointSession is where one session is read, followed by its ID.
	endpointSession = "session/info/"

	// maxRead bounds how many sessions, and how many deleted keys, are read
	// one by one, and maxParallel how many at a time.
	maxRead     = 100
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
	e = Evidence{Sessions: map[string]SessionState{}, Created: map[uint64]bool{}, DeletedAt: map[string]uint64{}}
	var mu sync.Mutex // of e
	reads, reading := errgroup.WithContext(ctx)
	reads.SetLimit(maxParallel)
	for _, id := range needs.Sessions[:min(len(needs.Sessions), maxRead)] {
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
	for _, name := range needs.Deleted[:min(len(needs.Deleted), maxRead)] {
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
	if reads.Wait() != nil {
		return e, 0
	}
	lists := new(sessionlist.Lists)
	if c.sessions != nil {
		lists = c.sessions.Lists()
	}
	if e.addEnds(lists, needs); e.needsList(needs) {
		listed = c.list(ctx, e, lists)
		e.addEnds(lists, needs)
	}
	return e, listed
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

// addEnds adds what lists of sessions show of those that are gone.
func (e Evidence) addEnds(lists *sessionlist.Lists, needs Needs) {
	for _, id := range needs.Sessions {
		state, known := e.Sessions[id]
		if !known || state.Alive {
			continue
		}
		if end, found := lists.End(id); found {
			e.Sessions[id] = state.endedWithin(end)
			for _, index := range end.Created {
				e.Created[index] = true
			}
		}
	}
}

// needsList reports whether a list of all sessions may show how a hold ended: a session
// is gone, and sessions changed after the key was given up.
func (e Evidence) needsList(needs Needs) bool {
	for session, index := range needs.Lost {
		if state, known := e.Sessions[session]; known && !state.Alive && state.Lived == 0 && state.Index > index {
			return true
		}
	}
	return false
}

type sessionEntry struct {
	ID          string `answer:"required"`
	CreateIndex uint64 `answer:"required"`
}

// list reads all sessions, and returns how many live.
func (c *collector) list(ctx context.Context, e Evidence, lists *sessionlist.Lists) int {
	found, meta, err := consulapi.GetIndexed[[]sessionEntry](ctx, c.API, consulapi.EndpointSessions, consulapi.Query{Leader: true})
	if err != nil {
		return 0
	}
	created := make(map[string]uint64, len(found))
	for _, session := range found {
		created[session.ID] = session.CreateIndex
		e.Created[session.CreateIndex] = true
	}
	if !meta.Filtered {
		lists.Add(meta.Index, created)
	}
	return len(found)
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
