// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry renders the receiver's state as metrics, events and spans.
package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/state"
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

// Render returns the events of the effects, and the spans of what began (a
// point-in-time marker) or ended. Events carry the IDs of the span that tells
// the same story. cluster is the identity that keeps the IDs of two Consul
// clusters apart; resource is put on all of it.
func (s *Story) Render(observed time.Time, cluster string, resource pcommon.Resource, effects []state.Effect) watch.Telemetry {
	if len(effects) == 0 {
		return watch.Silence()
	}
	// Emitted one by one, as the builder groups events by name.
	all := metadata.NewLogsBuilder(s.config, s.settings)
	t := teller{cluster: cluster, now: timestamp(observed), spans: ptrace.NewSpanSlice(), events: metadata.NewLogsBuilder(s.config, s.settings)}
	for _, e := range effects {
		t.tell(e)
		eventlog.Each(t.events.Emit(), all.AppendLogRecord)
	}
	return watch.Telemetry{
		Logs:   eventlog.Complete(all.Emit(metadata.WithLogsResource(resource)), observed, describe),
		Traces: period.Traces(t.spans, resource, metadata.ScopeName, s.settings.BuildInfo.Version),
	}
}

// teller renders one effect after the other.
type teller struct {
	cluster string
	now     pcommon.Timestamp
	events  *metadata.LogsBuilder
	spans   ptrace.SpanSlice
}

func (t *teller) tell(effect state.Effect) {
	ctx := context.Background()
	switch e := effect.(type) {
	case state.Missed:
		t.events.RecordConsulWatchGapEvent(ctx, t.now, e.What, int64(e.Old), int64(e.New))
	case state.Filtered:
		t.events.RecordConsulResultsFilteredEvent(ctx, t.now, e.What)
	case state.Opened:
		t.incident(e.Incident).AppendStart(t.spans)
	case state.Closed:
		t.incident(e.Incident).Append(t.spans)
	case state.Turned:
		t.turned(e)
	case state.Acquired:
		t.acquired(e)
	case state.Ended:
		t.ended(e)
	case state.Changed[state.Key]:
		t.key(e)
	case state.LeaderLost:
		t.leaderLost(e)
	case state.LeaderElected:
		t.leaderElected(e)
	case state.Expiring:
		t.events.RecordConsulACLTokenExpiringEvent(ctx, t.now, e.Accessor, e.Left.Seconds())
	default:
		t.object(effect)
	}
}

// object tells of what has no story beyond coming, changing and going.
func (t *teller) object(effect state.Effect) {
	ctx := context.Background()
	switch e := effect.(type) {
	case state.Changed[state.Service]:
		if e.Removed {
			t.events.RecordConsulServiceDeregisteredEvent(ctx, t.now, e.Key, e.Reconciled)
		} else {
			t.events.RecordConsulServiceRegisteredEvent(ctx, t.now, e.Key, e.Initial, e.Reconciled)
		}
	case state.Changed[state.Node]:
		if e.Removed {
			t.events.RecordConsulNodeDeregisteredEvent(ctx, t.now, e.Key, e.Prev.Address, e.Reconciled)
		} else if e.Added {
			t.events.RecordConsulNodeRegisteredEvent(ctx, t.now, e.Key, e.Next.Address, e.Initial, e.Reconciled)
		}
	case state.Changed[state.Session]:
		now := e.Now()
		if e.Removed {
			t.events.RecordConsulSessionEndedEvent(ctx, t.now, e.Key, now.Name, now.Behavior, now.TTL, now.Node, e.Reconciled)
		} else if e.Added {
			t.events.RecordConsulSessionCreatedEvent(ctx, t.now, e.Key, now.Name, now.Behavior, now.TTL, now.Node, e.Initial, e.Reconciled)
		}
	case state.Changed[state.Member]:
		t.member(e)
	case state.Changed[state.ConfigEntry]:
		now := e.Now()
		t.events.RecordConsulConfigEntryChangedEvent(ctx, t.now, now.Kind, now.Name, changeOf(e.Added, e.Removed), int64(now.Index), e.Initial, e.Reconciled)
	case state.Changed[state.Root]:
		if !e.Removed && e.Prev.ID != e.Next.ID {
			t.events.RecordConsulCaRootRotatedEvent(ctx, t.now, e.Next.ID, e.Prev.ID, e.Initial, e.Reconciled)
		}
	case state.Changed[state.UserEvent]:
		if e.Added { // The agent forgets old ones.
			t.events.RecordConsulUserEventFiredEvent(ctx, t.now, e.Next.ID, e.Next.Name, int64(e.Next.Size), e.Initial)
		}
	}
}

func (t *teller) member(e state.Changed[state.Member]) {
	ctx := context.Background()
	now := e.Now()
	pool := metadata.MapAttributeConsulMemberPool[string(now.Pool)]
	switch {
	case e.Removed && (now.Status == state.Alive || now.Status == state.Leaving), !e.Removed && now.Status == state.Left && e.Prev.Status != state.Left:
		t.events.RecordConsulMemberLeftEvent(ctx, t.now, pool, e.Key, now.Address)
	case e.Removed || now.Status == e.Prev.Status:
		// It had left or failed, as was told.
	case now.Status == state.Failed:
		t.events.RecordConsulMemberFailedEvent(ctx, t.now, pool, e.Key, now.Address, e.Initial)
	case now.Status == state.Alive && e.Prev.Status != state.Leaving:
		t.events.RecordConsulMemberJoinedEvent(ctx, t.now, pool, e.Key, now.Address, e.Initial)
	}
}

func changeOf(added, removed bool) string {
	switch {
	case added:
		return "created"
	case removed:
		return "deleted"
	default:
		return "updated"
	}
}

func timestamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }
