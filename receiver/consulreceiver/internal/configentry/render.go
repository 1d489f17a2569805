// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package configentry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders a change as an event.
func Render(r *collect.Renderer, c snapshot.Change[string, Entry]) {
	e, change := c.Now(), changeOf(c)
	r.Event(plog.SeverityNumberInfo, fmt.Sprintf("%s %s was %s", e.Kind, e.Name, change), func(b *metadata.LogsBuilder) {
		b.RecordConsulConfigEntryChangedEvent(context.Background(), r.Now, e.Kind, e.Name, change, int64(e.Index), c.Initial, c.Reconciled)
	})
}

func changeOf(c snapshot.Change[string, Entry]) string {
	switch {
	case c.Added:
		return "created"
	case c.Removed:
		return "deleted"
	default:
		return "updated"
	}
}
