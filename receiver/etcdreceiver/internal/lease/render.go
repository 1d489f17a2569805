// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// Span is the name of the span of a lease, from when it was first observed until
// its end.
const Span = "etcd.lease"

var causes = map[Cause]metadata.AttributeEtcdLeaseEndCause{
	EndUnknown: metadata.AttributeEtcdLeaseEndCauseUnknown,
	Revoked:    metadata.AttributeEtcdLeaseEndCauseRevoked,
	Expired:    metadata.AttributeEtcdLeaseEndCauseExpired,
}

func confidence(l Lease) (c metadata.AttributeEtcdLeaseEndConfidence) {
	switch {
	case l.Cause == EndUnknown:
		return c // left out
	case l.Certain:
		return metadata.AttributeEtcdLeaseEndConfidenceCertain
	default:
		return metadata.AttributeEtcdLeaseEndConfidenceLikely
	}
}

// Render renders an effect as an event and a span: a marker when the lease is
// granted, and the whole when it ends.
func Render(r *collect.Renderer, effect Effect) {
	switch e := effect.(type) {
	case Granted:
		renderGranted(r, e)
	case Ended:
		renderEnded(r, e)
	}
}

func renderGranted(r *collect.Renderer, e Granted) {
	p, id := lifetime(r.Cluster, e.Lease), collect.LeaseID(e.ID)
	r.Event(plog.SeverityNumberInfo, "lease "+id+" granted", func(b *metadata.LogsBuilder) {
		b.RecordEtcdLeaseGrantedEvent(p.Context(), r.At, id, e.AtUnknownTime)
	})
	p.AppendStart(r.Spans)
}

func renderEnded(r *collect.Renderer, e Ended) {
	p, id, cause := lifetime(r.Cluster, e.Lease), collect.LeaseID(e.ID), causes[e.Cause]
	var without []string
	if e.TTL == 0 {
		without = append(without, "etcd.lease.ttl") // It is not known.
	}
	r.Event(plog.SeverityNumberInfo, "lease "+id+" ended, cause: "+cause.String(), func(b *metadata.LogsBuilder) {
		b.RecordEtcdLeaseEndedEvent(p.Context(), r.At, id, cause, confidence(e.Lease), e.TTL, int64(e.Keys), e.AtUnknownTime)
	}, without...)
	p.Append(r.Spans)
}

func lifetime(cluster string, l Lease) period.Period {
	key := []string{Span, cluster, collect.LeaseID(l.ID)}
	return period.Period{
		Name: Span, Trace: key, Key: key, Start: l.Since, End: l.Ended,
		BeganBefore: l.BeganBefore, Reconciled: l.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("etcd.lease.id", collect.LeaseID(l.ID))
			if l.TTL > 0 {
				attrs.PutInt("etcd.lease.ttl", l.TTL)
			}
			if len(l.Names) > 0 {
				names := attrs.PutEmptySlice("etcd.lease.keys")
				for _, name := range l.Names {
					names.AppendEmpty().SetStr(collect.Text(name))
				}
			}
			if l.Ended.IsZero() {
				return
			}
			attrs.PutInt("etcd.lease.key.count", int64(l.Keys))
			attrs.PutStr("etcd.lease.end.cause", causes[l.Cause].String())
			if c := confidence(l); c.String() != "" {
				attrs.PutStr("etcd.lease.end.confidence", c.String())
			}
		},
	}
}
