// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders a change as an event.
func Render(r *collect.Renderer, c snapshot.Change[string, Session]) {
	ctx, s := context.Background(), c.Now()
	switch {
	case c.Removed:
		r.Event(plog.SeverityNumberInfo, "session "+c.Key+" ended", func(b *metadata.LogsBuilder) {
			b.RecordConsulSessionEndedEvent(ctx, r.Now, c.Key, s.Name, s.Behavior, s.TTL, s.Node, c.Reconciled)
		})
	case c.Added:
		r.Event(plog.SeverityNumberInfo, "session "+c.Key+" was created", func(b *metadata.LogsBuilder) {
			b.RecordConsulSessionCreatedEvent(ctx, r.Now, c.Key, s.Name, s.Behavior, s.TTL, s.Node, c.Initial, c.Reconciled)
		})
	}
}

// RecordCount records the number of sessions.
func RecordCount(m collect.Metrics, count int) {
	m.RecordConsulSessionCountDataPoint(m.TS(), int64(count))
}
