// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package userevent observes the user events that the agent receives.
package userevent

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
)

// Endpoint is the part of the API that is watched.
const Endpoint = "event/list"

// maxKept is how many user events an agent keeps.
const maxKept = 256

// Kind returns what observes the user events.
func Kind(cfg collect.SwitchConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Agent, New: func(e *collect.Env) collect.Collector {
		events := collect.NewObjects(e, Endpoint, collect.Limit{Max: 2 * maxKept}, NewRead(), Render)
		events.Unordered = true // The index is a hash.
		return collector{events}
	}}
}

type collector struct{ *collect.Objects[UserEvent] }

// Record implements collect.Collector: there are no metrics.
func (c collector) Record(context.Context, collect.Metrics) {}

// NewRead returns what reads the user events that the agent has received. After its
// restart the agent receives from the others again what it had before: as many
// are remembered here.
func NewRead() collect.Read[string, UserEvent] {
	var received map[string]UserEvent
	return func(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, UserEvent], error) {
		q.Agent = true
		entries, meta, err := consulapi.GetIndexed[[]struct {
			ID      string `answer:"required"`
			Name    string
			Payload []byte
			LTime   uint64
		}](ctx, c, Endpoint, q)
		if err != nil {
			return collect.Result[string, UserEvent]{Meta: meta}, err
		}
		events := make(map[string]UserEvent, len(entries))
		for _, e := range entries {
			key := fmt.Sprintf("%020d %s", e.LTime, e.ID)
			events[key] = UserEvent{ID: e.ID, Name: e.Name, Size: len(e.Payload)}
			delete(received, key)
		}
		earlier := slices.Sorted(maps.Keys(received))
		for _, key := range earlier[max(0, len(earlier)-maxKept):] {
			events[key] = received[key]
		}
		received = maps.Clone(events)
		return collect.Result[string, UserEvent]{Meta: meta, Objects: events}, nil
	}
}
