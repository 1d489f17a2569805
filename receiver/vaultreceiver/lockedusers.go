// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const endpointLockedUsers = "sys/locked-users"

// newLockedUsers counts the users that are locked out. methods tells the paths of
// the auth methods; nil: they are not known.
func newLockedUsers(w *watcher, methods *topic[state.Mounts]) domain {
	var known state.Mounts // What was known last does, as accessors stay.
	return &topic[state.LockedUsers]{
		w: w, endpoint: endpointLockedUsers, every: w.cfg.LockedUsers.Interval,
		read: func(ctx context.Context) (state.LockedUsers, error) { return w.client.LockedUsers(ctx) },
		measure: func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, users state.LockedUsers) {
			if methods != nil && methods.last.err == nil { // The watcher is locked.
				if !methods.last.at.IsZero() {
					known = methods.last.value
				} else if known == nil {
					return // They will be known soon.
				}
			}
			telemetry.RecordLockedUsers(mb, now, users.ByPath(known))
		},
	}
}

// LockedUsers returns how many users are locked out. Their names are not taken in.
func (c *client) LockedUsers(ctx context.Context) (state.LockedUsers, error) {
	var answer struct {
		Data struct {
			Namespaces []struct {
				Methods []struct {
					Accessor string `json:"mount_accessor" answer:"required"`
					Counts   *int64 `json:"counts" answer:"required"`
				} `json:"mount_accessors" answer:"required"`
			} `json:"by_namespace" answer:"required"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpointLockedUsers}, &answer); err != nil {
		return nil, err
	}
	users := state.LockedUsers{}
	for _, namespace := range answer.Data.Namespaces {
		for _, method := range namespace.Methods {
			users[method.Accessor] += *method.Counts
		}
	}
	return users, nil
}
