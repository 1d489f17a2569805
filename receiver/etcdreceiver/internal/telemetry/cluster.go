// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// SpanLeaderless is the name of the span of a time without a leader.
const SpanLeaderless = "etcd.leaderless"

// RenderCluster returns an event for each effect, in their order, and the spans
// of times without a leader that began (a point-in-time marker) or ended.
// cluster is the identity that keeps the IDs of two clusters apart; resource is
// put on all of it.
func (s *Story) RenderCluster(now time.Time, cluster string, resource pcommon.Resource, effects []state.ClusterEffect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.EmptyTelemetry()
	}
	// Emitted one by one, as the builder groups events by name.
	all := metadata.NewLogsBuilder(s.config, s.settings)
	t := clusterTeller{cluster: cluster, events: metadata.NewLogsBuilder(s.config, s.settings), spans: ptrace.NewSpanSlice()}
	for _, e := range effects {
		t.tell(e)
		eventlog.Each(t.events.Emit(), all.AppendLogRecord)
	}
	return watch.Telemetry{
		Logs:   eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), now, describeCluster),
		Traces: period.Traces(t.spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

// clusterTeller renders one effect after the other.
type clusterTeller struct {
	cluster string
	events  *metadata.LogsBuilder
	spans   ptrace.SpanSlice
}

func (t *clusterTeller) tell(effect state.ClusterEffect) {
	ctx := context.Background()
	switch e := effect.(type) {
	case state.LeaderLost:
		p := t.leaderless(e.Leaderless)
		p.AppendStart(t.spans)
		t.events.RecordEtcdRaftLeaderLostEvent(p.Context(), timestamp(e.Start), memberID(e.Last), int64(e.Term), e.Reconciled)
	case state.LeaderElected:
		if e.Ended != nil {
			p := t.leaderless(*e.Ended)
			p.Append(t.spans)
			ctx = p.Context()
		}
		t.events.RecordEtcdRaftLeaderElectedEvent(ctx, timestamp(e.At), memberID(e.Leader), int64(e.Term), e.Reconciled)
	case state.MemberAdded:
		t.events.RecordEtcdMemberAddedEvent(ctx, timestamp(e.At), memberID(e.ID), text(e.Name), roleOf(e.Peer), e.Reconciled)
	case state.MemberRemoved:
		t.events.RecordEtcdMemberRemovedEvent(ctx, timestamp(e.At), memberID(e.ID), text(e.Name), roleOf(e.Peer), e.Reconciled)
	case state.MemberPromoted:
		t.events.RecordEtcdMemberPromotedEvent(ctx, timestamp(e.At), memberID(e.ID), text(e.Name), roleOf(e.Peer), e.Reconciled)
	case state.AlarmRaised:
		t.events.RecordEtcdAlarmRaisedEvent(ctx, timestamp(e.At), alarmTypes[e.Type], memberID(e.Member), e.Reconciled)
	case state.AlarmCleared:
		t.events.RecordEtcdAlarmClearedEvent(ctx, timestamp(e.At), alarmTypes[e.Type], memberID(e.Member), e.Reconciled)
	case state.Compacted:
		t.events.RecordEtcdCompactionEvent(ctx, timestamp(e.At), e.Revision)
	}
}

func (t *clusterTeller) leaderless(l state.Leaderless) period.Period {
	key := []string{SpanLeaderless, t.cluster, strconv.FormatInt(l.Start.UnixNano(), 10)}
	return period.Period{
		Name: SpanLeaderless, Trace: key, Key: key,
		Start: l.Start, End: l.End, BeganBefore: l.BeganBefore, Reconciled: l.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			if l.Last != 0 {
				attrs.PutStr("etcd.member.subject.id", memberID(l.Last))
			}
			attrs.PutInt("etcd.raft.term", int64(l.Term))
		},
		StatusMessage: "no member that answers follows a leader",
	}
}

// memberID writes the ID of a member as etcdctl does; empty when it is not known.
func memberID(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}

func roleOf(p state.Peer) metadata.AttributeEtcdMemberRole {
	if p.Learner {
		return metadata.AttributeEtcdMemberRoleLearner
	}
	return metadata.AttributeEtcdMemberRoleVoter
}

var alarmTypes = map[state.AlarmType]metadata.AttributeEtcdAlarmType{
	state.NoSpace:      metadata.AttributeEtcdAlarmTypeNospace,
	state.Corrupt:      metadata.AttributeEtcdAlarmTypeCorrupt,
	state.UnknownAlarm: metadata.AttributeEtcdAlarmTypeUnknown,
}

// describeCluster gives an event of a cluster its severity, and a line for people.
func describeCluster(event plog.LogRecord) (plog.SeverityNumber, string) {
	text := func(name string) string {
		if value, ok := event.Attributes().Get(name); ok {
			return value.AsString()
		}
		return ""
	}
	member := strings.TrimSpace("member " + text("etcd.member.subject.id"))
	switch event.EventName() {
	case "etcd.raft.leader.lost":
		return plog.SeverityNumberError, "the cluster has no leader"
	case "etcd.raft.leader.elected":
		return plog.SeverityNumberInfo, fmt.Sprintf("%s leads in term %s", member, text("etcd.raft.term"))
	case "etcd.member.added":
		return plog.SeverityNumberInfo, fmt.Sprintf("%s was added as a %s", member, text("etcd.member.role"))
	case "etcd.member.promoted":
		return plog.SeverityNumberInfo, member + " is a voter now"
	case "etcd.member.removed":
		return plog.SeverityNumberWarn, member + " was removed"
	case "etcd.alarm.raised":
		return plog.SeverityNumberError, fmt.Sprintf("%s raised the alarm %s", member, text("etcd.alarm.type"))
	case "etcd.alarm.cleared":
		return plog.SeverityNumberInfo, fmt.Sprintf("the alarm %s of %s was cleared", text("etcd.alarm.type"), member)
	case "etcd.compaction":
		return plog.SeverityNumberInfo, fmt.Sprintf("history before revision %s was compacted", text("etcd.revision.compacted"))
	default:
		return plog.SeverityNumberInfo, event.EventName()
	}
}

func timestamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }
