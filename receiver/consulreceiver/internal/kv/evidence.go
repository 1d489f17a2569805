// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

const (
	// endpointSession is where one session is read, followed by its ID.
	endpointSession = "session/info/"

	// maxDelay bounds how long it takes to find out how holds ended: the time of
	// what is observed is that after it.
	maxDelay = time.Second

	// maxAsked bounds how many sessions, and how many deleted keys, are asked for
	// one by one.
	maxAsked = 100
)

// readEvidence reads how holds ended, at once, as most holders end their session
// within milliseconds after they released its key. All of it is read from the leader,
// as the keys were: another server may not know yet what they showed. The watch
// of sessions reports it when they cannot be read.
func (c *collector) readEvidence(ctx context.Context, needs Needs) Evidence {
	ctx, cancel := context.WithTimeout(ctx, maxDelay)
	defer cancel()
	e := Evidence{Sessions: map[string]SessionState{}, DeletedAt: map[string]uint64{}}
	for _, id := range needs.Sessions[:min(len(needs.Sessions), maxAsked)] {
		found, meta, err := consulapi.GetIndexed[[]sessionEntry](ctx, c.API, endpointSession+id, consulapi.Query{Leader: true, Class: endpointSession})
		if err != nil {
			return e // The others would fail, too.
		}
		if !meta.Filtered {
			e.Sessions[id] = SessionState{Alive: len(found) > 0, Index: meta.Index}
		}
	}
	for _, name := range needs.Deleted[:min(len(needs.Deleted), maxAsked)] {
		if index := c.deletedAt(ctx, name); index > 0 {
			e.DeletedAt[name] = index
		}
	}
	if e.anyGone() {
		e.Created = c.created(ctx)
	}
	return e
}

func (e Evidence) anyGone() bool {
	for _, session := range e.Sessions {
		if !session.Alive {
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
func (c *collector) deletedAt(ctx context.Context, name string) uint64 {
	pairs, meta, err := readPairs(ctx, c.API, name, consulapi.Query{Leader: true, Class: Endpoint})
	if err != nil || meta.Filtered {
		return 0
	}
	for _, pair := range pairs {
		if pair.ModifyIndex >= meta.Index {
			return 0 // It is the index of another key.
		}
	}
	return meta.Index
}

var _ collect.Collector = (*collector)(nil)
