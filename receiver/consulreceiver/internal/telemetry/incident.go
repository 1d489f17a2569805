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

// The names of the spans that tell what was unhealthy.
const (
	SpanIncident   = "consul.service.incident"
	SpanNodeOutage = "consul.node.outage"
	SpanOutage     = "consul.check.outage"
)

func (t *teller) turned(e state.Turned) {
	ctx := context.Background()
	if e.Outage != nil {
		p := t.outage(*e.Outage)
		ctx = p.Context()
		if e.Opened {
			p.AppendStart(t.spans)
		}
		if e.Closed {
			p.Append(t.spans)
		}
	}
	t.events.RecordConsulCheckTransitionEvent(ctx, timestamp(e.At),
		e.ID.Node, e.ID.Check, e.Check.Name, e.Check.Service, e.Check.ServiceID,
		string(e.Old), string(e.New), e.Check.Output, int64(e.Check.Index), e.Initial, e.Reconciled)
}

// incidentKeys identifies the span of an incident.
func (t *teller) incidentKeys(id state.IncidentID) period.Period {
	name := SpanIncident
	if id.Subject.Node {
		name = SpanNodeOutage
	}
	key := []string{name, t.cluster, id.Subject.Name, id.First.Node, id.First.Check, index(id.Index)}
	return period.Period{Name: name, Trace: key, Key: key}
}

// outageKeys identifies the span of an outage, in the trace of its incident.
func (t *teller) outageKeys(id state.OutageID) period.Period {
	incident := t.incidentKeys(id.Incident)
	return period.Period{
		Name: SpanOutage, Trace: incident.Trace, Parent: incident.Key,
		Key: []string{SpanOutage, t.cluster, id.Check.Node, id.Check.Check, index(id.Index)},
	}
}

func (t *teller) incident(i state.Incident) period.Period {
	p := course(t.incidentKeys(i.ID), i.Course)
	subject := "consul.service.name"
	if i.ID.Subject.Node {
		subject = "consul.node.name"
	}
	p.Attributes = func(attrs pcommon.Map) {
		attrs.PutStr(subject, i.ID.Subject.Name)
		attrs.PutStr("consul.check.status", string(i.Worst))
	}
	for _, cause := range i.Causes {
		p.Links = append(p.Links, period.Link{To: t.outageKeys(cause)})
	}
	p.DroppedLinks = i.Unlinked
	return p
}

func (t *teller) outage(o state.Outage) period.Period {
	p := course(t.outageKeys(o.ID), o.Course)
	p.Attributes = func(attrs pcommon.Map) {
		attrs.PutStr("consul.node.name", o.ID.Check.Node)
		attrs.PutStr("consul.check.id", o.ID.Check.Check)
		attrs.PutStr("consul.check.name", o.Check.Name)
		attrs.PutStr("consul.check.status", string(o.Worst))
		if o.Check.Service != "" {
			attrs.PutStr("consul.service.name", o.Check.Service)
			attrs.PutStr("consul.service.id", o.Check.ServiceID)
		}
	}
	for _, incident := range o.Affects {
		p.Links = append(p.Links, period.Link{To: t.incidentKeys(incident)})
	}
	p.DroppedLinks = o.Unlinked
	return p
}

func course(p period.Period, c state.Course) period.Period {
	p.Start, p.End, p.BeganBefore, p.Reconciled = c.Start, c.End, c.BeganBefore, c.Reconciled
	if c.Worst == state.Critical {
		p.Problem = "critical"
	}
	for _, turn := range c.Transitions {
		p.Moments = append(p.Moments, period.Moment{
			Time: turn.At, Name: "consul.check.transition",
			Attributes: func(attrs pcommon.Map) {
				attrs.PutStr("consul.node.name", turn.ID.Node)
				attrs.PutStr("consul.check.id", turn.ID.Check)
				attrs.PutStr("consul.check.status.old", string(turn.Old))
				attrs.PutStr("consul.check.status.new", string(turn.New))
				if turn.Check.Output != "" {
					attrs.PutStr("consul.check.output", turn.Check.Output)
				}
			},
		})
	}
	p.DroppedMoments = c.Dropped
	return p
}

func index(i uint64) string { return strconv.FormatUint(i, 10) }
