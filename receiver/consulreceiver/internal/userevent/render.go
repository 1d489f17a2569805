// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package userevent

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders a change as an event.
func Render(r *collect.Renderer, c snapshot.Change[string, UserEvent]) {
	if !c.Added {
		return // The agent forgets old ones.
	}
	r.Event(plog.SeverityNumberInfo, "user event "+c.Next.Name+" was fired", func(b *metadata.LogsBuilder) {
		b.RecordConsulUserEventFiredEvent(context.Background(), r.Now, c.Next.ID, c.Next.Name, int64(c.Next.Size), c.Initial)
	})
}
