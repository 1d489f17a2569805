// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// SpanLeaderless is the name of the span of a time without a leader.
const SpanLeaderless = "etcd.leaderless"

// Render renders a change as an event, and the span of the time without a leader that
// began (a point-in-time marker) or ended with it.
func Render(r *collect.Renderer, c Change) {
	if c.Lost() {
		renderLost(r, c)
	} else {
		renderElected(r, c)
	}
}

func renderLost(r *collect.Renderer, c Change) {
	p := leaderless(r.Cluster, *c.Leaderless)
	p.AppendStart(r.Spans)
	r.Event(plog.SeverityNumberError, "the cluster has no leader", func(b *metadata.LogsBuilder) {
		b.RecordEtcdRaftLeaderLostEvent(p.Context(), collect.Timestamp(c.At), collect.MemberID(c.Leaderless.Last), int64(c.Term), c.Reconciled)
	})
}

func renderElected(r *collect.Renderer, c Change) {
	ctx := context.Background()
	if c.Leaderless != nil {
		p := leaderless(r.Cluster, *c.Leaderless)
		p.Append(r.Spans)
		ctx = p.Context()
	}
	line := fmt.Sprintf("member %s leads in term %d", collect.MemberID(c.Leader), c.Term)
	r.Event(plog.SeverityNumberInfo, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdRaftLeaderElectedEvent(ctx, collect.Timestamp(c.At), collect.MemberID(c.Leader), int64(c.Term), c.Reconciled)
	})
}

func leaderless(cluster string, l Leaderless) period.Period {
	key := []string{SpanLeaderless, cluster, strconv.FormatInt(l.Start.UnixNano(), 10)}
	return period.Period{
		Name: SpanLeaderless, Trace: key, Key: key,
		Start: l.Start, End: l.End, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			if l.Last != 0 {
				attrs.PutStr("etcd.member.subject.id", collect.MemberID(l.Last))
			}
			attrs.PutInt("etcd.raft.term", int64(l.Term))
		},
		StatusMessage: "no member that answers follows a leader",
	}
}

// RecordLeader records whether the cluster has a leader.
func RecordLeader(m collect.Metrics, has bool) {
	m.RecordEtcdRaftHasLeaderDataPoint(m.TS(), collect.Number(has))
}

// RecordChanges records how often a leader was elected since the cluster was first
// observed.
func RecordChanges(m collect.Metrics, changes int64) {
	m.RecordEtcdRaftLeaderChangesDataPoint(m.TS(), changes)
}
