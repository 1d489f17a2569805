// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"maps"
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

// newSecretsEngines follows the secrets engines.
func newSecretsEngines(w *watcher) *topic[state.Mounts] {
	return newMounts(w, endpointMounts, "", metadata.AttributeVaultMountClassSecret)
}

// newAuthMethods follows the auth methods.
func newAuthMethods(w *watcher) *topic[state.Mounts] {
	return newMounts(w, endpointAuth, "auth/", metadata.AttributeVaultMountClassAuth)
}

func newMounts(w *watcher, endpoint, below string, class telemetry.MountClass) *topic[state.Mounts] {
	return &topic[state.Mounts]{
		w: w, endpoint: endpoint, every: w.cfg.Mounts.Interval, stored: "mounts of " + endpoint,
		read: func(ctx context.Context) (state.Mounts, error) { return w.client.Mounts(ctx, endpoint, below) },
		measure: func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, mounts state.Mounts) {
			telemetry.RecordMounts(mb, now, class, mounts)
		},
		tell: func(observed time.Time, c change[state.Mounts]) watch.Telemetry {
			return w.story.RenderMounts(observed, c.at, c.resource, class, c.before.Compare(c.after), c.reconciled)
		},
	}
}

// Mounts returns the mounts that an endpoint lists, with what their paths are below.
// Vault keeps them in one entry of its storage, which bounds them to some thousands.
func (c *client) Mounts(ctx context.Context, endpoint, below string) (state.Mounts, error) {
	var answer struct {
		Data map[string]struct {
			Type, Accessor, UUID, Description string

			Options map[string]any
			Config  map[string]any
			Plugin  string `json:"plugin_version"`
			Running string `json:"running_plugin_version"`
		}
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
