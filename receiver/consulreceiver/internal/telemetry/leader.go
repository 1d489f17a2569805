// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
)

// SpanLeaderless is the name of the span of a time without a leader.
const SpanLeaderless = "consul.leaderless"

func (t *teller) leaderLost(e state.LeaderLost) {
	p := t.leaderless(e.Leaderless)
	p.AppendStart(t.spans)
	t.events.RecordConsulLeaderLostEvent(p.Context(), timestamp(e.Start), e.Last, e.Reconciled)
}

func (t *teller) leaderElected(e state.LeaderElected) {
	ctx := context.Background()
	if e.Ended != nil {
		p := t.leaderless(*e.Ended)
		p.Append(t.spans)
		ctx = p.Context()
	}
	t.events.RecordConsulLeaderElectedEvent(ctx, timestamp(e.At), e.New, e.Old, e.Reconciled)
}

func (t *teller) leaderless(l state.Leaderless) period.Period {
	key := []string{SpanLeaderless, t.cluster, strconv.FormatInt(l.Start.UnixNano(), 10)}
	return period.Period{
		Name: SpanLeaderless, Trace: key, Key: key,
		Start: l.Start, End: l.End, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			if l.Last != "" {
				attrs.PutStr("consul.leader.address.old", l.Last)
			}
		},
		Problem: "the servers have no leader",
	}
}
