// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
)

// configForAll is of one watch for all: there is one member that is watched.
func configForAll(endpoints ...string) *Config {
	cfg := configFor(endpoints...)
	cfg.Watch.Prefixes = append(cfg.Watch.Prefixes, "/")
	return cfg
}

var watchers = regexp.MustCompile(`(?m)^etcd_debugging_mvcc_watcher_total (\d+)$`)

// watched returns which member is watched. The receiver has to be the only one
// that watches.
func watched(t *testing.T, etcd *lab.Etcd) (member int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for i, endpoint := range etcd.Endpoints {
			if n, err := watchersOf(endpoint); err == nil && n > 0 {
				member = i
				return true
			}
		}
		return false
	}, soon, 50*time.Millisecond)
	return member
}

func watchersOf(endpoint string) (int, error) {
	response, err := http.Get(endpoint + "/metrics")
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	found := watchers.FindSubmatch(metrics)
	if found == nil {
		return 0, errors.New("no count of watchers")
	}
	return strconv.Atoi(string(found[1]))
}

// watchedBy is a condition: how many watches a member has.
func watchedBy(endpoint string, want int) func() bool {
	return func() bool {
		n, err := watchersOf(endpoint)
		return err == nil && n == want
	}
}

func leaderOf(t *testing.T, etcd *lab.Etcd) (leader int) {
	t.Helper()
	require.Eventually(t, func() bool {
		i, err := etcd.Leader(t.Context())
		leader = i
		return err == nil
	}, soon, 50*time.Millisecond)
	return leader
}

// termOf returns the term of those that a client is of, which grows with each
// election.
func termOf(t *testing.T, client *clientv3.Client) (term uint64) {
	t.Helper()
	for _, endpoint := range client.Endpoints() {
		status, err := client.Status(t.Context(), endpoint)
		require.NoError(t, err)
		term = max(term, status.RaftTerm)
	}
	return term
}

// clientOfOthers is a client of all members but one.
func clientOfOthers(t *testing.T, etcd *lab.Etcd, but int) *clientv3.Client {
	t.Helper()
	others := append([]string{}, etcd.Endpoints[:but]...)
	return newTestClient(t, clientv3.Config{Endpoints: append(others, etcd.Endpoints[but+1:]...)})
}

// insist sets a key, however often it takes while a leader is elected.
func insist(t *testing.T, client *clientv3.Client, key string) {
	t.Helper()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Put(ctx, key, "")
		return err == nil
	}, soon, 20*time.Millisecond)
}

// stir changes keys and contends for locks until it is stopped, whatever fails.
func stir(t *testing.T, client *clientv3.Client) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	for i := range 3 {
		session, err := concurrency.NewSession(client)
		require.NoError(t, err)
		busy.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("/app/%d/%d", i, n%4)
				_, _ = client.Put(ctx, key, "")
				lock := fmt.Sprintf("/locks/stirred/%d", n%2)
				if concurrency.NewMutex(session, lock).Lock(ctx) == nil {
					_, _ = client.Delete(ctx, key)
				}
				// Whatever failed, nobody waits for it.
				for _, err := client.Delete(ctx, fmt.Sprintf("%s/%x", lock, session.Lease())); err != nil && ctx.Err() == nil; {
					_, err = client.Delete(ctx, fmt.Sprintf("%s/%x", lock, session.Lease()))
				}
			}
			_ = session.Close()
		})
	}
	return func() { cancel(); busy.Wait() }
}

func TestTheLeaderDiesWhileKeysAndLocksChange(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 3})
	o := observe(t, configFor(etcd.Endpoints...))
	from := o.watching(t, client)
	for range 2 {
		stop := stir(t, client)
		before := newest(t, client)
		require.Eventually(t, func() bool { return newest(t, client) > before+100 }, soon, 20*time.Millisecond)
		leader := leaderOf(t, etcd)
		require.NoError(t, etcd.Members[leader].Kill())
		survivor := clientOfOthers(t, etcd, leader)
		insist(t, survivor, "/app/survives")
		after := newest(t, survivor)
		require.Eventually(t, func() bool { return newest(t, survivor) > after+100 }, soon, 20*time.Millisecond)
		require.NoError(t, etcd.Members[leader].Restart(t.Context()))
		stop()
		o.requireTruth(t, survivor, from)
	}
}

func TestEachMemberThatIsWatchedDies(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 3})
	o := observe(t, configForAll(etcd.Endpoints...))
	from := o.watching(t, client)
	for range 3 {
		member := watched(t, etcd)
		survivor := clientOfOthers(t, etcd, member)
		require.NoError(t, etcd.Members[member].Kill())
		for i := range 10 {
			insist(t, survivor, fmt.Sprint("/app/", i))
		}
		o.requireTruth(t, survivor, from)
		require.NotEqual(t, member, watched(t, etcd))
		require.NoError(t, etcd.Members[member].Restart(t.Context()))
		insist(t, client, "/app/again")
		o.requireTruth(t, survivor, from)
	}
}

// A member that is cut off goes on answering its clients, but tells them of no
// change: the watch has to leave it, and nothing else may go there.
func TestTheWatchLeavesAMemberThatIsCutOff(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 3, Partitionable: true})
	cfg := configForAll(etcd.Endpoints...)
	cfg.Scrape.Timeout = 2 * time.Second
	o := observe(t, cfg)
	from := o.watching(t, client)
	member := watched(t, etcd)
	others := clientOfOthers(t, etcd, member)
	began := time.Now()
	etcd.Partition(member)
	l := newLocker(t, others)
	l.take(t)
	l.unlock(t)
	for i := range 10 {
		insist(t, others, fmt.Sprint("/app/", i))
	}
	o.requireTruth(t, others, from)
	t.Logf("the watch left it within %s", time.Since(began))

	elections, failures := termOf(t, others), o.Warnings(keyspace.WatchOf+"/")
	late := observe(t, configFor(etcd.Endpoints...))
	lateFrom := late.watching(t, others)
	for range 4 { // The watch is quiet, and is asked whether it lives.
		before := o.Own(t, "otelcol_etcd_requests", "request", "progress", "outcome", "success")
		insist(t, others, "elsewhere")
		o.Eventually(t, "it is asked", func() bool {
			return o.Own(t, "otelcol_etcd_requests", "request", "progress", "outcome", "success") > before ||
				o.Warnings(keyspace.WatchOf+"/") > failures
		})
	}
	if termOf(t, others) == elections { // While the others elect, nobody answers.
		assert.Equal(t, failures, o.Warnings(keyspace.WatchOf+"/"), "the member that is cut off is asked nothing")
	}
	for _, endpoint := range []string{keyspace.WatchOf + "/app/", keyspace.WatchOf + "/locks/", lease.QueryCondition} {
		assert.Empty(t, late.said(endpoint), endpoint)
	}

	etcd.Heal(member)
	insist(t, client, "/app/healed")
	o.requireTruth(t, others, from)
	late.requireTruth(t, others, lateFrom)
}

// The only member that the receiver knows is down while the others compact.
func TestACompactionWhileTheOnlyEndpointIsDown(t *testing.T) {
	t.Parallel()
	etcd, _ := startEtcd(t, lab.ServerOptions{Members: 3})
	const member = 1
	others := clientOfOthers(t, etcd, member)
	link := newLink(t, etcd.Endpoints[member])
	o := observe(t, configFor(link.address))
	from := o.watching(t, others)
	set(t, others, "/app/kept", "")
	set(t, others, "/app/changed", "")
	last := set(t, others, "/app/removed", "")
	o.requireTruth(t, others, from)

	link.set(true)
	require.NoError(t, etcd.Members[member].Kill())
	insist(t, others, "/app/changed")
	changed := set(t, others, "/app/changed", "")
	remove(t, others, "/app/removed")
	set(t, others, "/app/passing", "")
	remove(t, others, "/app/passing")
	created := set(t, others, "/app/created", "")
	l := newLocker(t, others)
	l.take(t)
	locked := newest(t, others)
	end := set(t, others, "/elsewhere", "")
	_, err := others.Compact(t.Context(), end)
	require.NoError(t, err)
	require.NoError(t, etcd.Members[member].Restart(t.Context()))
	// It would tell all if it was asked before it has heard of the compaction.
	itself := newTestClient(t, clientv3.Config{Endpoints: etcd.Endpoints[member : member+1]})
	require.Eventually(t, func() bool {
		_, err := itself.Get(t.Context(), "/app/", clientv3.WithSerializable(), clientv3.WithRev(last))
		return errors.Is(err, rpctypes.ErrCompacted)
	}, soon, 20*time.Millisecond)
	link.set(false)

	o.requireGap(t, "/app/", last+1, end)
	o.requireGap(t, "/locks/", from, end) // Nothing was heard of it since.
	o.requireReported(t, "etcd.key.name", "/app/", last+1, []change{
		{"etcd.key.delete", "/app/removed", end}, {"etcd.key.put", "/app/changed", changed}, {"etcd.key.put", "/app/created", created},
	})
	o.requireReported(t, "etcd.lock.key", "/locks/", last+1, []change{
		{"etcd.lock.queued", l.key, locked}, {"etcd.lock.acquired", l.key, end},
	})
	for _, event := range o.Events("") {
		if revision, ok := event.Attributes().Get("etcd.revision"); ok && revision.Int() > last {
			assert.Equal(t, "true", value(event.Attributes(), "observation.reconciled"), event.EventName())
		}
	}
	again := set(t, others, "/app/again", "")
	l.unlock(t)
	o.requireAll(t, "etcd.key.name", "/app/", again, func() []change { return history(t, others, "/app/", again) })
	released := newest(t, others)
	o.requireReported(t, "etcd.lock.key", "/locks/", again, []change{{"etcd.lock.released", l.key, released}})
	assert.Len(t, o.Events("etcd.watch.gap"), 2)
}
