// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func seen(version string) sighting {
	return sighting{server: &state.Observation{Server: state.Server{Version: version}}}
}

func TestTheQueueKeepsWhatDiffers(t *testing.T) {
	q := newQueue()
	failed := errors.New("failed")
	for _, s := range []sighting{seen("a"), seen("a"), {err: failed}, seen("b"), seen("b"), seen("a"), {raft: &state.RaftObservation{Tell: true}}} {
		q.put(s)
	}
	var got []string
	for range 3 {
		s, err := q.next(t.Context())
		require.NoError(t, err)
		got = append(got, s.server.Server.Version)
	}
	assert.Equal(t, []string{"a", "b", "a"}, got)
	s, err := q.next(t.Context())
	require.NoError(t, err)
	assert.True(t, s.raft.Tell)

	q.put(sighting{err: failed})
	_, err = q.next(t.Context())
	require.ErrorIs(t, err, failed, "a failure is told when nothing else waits")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = q.next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestAFullQueueIsAGap(t *testing.T) {
	q := newQueue()
	for i := range maxQueue + 1 {
		q.put(seen(strconv.Itoa(i)))
	}
	assert.False(t, q.put(sighting{access: &access{endpoint: endpointAudit}}), "there is no room")
	for range maxQueue {
		s, err := q.next(t.Context())
		require.NoError(t, err)
		assert.False(t, s.server.Gap)
	}
	q.put(seen("after"))
	s, err := q.next(t.Context())
	require.NoError(t, err)
	assert.True(t, s.server.Gap)
}

// What happens while a consumer refuses events is told afterwards, each at its
// time, and the metrics go on.
func TestWhatIsRefusedIsToldLater(t *testing.T) {
	vault, _ := startVault(t)
	o := observe(t, configFor(vault.Addr))
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.active"))
	o.Refuse(true)
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the metrics know", o.HasValue(1, "vault.sealed"))
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "the metrics know", o.HasValue(1, "vault.active"))
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the metrics know", o.HasValue(1, "vault.sealed"))
	assert.Empty(t, o.Events(""))
	o.Refuse(false)
	o.Eventually(t, "both seals", func() bool { return len(o.Events("vault.sealed")) == 2 })
	first, second := o.Events("vault.sealed")[0], o.Events("vault.sealed")[1]
	unsealed := o.Events("vault.unsealed")
	require.Len(t, unsealed, 1)
	assert.Less(t, first.Timestamp(), unsealed[0].Timestamp())
	assert.Less(t, unsealed[0].Timestamp(), second.Timestamp())
	assert.Empty(t, o.Events("vault.watch.gap"))
}

func TestAStorageThatIsAbsentIsSaid(t *testing.T) {
	storage, _ := observedtest.FileStorage(t, t.TempDir())
	cfg := configFor("http://127.0.0.1:1")
	cfg.Storage = &storage
	watcher, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	require.ErrorContains(t, watcher.Start(t.Context(), componenttest.NewNopHost()), "storage is file_storage, which does not run")
	require.NoError(t, watcher.Shutdown(t.Context()))
}
