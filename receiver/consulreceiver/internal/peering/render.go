// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package peering

import (
	"context"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// Render renders a change as events. A peering that was made anew under its name is
// another one.
func Render(r *collect.Renderer, c snapshot.Change[string, Peering]) {
	replaced := !c.Added && !c.Removed && c.Prev.ID != c.Next.ID
	if c.Removed || replaced {
		renderDeleted(r, c)
	}
	switch {
	case c.Added || replaced:
		renderCreated(r, c)
	case !c.Removed && c.Prev.State != c.Next.State:
		renderTransition(r, c)
	}
}

func renderDeleted(r *collect.Renderer, c snapshot.Change[string, Peering]) {
	r.Event(plog.SeverityNumberInfo, "peering "+c.Key+" was deleted", func(b *metadata.LogsBuilder) {
		b.RecordConsulPeeringDeletedEvent(context.Background(), r.Now, c.Key, stateOf(c.Prev.State), c.Reconciled)
	})
}

func renderCreated(r *collect.Renderer, c snapshot.Change[string, Peering]) {
	r.Event(severity(c.Next.State), "peering "+c.Key+" was created", func(b *metadata.LogsBuilder) {
		b.RecordConsulPeeringCreatedEvent(context.Background(), r.Now, c.Key, stateOf(c.Next.State), c.Initial, c.Reconciled)
	})
}

func renderTransition(r *collect.Renderer, c snapshot.Change[string, Peering]) {
	line := "peering " + c.Key + ": " + string(c.Prev.State) + " to " + string(c.Next.State)
	r.Event(severity(c.Next.State), line, func(b *metadata.LogsBuilder) {
		b.RecordConsulPeeringTransitionEvent(context.Background(), r.Now, c.Key, stateOf(c.Next.State), string(c.Prev.State), c.Reconciled)
	})
}

func severity(s State) plog.SeverityNumber {
	switch s {
	case Failing:
		return plog.SeverityNumberError
	case Terminated: // The other side has deleted it.
		return plog.SeverityNumberWarn
	default:
		return plog.SeverityNumberInfo
	}
}

func stateOf(s State) metadata.AttributeConsulPeeringState {
	return metadata.MapAttributeConsulPeeringState[string(s)]
}

// RecordPeerings records the state, the last heartbeat and the services of peerings.
func RecordPeerings(m collect.Metrics, peerings map[string]Peering) {
	for name, p := range peerings {
		for state, attr := range metadata.MapAttributeConsulPeeringState {
			m.RecordConsulPeeringStateDataPoint(m.TS(), collect.Number(State(state) == p.State), name, attr)
		}
		m.RecordConsulPeeringServiceCountDataPoint(m.TS(), int64(p.Imported), name, metadata.AttributeConsulPeeringDirectionImported)
		m.RecordConsulPeeringServiceCountDataPoint(m.TS(), int64(p.Exported), name, metadata.AttributeConsulPeeringDirectionExported)
		if !p.Heartbeat.IsZero() {
			m.RecordConsulPeeringLastHeartbeatTimestampDataPoint(m.TS(), collect.UnixSeconds(p.Heartbeat), name)
		}
	}
}
