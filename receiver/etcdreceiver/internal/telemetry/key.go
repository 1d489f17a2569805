// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// The names of the events of keys.
const (
	eventPut    = "etcd.key.put"
	eventDelete = "etcd.key.delete"
)

// key tells of a key, in the trace of the attempt that it stands for. There can
// be very many such events. So this does what the generated builder would, and
// what the events need besides, in one go.
func (t *teller) key(e state.Effect) {
	name, enabled, did := eventDelete, t.config.Events.EtcdKeyDelete.Enabled, " deleted"
	if e.Kind == state.KeyPut {
		name, enabled, did = eventPut, t.config.Events.EtcdKeyPut.Enabled, " changed"
		if e.Created {
			did = " created"
		}
	}
	if !enabled {
		return
	}
	key := e.Change.Key
	keyText := text(key.Name)
	event := t.told.AppendEmpty()
	event.SetEventName(name)
	event.SetTimestamp(pcommon.NewTimestampFromTime(e.At))
	event.SetObservedTimestamp(pcommon.NewTimestampFromTime(t.observed))
	event.SetSeverityNumber(plog.SeverityNumberInfo)
	event.SetSeverityText(plog.SeverityNumberInfo.String())
	event.Body().SetStr("key " + keyText + did)
	if e.Attempt != nil {
		of := t.attempt(*e.Attempt)
		if e.Attempt.Election {
			of = t.term(*e.Attempt)
		}
		event.SetTraceID(of.TraceID())
		event.SetSpanID(of.SpanID())
	}
	attrs := event.Attributes()
	attrs.EnsureCapacity(9)
	attrs.PutStr("etcd.key", keyText)
	if e.Kind == state.KeyPut {
		attrs.PutBool("etcd.key.created", e.Created)
	}
	attrs.PutInt("etcd.revision", e.Revision)
	if key.Version > 0 { // else nothing of it is known
		attrs.PutInt("etcd.version", key.Version)
	}
	if key.Lease != 0 {
		attrs.PutStr("etcd.lease.id", hex(key.Lease))
	}
	if key.Version > 0 {
		attrs.PutInt("etcd.value.size", int64(key.Size))
	}
	if e.Change.Fingerprint != "" {
		attrs.PutStr("etcd.value.sha256", e.Change.Fingerprint)
	}
	attrs.PutBool("observation.reconciled", e.Reconciled)
	attrs.PutStr(attrUID, t.uid(name, key.Name, e.Revision))
}

var gapReasons = map[state.GapReason]metadata.AttributeEtcdGapReason{
	state.GapCompacted:        metadata.AttributeEtcdGapReasonCompacted,
	state.GapRestored:         metadata.AttributeEtcdGapReasonRestored,
	state.GapOfAnotherCluster: metadata.AttributeEtcdGapReasonAnotherCluster,
}

func (t *teller) gap(e state.Effect) {
	at := pcommon.NewTimestampFromTime(e.At)
	t.events.RecordEtcdWatchGapEvent(context.Background(), at, text(e.Gap.Prefix), e.Gap.First, e.Gap.Last, gapReasons[e.Gap.Reason])
}
