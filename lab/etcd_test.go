// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/http"
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
			require.NoError(t, putWithin(t, client, 10*time.Second))

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
				require.NoError(t, putWithin(t, anonymous, 10*time.Second))
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

// etcdLeaderAfter waits for a leader that is not the one before.
func etcdLeaderAfter(t *testing.T, e *Etcd, before int) int {
	t.Helper()
	leads := before
	require.Eventually(t, func() bool {
		i, err := e.Leader(t.Context())
		leads = i
		return err == nil && i != before
	}, 30*time.Second, 50*time.Millisecond)
	return leads
}
