// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

// The names of the spans.
const (
	SpanIncident   = "consul.service.incident"
	SpanNodeOutage = "consul.node.outage"
	SpanOutage     = "consul.check.outage"
)

// Render renders effects as events and spans.
func Render(r *collect.Renderer, effects []Effect) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case Opened:
			incidentPeriod(r.Cluster, e.Incident).AppendStart(r.Spans)
		case Closed:
			incidentPeriod(r.Cluster, e.Incident).Append(r.Spans)
		case Transitioned:
			renderTransitioned(r, e)
		case Maintained:
			renderMaintained(r, e)
		}
	}
}

func renderTransitioned(r *collect.Renderer, e Transitioned) {
	ctx := context.Background()
	if e.Outage != nil {
		p := outagePeriod(r.Cluster, *e.Outage)
		ctx = p.Context()
		if e.Opened {
			p.AppendStart(r.Spans)
		}
		if e.Closed {
			p.Append(r.Spans)
		}
	}
	var without []string
	if e.New == None { // Consul does not say at which index that was.
		without = append(without, "consul.modify_index")
	}
	id := e.shown()
	line := fmt.Sprintf("check %s on %s: %s to %s", id.Check, id.Node, e.Old, e.New)
	r.Event(severity(e.New), line, func(b *metadata.LogsBuilder) {
		b.RecordConsulCheckTransitionEvent(ctx, collect.Timestamp(e.At),
			id.Node, id.Check, e.Check.Name, e.Check.Service, e.Check.ServiceID,
			string(e.Old), string(e.New), e.Check.Output, int64(e.Check.Index), e.Initial, e.Reconciled)
	}, without...)
}

func renderMaintained(r *collect.Renderer, e Maintained) {
	ctx, at, c := context.Background(), collect.Timestamp(e.At), e.Check
	c.Node = e.shown().Node
	what, is := "node "+c.Node, "is in maintenance"
	if c.Service != "" {
		what = fmt.Sprintf("instance %s of %s on %s", c.ServiceID, c.Service, c.Node)
	}
	if e.Ended {
		is = "is no longer in maintenance"
	}
	r.Event(plog.SeverityNumberInfo, what+" "+is, func(b *metadata.LogsBuilder) {
		switch {
		case c.Service != "" && e.Ended:
			b.RecordConsulServiceMaintenanceEndedEvent(ctx, at, c.Node, c.Service, c.ServiceID, c.Reason, e.Initial, e.Reconciled)
		case c.Service != "":
			b.RecordConsulServiceMaintenanceStartedEvent(ctx, at, c.Node, c.Service, c.ServiceID, c.Reason, e.Initial, e.Reconciled)
		case e.Ended:
			b.RecordConsulNodeMaintenanceEndedEvent(ctx, at, c.Node, c.Reason, e.Initial, e.Reconciled)
		default:
			b.RecordConsulNodeMaintenanceStartedEvent(ctx, at, c.Node, c.Reason, e.Initial, e.Reconciled)
		}
	})
}

func severity(status Status) plog.SeverityNumber {
	switch status.Severity() {
	case 2:
		return plog.SeverityNumberError
	case 1:
		return plog.SeverityNumberWarn
	default:
		return plog.SeverityNumberInfo
	}
}

// incidentKeys identifies the span of an incident.
func incidentKeys(cluster string, id IncidentID) period.Period {
	name := SpanIncident
	if id.Subject.Node {
		name = SpanNodeOutage
	}
	key := []string{name, cluster, id.Subject.Name, id.First.Node, id.First.Check, generation(id.Index, id.Restores)}
	return period.Period{Name: name, Trace: key, Key: key}
}

// outageKeys identifies the span of an outage, in the trace of its incident.
func outageKeys(cluster string, id OutageID) period.Period {
	incident := incidentKeys(cluster, id.Incident)
	return period.Period{
		Name: SpanOutage, Trace: incident.Trace, Parent: incident.Key,
		Key: []string{SpanOutage, cluster, id.Check.Node, id.Check.Check, generation(id.Index, id.Restores)},
	}
}

func incidentPeriod(cluster string, i Incident) period.Period {
	p := withLifecycle(incidentKeys(cluster, i.ID), i.Lifecycle)
	subject := "consul.service.name"
	if i.ID.Subject.Node {
		subject = "consul.node.name"
	}
	p.Attributes = func(attrs pcommon.Map) {
		attrs.PutStr(subject, i.ID.Subject.Name)
		attrs.PutStr("consul.check.status", string(i.Worst))
	}
	for _, cause := range i.Causes {
		p.Links = append(p.Links, period.Link{To: outageKeys(cluster, cause)})
	}
	p.DroppedLinks = i.Unlinked
	return p
}

func outagePeriod(cluster string, o Outage) period.Period {
	p := withLifecycle(outageKeys(cluster, o.ID), o.Lifecycle)
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
		p.Links = append(p.Links, period.Link{To: incidentKeys(cluster, incident)})
	}
	p.DroppedLinks = o.Unlinked
	return p
}

func withLifecycle(p period.Period, c Lifecycle) period.Period {
	p.Start, p.End, p.BeganBefore, p.Reconciled = c.Start, c.End, c.BeganBefore, c.Reconciled
	if c.Worst == Critical {
		p.StatusMessage = "critical"
	}
	for _, turn := range c.Transitions {
		p.Events = append(p.Events, period.Event{
			Time: turn.At, Name: "consul.check.transition",
			Attributes: func(attrs pcommon.Map) {
				attrs.PutStr("consul.node.name", turn.shown().Node)
				attrs.PutStr("consul.check.id", turn.shown().Check)
				attrs.PutStr("consul.check.old_status", string(turn.Old))
				attrs.PutStr("consul.check.new_status", string(turn.New))
				if turn.Check.Output != "" {
					attrs.PutStr("consul.check.output", turn.Check.Output)
				}
			},
		})
	}
	p.DroppedEvents = c.Dropped
	return p
}

// generation distinguishes what has the same index after a restored snapshot.
func generation(index, restores uint64) string {
	if restores == 0 {
		return strconv.FormatUint(index, 10)
	}
	return fmt.Sprintf("%d after %d restores", index, restores)
}
