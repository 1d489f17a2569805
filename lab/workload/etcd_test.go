// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

func TestEtcdLocksElectionsAndLeases(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run without -short")
	}
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, etcd.Stop(context.Background())) }()
	s := &Workload{Lab: &lab.Lab{Etcd: etcd}, Progress: func(line string) { t.Log(line) }}
	client, err := s.etcd()
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	nothingIsLeft := func() {
		keys, err := client.Get(t.Context(), "/demo/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		require.Zero(t, keys.Count)
		leases, err := client.Leases(t.Context())
		require.NoError(t, err)
		require.Empty(t, leases.Leases)
	}
	made := func(prefix string) (n int) {
		changes := <-client.Watch(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithRev(1))
		for _, event := range changes.Events {
			if event.IsCreate() {
				n++
			}
		}
		return n
	}

	require.NoError(t, s.contend(t.Context()))
	require.Equal(t, Contenders, made(Lock))
	nothingIsLeft()
	require.NoError(t, s.handOver(t.Context()))
	require.Equal(t, Candidates, made(Election))
	nothingIsLeft()
	require.NoError(t, s.expire(t.Context()))
	require.Equal(t, 1, made(LeasedKey))
	nothingIsLeft()

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s.Pace = time.Minute
	require.ErrorIs(t, s.contend(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, s.handOver(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, s.expire(ctx), context.DeadlineExceeded)
}
