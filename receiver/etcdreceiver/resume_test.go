// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// stored returns a configuration with a storage, and the host that runs it.
func stored(t *testing.T, endpoints ...string) (func() *Config, component.Host) {
	t.Helper()
	id, host := observedtest.FileStorage(t, t.TempDir())
	return func() *Config {
		cfg := configFor(endpoints...)
		cfg.Storage = &id
		return cfg
	}, host
}

// requireTruthOf is like requireTruth of two receivers, one after the other.
func requireTruthOf(t *testing.T, first, second *observed, client *clientv3.Client, from int64) {
	t.Helper()
	for attribute, want := range map[string][]change{
		"etcd.key.name": history(t, client, "/app/", from),
		"etcd.lock.key": since(story(history(t, client, "/locks/", 1)), from),
	} {
		prefix := map[string]string{"etcd.key.name": "/app/", "etcd.lock.key": "/locks/"}[attribute]
		before := first.changes(attribute, prefix, from)
		second.Eventually(t, "the rest of "+prefix, func() bool {
			return len(before)+len(second.changes(attribute, prefix, from)) >= len(want)
		})
		reported := append([]change{}, before...)
		require.Equal(t, append([]change{}, want...), append(reported, second.changes(attribute, prefix, from)...))
	}
	require.Empty(t, append(first.Events("etcd.watch.gap"), second.Events("etcd.watch.gap")...))
}

func TestWhatChangesWhileTheReceiverIsStopped(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	first := observeOn(t, host, cfg())
	from := first.watching(t, client)
	across, waiter := newLockerOf(t, client, "/locks/across", 60), newLockerOf(t, client, "/locks/across", 60)
	given, taker := newLockerOf(t, client, "/locks/given", 60), newLockerOf(t, client, "/locks/given", 60)
	for _, l := range []*locker{across, given, waiter, taker} {
		l.lock(t.Context())
		first.Eventually(t, "queued", first.HasEvent("etcd.lock.queued", "etcd.lock.key", l.key))
	}
	across.acquired(t)
	given.acquired(t)
	set(t, client, "/app/kept", "")
	set(t, client, "/app/removed", "")
	first.requireTruth(t, client, from)
	first.Shutdown(t)

	given.unlock(t)
	taker.acquired(t)
	remove(t, client, "/app/removed")
	set(t, client, "/app/passing", "")
	remove(t, client, "/app/passing")
	for range 3 {
		set(t, client, "/app/created", "")
	}
	second := observeOn(t, host, cfg())
	requireTruthOf(t, first, second, client, from)
	across.unlock(t)
	waiter.acquired(t)
	waiter.unlock(t)
	taker.unlock(t)
	set(t, client, "/app/kept", "")
	requireTruthOf(t, first, second, client, from)

	// Each attempt is one trace, from its true start on.
	for _, l := range []*locker{across, given, waiter, taker} {
		second.Eventually(t, "the attempt", second.hasSpan(lock.SpanAttempt, l.key))
		parts := map[string]ptrace.Span{}
		for _, name := range []string{lock.SpanAttempt, lock.SpanAttempt + ".start", lock.SpanWait, lock.SpanHold} {
			spans := append(first.Spans(name, "etcd.lock.key", l.key), second.Spans(name, "etcd.lock.key", l.key)...)
			require.Len(t, spans, 1, name)
			parts[name] = spans[0]
			assert.Empty(t, value(spans[0].Attributes(), period.AttrBeganBeforeObservation), name)
		}
		attempt, marker, wait, hold := parts[lock.SpanAttempt], parts[lock.SpanAttempt+".start"], parts[lock.SpanWait], parts[lock.SpanHold]
		assert.Equal(t, marker.StartTimestamp(), attempt.StartTimestamp())
		assert.Equal(t, marker.TraceID(), attempt.TraceID())
		assert.Equal(t, marker.StartTimestamp(), wait.StartTimestamp())
		assert.WithinDuration(t, wait.EndTimestamp().AsTime(), hold.StartTimestamp().AsTime(), time.Nanosecond)
		assert.WithinDuration(t, attempt.EndTimestamp().AsTime(), hold.EndTimestamp().AsTime(), time.Nanosecond)
		for _, part := range []ptrace.Span{marker, wait, hold} {
			assert.Equal(t, attempt.SpanID(), part.ParentSpanID())
		}
		behind := map[*locker]*locker{waiter: across, taker: given}[l]
		if behind == nil {
			assert.Zero(t, attempt.Links().Len())
			continue
		}
		before, ok := second.span(lock.SpanHold, behind.key)
		require.True(t, ok)
		require.Equal(t, 1, attempt.Links().Len(), "it leads to whom it waited for")
		assert.Equal(t, before.SpanID(), attempt.Links().At(0).SpanID())
	}
	assert.Empty(t, second.Trouble())
}

func TestLeasesOutliveTheReceiver(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	first := observeOn(t, host, cfg())
	first.watching(t, client)
	kept, gone := grant(t, client, 60), grant(t, client, 15)
	set(t, client, "/app/kept", "", clientv3.WithLease(kept))
	set(t, client, "/app/gone", "", clientv3.WithLease(gone))
	first.askedFor(t, kept, gone)
	first.Shutdown(t)
	require.Empty(t, first.Events("etcd.lease.ended", "etcd.lease.id", hexOf(gone)))
	require.Eventually(t, func() bool {
		answer, err := client.Get(t.Context(), "/app/gone")
		return err == nil && answer.Count == 0
	}, soon, 50*time.Millisecond)
	second := observeOn(t, host, cfg())
	second.Eventually(t, "its end", second.HasSpan(lease.Span, "etcd.lease.id", hexOf(gone), attrCause, "unknown", period.AttrReconciled, "true"))
	_, err := client.Revoke(t.Context(), kept)
	require.NoError(t, err)
	second.Eventually(t, "its end", second.HasSpan(lease.Span, "etcd.lease.id", hexOf(kept), attrCause, "revoked"))
	for _, id := range []clientv3.LeaseID{kept, gone} {
		marker := append(first.Spans(lease.Span+".start", "etcd.lease.id", hexOf(id)), second.Spans(lease.Span+".start", "etcd.lease.id", hexOf(id))...)
		whole := append(first.Spans(lease.Span, "etcd.lease.id", hexOf(id)), second.Spans(lease.Span, "etcd.lease.id", hexOf(id))...)
		require.Len(t, marker, 1)
		require.Len(t, whole, 1)
		assert.Equal(t, marker[0].StartTimestamp(), whole[0].StartTimestamp())
		assert.Equal(t, marker[0].ParentSpanID(), whole[0].SpanID())
		require.Len(t, append(first.Events("etcd.lease.granted", "etcd.lease.id", hexOf(id)), second.Events("etcd.lease.granted", "etcd.lease.id", hexOf(id))...), 1)
		require.Len(t, append(first.Events("etcd.lease.ended", "etcd.lease.id", hexOf(id)), second.Events("etcd.lease.ended", "etcd.lease.id", hexOf(id))...), 1)
	}
}

// A consumer that is slow at the end takes what keys tell of a lease when the lease
// itself is not asked for any more.
func TestLeasesAreKeptWhenAConsumerIsSlowAtTheEnd(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	lease := grant(t, client, 60)
	w, err := newWatcher(cfg(), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	w.Delivery().Traces, err = consumer.NewTraces(func(ctx context.Context, _ ptrace.Traces) error {
		<-ctx.Done()
		time.Sleep(200 * time.Millisecond)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, w.Start(t.Context(), host))
	require.Eventually(t, func() bool {
		set(t, client, "/app/key", "", clientv3.WithLease(lease))
		return len(known(w)) == 1 && known(w)[0].TTL == 60
	}, soon, 20*time.Millisecond)
	want := known(w)[0].Since
	require.NoError(t, w.Shutdown(t.Context()))

	kept := keptLeases(t, host, w)
	require.Len(t, kept, 1)
	assert.True(t, want.Equal(kept[0].Since))
}

// What keys tell of a lease that is not asked for again is kept at the end.
func TestWhatKeysTellOfALeaseIsKeptAtTheEnd(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	id := grant(t, client, 600)
	w, err := newWatcher(cfg(), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	require.NoError(t, w.Start(t.Context(), host))
	set(t, client, "/app/a", "", clientv3.WithLease(id))
	require.Eventually(t, func() bool {
		kept, _ := lease.NewStorage(w.env).Load(t.Context(), w.env.ClusterID.Load())
		return len(kept) == 1 && kept[0].TTL == 600
	}, soon, 20*time.Millisecond)
	set(t, client, "/app/b", "", clientv3.WithLease(id))
	require.Eventually(t, func() bool { return len(known(w)[0].Names) == 2 }, soon, 20*time.Millisecond)
	require.NoError(t, w.Shutdown(t.Context()))
	kept := keptLeases(t, host, w)
	require.Len(t, kept, 1)
	assert.Equal(t, [][]byte{[]byte("/app/a"), []byte("/app/b")}, kept[0].Names)
}

// known returns the leases that a watcher would keep.
func known(w *watcher) []lease.Saved {
	return w.keys.Leases()
}

// keptLeases returns the leases that a watcher has kept that has ended.
func keptLeases(t *testing.T, host component.Host, w *watcher) []lease.Saved {
	t.Helper()
	store, err := checkpoint.Open(t.Context(), host, w.cfg.Storage, component.KindReceiver, w.env.Settings.ID, "")
	require.NoError(t, err)
	w.env.Store = store
	kept, found := lease.NewStorage(w.env).Load(t.Context(), w.env.ClusterID.Load())
	require.True(t, found)
	require.NoError(t, store.Close(t.Context()))
	return kept
}

// What a consumer refused until the end was not reported, and is reported by the next.
// What was reported right before may be reported again, with the same ID.
func TestWhatWasRefusedIsToldAfterTheRestart(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	first := observeOn(t, host, cfg())
	from := first.watching(t, client)
	set(t, client, "/app/reported", "")
	first.requireTruth(t, client, from)
	first.Refuse(true)
	set(t, client, "/app/refused", "")
	first.Eventually(t, "it is refused", func() bool { return strings.Contains(first.Trouble(), "delivery of ") }) // or the spans of what was reported before
	set(t, client, "/app/queued", "")
	l := newLocker(t, client)
	require.NoError(t, l.mutex.Lock(t.Context()))
	first.Shutdown(t)
	second := observeOn(t, host, cfg())
	l.unlock(t)
	second.Eventually(t, "the last one", second.HasEvent("etcd.lock.released", "etcd.lock.key", l.key))
	second.Eventually(t, "the last key", second.HasEvent("etcd.key.put", "etcd.key.name", "/app/queued"))
	reported := map[string]change{}
	for _, o := range []*observed{first, second} {
		for attribute, prefix := range map[string]string{"etcd.key.name": "/app/", "etcd.lock.key": "/locks/"} {
			for _, event := range o.Events("") {
				if key := value(event.Attributes(), attribute); strings.HasPrefix(key, prefix) {
					revision, _ := event.Attributes().Get("etcd.revision")
					reported[value(event.Attributes(), "log.record.uid")] = change{event.EventName(), key, revision.Int()}
				}
			}
		}
	}
	want := append(history(t, client, "/app/", from), since(story(history(t, client, "/locks/", 1)), from)...)
	require.ElementsMatch(t, want, since(slices.Collect(maps.Values(reported)), from))
	assert.Empty(t, append(first.Events("etcd.watch.gap"), second.Events("etcd.watch.gap")...))
	second.Shutdown(t) // All spans are reported.
	require.Len(t, append(first.Spans(lock.SpanAttempt, "etcd.lock.key", l.key), second.Spans(lock.SpanAttempt, "etcd.lock.key", l.key)...), 1)
}

func TestACompactionWhileTheReceiverIsStopped(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	first := observeOn(t, host, cfg())
	from := first.watching(t, client)
	held, waits := newLocker(t, client), newLocker(t, client)
	require.NoError(t, held.mutex.Lock(t.Context()))
	waits.lock(t.Context())
	first.Eventually(t, "queued", first.HasEvent("etcd.lock.queued", "etcd.lock.key", waits.key))
	locked := newest(t, client)
	set(t, client, "/app/removed", "")
	kept := set(t, client, "/app/kept", "")
	first.requireTruth(t, client, from)
	first.Shutdown(t)

	remove(t, client, "/app/removed")
	held.unlock(t)
	waits.acquired(t)
	created := set(t, client, "/app/created", "")
	_, err := client.Compact(t.Context(), created)
	require.NoError(t, err)
	second := observeOn(t, host, cfg())
	second.requireGap(t, "/app/", kept+1, created)
	second.requireGap(t, "/locks/", locked+1, created)
	second.requireReported(t, "etcd.lock.key", "/locks/", 0, []change{
		{"etcd.lock.released", held.key, created}, {"etcd.lock.acquired", waits.key, created},
	})
	// What was removed meanwhile is not known: names are not kept.
	second.requireReported(t, "etcd.key.name", "/app/", 0, []change{{"etcd.key.put", "/app/created", created}})
	waits.unlock(t)
	second.Eventually(t, "the attempt", second.hasSpan(lock.SpanAttempt, waits.key))
	whole, _ := second.span(lock.SpanAttempt, waits.key)
	marker, _ := first.span(lock.SpanAttempt+".start", waits.key)
	assert.Equal(t, marker.StartTimestamp(), whole.StartTimestamp())
	assert.Equal(t, "true", value(whole.Attributes(), period.AttrReconciled))
}

func TestStartLatestIgnoresTheStorage(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	first := observeOn(t, host, cfg())
	first.watching(t, client)
	l := newLocker(t, client)
	require.NoError(t, l.mutex.Lock(t.Context()))
	first.Eventually(t, "held", first.HasEvent("etcd.lock.acquired", "etcd.lock.key", l.key))
	first.Shutdown(t)
	set(t, client, "/app/missed", "")
	latest := cfg()
	latest.Watch.Start = keyspace.StartLatest
	second := observeOn(t, host, latest)
	from := second.watching(t, client)
	l.unlock(t)
	second.requireTruth(t, client, from)
	assert.Empty(t, second.Events("", "etcd.key.name", "/app/missed"))
	second.Eventually(t, "the attempt", second.hasSpan(lock.SpanAttempt, l.key))
	whole, _ := second.span(lock.SpanAttempt, l.key)
	assert.Equal(t, "true", value(whole.Attributes(), period.AttrBeganBeforeObservation))
}

func TestStartAtARevision(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	set(t, client, "/app/before", "")
	held := newLocker(t, client)
	require.NoError(t, held.mutex.Lock(t.Context()))
	from := set(t, client, "/app/first", "")
	remove(t, client, "/app/before")
	held.unlock(t)
	cfg, host := stored(t, etcd.Endpoints...)
	at := func(revision int64) *Config {
		cfg := cfg()
		cfg.Watch.Start, cfg.Watch.Revision = keyspace.StartRevision, revision
		return cfg
	}
	first := observeOn(t, host, at(from))
	first.requireTruth(t, client, from)
	assert.Empty(t, first.Events("", "etcd.key.name", "/app/first", "etcd.key.created", "false"))
	deleted := first.Events("etcd.key.delete", "etcd.key.name", "/app/before")
	require.Len(t, deleted, 1)
	assert.Equal(t, "1", value(deleted[0].Attributes(), "etcd.version"), "what was there before is known")
	first.Shutdown(t)
	set(t, client, "/app/later", "")

	second := observeOn(t, host, at(from)) // It was reported: it is the storage that counts.
	requireTruthOf(t, first, second, client, from)
	second.Shutdown(t)

	// From the very first one on, without a storage.
	all := configFor(etcd.Endpoints...)
	all.Watch.Start, all.Watch.Revision = keyspace.StartRevision, 1
	observe(t, all).requireTruth(t, client, 1)

	last := set(t, client, "/app/last", "")
	_, err := client.Compact(t.Context(), last)
	require.NoError(t, err)
	late := configFor(etcd.Endpoints...)
	late.Watch.Start, late.Watch.Revision = keyspace.StartRevision, from
	third := observe(t, late)
	third.requireGap(t, "/app/", from, last)
	third.Eventually(t, "what is there", third.HasEvent("etcd.key.put", "etcd.key.name", "/app/last", "observation.reconciled", "true"))

	ahead := configFor(etcd.Endpoints...)
	ahead.Watch.Start, ahead.Watch.Revision = keyspace.StartRevision, last+1000
	fourth := observe(t, ahead)
	next := fourth.watching(t, client)
	set(t, client, "/app/next", "")
	fourth.requireReported(t, "etcd.key.name", "/app/", next, history(t, client, "/app/", next))
	assert.Equal(t, 2, fourth.Log.FilterMessageSnippet("watch::revision is not there yet").Len(), "once for each prefix")
}

func TestAStorageOfAnotherCluster(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	other, otherClient := startEtcd(t, lab.ServerOptions{ExtraArgs: []string{"--initial-cluster-token=other"}})
	for i := range 50 {
		set(t, otherClient, "/app/other", strconv.Itoa(i))
	}
	cfg, host := stored(t, etcd.Endpoints...)
	first := observeOn(t, host, cfg())
	first.watching(t, client)
	l := newLocker(t, client)
	require.NoError(t, l.mutex.Lock(t.Context()))
	first.Eventually(t, "held", first.HasEvent("etcd.lock.acquired", "etcd.lock.key", l.key))
	first.Eventually(t, "its lease", first.HasEvent("etcd.lease.granted", "etcd.lease.id", hexOf(l.session.Lease())))
	first.Shutdown(t)

	moved := cfg()
	moved.Endpoints = other.Endpoints
	second := observeOn(t, host, moved)
	from := second.watching(t, otherClient)
	set(t, otherClient, "/app/other", "")
	second.requireTruth(t, otherClient, from)
	for _, prefix := range []string{"/app/", "/locks/"} {
		said := second.Log.FilterMessageSnippet("the storage is of another cluster").FilterField(zap.String("prefix", prefix))
		require.Equal(t, 1, said.Len(), prefix)
		assert.Equal(t, zap.WarnLevel, said.All()[0].Level)
	}
	require.Never(t, func() bool {
		return len(second.Events("", "etcd.lock.key", l.key))+len(second.Events("", "etcd.lease.id", hexOf(l.session.Lease()))) > 0
	}, time.Second, 50*time.Millisecond, "nothing is reported of what the other cluster had")
	second.Shutdown(t)

	third := observeOn(t, host, moved) // which is now the one that is stored
	set(t, otherClient, "/app/other", "")
	requireTruthOf(t, second, third, otherClient, from)
	assert.Zero(t, third.Log.FilterMessageSnippet("another cluster").Len())
}

func TestAStorageThatDoesNotRun(t *testing.T) {
	cfg := configFor("http://127.0.0.1:1")
	id := component.MustNewID("file_storage")
	cfg.Storage = &id
	logs, err := NewFactory().CreateLogs(t.Context(), receivertest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.NoError(t, err)
	require.EqualError(t, logs.Start(t.Context(), componenttest.NewNopHost()),
		"storage is file_storage, which does not run: add it under extensions: and to service::extensions")
	require.NoError(t, logs.Shutdown(t.Context()))
}
