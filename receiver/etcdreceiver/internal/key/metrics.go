// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package key

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Record records what is counted, by prefix. Where a prefix is not current, what
// there is now is left out, and what has happened so far is not.
func Record(mb *metadata.MetricsBuilder, now pcommon.Timestamp, counts map[string]Counts, current func(prefix string) bool) {
	for prefix, of := range counts {
		name := collect.Text(prefix)
		if current(prefix) {
			mb.RecordEtcdKeyCountDataPoint(now, of.Keys, name)
			mb.RecordEtcdKeySizeDataPoint(now, of.Size, name)
		}
		mb.RecordEtcdKeyChangesDataPoint(now, of.Puts, metadata.AttributeEtcdKeyChangePut, name)
		mb.RecordEtcdKeyChangesDataPoint(now, of.Deletes, metadata.AttributeEtcdKeyChangeDelete, name)
	}
}
