// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package session observes the sessions.
package session

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

// Collector observes the sessions of one datacenter.
type Collector struct {
	*collect.Objects[Session]
	ended Ended
	lists sessionlist.Lists
}

// New returns what observes the sessions.
func New(e *collect.Env, cfg collect.LimitConfig) *Collector {
	limit := collect.Limit{Object: metadata.AttributeObjectSession, Max: cfg.Limit, Setting: "sessions::limit"}
	c := &Collector{}
	c.Objects = collect.NewObjects(e, consulapi.EndpointSessions, limit, Read(e.Filters, &c.lists), Render)
	c.IndexOf = func(s Session) uint64 { return s.Index }
	c.MinPause = minPause
	step := c.Step
	c.Step = func(now time.Time, o snapshot.Observation[string, Session]) (*snapshot.Gap, []snapshot.Change[string, Session]) {
		gap, changes := step(now, o)
		if gap != nil || o.Restored {
			c.lists.Forget()
		}
		c.ended.Add(changes)
		return gap, changes
	}
	return c
}

// Session returns the name and the node of a session that lives, or ended not
// long ago; no node: it is not known.
func (c *Collector) Session(id string) (name, node string) {
	known, _ := c.Known()
	s, lives := known[id]
	if !lives {
		s = c.ended.Get(id)
	}
	return s.Name, s.Node
}

// minPause is between two reads of few sessions. Those that live shorter are not
// observed.
const minPause = 10 * time.Millisecond

// Record implements collect.Collector.
func (c *Collector) Record(_ context.Context, m collect.Metrics) {
	if sessions, up := c.Known(); up && m.Answers {
		RecordCount(m, len(sessions))
	}
}

// Lists returns what the lists of all sessions show, of whichever node.
func (c *Collector) Lists() *sessionlist.Lists { return &c.lists }

// Read returns what reads the sessions on the nodes that are selected, and adds all to lists.
func Read(filters collect.Filters, lists *sessionlist.Lists) collect.Read[string, Session] {
	return func(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Session], error) {
		entries, meta, err := consulapi.GetIndexed[[]struct {
			ID, Node            string `answer:"required"`
			Name, Behavior, TTL string
			CreateIndex         uint64 `answer:"required"`
		}](ctx, c, consulapi.EndpointSessions, q)
		if err != nil {
			return collect.Result[string, Session]{Meta: meta}, err
		}
		sessions, created := make(map[string]Session, len(entries)), make(map[string]uint64, len(entries))
		for _, e := range entries {
			created[e.ID] = e.CreateIndex
			if filters.Nodes.Match(e.Node) {
				sessions[e.ID] = Session{Name: e.Name, Node: e.Node, Behavior: e.Behavior, TTL: e.TTL, Index: e.CreateIndex}
			}
		}
		if meta.Filtered {
			lists.Forget()
		} else {
			lists.Add(meta.Index, created)
		}
		return collect.Result[string, Session]{Meta: meta, Objects: sessions, Read: len(entries)}, nil
	}
}
