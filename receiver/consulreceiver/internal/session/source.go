// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package session observes the sessions.
package session

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Kind returns what observes the sessions.
func Kind(cfg collect.LimitConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		limit := collect.Limit{Object: metadata.AttributeObjectSession, Max: cfg.Limit, Setting: "sessions::limit"}
		sessions := collect.NewObjects(e, consulapi.EndpointSessions, limit, Read(e.Filters), Render)
		sessions.IndexOf = func(s Session) uint64 { return s.Index }
		sessions.MinPause = minPause
		return collector{sessions}
	}}
}

// minPause is between two reads of few sessions. Those that live shorter are not
// observed.
const minPause = 10 * time.Millisecond

type collector struct{ *collect.Objects[Session] }

// Record implements collect.Collector.
func (c collector) Record(_ context.Context, m collect.Metrics) {
	if sessions, up := c.Known(); up && m.Answers {
		RecordCount(m, len(sessions))
	}
}

// Read returns what reads the sessions on the nodes that are selected.
func Read(filters collect.Filters) collect.Read[string, Session] {
	return func(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Session], error) {
		entries, meta, err := consulapi.GetIndexed[[]struct {
			ID, Node            string `answer:"required"`
			Name, Behavior, TTL string
			CreateIndex         uint64
		}](ctx, c, consulapi.EndpointSessions, q)
		if err != nil {
			return collect.Result[string, Session]{Meta: meta}, err
		}
		sessions := make(map[string]Session, len(entries))
		for _, e := range entries {
			if filters.Nodes.Match(e.Node) {
				sessions[e.ID] = Session{Name: e.Name, Node: e.Node, Behavior: e.Behavior, TTL: e.TTL, Index: e.CreateIndex}
			}
		}
		return collect.Result[string, Session]{Meta: meta, Objects: sessions, Read: len(entries)}, nil
	}
}
