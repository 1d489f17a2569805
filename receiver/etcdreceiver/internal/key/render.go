// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package key

import (
	"cmp"
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// The names of the events of keys.
const (
	eventPut    = "etcd.key.put"
	eventDelete = "etcd.key.delete"
)

// Render renders an effect as an event.
func Render(r *collect.Renderer, effect Effect) {
	switch e := effect.(type) {
	case *Put:
		renderPut(r, e)
	case Deleted:
		if r.Config.Events.EtcdKeyDelete.Enabled {
			renderChange(r, change{Deleted: e, name: eventDelete, did: " deleted"})
		}
	case Gap:
		renderGap(r, e)
	}
}

func renderPut(r *collect.Renderer, e *Put) {
	if !r.Config.Events.EtcdKeyPut.Enabled {
		return
	}
	did := " changed"
	if e.Created {
		did = " created"
	}
	renderChange(r, change{
		Deleted: Deleted{Key: e.Key, Reconciled: e.Reconciled, Attempt: e.Attempt},
		name:    eventPut, did: did, put: true, created: e.Created, fingerprint: e.Fingerprint,
	})
}

// change is what the events of keys have in common, and what only a put has.
type change struct {
	Deleted
	name, did    string
	put, created bool
	fingerprint  string
}

// renderChange renders a key in the trace of the attempt that it stands for. There
// can be very many such events. So this does what the generated builder would, and
// what the events need besides, in one go.
func renderChange(r *collect.Renderer, c change) {
	name := collect.Text(c.Key.Name)
	event := r.Append()
	event.SetEventName(c.name)
	event.SetTimestamp(r.At)
	event.SetObservedTimestamp(r.Now)
	event.SetSeverityNumber(plog.SeverityNumberInfo)
	event.SetSeverityText(plog.SeverityNumberInfo.String())
	event.Body().SetStr("key " + name + c.did)
	if c.Attempt != nil {
		span := c.Attempt.SpanKey(r.Cluster)
		event.SetTraceID(spanid.Trace(span...))
		event.SetSpanID(spanid.Span(span...))
	}
	attrs := event.Attributes()
	attrs.EnsureCapacity(9)
	attrs.PutStr("etcd.key.name", name)
	if c.put {
		attrs.PutBool("etcd.key.created", c.created)
	}
	attrs.PutInt("etcd.revision", c.Key.Modified)
	if c.Key.Version > 0 { // else nothing of it is known
		attrs.PutInt("etcd.version", c.Key.Version)
	}
	if c.Key.Lease != 0 {
		attrs.PutStr("etcd.lease.id", collect.LeaseID(c.Key.Lease))
	}
	if c.Key.Version > 0 {
		attrs.PutInt("etcd.value.size", int64(c.Key.Size))
	}
	if c.fingerprint != "" {
		attrs.PutStr("etcd.value.sha256", c.fingerprint)
	}
	attrs.PutBool("observation.reconciled", c.Reconciled)
	r.Identify(event, c.Key.Name, c.Key.Modified)
}

var gapReasons = map[GapReason]metadata.AttributeEtcdGapReason{
	GapCompacted:        metadata.AttributeEtcdGapReasonCompacted,
	GapRestored:         metadata.AttributeEtcdGapReasonRestored,
	GapOfAnotherCluster: metadata.AttributeEtcdGapReasonAnotherCluster,
}

func renderGap(r *collect.Renderer, g Gap) {
	prefix, reason := collect.Text(g.Prefix), gapReasons[g.Reason]
	line := fmt.Sprintf("changes under %s are unknown from revision %d to %d (%s)", cmp.Or(prefix, "all keys"), g.First, g.Last, reason)
	r.Event(plog.SeverityNumberWarn, line, func(b *metadata.LogsBuilder) {
		b.RecordEtcdWatchGapEvent(context.Background(), r.At, prefix, g.First, g.Last, reason)
	})
}
