// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package compaction

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Render renders a compaction as an event.
func Render(r *collect.Renderer, c Change) {
	line := fmt.Sprintf("history before revision %d was compacted", c.Revision)
	r.Event(plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdCompactionEvent(context.Background(), collect.Timestamp(c.At), c.Revision)
	})
}

// RecordRevisions records how many revisions were made since the cluster was first
// observed.
func RecordRevisions(m collect.Metrics, made int64) {
	m.RecordEtcdWritesDataPoint(m.TS(), made)
}

// RecordOldest records the oldest revision that can be read.
func RecordOldest(m collect.Metrics, revision int64) {
	m.RecordEtcdCompactRevisionDataPoint(m.TS(), revision)
}
