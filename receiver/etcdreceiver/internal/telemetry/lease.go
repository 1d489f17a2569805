// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// SpanLease is the name of the span of a lease, from when it was first seen
// until its end.
const SpanLease = "etcd.lease"

var leaseCauses = map[state.LeaseCause]metadata.AttributeEtcdLeaseEndCause{
	state.LeaseEndUnknown: metadata.AttributeEtcdLeaseEndCauseUnknown,
	state.Revoked:         metadata.AttributeEtcdLeaseEndCauseRevoked,
	state.Expired:         metadata.AttributeEtcdLeaseEndCauseExpired,
}

func confidence(l state.Lease) (c metadata.AttributeEtcdLeaseEndConfidence) {
	switch {
	case l.Cause == state.LeaseEndUnknown:
		return c // left out
	case l.Certain:
		return metadata.AttributeEtcdLeaseEndConfidenceCertain
	default:
		return metadata.AttributeEtcdLeaseEndConfidenceLikely
	}
}

func (t *teller) lease(e state.Effect) {
	l := *e.Lease
	p := t.lifetime(l)
	at := pcommon.NewTimestampFromTime(e.At)
	if e.Kind == state.LeaseGranted {
		t.events.RecordEtcdLeaseGrantedEvent(p.Context(), at, hex(l.ID), e.Reconciled)
		p.AppendStart(t.spans)
		return
	}
	t.events.RecordEtcdLeaseEndedEvent(p.Context(), at, hex(l.ID), leaseCauses[l.Cause], confidence(l), l.TTL, int64(l.Keys), e.Reconciled)
	p.Append(t.spans)
}

func (t *teller) lifetime(l state.Lease) period.Period {
	key := []string{SpanLease, t.cluster, hex(l.ID)}
	return period.Period{
		Name: SpanLease, Trace: key, Key: key, Start: l.Seen, End: l.Ended,
		BeganBefore: l.BeganBefore, Reconciled: l.Reconciled,
		Attributes: func(attrs pcommon.Map) {
			attrs.PutStr("etcd.lease.id", hex(l.ID))
			if l.TTL > 0 {
				attrs.PutInt("etcd.lease.ttl", l.TTL)
			}
			if len(l.Names) > 0 {
				names := attrs.PutEmptySlice("etcd.lease.keys")
				for _, name := range l.Names {
					names.AppendEmpty().SetStr(text(name))
				}
			}
			if l.Ended.IsZero() {
				return
			}
			attrs.PutInt("etcd.lease.key.count", int64(l.Keys))
			attrs.PutStr("etcd.lease.end.cause", leaseCauses[l.Cause].String())
			if c := confidence(l); c.String() != "" {
				attrs.PutStr("etcd.lease.end.confidence", c.String())
			}
		},
	}
}
