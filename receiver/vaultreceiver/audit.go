// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"time"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const endpointAudit = "sys/audit"

func newAuditDevices(w *watcher) domain {
	return &topic[state.AuditDevices]{
		w: w, endpoint: endpointAudit, every: w.cfg.AuditDevices.Interval, stored: "audit devices",
		read:    func(ctx context.Context) (state.AuditDevices, error) { return w.client.AuditDevices(ctx) },
		measure: telemetry.RecordAuditDevices,
		tell: func(observed time.Time, c change[state.AuditDevices]) watch.Telemetry {
			return w.story.RenderAuditDevices(observed, c.at, c.resource, c.before.Compare(c.after), c.reconciled)
		},
	}
}

// AuditDevices returns the audit devices that are enabled.
func (c *client) AuditDevices(ctx context.Context) (state.AuditDevices, error) {
	var answer struct {
		Data map[string]struct {
			Type string `json:"type" answer:"required"`
		} `json:"data" answer:"required"`
	}
	if err := c.do(ctx, call{endpoint: endpointAudit, needs: "sudo and read"}, &answer); err != nil {
		return nil, err
	}
	devices := state.AuditDevices{}
	for path, device := range answer.Data {
		devices[path] = state.AuditDevice{Type: device.Type}
	}
	return devices, nil
}
