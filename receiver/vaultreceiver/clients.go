// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	endpointClients  = "sys/internal/counters/activity/monthly"
	endpointEntities = "sys/internal/counters/entities"
)

func newClients(w *watcher) domain {
	return &topic[state.Clients]{
		w: w, endpoint: endpointClients, every: w.cfg.Clients.Interval,
		read:    func(ctx context.Context) (state.Clients, error) { return w.client.Clients(ctx) },
		measure: telemetry.RecordClients,
	}
}

func newEntities(w *watcher) domain {
	return &topic[int64]{
		w: w, endpoint: endpointEntities, every: w.cfg.Clients.Interval,
		read: func(ctx context.Context) (int64, error) { return w.client.Entities(ctx) },
		measure: func(mb *metadata.MetricsBuilder, now pcommon.Timestamp, n int64) {
			mb.RecordVaultEntityCountDataPoint(now, n)
		},
	}
}

// Clients returns the clients of the month. Where Vault does not count them, it
// answers that there is no content.
func (c *client) Clients(ctx context.Context) (state.Clients, error) {
	var answer struct {
		Data struct {
			ACME      int64  `json:"acme_clients"` // not of old Vaults, like secret_syncs
			Entity    *int64 `json:"entity_clients" answer:"required"`
			NonEntity *int64 `json:"non_entity_clients" answer:"required"`
			Synced    int64  `json:"secret_syncs"`
		} `json:"data"`
	}
	err := c.do(ctx, call{endpoint: endpointClients, none: true}, &answer)
	if errors.Is(err, errNoContent) {
		return state.Clients{}, nil
	}
	if err != nil {
		return state.Clients{}, err
	}
	d := answer.Data
	return state.Clients{Counted: true, ACME: d.ACME, Entity: *d.Entity, NonEntity: *d.NonEntity, SecretSynced: d.Synced}, nil
}

// Entities returns how many entities there are.
func (c *client) Entities(ctx context.Context) (int64, error) {
	var answer struct {
		Data struct {
			Counters struct {
				Entities struct {
					Total *int64 `json:"total" answer:"required"`
				} `json:"entities"`
			} `json:"counters"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{endpoint: endpointEntities}, &answer); err != nil {
		return 0, err
	}
	return *answer.Data.Counters.Entities.Total, nil
}
