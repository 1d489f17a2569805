// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

func seen(version string) observation {
	return observation{server: &state.Observation{Server: state.Server{Version: version}}}
}

func TestObservationsThatDoNotFitAreAGap(t *testing.T) {
	q := newObservations()
	for i := range maxObservations + 1 {
		q.put(seen(strconv.Itoa(i)))
	}
	assert.False(t, q.put(observation{access: &access{endpoint: endpointAudit}}), "there is no room")
	for range maxObservations {
		o, err := q.next(t.Context())
		require.NoError(t, err)
		assert.False(t, o.server.Gap)
	}
	q.put(seen("after"))
	o, err := q.next(t.Context())
	require.NoError(t, err)
	assert.True(t, o.server.Gap)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = q.next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// However long a consumer refuses, only what has changed waits for it.
func TestEqualObservationsLeaveNothingToDeliver(t *testing.T) {
	w, err := newWatcher(configFor("http://127.0.0.1:1"), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	records := 0
	at := time.Unix(1000, 0)
	step := func(o observation) {
		at = at.Add(time.Second)
		o.at = at
		records += w.step(at, o).Logs.LogRecordCount()
	}
	raft := func(healthy bool) observation {
		return observation{raft: &state.RaftObservation{
			Peers: map[string]state.Peer{"a": {Voter: true}}, Healthy: map[string]bool{"a": healthy}, Tell: true,
		}}
	}
	server := observation{server: &state.Observation{Server: state.Server{Initialized: true}}}
	for range 5000 {
		step(raft(true))
		step(server)
	}
	assert.Zero(t, records)
	step(raft(false))
	assert.Equal(t, 1, records)
}

// A signal whose queue was full goes on with a gap and what differs; the state is
// left as it is.
func TestAFullQueueOfTheServerIsAGap(t *testing.T) {
	w, err := newWatcher(configFor("http://127.0.0.1:1"), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	began := time.Unix(1000, 0)
	server := func(after time.Duration, sealed bool) observation {
		return observation{at: began.Add(after), server: &state.Observation{Server: state.Server{Initialized: true, Sealed: sealed}}}
	}
	step := func(o observation) []string { return eventNames(w.step(o.at, o)) }
	assert.Empty(t, step(server(0, false)))
	across := w.fork().Step
	assert.Equal(t, []string{"vault.sealed"}, step(server(time.Second, true)))
	assert.Equal(t, []string{"vault.unsealed"}, step(server(2*time.Second, false)))
	assert.Equal(t, []string{"vault.sealed"}, step(server(3*time.Second, true)))
	access := observation{at: began.Add(4 * time.Second), access: &access{endpoint: endpointAudit, denied: true}}
	step(access)

	got := across(access.at, access, true)
	assert.Equal(t, []string{"vault.watch.gap", "vault.sealed"}, eventNames(got))
	events := got.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
	unseen, _ := events.At(0).Attributes().Get("observation.gap.duration")
	assert.InDelta(t, 3, unseen.Double(), 0)
	reconciled, _ := events.At(1).Attributes().Get("observation.reconciled")
	assert.True(t, reconciled.Bool())
	require.Equal(t, 1, got.Traces.SpanCount(), "the seal lasts")
	started := got.Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	after := server(5*time.Second, false)
	assert.Equal(t, []string{"vault.unsealed"}, step(after))
	got = across(after.at, after, false)
	assert.Equal(t, []string{"vault.unsealed"}, eventNames(got))
	ended := got.Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	assert.Equal(t, started.ParentSpanID(), ended.SpanID(), "what began in the signal ends in it")
}

func eventNames(t watch.Telemetry) (names []string) {
	for _, rl := range t.Logs.ResourceLogs().All() {
		for _, record := range rl.ScopeLogs().At(0).LogRecords().All() {
			names = append(names, record.EventName())
		}
	}
	return names
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

// Events that are refused hold up neither spans nor metrics.
func TestSpansGoOnWhileEventsAreRefused(t *testing.T) {
	vault, _ := startVault(t)
	o := observe(t, configFor(vault.Addr))
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.active"))
	o.RefuseLogs(true)
	const seals = 2
	for n := range seals {
		require.NoError(t, vault.Seal(t.Context()))
		o.Eventually(t, "the metrics know", o.HasValue(1, "vault.sealed"))
		require.NoError(t, vault.Unseal(t.Context()))
		o.Eventually(t, "its span", func() bool { return len(o.Spans(telemetry.SpanSealed)) == n+1 })
		o.Eventually(t, "the metrics know", o.HasValue(1, "vault.active"))
	}
	assert.Empty(t, o.Events("vault.sealed"))
	assert.Positive(t, o.Own(t, "otelcol_watch_queue_size", "signal", "logs"))
	assert.Zero(t, o.Own(t, "otelcol_watch_queue_size", "signal", "traces"))
	o.RefuseLogs(false)
	o.Eventually(t, "all events", func() bool { return len(o.Events("vault.sealed")) == seals })
	o.Eventually(t, "all events", func() bool { return len(o.Events("vault.unsealed")) == seals })
}

// Each signal goes on from what it has accepted when the collector is killed while events
// are refused: the spans end once, and the events report the difference.
func TestAKillWhileEventsAreRefused(t *testing.T) {
	vault, _ := startVault(t)
	folder := t.TempDir()
	o := startStored(t, configFor(vault.Addr), folder)
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.active"))
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the seal", o.HasEvent("vault.sealed"))
	o.Eventually(t, "the seal", o.HasSpan(telemetry.SpanSealed+".start"))
	o.RefuseLogs(true)
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "the unseal", o.HasSpan(telemetry.SpanSealed))
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "the second seal", func() bool { return len(o.Spans(telemetry.SpanSealed+".start")) == 2 })
	time.Sleep(time.Second) // What was accepted is stored soon.
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(folder)))
	o.Shutdown(t)

	again := startStored(t, configFor(vault.Addr), copied)
	again.Eventually(t, "it is sealed", again.HasValue(1, "vault.sealed"))
	require.NoError(t, vault.Unseal(t.Context()))
	again.Eventually(t, "the end of the second seal", again.HasSpan(telemetry.SpanSealed))
	again.Eventually(t, "the unseal", again.HasEvent("vault.unsealed"))
	started, ended := o.Spans(telemetry.SpanSealed + ".start")[1], again.Spans(telemetry.SpanSealed)
	require.Len(t, ended, 1)
	assert.Equal(t, started.ParentSpanID(), ended[0].SpanID())
	assert.Equal(t, started.StartTimestamp(), ended[0].StartTimestamp())
	assert.Empty(t, again.Spans(telemetry.SpanSealed+".start"))
	assert.Empty(t, o.Events("vault.unsealed"))
	assert.Len(t, again.Events("vault.unsealed"), 1)
}
