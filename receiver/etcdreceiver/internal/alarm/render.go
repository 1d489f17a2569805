// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package alarm

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

var types = map[Type]metadata.AttributeEtcdAlarmType{
	NoSpace: metadata.AttributeEtcdAlarmTypeNospace,
	Corrupt: metadata.AttributeEtcdAlarmTypeCorrupt,
	Unknown: metadata.AttributeEtcdAlarmTypeUnknown,
}

// Render renders changes as events.
func Render(r *collect.Renderer, changes []Change) {
	ctx := context.Background()
	for _, c := range changes {
		at, id, typ := collect.Timestamp(c.At), collect.MemberID(c.Member), types[c.Type]
		member := strings.TrimSpace("member " + id)
		if c.Raised {
			r.Event(plog.SeverityNumberError, fmt.Sprintf("%s raised the alarm %s", member, typ), func(b *metadata.LogsBuilder) {
				b.RecordEtcdAlarmRaisedEvent(ctx, at, typ, id, c.Reconciled)
			})
		} else {
			r.Event(plog.SeverityNumberInfo, fmt.Sprintf("the alarm %s of %s was cleared", typ, member), func(b *metadata.LogsBuilder) {
				b.RecordEtcdAlarmClearedEvent(ctx, at, typ, id, c.Reconciled)
			})
		}
	}
}

// RecordAlarms records the alarms that are raised, the usual types also while there is
// none.
func RecordAlarms(m collect.Metrics, raised Set) {
	counts := map[Type]int64{NoSpace: 0, Corrupt: 0}
	for a := range raised {
		counts[a.Type]++
	}
	for typ, count := range counts {
		m.RecordEtcdAlarmCountDataPoint(m.TS(), count, types[typ])
	}
}
