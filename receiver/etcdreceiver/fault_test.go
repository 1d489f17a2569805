// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

func TestACompactionThatHidesHistory(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	l := newLink(t, etcd.Endpoints[0])
	o := observe(t, configFor(l.address))
	o.watching(t, client)
	holder, waiter := newLocker(t, client), newLocker(t, client)
	require.NoError(t, holder.mutex.Lock(t.Context()))
	waiter.lock(t.Context())
	o.Eventually(t, "the queue", o.HasEvent("etcd.lock.queued", "etcd.lock.key", waiter.key))
	queued, err := client.Get(t.Context(), waiter.key)
	require.NoError(t, err)
	set(t, client, "/app/removed", "")
	o.Eventually(t, "the last change before", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/removed"))
	before, err := client.Get(t.Context(), "/app/removed")
	require.NoError(t, err)

	l.set(true)
	holder.unlock(t)
	waiter.acquired(t)
	remove(t, client, "/app/removed")
	for range 3 {
		set(t, client, "/app/created", "")
	}
	after, err := client.Put(t.Context(), "/elsewhere", "")
	require.NoError(t, err)
	_, err = client.Compact(t.Context(), after.Header.Revision)
	require.NoError(t, err)
	l.set(false)

	o.requireGap(t, "/app/", before.Kvs[0].ModRevision+1, after.Header.Revision)
	o.requireGap(t, "/locks/", queued.Header.Revision+1, after.Header.Revision)
	assert.Equal(t, []string{"etcd.key.put", "etcd.key.delete"}, o.reported("etcd.key.name", "/app/removed"))
	assert.Equal(t, []string{"etcd.key.put"}, o.reported("etcd.key.name", "/app/created"), "three changes are reported as one")
	assert.Equal(t, []string{"etcd.lock.queued", "etcd.lock.acquired", "etcd.lock.released"}, o.reported("etcd.lock.key", holder.key))
	assert.Equal(t, []string{"etcd.lock.queued", "etcd.lock.acquired"}, o.reported("etcd.lock.key", waiter.key))
	o.Eventually(t, "the wait", o.hasSpan(lock.SpanWait, waiter.key))
	wait, _ := o.span(lock.SpanWait, waiter.key)
	assert.Equal(t, "true", value(wait.Attributes(), "observation.reconciled"))

	set(t, client, "/app/created", "")
	waiter.unlock(t)
	o.Eventually(t, "the watch goes on", func() bool {
		return len(o.reported("etcd.key.name", "/app/created")) == 2 && o.hasSpan(lock.SpanHold, waiter.key)()
	})
}

func TestAnEtcdThatIsAbsentComesAndGoes(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	endpoint := etcd.Endpoints[0]
	require.NoError(t, etcd.Members[0].Kill())
	o := observe(t, configFor(endpoint))
	o.Eventually(t, "up is 0", o.has("etcd.member.up", endpoint, 0))
	o.Eventually(t, "the watch says so", func() bool { return o.Warnings(keyspace.WatchOf+"/app/") == 1 })

	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	o.Eventually(t, "up is 1", o.has("etcd.member.up", endpoint, 1))
	o.watching(t, client)

	require.NoError(t, etcd.Members[0].Kill())
	o.Eventually(t, "up is 0 again", o.has("etcd.member.up", endpoint, 0))
	o.Eventually(t, "the watch says so again", func() bool { return o.Warnings(keyspace.WatchOf+"/app/") == 2 })
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	set(t, client, "/app/first", "")
	set(t, client, "/app/second", "")
	o.Eventually(t, "nothing is lost", func() bool {
		return o.HasEvent("etcd.key.put", "etcd.key.name", "/app/first")() && o.HasEvent("etcd.key.put", "etcd.key.name", "/app/second")()
	})
	o.Eventually(t, "observing again", func() bool {
		return o.Recoveries(keyspace.WatchOf+"/app/") == 2
	})
	assert.Empty(t, o.reported("etcd.watch.prefix", "/app/"), "there was no gap")
	assert.Equal(t, 2, o.Warnings(collect.StatusOf+address.HostPort(endpoint)), "however often it tried")
}

// An etcd that comes back empty, so soon that the watch resumes by itself, has
// an older history: what the keys are now is reported as reconciled, after a gap.
func TestAnEtcdThatComesBackWithAnOlderHistory(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Scrape.Timeout = 300 * time.Millisecond
	o := observe(t, cfg)
	o.watching(t, client)
	for i := range 50 {
		set(t, client, fmt.Sprint("/app/", i%5), "")
	}
	o.Eventually(t, "the changes", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/4"))

	member := etcd.Members[0]
	require.NoError(t, member.Kill())
	require.NoError(t, os.RemoveAll(filepath.Join(filepath.Dir(member.Process().LogPath()), member.Name(), "data")))
	require.NoError(t, member.Restart(t.Context()))
	set(t, client, "/app/new", "")
	o.Eventually(t, "the gap", o.HasEvent("etcd.watch.gap"))
	o.Eventually(t, "what is there", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/new"))
	o.Eventually(t, "what is gone", o.HasEvent("etcd.key.delete", "etcd.key.name", "/app/4", "observation.reconciled", "true"))
	o.Eventually(t, "the watch goes on", func() bool { // With so little patience it may be opened again.
		set(t, client, "/app/newer", "")
		return o.HasEvent("etcd.key.put", "etcd.key.name", "/app/newer", "observation.reconciled", "false")()
	})
}

// etcd answers no request for progress before its revision has reached the
// start of the watch, so quiet is no failure, be etcd idle or busy elsewhere.
func TestAWatchMayBeQuiet(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Scrape.Timeout = 500 * time.Millisecond
	o := observe(t, cfg)
	o.probed(t, 4) // idle

	_, err := client.Put(t.Context(), "/elsewhere", "")
	require.NoError(t, err)
	o.probed(t, 6) // busy elsewhere; two of them may have been under way

	_, err = client.Put(t.Context(), "/app/a", "")
	require.NoError(t, err)
	o.Eventually(t, "the watch lives", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/a"))
}

// Two watches that begin at different revisions must not wait for each other.
func TestQuietWatchesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	link := newLink(t, etcd.Endpoints[0])
	cfg := configFor("http://" + link.address)
	cfg.Scrape.Timeout = 500 * time.Millisecond
	o := observe(t, cfg)
	o.watching(t, client)
	set(t, client, "/app/last", "")
	o.Eventually(t, "the last change", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/last"))

	link.set(true)
	o.Eventually(t, "the watches fail", func() bool {
		return o.Warnings(keyspace.WatchOf+"/app/") > 0 && o.Warnings(keyspace.WatchOf+"/locks/") > 0
	})
	link.set(false)
	o.Eventually(t, "the watches recover", func() bool {
		return o.Recoveries(keyspace.WatchOf+"/app/") > 0 && o.Recoveries(keyspace.WatchOf+"/locks/") > 0
	})
	o.probed(t, 8)
}

func TestShutdownDoesNotWaitForAServerThatHangs(t *testing.T) {
	for name, user := range map[string]string{"without a login": "", "while it logs in": "otel"} {
		t.Run(name, func(t *testing.T) {
			cfg := configFor(observedtest.Hang(t))
			cfg.Scrape.Timeout, cfg.DialTimeout = time.Hour, time.Hour
			if user != "" {
				cfg.Username, cfg.Password = user, "pa55word"
			}
			o := observe(t, cfg)
			time.Sleep(100 * time.Millisecond) // so that requests are under way
			o.Shutdown(t)
			assert.Zero(t, o.Log.FilterLevelExact(zap.WarnLevel).Len(), "what was cut off says nothing")
		})
	}
}

func TestWithoutPrefixesTheClusterIsObserved(t *testing.T) {
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := defaultConfig()
	cfg.Endpoints = etcd.Endpoints
	o := observe(t, cfg)
	answer, err := client.Put(t.Context(), "/app/a", "")
	require.NoError(t, err)
	o.Eventually(t, "the revision", o.has("etcd.revision", etcd.Endpoints[0], answer.Header.Revision))
	o.Eventually(t, "the oldest one", o.HasValue(1, "etcd.compact_revision"))
	_, err = client.Compact(t.Context(), answer.Header.Revision)
	require.NoError(t, err)
	o.Eventually(t, "the compaction", o.HasEvent("etcd.compaction"))
	assert.Len(t, o.Events(""), 1)
}

// A member without space takes no writes, and compaction and defragmentation
// make some; none of it is the watch's business.
func TestAnAlarmAndADefragmentationDoNotDisturbTheWatch(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{ExtraArgs: []string{"--quota-backend-bytes=16777216"}})
	o := observe(t, configFor(etcd.Endpoints...))
	from := o.watching(t, client)
	l := newLocker(t, client)
	require.NoError(t, l.mutex.Lock(t.Context()))
	big := strings.Repeat("v", 1<<20)
	require.Eventually(t, func() bool {
		_, err := client.Put(t.Context(), "/app/big", big)
		return errors.Is(err, rpctypes.ErrNoSpace)
	}, soon, time.Millisecond)
	remove(t, client, "/app/big") // which is allowed
	l.unlock(t)
	o.requireTruth(t, client, from)

	before := newest(t, client)
	reported := history(t, client, "/app/", from)
	_, err := client.Compact(t.Context(), before, clientv3.WithCompactPhysical())
	require.NoError(t, err)
	_, err = client.Defragment(t.Context(), etcd.Endpoints[0])
	require.NoError(t, err)
	_, err = client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	require.NoError(t, err)
	for i := range 10 {
		set(t, client, fmt.Sprint("/app/", i), "")
	}
	o.requireReported(t, "etcd.key.name", "/app/", from, append(reported, history(t, client, "/app/", before+1)...))
	assert.Empty(t, o.Events("etcd.watch.gap"))
	assert.Zero(t, o.Warnings(keyspace.WatchOf+"/app/")+o.Warnings(keyspace.WatchOf+"/locks/"))
}

// Another etcd at the same address is another cluster, whose history is ahead
// of what is known of some prefixes and not of others.
func TestAnotherClusterAtTheSameAddress(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	other, otherClient := startEtcd(t, lab.ServerOptions{ExtraArgs: []string{"--initial-cluster-token=other"}})
	for i := range 100 {
		set(t, otherClient, "/elsewhere", strconv.Itoa(i))
	}
	l := newLink(t, etcd.Endpoints[0])
	cfg := configFor(l.address)
	cfg.Scrape.Timeout = 2 * time.Second
	cfg.Watch.Prefixes = append(cfg.Watch.Prefixes, "/more/")
	o := observe(t, cfg)
	o.watching(t, client)
	first := set(t, client, "/app/a", "")
	o.requireReported(t, "etcd.key.name", "/app/", first, []change{{"etcd.key.put", "/app/a", first}})
	kept := set(t, otherClient, "/more/b", "")

	l.set(true)
	l.redirect(other.Endpoints[0])
	l.set(false)
	for _, prefix := range []string{"/app/", "/locks/", "/more/"} {
		o.Eventually(t, "the gap under "+prefix, o.HasEvent("etcd.watch.gap", "etcd.watch.prefix", prefix))
		require.Len(t, o.Events("etcd.watch.gap", "etcd.watch.prefix", prefix), 1)
	}
	cluster := func(c *clientv3.Client) string {
		answer, err := c.Get(t.Context(), "/")
		require.NoError(t, err)
		return collect.Hex(answer.Header.ClusterId)
	}
	require.NotEqual(t, cluster(client), cluster(otherClient))
	o.Eventually(t, "what is there", o.HasEvent("etcd.key.put", "etcd.key.name", "/more/b", "etcd.cluster.id", cluster(otherClient), "observation.reconciled", "true"))
	o.Eventually(t, "what is gone", o.HasEvent("etcd.key.delete", "etcd.key.name", "/app/a", "etcd.cluster.id", cluster(otherClient), "observation.reconciled", "true"))
	assert.Len(t, o.Log.FilterMessage("etcd is another cluster than before").All(), 1)
	next := set(t, otherClient, "/app/next", "")
	o.requireReported(t, "etcd.key.name", "/app/next", kept, []change{{"etcd.key.put", "/app/next", next}})
}
