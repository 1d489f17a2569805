// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package peering observes the peerings with other clusters.
package peering

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Endpoint is the part of the API that is polled: its index does not count what
// peerings go through. It is about the datacenter of the agent only.
const Endpoint = "peerings"

// Kind returns what observes the peerings.
func Kind(cfg collect.LimitConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Agent, New: func(e *collect.Env) collect.Collector {
		limit := collect.Limit{Object: metadata.AttributeObjectPeering, Max: cfg.Limit, Setting: "peerings::limit"}
		peerings := collect.NewObjects(e, Endpoint, limit, NewRead(), Render)
		peerings.Interval, peerings.Unordered = e.Interval, true
		return collector{peerings}
	}}
}

type collector struct{ *collect.Objects[Peering] }

// Record implements collect.Collector.
func (c collector) Record(_ context.Context, m collect.Metrics) {
	if peerings, up := c.Known(); up && m.Answers {
		RecordPeerings(m, peerings)
	}
}

// NewRead returns what reads the peerings. Consul answers as the leader only.
func NewRead() collect.Read[string, Peering] {
	var settling settling
	return func(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Peering], error) {
		entries, meta, err := consulapi.GetIndexed[[]struct {
			ID, Name, State string `answer:"required"`
			StreamStatus    struct {
				ImportedServices, ExportedServices   []string
				LastHeartbeat, LastReceive, LastSend *time.Time
			}
		}](ctx, c, Endpoint, q)
		if consulapi.StatusCode(err) == http.StatusInternalServerError && strings.Contains(err.Error(), "peering must be enabled") {
			return collect.Result[string, Peering]{Off: true}, nil
		}
		result := collect.Result[string, Peering]{Meta: meta, Read: len(entries)}
		if err != nil {
			return result, err
		}
		result.Objects = make(map[string]Peering, len(entries))
		for _, e := range entries {
			p := Peering{
				ID: e.ID, State: State(strings.ToLower(e.State)),
				Connected: e.StreamStatus.LastReceive != nil || e.StreamStatus.LastSend != nil,
				Imported:  len(e.StreamStatus.ImportedServices), Exported: len(e.StreamStatus.ExportedServices),
			}
			if beat := e.StreamStatus.LastHeartbeat; beat != nil {
				p.Heartbeat = *beat
			}
			result.Objects[e.Name] = p
		}
		settling.step(time.Now(), result.Objects)
		return result, nil
	}
}
