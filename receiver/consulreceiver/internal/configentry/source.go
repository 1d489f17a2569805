// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package configentry observes the configuration entries of the service mesh.
package configentry

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Endpoint is the part of the API that is polled, followed by the kind of entry.
const Endpoint = "config/"

// Interval is the time between two reads of the index, which is one small request.
const Interval = 5 * time.Second

// Kind returns what observes the configuration entries.
func Kind(cfg collect.LimitConfig) collect.Kind {
	return collect.Kind{Enabled: cfg.Enabled, Scope: collect.Datacenter, New: func(e *collect.Env) collect.Collector {
		limit := collect.Limit{Object: metadata.AttributeObjectConfigEntry, Max: cfg.Limit, Setting: "config_entries::limit"}
		entries := collect.NewObjects(e, Endpoint, limit, (&reader{}).read, Render)
		entries.Interval = Interval
		return collector{entries}
	}}
}

type collector struct{ *collect.Objects[Entry] }

// Record implements collect.Collector: there are no metrics.
func (c collector) Record(context.Context, collect.Metrics) {}

// reader reads all configuration entries when any has changed: one index counts
// for all kinds.
type reader struct {
	last    consulapi.Meta
	unknown map[string]bool // kinds that this Consul does not know
	entries map[string]Entry
}

func (r *reader) read(ctx context.Context, c *consulapi.Client, q consulapi.Query) (collect.Result[string, Entry], error) {
	_, meta, err := ReadKind(ctx, c, consulapi.MeshConfig, q)
	if err != nil {
		return collect.Result[string, Entry]{Meta: meta}, err
	}
	if r.entries != nil && meta.Index == r.last.Index && meta.Token == r.last.Token {
		return collect.Result[string, Entry]{Meta: r.last, Objects: maps.Clone(r.entries)}, nil
	}
	entries := map[string]Entry{}
	for _, kind := range consulapi.ConfigKinds {
		if r.unknown[kind] {
			continue // Consul would log it as an error each time.
		}
		found, of, err := ReadKind(ctx, c, kind, q)
		if code := consulapi.StatusCode(err); code != 0 && strings.Contains(err.Error(), "invalid config entry kind") {
			if r.unknown == nil {
				r.unknown = map[string]bool{}
			}
			r.unknown[kind] = true
			continue
		}
		if err != nil {
			return collect.Result[string, Entry]{Meta: meta}, err
		}
		meta.Filtered = meta.Filtered || of.Filtered
		for _, e := range found {
			entries[e.Kind+"/"+e.Name] = e
		}
	}
	r.last, r.entries = meta, entries
	return collect.Result[string, Entry]{Meta: meta, Objects: maps.Clone(entries)}, nil // The limit removes some of them.
}

// ReadKind reads the entries of one kind.
func ReadKind(ctx context.Context, c *consulapi.Client, kind string, q consulapi.Query) ([]Entry, consulapi.Meta, error) {
	found, meta, err := consulapi.GetIndexed[[]struct {
		Name        string `answer:"required"`
		ModifyIndex uint64
	}](ctx, c, Endpoint+kind, q)
	entries := make([]Entry, 0, len(found))
	for _, e := range found {
		entries = append(entries, Entry{Kind: kind, Name: e.Name, Index: e.ModifyIndex})
	}
	return entries, meta, err
}
