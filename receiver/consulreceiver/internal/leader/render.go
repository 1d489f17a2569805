// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/leadership"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// SpanLeaderless is the name of the span of a time without a leader.
const SpanLeaderless = "consul.leaderless"

// Render renders changes as events and spans.
func Render(r *collect.Renderer, changes []Change) {
	for _, c := range changes {
		if c.Lost() {
			renderLost(r, c)
		} else {
			renderElected(r, c)
		}
	}
}

func renderLost(r *collect.Renderer, c Change) {
	p := leaderless(r.Instance, *c.Leaderless)
	p.AppendStart(r.Spans)
	r.Event(plog.SeverityNumberError, "the servers have no leader", func(b *metadata.LogsBuilder) {
		b.RecordConsulLeaderLostEvent(p.Context(), collect.Timestamp(c.At), c.Old, c.Reconciled)
	})
}

func renderElected(r *collect.Renderer, c Change) {
	ctx := context.Background()
	if c.Leaderless != nil {
		p := leaderless(r.Instance, *c.Leaderless)
		p.Append(r.Spans)
		ctx = p.Context()
	}
	r.Event(plog.SeverityNumberInfo, c.New+" leads the servers", func(b *metadata.LogsBuilder) {
		b.RecordConsulLeaderElectedEvent(ctx, collect.Timestamp(c.At), c.New, c.Old, c.Reconciled)
	})
}

func leaderless(instance string, l leadership.Leaderless[string]) period.Period {
	key := []string{SpanLeaderless, instance, strconv.FormatInt(l.Start.UnixNano(), 10)}
	return period.Period{
		Name: SpanLeaderless, Trace: key, Key: key,
		Start: l.Start, End: l.End, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			if l.Last != "" {
				attrs.PutStr("consul.leader.old_address", l.Last)
			}
		},
		StatusMessage: "the servers have no leader",
	}
}

// RecordLeader records whether there is a leader.
func RecordLeader(m collect.Metrics, has bool) {
	m.RecordConsulRaftHasLeaderDataPoint(m.TS(), collect.Number(has))
}

// RecordChanges records how often a leader was elected.
func RecordChanges(m collect.Metrics, changes int64) {
	m.RecordConsulRaftLeaderChangesDataPoint(m.TS(), changes)
}
