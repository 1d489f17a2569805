// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package key

import (
	"context"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/spanid"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// attempt is an attempt whose span has this key, beside the cluster.
type attempt string

func (a attempt) SpanKey(cluster string) []string { return []string{string(a), cluster} }

// The events of keys are made by hand; the generated recorders would make the
// same ones.
func TestKeyEventsAreAsGenerated(t *testing.T) {
	const (
		cluster = "cdf818194e3a8c32"
		hash    = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
	)
	settings := receivertest.NewNopSettings(metadata.Type)
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetEtcdClusterID(cluster)
	resource := rb.Emit()
	for name, effect := range map[string]Effect{
		"created":            &Put{Created: true, Key: Key{Name: "/app/a", Version: 1, Size: 5}},
		"changed":            &Put{Key: Key{Name: "/app/a", Version: 2}},
		"with all there is":  &Put{Reconciled: true, Fingerprint: hash, Key: Key{Name: "/app/ä", Version: 2, Lease: -1, Size: 7}},
		"of an attempt":      &Put{Attempt: attempt("/l/a"), Key: Key{Name: "/l/a", Version: 2, Lease: 0xa}},
		"deleted":            Deleted{Key: Key{Name: "/app/a", Version: 2, Lease: 0xa, Size: 7}},
		"deleted, of one":    Deleted{Attempt: attempt("/l/a"), Reconciled: true, Key: Key{Name: "/l/a", Version: 2, Lease: 0xa}},
		"nobody knew of it":  Deleted{Key: Key{Name: "/app/a"}},
		"no text in its key": &Put{Key: Key{Name: "/app/\xff", Version: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			put, isPut := effect.(*Put)
			deleted, _ := effect.(Deleted)
			if isPut {
				put.Key.Modified = 9
				effect, deleted = put, Deleted{Key: put.Key, Reconciled: put.Reconciled, Attempt: put.Attempt}
			} else {
				deleted.Key.Modified = 9
				effect = deleted
			}
			r := collect.NewRenderer(metadata.DefaultLogsBuilderConfig(), settings, time.Unix(2, 0), cluster)
			r.At = collect.Timestamp(time.Unix(1, 0))
			Render(r, effect)
			rendered := r.Emit(resource).Logs
			require.Equal(t, 1, rendered.LogRecordCount())

			generated := metadata.NewLogsBuilder(metadata.DefaultLogsBuilderConfig(), settings)
			ctx, key, name := context.Background(), deleted.Key, collect.Text(deleted.Key.Name)
			line := "key " + name
			if deleted.Attempt != nil {
				ids := deleted.Attempt.SpanKey(cluster)
				ctx = spanid.Context(spanid.Trace(ids...), spanid.Span(ids...))
			}
			if isPut {
				line += map[bool]string{true: " created", false: " changed"}[put.Created]
				generated.RecordEtcdKeyPutEvent(ctx, r.At, name, put.Created, 9, key.Version, collect.LeaseID(key.Lease), int64(key.Size), put.Fingerprint, put.Reconciled)
			} else {
				line += " deleted"
				generated.RecordEtcdKeyDeleteEvent(ctx, r.At, name, 9, key.Version, collect.LeaseID(key.Lease), int64(key.Size), deleted.Reconciled)
			}
			want := eventlog.Complete(generated.Emit(metadata.WithLogsResource(resource)), time.Unix(2, 0), func(event plog.LogRecord) (plog.SeverityNumber, string) {
				uid := spanid.Trace(event.EventName(), cluster, key.Name, "9")
				event.Attributes().PutStr("log.record.uid", uid.String())
				event.Attributes().RemoveIf(func(name string, _ pcommon.Value) bool {
					return key.Version == 0 && (name == "etcd.version" || name == "etcd.value.size")
				})
				return plog.SeverityNumberInfo, line
			})
			require.NoError(t, plogtest.CompareLogs(want, rendered))
			assert.Equal(t, want, rendered, "also in the order of the attributes")
		})
	}
}
