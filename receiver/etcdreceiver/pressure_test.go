// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// A consumer that refuses has the receiver read no further: what it holds is
// bounded, and etcd's history keeps the rest, unless it is compacted.
func TestAConsumerThatRefusesWhileMuchChanges(t *testing.T) {
	t.Parallel()
	for name, compacts := range map[string]bool{"and etcd keeps its history": false, "and etcd compacts it": true} {
		t.Run(name, func(t *testing.T) {
			// Of a watch that lags, etcd sends 1000 revisions at once: 3000 changes.
			const changes, limit = 30_000, 2 * 3000
			etcd, client := startEtcd(t, lab.ServerOptions{ExtraArgs: []string{"--unsafe-no-fsync"}})
			cfg := configForAll(etcd.Endpoints...)
			cfg.Watch.Queue = limit
			o := observe(t, cfg)
			from := o.watching(t, client)
			o.Refuse(true)
			set(t, client, "/app/refused", "")
			o.Eventually(t, "it is refused", func() bool { return strings.Contains(o.Trouble(), "delivery of ") }) // or the spans of what was reported before
			var most int64
			var writers sync.WaitGroup
			for w := range 20 {
				writers.Go(func() {
					for i := range changes / 20 / 3 {
						key := fmt.Sprintf("/app/%d/%d", w, i%50)
						last := clientv3.OpPut(key+"/c", "")
						if i >= 50 && i%5 == 4 {
							last = clientv3.OpDelete(key + "/c")
						}
						_, err := client.Txn(t.Context()).Then(clientv3.OpPut(key+"/a", ""), clientv3.OpPut(key+"/b", ""), last).Commit()
						if err != nil {
							t.Error(err)
							return
						}
						if w == 0 {
							most = max(most, o.Own(t, "otelcol_etcd_queued"))
						}
					}
				})
			}
			writers.Wait()
			o.Eventually(t, "it is full", func() bool { return o.Own(t, "otelcol_etcd_pauses") == 1 })
			o.Eventually(t, "etcd sends nothing meanwhile", watchedBy(etcd.Endpoints[0], 0))
			held := max(most, o.Own(t, "otelcol_etcd_queued"))
			assert.LessOrEqual(t, held, int64(limit))
			assert.Greater(t, held, int64(limit/2))
			want := history(t, client, "/app/", from)
			last := newest(t, client)
			if compacts {
				_, err := client.Compact(t.Context(), last)
				require.NoError(t, err)
			}
			o.Refuse(false)
			if !compacts {
				o.requireReported(t, "etcd.key.name", "/app/", from, want)
				assert.Empty(t, o.Events("etcd.watch.gap"))
			} else {
				o.requireToldAroundAGap(t, client, from, last, want)
			}
			o.Eventually(t, "nothing waits", func() bool { return o.Own(t, "otelcol_etcd_queued") == 0 })
			t.Logf("%d changes were held at most, %d pauses", held, o.Own(t, "otelcol_etcd_pauses"))
			set(t, client, "/app/after", "")
			o.Eventually(t, "it goes on", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/after", "observation.reconciled", "false"))
		})
	}
}

// requireToldAroundAGap requires that all before the gap was reported, and then what
// there is now.
func (o *observed) requireToldAroundAGap(t *testing.T, client *clientv3.Client, from, last int64, want []change) {
	t.Helper()
	o.Eventually(t, "the gap", o.HasEvent("etcd.watch.gap"))
	gaps := o.Events("etcd.watch.gap")
	require.Len(t, gaps, 1)
	first, _ := gaps[0].Attributes().Get("etcd.gap.first_revision")
	o.requireGap(t, "/", first.Int(), last)
	before := slices.DeleteFunc(slices.Clone(want), func(c change) bool { return c.Revision >= first.Int() })
	reported := o.changes("etcd.key.name", "/app/", from)
	require.Equal(t, before, reported[:len(before)], "all before the gap, each once")
	assert.Equal(t, first.Int()-1, before[len(before)-1].Revision)
	now, err := client.Get(t.Context(), "/app/", clientv3.WithPrefix())
	require.NoError(t, err)
	is := map[string]int64{}
	for _, kv := range now.Kvs {
		is[string(kv.Key)] = kv.ModRevision
	}
	o.Eventually(t, "what there is now", func() bool { return maps.Equal(is, standing(o.changes("etcd.key.name", "/app/", 0))) })
}

// standing returns which keys there are after changes, with their revisions.
func standing(changes []change) map[string]int64 {
	is := map[string]int64{}
	for _, c := range changes {
		if is[c.Key] = c.Revision; c.What == "etcd.key.delete" {
			delete(is, c.Key)
		}
	}
	return is
}

// Events that are refused hold up neither spans nor metrics.
func TestSpansGoOnWhileEventsAreRefused(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configForAll(etcd.Endpoints...))
	o.watching(t, client)
	o.RefuseLogs(true)
	var keys []string
	for range 3 {
		l := newLocker(t, client)
		require.NoError(t, l.mutex.Lock(t.Context()))
		keys = append(keys, l.mutex.Key())
		o.Eventually(t, "it is held", o.HasValue(1, "etcd.lock.holder.count"))
		l.unlock(t)
		o.Eventually(t, "its span", o.HasSpan(lock.SpanAttempt, "etcd.lock.key", keys[len(keys)-1]))
		o.Eventually(t, "it is not held", o.HasValue(0, "etcd.lock.holder.count"))
	}
	for _, key := range keys {
		assert.Empty(t, o.Events("", "etcd.lock.key", key))
	}
	o.RefuseLogs(false)
	for _, key := range keys {
		o.Eventually(t, "its event", o.HasEvent("etcd.lock.released", "etcd.lock.key", key))
		assert.Len(t, o.Spans(lock.SpanAttempt, "etcd.lock.key", key), 1)
	}
	assert.Empty(t, o.Events("etcd.watch.gap"))
}
