// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
)

func TestMetricsOfARealEtcd(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	endpoint := etcd.Endpoints[0]
	answer, err := client.Put(t.Context(), "/app/a", "")
	require.NoError(t, err)
	o := observe(t, configFor(endpoint))
	o.Eventually(t, "up", o.has("etcd.member.up", endpoint, 1))
	o.Eventually(t, "the revision", o.has("etcd.revision", endpoint, answer.Header.Revision))
	for name, least := range map[string]int64{
		"etcd.member.leader": 1, "etcd.member.learner": 0, "etcd.db.size": 1, "etcd.db.size_in_use": 1,
		"etcd.raft.term": 2, "etcd.raft.index": 1, "etcd.raft.applied_index": 1, "etcd.raft.apply.lag": 0, "etcd.db.quota": 1,
	} {
		got, ok := o.value(name, endpoint)
		assert.True(t, ok, name)
		assert.GreaterOrEqual(t, got, least, name)
	}
	status, err := client.Status(t.Context(), endpoint)
	require.NoError(t, err)
	all := o.Metrics.AllMetrics() // The first ones may be from before it answered.
	resource := all[len(all)-1].ResourceMetrics().At(0).Resource().Attributes()
	assert.Equal(t, map[string]any{
		"service.name": "etcd", "service.instance.id": address.HostPort(endpoint),
		"etcd.cluster.id": collect.Hex(answer.Header.ClusterId), "etcd.member.id": collect.Hex(answer.Header.MemberId),
		"service.version": status.Version,
	}, resource.AsRaw())
}

func TestADeadMemberDegradesAlone(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{Members: 3})
	o := observe(t, configFor(etcd.Endpoints...))
	for _, endpoint := range etcd.Endpoints {
		o.Eventually(t, "up", o.has("etcd.member.up", endpoint, 1))
	}
	known := len(o.Metrics.AllMetrics())
	o.watching(t, client)
	require.NoError(t, etcd.Members[1].Kill())
	o.Eventually(t, "the dead one", o.has("etcd.member.up", etcd.Endpoints[1], 0))
	o.Eventually(t, "one leader among the others", func() bool {
		first, _ := o.value("etcd.member.leader", etcd.Endpoints[0])
		third, _ := o.value("etcd.member.leader", etcd.Endpoints[2])
		return first+third == 1
	})
	_, ok := o.value("etcd.raft.term", etcd.Endpoints[1])
	assert.False(t, ok, "nothing is known of the dead one but that it is down")
	survivor := newTestClient(t, clientv3.Config{Endpoints: []string{etcd.Endpoints[0], etcd.Endpoints[2]}})
	set(t, survivor, "/app/after", "")
	o.Eventually(t, "the watch goes on", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/after"))
	resources := map[string]bool{}
	for _, md := range o.Metrics.AllMetrics()[known:] {
		for _, rm := range md.ResourceMetrics().All() {
			resources[fmt.Sprint(rm.Resource().Attributes().AsRaw())] = true
		}
	}
	assert.Len(t, resources, 3+1, "a member that dies keeps its identity, and the cluster has its own")
}

// names returns the metrics of the cycles from one on.
func (o *observed) names(from int) map[string]bool {
	names := map[string]bool{}
	for _, md := range o.Metrics.AllMetrics()[from:] {
		for _, rm := range md.ResourceMetrics().All() {
			for _, metric := range rm.ScopeMetrics().At(0).Metrics().All() {
				names[metric.Name()] = true
			}
		}
	}
	return names
}

// What is not observed now is left out; what has happened goes on to be reported.
func TestCountsWhileEtcdIsDown(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	l := newLocker(t, client)
	require.NoError(t, l.mutex.Lock(t.Context()))
	waiter := newLocker(t, client)
	waiter.lock(t.Context())
	set(t, client, "/app/a", "12345")
	for name, want := range map[string]int64{
		"etcd.lock.holder.count": 1, "etcd.lock.waiter.count": 1, "etcd.lease.count": 2, "etcd.lease.key.count": 2,
	} {
		o.Eventually(t, name, o.HasValue(want, name))
	}
	keys := []string{"etcd.watch.prefix", "/app/"}
	o.Eventually(t, "keys", o.HasValue(2, "etcd.key.count", keys...))
	o.Eventually(t, "their size", o.HasValue(int64(len("/app/ready"+"/app/a"+"12345")), "etcd.key.size", keys...))
	_, before := o.Value("etcd.key.changes", append(keys, "etcd.key.change", "put")...)
	require.True(t, before)
	require.NoError(t, etcd.Members[0].Kill())
	o.Eventually(t, "nothing of now", func() bool {
		names := o.names(len(o.Metrics.AllMetrics()) - 1)
		assert.True(t, names["etcd.key.changes"] && names["etcd.lock.acquisitions"] && names["etcd.lease.grants"], "what has happened stays")
		return !names["etcd.key.count"] && !names["etcd.key.size"] && !names["etcd.lock.holder.count"] && !names["etcd.lease.count"]
	})
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	seen := len(o.Metrics.AllMetrics())
	o.Eventually(t, "all again", func() bool { return o.names(seen)["etcd.lock.waiter.count"] && o.names(seen)["etcd.lease.count"] })
}
