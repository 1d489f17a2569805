// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	endpointMounts = "sys/mounts"
	endpointAuth   = "sys/auth"
)

// newMounts follows the secrets engines and the auth methods.
func newMounts(w *watcher) (engines, methods *topic[state.Mounts]) {
	known := &mountPaths{of: map[string][]string{}}
	return mountTopic(w, endpointMounts, "", metadata.AttributeVaultMountClassSecret, known),
		mountTopic(w, endpointAuth, "auth/", metadata.AttributeVaultMountClassAuth, known)
}

func mountTopic(w *watcher, endpoint, below string, class telemetry.MountClass, known *mountPaths) *topic[state.Mounts] {
	return &topic[state.Mounts]{
		w: w, endpoint: endpoint, every: w.cfg.Mounts.Interval, stored: "mounts of " + endpoint,
		read: func(ctx context.Context) (state.Mounts, error) {
			mounts, err := w.client.Mounts(ctx, endpoint, below)
			if err == nil {
				w.learnMounts(known.learn(endpoint, mounts))
			}
			return mounts, err
		},
		measure: func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, mounts state.Mounts) {
			telemetry.RecordMounts(mb, now, class, mounts)
		},
		tell: func(observed time.Time, c change[state.Mounts]) watch.Telemetry {
			return w.story.RenderMounts(observed, c.at, c.resource, class, c.before.Compare(c.after), c.reconciled)
		},
	}
}

// mountPaths are the paths of mounts, by the endpoints that list them.
type mountPaths struct {
	mu sync.Mutex
	of map[string][]string
}

// learn takes in those that an endpoint lists now, and returns all.
func (p *mountPaths) learn(endpoint string, mounts state.Mounts) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[endpoint] = slices.Sorted(maps.Values(mounts.Paths()))
	return slices.Concat(p.of[endpointMounts], p.of[endpointAuth])
}

// Mounts returns the mounts that an endpoint lists, with what their paths are below.
// Vault keeps them in one entry of its storage, which bounds them to some thousands.
func (c *client) Mounts(ctx context.Context, endpoint, below string) (state.Mounts, error) {
	var answer struct {
		Data map[string]struct {
			Type, Accessor    string `answer:"required"`
			UUID, Description string

			Options map[string]any
			Config  map[string]any
			Plugin  string `json:"plugin_version"`
			Running string `json:"running_plugin_version"`
		} `json:"data" answer:"nonempty"` // Some cannot be disabled.
	}
	if err := c.do(ctx, call{endpoint: endpoint}, &answer); err != nil {
		return nil, err
	}
	mounts := state.Mounts{}
	for path, m := range answer.Data {
		version, _ := m.Options["version"].(string)
		options := maps.Clone(m.Options)
		delete(options, "version")
		mounts[m.Accessor+" "+m.UUID] = state.Mount{
			Path: below + path, Type: m.Type, Accessor: m.Accessor, Version: version, PluginVersion: m.Running,
			Settings: state.Fingerprint(map[string]any{
				"config": m.Config, "options": options, "description": m.Description, "plugin": m.Plugin,
			}),
		}
	}
	return mounts, nil
}
