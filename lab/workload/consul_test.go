// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

func TestConsulLocksAndKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Consul; run without -short")
	}
	consul, err := lab.StartConsul(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, consul.Stop(context.Background())) }()
	s := &Workload{Lab: &lab.Lab{Consul: consul}, Progress: func(line string) { t.Log(line) }}
	client, err := s.consul()
	require.NoError(t, err)
	noSessions := func() {
		sessions, _, err := client.Session().List(nil)
		require.NoError(t, err)
		require.Empty(t, sessions)
	}

	require.NoError(t, s.takeTurns(t.Context()))
	lock, _, err := client.KV().Get(ConsulLock, nil)
	require.NoError(t, err)
	require.Equal(t, uint64(Holders), lock.LockIndex, "how often it was taken")
	require.Empty(t, lock.Session)
	noSessions()

	require.NoError(t, s.changeConsulKeys(t.Context()))
	keys, _, err := client.KV().Keys(ConsulPrefix, "", nil)
	require.NoError(t, err)
	require.Equal(t, []string{ConsulLock}, keys)

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	reported := make(chan error, 1)
	go func() { reported <- s.takeTurns(ctx) }()
	require.Eventually(t, func() bool {
		lock, _, err := client.KV().Get(ConsulLock, nil)
		return err == nil && lock != nil && lock.Session != ""
	}, time.Minute, 10*time.Millisecond, "the lock is held")
	interrupt()
	require.ErrorIs(t, <-reported, context.Canceled)
	noSessions()
}
