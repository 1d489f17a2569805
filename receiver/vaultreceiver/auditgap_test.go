// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// gapsOf returns the times in which entries may have been lost.
func gapsOf(t *testing.T, o *observedtest.Receiver, reason string) (gaps []auditGap) {
	t.Helper()
	for _, event := range o.Events("vault.audit.gap", "vault.audit.gap.reason", reason) {
		seconds, ok := event.Attributes().Get("observation.gap.duration")
		require.True(t, ok)
		until := event.Timestamp().AsTime()
		gaps = append(gaps, auditGap{until.Add(-time.Duration(seconds.Double() * float64(time.Second))), until})
	}
	return gaps
}

// Each time it is restarted, all that it has not told lies between the beginning
// of the gap and its end, which is the first entry that comes again.
func TestARestartOfTheSocketIsAGap(t *testing.T) {
	cfg, address := listening(t, only("http://127.0.0.1:1", ""))
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	send := func(o *observedtest.Receiver, request string) {
		o.Eventually(t, "it listens", o.HasValue(0, "vault.audit.connection.count"))
		conn := dial(t, "tcp", address)
		_, err := io.WriteString(conn, entry(request, "request")+entry(request, "response"))
		require.NoError(t, err)
		o.Eventually(t, "the exchange", o.HasSpan("read kv/", "vault.request.id", request))
		require.NoError(t, conn.Close())
	}

	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	send(first, "a")
	told := time.Now()
	first.Shutdown(t)
	assert.Empty(t, first.Events("vault.audit.gap"), "of no earlier process is anything known")

	// To one that ends before anything comes nothing is told.
	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	second.Eventually(t, "it listens", second.HasValue(0, "vault.audit.connection.count"))
	require.NoError(t, dial(t, "tcp", address).Close())
	second.Shutdown(t)
	assert.Empty(t, second.Events("vault.audit.gap"))

	third := observedtest.StartOn(t, host, NewFactory(), cfg)
	again := time.Now()
	send(third, "b")
	third.Eventually(t, "the gap", third.HasEvent("vault.audit.gap"))
	third.Shutdown(t)
	gaps := gapsOf(t, third, "restart")
	require.Len(t, gaps, 1)
	assert.WithinRange(t, told, gaps[0].from, gaps[0].until)
	assert.WithinRange(t, gaps[0].until, again, time.Now())

	// One that is not told is part of the next.
	fourth := observedtest.StartOn(t, host, NewFactory(), cfg)
	fourth.Eventually(t, "it listens", fourth.HasValue(0, "vault.audit.connection.count"))
	fourth.Refuse(true)
	conn := dial(t, "tcp", address)
	_, err := io.WriteString(conn, entry("c", "request")+entry("c", "response"))
	require.NoError(t, err)
	fourth.Eventually(t, "it came", fourth.HasValue(2, auditEntries, auditOutcome, "accepted"))
	refused := time.Now()
	fourth.Shutdown(t)
	require.Empty(t, fourth.Events("vault.audit.gap"))
	fifth := observedtest.StartOn(t, host, NewFactory(), cfg)
	send(fifth, "d")
	fifth.Eventually(t, "the gap", fifth.HasEvent("vault.audit.gap"))
	fifth.Shutdown(t)
	more := gapsOf(t, fifth, "restart")
	require.Len(t, more, 1)
	assert.WithinRange(t, refused, more[0].from, more[0].until)
	assert.False(t, more[0].from.Before(gaps[0].until.Add(-time.Millisecond)), "what was told is not told again")
}

func TestWithoutStorageNoGapIsKnown(t *testing.T) {
	g := newAuditGaps(&watcher{cfg: only("http://127.0.0.1:1", "")})
	g.listens(t.Context(), time.Now())
	g.came()
	assert.Empty(t, g.found)
	assert.Nil(t, g.heard)
}

// Whoever else connects says nothing of what Vault has sent.
func TestAGapEndsWithAnEntry(t *testing.T) {
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	w.audit.gaps.since = time.Now().Add(-time.Minute)
	var reader audit.Reader
	for _, line := range []string{"GET / HTTP/1.1", "", "{}"} {
		w.audit.take(&reader, []byte(line))
		assert.Empty(t, w.audit.gaps.found, line)
	}
	w.audit.take(&reader, []byte(entry("a", "request")))
	require.Len(t, w.audit.gaps.found, 1)
	assert.Equal(t, w.audit.gaps.since, (<-w.audit.gaps.found).from)
	w.audit.take(&reader, []byte(entry("a", "response")))
	assert.Empty(t, w.audit.gaps.found, "there is only one")
}

// A connection that is reset takes with it what was on its way.
func TestAConnectionThatIsResetIsAGap(t *testing.T) {
	cfg, address := listening(t, only("http://127.0.0.1:1", ""))
	o := observe(t, cfg)
	o.Eventually(t, "it listens", o.HasValue(0, "vault.audit.connection.count"))
	now := time.Now().Format(time.RFC3339Nano)
	send := func(id string) net.Conn {
		conn := dial(t, "tcp", address)
		_, err := io.WriteString(conn, strings.ReplaceAll(entry(id, "request")+entry(id, "response"), "2026-01-02T03:04:05.5Z", now))
		require.NoError(t, err)
		o.Eventually(t, "the exchange", o.HasSpan("read kv/", "vault.request.id", id))
		return conn
	}
	require.NoError(t, send("a").Close())
	o.Eventually(t, "it ended", o.HasValue(0, "vault.audit.connection.count"))
	assert.Empty(t, o.Events("vault.audit.gap"), "it ended in order")

	conn := send("b")
	require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
	lost := time.Now()
	require.NoError(t, conn.Close())
	o.Eventually(t, "the gap", o.HasEvent("vault.audit.gap"))
	gaps := gapsOf(t, o, "connection")
	require.Len(t, gaps, 1)
	assert.WithinRange(t, lost, gaps[0].from, gaps[0].until)
}

// Load balancers and monitors that only look whether somebody listens end so.
func TestAConnectionThatBroughtNothingIsNoGap(t *testing.T) {
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	socket, err := w.audit.listen(t.Context())
	require.NoError(t, err)
	defer socket.close()
	for sent, gap := range map[string]bool{"": false, "x": true, entry("a", "request"): true} {
		device := dial(t, "tcp", socket.listener.Addr().String()).(*net.TCPConn)
		conn, err := socket.listener.Accept()
		require.NoError(t, err)
		sendAll(t, device, sent)
		require.NoError(t, device.SetLinger(0))
		require.NoError(t, device.Close())
		require.True(t, socket.admit(conn))
		socket.read(conn)
		assert.Equal(t, gap, w.audit.gaps.takeResets() != auditGap{}, "%q", sent)
	}
}

// What is in the queue, and halves that wait, are not told yet.
func TestUntilWhenAllIsTold(t *testing.T) {
	base, err := watch.NewBase(receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	g := newAuditGaps(&watcher{Base: base})
	begun := time.Unix(1000, 0)
	after := func(seconds float64) time.Time { return begun.Add(time.Duration(seconds * float64(time.Second))) }
	look := func(at float64, queued int, oldest time.Time) float64 {
		g.look(t.Context(), after(at), queued, func() time.Time { return oldest })
		return g.heard.Until().Sub(begun).Seconds()
	}
	none := time.Time{}
	g.look(t.Context(), begun, 0, nil)
	require.Nil(t, g.heard, "the gap is not told yet, or there is no socket")

	g.told(t.Context(), auditGap{until: begun})
	assert.InDelta(t, 0, look(1, 0, none), 0)
	g.taken = 5
	assert.InDelta(t, 0, look(2, 3, none), 0, "three are in the queue")
	g.taken = 8
	assert.InDelta(t, 0, look(2.5, 9, none), 0, "it is too early for another look")
	assert.InDelta(t, 1, look(3, 9, none), 0, "they are out of it")
	g.taken = 17
	assert.InDelta(t, 1.5, look(4, 0, after(1.5)), 0, "half of one waits")
	assert.InDelta(t, 1.5, look(5, 0, after(1.5)), 0)
	assert.InDelta(t, 5, look(6, 0, none), 0, "it waits no more")
}

// OpenBao is told that it was taken, and then the collector was restarted.
func TestARestartOfTheServerIsAGap(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	id, host := observedtest.FileStorage(t, t.TempDir())
	cfg.Storage = &id
	device := newDevice(t, uri)
	post := func(o *observedtest.Receiver, request string) {
		device.listens(t, o)
		device.require(t, http.StatusNoContent, entry(request, "request"))
		device.require(t, http.StatusNoContent, entry(request, "response"))
		o.Eventually(t, "the exchange", o.HasSpan("read kv/", "vault.request.id", request))
	}
	first := observedtest.StartOn(t, host, NewFactory(), cfg)
	post(first, "a")
	told := time.Now()
	first.Shutdown(t)
	assert.Empty(t, first.Events("vault.audit.gap"))

	second := observedtest.StartOn(t, host, NewFactory(), cfg)
	post(second, "b")
	second.Eventually(t, "the gap", second.HasEvent("vault.audit.gap"))
	second.Shutdown(t)
	gaps := gapsOf(t, second, "restart")
	require.Len(t, gaps, 1)
	assert.WithinRange(t, told, gaps[0].from, gaps[0].until)
}
