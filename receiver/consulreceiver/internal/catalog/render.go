// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// RenderService renders a change of a service as an event.
func RenderService(r *collect.Renderer, c snapshot.Change[string, Service]) {
	ctx := context.Background()
	if c.Removed {
		r.Event(plog.SeverityNumberInfo, "service "+c.Key+" was deregistered", func(b *metadata.LogsBuilder) {
			b.RecordConsulServiceDeregisteredEvent(ctx, r.Now, c.Key, c.Reconciled)
		})
		return
	}
	r.Event(plog.SeverityNumberInfo, "service "+c.Key+" was registered", func(b *metadata.LogsBuilder) {
		b.RecordConsulServiceRegisteredEvent(ctx, r.Now, c.Key, c.Initial, c.Reconciled)
	})
}

// RenderNode renders a change of a node as an event.
func RenderNode(r *collect.Renderer, c snapshot.Change[string, Node]) {
	ctx := context.Background()
	switch {
	case c.Removed:
		r.Event(plog.SeverityNumberInfo, "node "+c.Key+" was deregistered", func(b *metadata.LogsBuilder) {
			b.RecordConsulNodeDeregisteredEvent(ctx, r.Now, c.Key, c.Prev.Address, c.Reconciled)
		})
	case c.Added:
		r.Event(plog.SeverityNumberInfo, "node "+c.Key+" was registered", func(b *metadata.LogsBuilder) {
			b.RecordConsulNodeRegisteredEvent(ctx, r.Now, c.Key, c.Next.Address, c.Initial, c.Reconciled)
		})
	}
}

// RecordUsage records the sizes of the catalog.
func RecordUsage(m collect.Metrics, usage consulapi.Usage) {
	m.RecordConsulCatalogNodeCountDataPoint(m.TS(), usage.Nodes)
	m.RecordConsulCatalogServiceCountDataPoint(m.TS(), usage.Services)
	m.RecordConsulCatalogServiceInstanceCountDataPoint(m.TS(), usage.Instances)
}

// RecordLastContact records how long ago the server that answers heard from the leader,
// if it ever has.
func RecordLastContact(m collect.Metrics, age time.Duration) {
	if age < consulapi.Never {
		m.RecordConsulRaftLastContactDataPoint(m.TS(), age.Seconds())
	}
}
