// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// key tells of a key, in the trace of the attempt that it stands for.
func (t *teller) key(e state.Effect) {
	ctx := context.Background()
	key := e.Change.Key
	switch {
	case e.Attempt != nil && e.Attempt.Election:
		ctx = t.term(*e.Attempt).Context()
	case e.Attempt != nil:
		ctx = t.attempt(*e.Attempt).Context()
	}
	at := pcommon.NewTimestampFromTime(e.At)
	if e.Kind == state.KeyPut {
		t.events.RecordEtcdKeyPutEvent(ctx, at, text(key.Name), e.Created, e.Revision, key.Version, hex(key.Lease), int64(key.Size), e.Change.Fingerprint, e.Reconciled)
	} else {
		t.events.RecordEtcdKeyDeleteEvent(ctx, at, text(key.Name), e.Revision, key.Version, hex(key.Lease), int64(key.Size), e.Reconciled)
	}
}

func (t *teller) gap(e state.Effect) {
	at := pcommon.NewTimestampFromTime(e.At)
	t.events.RecordEtcdWatchGapEvent(context.Background(), at, text(e.Gap.Prefix), e.Gap.First, e.Gap.Last)
}

// leaveOutUnknown removes what the generated recorders cannot leave out: what
// a key was that is not remembered.
func leaveOutUnknown(event plog.LogRecord) {
	if version, ok := event.Attributes().Get("etcd.version"); ok && version.Int() == 0 {
		event.Attributes().RemoveIf(func(name string, _ pcommon.Value) bool {
			return name == "etcd.version" || name == "etcd.value.size"
		})
	}
}
