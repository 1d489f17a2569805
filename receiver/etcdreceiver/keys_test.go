// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

func TestKeysBeyondTheLimitAreSaid(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	for i := range 5 {
		set(t, client, fmt.Sprint("/app/", i), "")
	}
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Limit = 3
	o := observe(t, cfg)
	o.Eventually(t, "it is said", func() bool { return o.Warnings(keyspace.LimitKeys) == 1 })
	said := o.Log.FilterField(zap.String("endpoint", keyspace.LimitKeys)).All()[0].ContextMap()["error"]
	assert.Equal(t, "2 keys are not remembered: raise watch::limit above 3", said)
	set(t, client, "/app/4", "")
	o.Eventually(t, "its changes are reported", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/4"))
}

func TestKeysAreSelectedByName(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Include = []string{"/app/.*", "/locks/.*"}
	cfg.Watch.Exclude = []string{".*/cache/.*", "/locks/noise/.*"}
	for _, key := range []string{"/app/known", "/app/cache/known"} {
		set(t, client, key, "")
	}
	o := observe(t, cfg)
	from := o.watching(t, client)
	var want []change
	for i := range 20 {
		put := set(t, client, fmt.Sprint("/app/", i), "")
		set(t, client, fmt.Sprint("/app/cache/", i), "")
		removed := remove(t, client, fmt.Sprint("/app/", i))
		remove(t, client, fmt.Sprint("/app/cache/", i))
		want = append(want, change{"etcd.key.put", fmt.Sprint("/app/", i), put}, change{"etcd.key.delete", fmt.Sprint("/app/", i), removed})
	}
	noise, seen := newLockerOf(t, client, "/locks/noise", 60), newLockerOf(t, client, "/locks/seen", 60)
	for _, l := range []*locker{noise, seen} {
		require.NoError(t, l.mutex.Lock(t.Context()))
		l.unlock(t)
	}
	o.requireReported(t, "etcd.key.name", "/app/", from, want)
	o.requireReported(t, "etcd.lock.key", "/locks/", from, since(story(history(t, client, "/locks/seen", 1)), from))
	for _, name := range []string{"etcd.key.name", "etcd.lock.key"} {
		for _, event := range o.Events("") {
			assert.NotContains(t, value(event.Attributes(), name), "/cache/")
			assert.NotContains(t, value(event.Attributes(), name), "/noise/")
		}
	}
}

// What a key was that is not remembered, etcd tells only when it is asked to.
func TestDeletionsBeyondTheLimitAreToldInFull(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	for i := range 5 {
		for range 3 {
			set(t, client, fmt.Sprint("/app/", i), "12345678")
		}
	}
	lease := grant(t, client, 60)
	set(t, client, "/app/4", "1234", clientv3.WithLease(lease))
	for _, prev := range []bool{true, false} {
		cfg := configFor(etcd.Endpoints...)
		cfg.Watch.Limit, cfg.Watch.PrevKV = 1, prev
		o := observe(t, cfg)
		o.Eventually(t, "it is said", func() bool { return o.Warnings(keyspace.LimitKeys) == 1 })
		set(t, client, "/app/0", "")
		o.Eventually(t, "it watches", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/0"))
		remove(t, client, "/app/4")
		o.Eventually(t, "the deletion", o.HasEvent("etcd.key.delete", "etcd.key.name", "/app/4"))
		reported := o.Events("etcd.key.delete", "etcd.key.name", "/app/4")[0].Attributes()
		want := map[bool][]string{true: {"4", "4", hexOf(lease)}, false: {"", "", ""}}[prev]
		for i, name := range []string{"etcd.version", "etcd.value.size", "etcd.lease.id"} {
			assert.Equal(t, want[i], value(reported, name), "%s, prev_kv %t", name, prev)
		}
		o.Shutdown(t)
		for range 3 {
			set(t, client, "/app/4", "12345678")
		}
		set(t, client, "/app/4", "1234", clientv3.WithLease(lease))
	}
}

func TestFingerprintsOfValues(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Fingerprint = true
	o, silent := observe(t, cfg), observe(t, configFor(etcd.Endpoints...))
	from := o.watching(t, client)
	silent.watching(t, client)
	values := []string{"hidden one", "hidden two", "hidden one", "", "hidden\xff\x00"}
	for _, v := range values {
		set(t, client, "/app/key", v)
	}
	remove(t, client, "/app/key")
	o.requireTruth(t, client, from)
	silent.requireTruth(t, client, from)
	events := o.Events("etcd.key.put", "etcd.key.name", "/app/key")
	require.Len(t, events, len(values))
	for i, v := range values {
		assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte(v))), value(events[i].Attributes(), "etcd.value.sha256"))
		assert.Equal(t, strconv.Itoa(len(v)), value(events[i].Attributes(), "etcd.value.size"))
	}
	assert.Empty(t, value(o.Events("etcd.key.delete", "etcd.key.name", "/app/key")[0].Attributes(), "etcd.value.sha256"))
	assert.Empty(t, value(silent.Events("etcd.key.put", "etcd.key.name", "/app/key")[0].Attributes(), "etcd.value.sha256"))
	o.RequireNotTold(t, "hidden")
}

func TestKeysThatAreNotText(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg, host := stored(t, etcd.Endpoints...)
	binary := func() *Config {
		c := cfg()
		c.Watch.Prefixes = append(c.Watch.Prefixes, "\xff\xfe")
		c.Watch.Include = []string{".*"}
		return c
	}
	set(t, client, "/app/\x80before", "")
	first := observeOn(t, host, binary())
	first.watching(t, client)
	put := set(t, client, "/app/\xff\x00name", "hidden\xff")
	other := set(t, client, "\xff\xfe\xfd", "")
	l := newLockerOf(t, client, "/locks/\xfflock", 60)
	require.NoError(t, l.mutex.Lock(t.Context()))
	first.Eventually(t, "held", first.HasEvent("etcd.lock.acquired", "etcd.lock.name", "/locks/\uFFFDlock"))
	first.Eventually(t, "its lease", first.HasSpan(lease.Span+".start", "etcd.lease.id", hexOf(l.session.Lease())))
	first.requireReported(t, "etcd.key.name", "/app/\uFFFD", put, []change{{"etcd.key.put", "/app/\uFFFD\x00name", put}})
	first.requireReported(t, "etcd.key.name", "\uFFFD", other, []change{{"etcd.key.put", "\uFFFD", other}})
	first.Shutdown(t)

	second := observeOn(t, host, binary())
	removed := remove(t, client, "/app/\xff\x00name")
	l.unlock(t)
	second.requireReported(t, "etcd.key.name", "/app/\uFFFD", put+1, []change{{"etcd.key.delete", "/app/\uFFFD\x00name", removed}})
	second.Eventually(t, "the attempt", second.HasSpan(lock.SpanAttempt, "etcd.lock.name", "/locks/\uFFFDlock"))
	whole := second.Spans(lock.SpanAttempt, "etcd.lock.name", "/locks/\uFFFDlock")[0]
	marker := first.Spans(lock.SpanAttempt+".start", "etcd.lock.name", "/locks/\uFFFDlock")[0]
	assert.Equal(t, whole.SpanID(), marker.ParentSpanID())
	assert.Equal(t, marker.StartTimestamp(), whole.StartTimestamp())
	for _, o := range []*observed{first, second} {
		o.RequireNotTold(t, "\xff", "\xfe", "\x80", "hidden")
		assert.Empty(t, o.Trouble())
	}
}

func TestBigValuesAreListedAndWatchedAndNeverTold(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{ExtraArgs: []string{"--unsafe-no-fsync"}})
	const keys = 50
	big := strings.Repeat("hidden--", 1<<17)
	require.Len(t, big, 1<<20)
	for i := range keys {
		set(t, client, fmt.Sprintf("/app/listed/%d", i), big)
	}
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.PrevKV = true
	o := observe(t, cfg)
	from := o.watching(t, client)
	var want []change
	for i := range keys {
		watched, listed := fmt.Sprintf("/app/watched/%d", i), fmt.Sprintf("/app/listed/%d", i)
		want = append(want, change{"etcd.key.put", watched, set(t, client, watched, big)}, change{"etcd.key.delete", listed, remove(t, client, listed)})
	}
	o.requireReported(t, "etcd.key.name", "/app/", from, want)
	for _, event := range append(o.Events("etcd.key.put"), o.Events("etcd.key.delete")...) {
		if value(event.Attributes(), "etcd.key.name") != "/app/ready" {
			require.Equal(t, strconv.Itoa(len(big)), value(event.Attributes(), "etcd.value.size"))
		}
	}
	o.RequireNotTold(t, "hidden")
	assert.Empty(t, o.Trouble())
}

// Of prefixes within prefixes there is one watch, each change is reported once, and
// a lock is known wherever it is.
func TestPrefixesWithinPrefixes(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Prefixes = []string{"/app/", "/app/inner/", "/app/inner/most/", "/app/"}
	cfg.Locks.Prefixes = []string{"/locks/", "/app/inner/locks/"}
	o := observe(t, cfg)
	from := o.watching(t, client)
	for _, key := range []string{"/app/a", "/app/inner/a", "/app/inner/most/a", "/app/innermost"} {
		set(t, client, key, "")
	}
	for _, name := range []string{"/app/recognized", "/app/inner/locks/named", "/locks/alone"} {
		holds, waits := newLockerOf(t, client, name, 60), newLockerOf(t, client, name, 60)
		require.NoError(t, holds.mutex.Lock(t.Context()))
		waits.lock(t.Context())
		o.Eventually(t, "queued", o.HasEvent("etcd.lock.queued", "etcd.lock.key", waits.key))
		holds.unlock(t)
		waits.acquired(t)
		waits.unlock(t)
	}
	// A key with a lease that is not the last part of its name is of no lock.
	lease := grant(t, client, 60)
	set(t, client, "/app/inner/1234", "", clientv3.WithLease(lease))
	o.requireTruth(t, client, from)
	for _, name := range []string{"/app/recognized", "/app/inner/locks/named"} {
		o.requireReported(t, "etcd.lock.key", name+"/", from, story(history(t, client, name+"/", from)))
		for _, event := range o.Events("etcd.key.put") {
			if key := value(event.Attributes(), "etcd.key.name"); strings.HasPrefix(key, name+"/") {
				o.Eventually(t, "its attempt", o.hasSpan(lock.SpanAttempt, key))
				span, _ := o.span(lock.SpanAttempt, key)
				assert.Equal(t, span.TraceID(), event.TraceID(), "its events are in its trace")
			}
		}
	}
	assert.Empty(t, o.Events("", "etcd.lock.key", "/app/inner/1234"))
	o.Eventually(t, "etcd has two watches", watchedBy(etcd.Endpoints[0], 2))
}
