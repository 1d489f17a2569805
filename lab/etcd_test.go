// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func TestEtcdWithTLS(t *testing.T) {
	needsServers(t)
	for name, mutual := range map[string]bool{"of the server": false, "of both": true} {
		t.Run(name, func(t *testing.T) {
			e := startEtcd(t, ServerOptions{TLS: &TLS{Mutual: mutual}})
			require.FileExists(t, e.TLS.CA)
			require.NoError(t, e.Members[0].Restart(t.Context()))
			leads, err := e.Leader(t.Context())
			require.NoError(t, err)
			require.Zero(t, leads)
			transport := e.client.Transport.(*http.Transport).Clone()
			client := newEtcdClient(t, e, clientv3.Config{TLS: transport.TLSClientConfig}, 0)
			require.NoError(t, putWithin(t, client, time.Minute))

			_, _, err = get(t.Context(), e.Endpoints[0]+"/version", nil)
			require.ErrorContains(t, err, "certificate signed by unknown authority")

			transport.TLSClientConfig.Certificates = nil
			_, _, err = getBy(t.Context(), &http.Client{Transport: transport}, e.Endpoints[0]+"/version", nil)
			anonymous := newEtcdClient(t, e, clientv3.Config{TLS: transport.TLSClientConfig}, 0)
			if mutual {
				require.ErrorContains(t, err, "certificate required")
				require.Error(t, putWithin(t, anonymous, 2*time.Second))
			} else {
				require.NoError(t, err)
				require.NoError(t, putWithin(t, anonymous, time.Minute))
			}
		})
	}
}

func TestEtcdElectsAnotherLeader(t *testing.T) {
	needsServers(t)
	e := startEtcd(t, ServerOptions{Members: 3, TLS: &TLS{Mutual: true}})
	first := etcdLeaderAfter(t, e, -1)
	require.NoError(t, e.Members[first].Kill())
	etcdLeaderAfter(t, e, first)
	require.NoError(t, e.Members[first].Restart(t.Context()))
	require.NoError(t, e.Stop(t.Context()))
	_, err := e.Leader(t.Context())
	require.ErrorContains(t, err, "no etcd member leads")
}

func TestEtcdPartition(t *testing.T) {
	needsServers(t)
	e := startEtcd(t, ServerOptions{Members: 3, Partitionable: true})
	clients := make([]*clientv3.Client, 3)
	for i := range clients {
		clients[i] = newEtcdClient(t, e, clientv3.Config{}, i)
	}
	leader := etcdLeaderAfter(t, e, -1)
	for name, cut := range map[string]int{"of a follower": (leader + 1) % 3, "of the leader": leader} {
		t.Run(name, func(t *testing.T) {
			e.Partition(cut)
			require.Eventually(t, func() bool { return leaderless(t, e, clients[cut], cut) }, time.Minute, 50*time.Millisecond)
			require.Error(t, putWithin(t, clients[cut], time.Second))
			for i, client := range clients {
				if i != cut {
					require.Eventually(t, func() bool { return putWithin(t, client, 5*time.Second) == nil }, time.Minute, 50*time.Millisecond)
				}
			}
			require.NotEqual(t, cut, etcdLeaderAfter(t, e, -1))
			alone, err := clients[cut].Get(t.Context(), "key", clientv3.WithSerializable())
			require.NoError(t, err, "it goes on answering what it can answer alone")
			require.True(t, leaderless(t, e, clients[cut], cut))

			e.Heal(cut)
			require.Eventually(t, func() bool { return !leaderless(t, e, clients[cut], cut) }, time.Minute, 50*time.Millisecond)
			require.Eventually(t, func() bool { return putWithin(t, clients[cut], 5*time.Second) == nil }, time.Minute, 50*time.Millisecond)
			now, err := clients[cut].Get(t.Context(), "key")
			require.NoError(t, err)
			require.Greater(t, now.Header.Revision, alone.Header.Revision+1, "it has what it missed")
		})
	}
}

func TestEtcdPartitionOfAllOutlivesAKill(t *testing.T) {
	needsServers(t)
	e := startEtcd(t, ServerOptions{Members: 3, Partitionable: true})
	client := newEtcdClient(t, e, clientv3.Config{}, 0)
	for i := range e.Members {
		e.Partition(i)
	}
	require.Eventually(t, func() bool { return leaderless(t, e, client, 0) }, time.Minute, 50*time.Millisecond)
	_, err := e.Leader(t.Context())
	require.ErrorContains(t, err, "no etcd member leads")
	require.NoError(t, e.Members[1].Kill())
	e.Heal(0)
	e.Heal(1)
	require.True(t, leaderless(t, e, client, 0), "2 is still cut off, 1 is dead")
	require.NoError(t, e.Members[1].Restart(t.Context()))
	require.NotEqual(t, 2, etcdLeaderAfter(t, e, -1))
}

func TestEtcdThatCannotBePartitioned(t *testing.T) {
	_, err := StartEtcd(t.Context(), ServerOptions{Partitionable: true})
	require.ErrorContains(t, err, "choose 3 members")
	e := &Etcd{Cluster: &Cluster{Members: []*Server{{name: "etcd"}}}}
	require.PanicsWithValue(t, "lab: this etcd cannot be partitioned; start it with ServerOptions.Partitionable", func() { e.Partition(0) })
}

// startEtcd stops it with the test, and shows the logs if that has failed.
func startEtcd(t *testing.T, opts ServerOptions) *Etcd {
	t.Helper()
	e, err := StartEtcd(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, member := range e.Members {
				t.Logf("--- %s\n%s", member.Name(), member.LogTail(40))
			}
		}
		require.NoError(t, e.Stop(context.Background()))
	})
	return e
}

// newEtcdClient is a client of member i alone.
func newEtcdClient(t *testing.T, e *Etcd, cfg clientv3.Config, i int) *clientv3.Client {
	t.Helper()
	cfg.Endpoints, cfg.Logger = e.Endpoints[i:i+1], zap.NewNop()
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
	}
	client, err := clientv3.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func putWithin(t *testing.T, client *clientv3.Client, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	_, err := client.Put(ctx, "key", "value")
	return err
}

// leaderless is whether member i says that it knows no leader.
func leaderless(t *testing.T, e *Etcd, client *clientv3.Client, i int) bool {
	t.Helper()
	status, err := client.Status(t.Context(), e.Endpoints[i])
	require.NoError(t, err, "it answers its clients")
	return status.Leader == 0 && slices.Contains(status.Errors, "etcdserver: no leader")
}

// etcdLeaderAfter waits for a leader that is not the one before.
func etcdLeaderAfter(t *testing.T, e *Etcd, before int) int {
	t.Helper()
	leads := before
	require.Eventually(t, func() bool {
		i, err := e.Leader(t.Context())
		leads = i
		return err == nil && i != before
	}, time.Minute, 50*time.Millisecond)
	return leads
}
