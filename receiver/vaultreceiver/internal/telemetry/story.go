// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry renders the receiver's state as metrics, events and spans.
package telemetry

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// The names of the spans of the two kinds of period.
const (
	SpanSealed     = "vault.sealed"
	SpanLeaderless = "vault.leaderless"
)

// Story renders what happened as events and spans.
type Story struct {
	settings receiver.Settings
	config   metadata.LogsBuilderConfig
}

// NewStory returns a Story that makes the events which config enables.
func NewStory(config metadata.LogsBuilderConfig, settings receiver.Settings) *Story {
	return &Story{settings: settings, config: config}
}

// Render returns the events of the effects, and the spans of periods that
// opened (a point-in-time marker) or closed. Events carry the IDs of the span
// that tells the same story. instance is the server, which keeps the IDs of two
// servers of a cluster apart; resource is put on all of it.
func (s *Story) Render(observed time.Time, instance string, resource pcommon.Resource, effects []state.Effect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.EmptyTelemetry()
	}
	one, all := metadata.NewLogsBuilder(s.config, s.settings), metadata.NewLogsBuilder(s.config, s.settings)
	spans := ptrace.NewSpanSlice()
	for _, e := range effects {
		ctx := context.Background()
		if e.Period != nil {
			p := render(instance, *e.Period)
			ctx = p.Context()
			if e.Opened {
				p.AppendStart(spans)
			}
			if e.Closed {
				p.Append(spans)
			}
		}
		record(ctx, one, e)
		eventlog.Each(one.Emit(), all.AppendLogRecord)
	}
	return watch.Telemetry{
		Logs:   eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), observed, describe),
		Traces: period.Traces(spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

func record(ctx context.Context, logs *metadata.LogsBuilder, e state.Effect) {
	at := pcommon.NewTimestampFromTime(e.At)
	switch e.Event {
	case state.WatchGap:
		logs.RecordVaultWatchGapEvent(ctx, at, e.Unseen.Seconds())
	case state.Initialized:
		logs.RecordVaultInitializedEvent(ctx, at, e.Reconciled)
	case state.Sealed:
		logs.RecordVaultSealedEvent(ctx, at, e.Reconciled)
	case state.Unsealed:
		logs.RecordVaultUnsealedEvent(ctx, at, e.Reconciled)
	case state.LeaderChanged:
		logs.RecordVaultLeaderChangedEvent(ctx, at, e.OldLeader, e.NewLeader, e.Reconciled)
	case state.Removed:
		logs.RecordVaultRemovedEvent(ctx, at, e.Reconciled)
	case state.SteppedDown:
		logs.RecordVaultSteppedDownEvent(ctx, at, e.NewLeader)
	case state.PeerAdded:
		logs.RecordVaultRaftPeerAddedEvent(ctx, at, e.PeerID, e.Peer.Address, roleOf(e.Peer), e.Reconciled)
	case state.PeerRemoved:
		logs.RecordVaultRaftPeerRemovedEvent(ctx, at, e.PeerID, e.Peer.Address, roleOf(e.Peer), e.Reconciled)
	case state.PeerHealthy:
		logs.RecordVaultRaftPeerHealthyEvent(ctx, at, e.PeerID, e.Peer.Address, roleOf(e.Peer), e.Reconciled)
	case state.PeerUnhealthy:
		logs.RecordVaultRaftPeerUnhealthyEvent(ctx, at, e.PeerID, e.Peer.Address, roleOf(e.Peer), e.Reconciled)
	}
}

func roleOf(p state.Peer) metadata.AttributeVaultRaftPeerRole {
	if p.Voter {
		return metadata.AttributeVaultRaftPeerRoleVoter
	}
	return metadata.AttributeVaultRaftPeerRoleNonvoter
}

// render makes the period that is told. Vault counts neither seals nor
// elections, so the observed start is what keeps two periods apart.
func render(instance string, p state.Period) period.Period {
	name, problem := SpanSealed, "vault was sealed"
	if p.Trouble == state.Leaderless {
		name, problem = SpanLeaderless, "cluster had no active node"
	}
	key := []string{name, p.ClusterID, instance, strconv.FormatInt(p.Start.UnixNano(), 10)}
	return period.Period{
		Name: name, Trace: key, Key: key,
		Start: p.Start, End: p.End, BeganBefore: p.BeganBefore, Reconciled: p.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			putKnown(attrs, "vault.version", p.Version)
			putKnown(attrs, "vault.leader.address.old", p.OldLeader)
			putKnown(attrs, "vault.leader.address.new", p.NewLeader)
		},
		StatusMessage: problem,
	}
}

func putKnown(attrs pcommon.Map, key, value string) {
	if value != "" {
		attrs.PutStr(key, value)
	}
}

// describe gives an event its severity, and a line for people.
func describe(event plog.LogRecord) (plog.SeverityNumber, string) {
	text := func(name string) string {
		if value, ok := event.Attributes().Get(name); ok {
			return value.AsString()
		}
		return ""
	}
	peer := "peer " + text("vault.raft.peer.id")
	switch event.EventName() {
	case "vault.sealed":
		return plog.SeverityNumberError, "the server is sealed"
	case "vault.unsealed":
		return plog.SeverityNumberInfo, "the server is unsealed"
	case "vault.watch.gap":
		return plog.SeverityNumberWarn, "changes of the server may have gone unseen"
	case "vault.initialized":
		return plog.SeverityNumberInfo, "the server is initialized"
	case "vault.removed":
		return plog.SeverityNumberError, "the server was removed from the raft cluster"
	case "vault.stepped_down":
		return plog.SeverityNumberWarn, "the server gave up being the active node"
	case "vault.raft.peer.added":
		return plog.SeverityNumberInfo, peer + " was added as a " + text("vault.raft.peer.role")
	case "vault.raft.peer.removed":
		return plog.SeverityNumberWarn, peer + " was removed"
	case "vault.raft.peer.healthy":
		return plog.SeverityNumberInfo, peer + " is healthy again"
	case "vault.raft.peer.unhealthy":
		return plog.SeverityNumberWarn, peer + " is unhealthy"
	}
	leader := text("vault.leader.address.new")
	if leader == "" {
		return plog.SeverityNumberWarn, "the cluster has no active node"
	}
	return plog.SeverityNumberInfo, "the active node is " + leader
}
