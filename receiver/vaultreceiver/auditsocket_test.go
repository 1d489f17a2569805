// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

const (
	callerTrace  = "0af7651916cd43dd8448eb211c80319c"
	callerSpan   = "b7ad6b7169203331"
	traceparent  = "00-" + callerTrace + "-" + callerSpan + "-01"
	auditEntries = "vault.audit.entries"
	auditOutcome = "vault.audit.outcome"
)

// listening returns a configuration with a socket, which tests dial.
func listening(t *testing.T, cfg *Config) (*Config, string) {
	t.Helper()
	var address string
	require.NoError(t, lab.OnFreePorts(t.Context(), 1, func(ports []int) error {
		address = fmt.Sprintf("127.0.0.1:%d", ports[0])
		return nil
	}))
	cfg.Audit.Socket.GetOrInsertDefault().Endpoint = address
	return cfg, address
}

// sendAudit has Vault send to the socket what is asked of it, and beside it to a
// file, as anybody should.
func sendAudit(t *testing.T, client *api.Client, address string) {
	t.Helper()
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": filepath.Join(t.TempDir(), "audit.log")},
	}))
	require.NoError(t, client.Sys().EnableAuditWithOptions("otelcol", &api.EnableAuditOptions{
		Type: "socket", Options: map[string]string{"address": address, "socket_type": "tcp"},
	}))
	write(t, client, "sys/config/auditing/request-headers/traceparent", map[string]any{"hmac": false})
}

// inTrace returns a client in the caller's trace.
func inTrace(t *testing.T, client *api.Client) *api.Client {
	t.Helper()
	traced, err := client.CloneWithHeaders()
	require.NoError(t, err)
	traced.SetToken(client.Token())
	traced.SetHeaders(http.Header{"Traceparent": {traceparent}})
	return traced
}

func TestRequestsAreSpansInTheirCallersTrace(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, only(vault.Addr, ""))
	o := observe(t, cfg, vault.RootToken)
	sendAudit(t, client, address)
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))
	write(t, inTrace(t, client), "kv/planted-key", map[string]any{"planted-field": "planted-value"})
	o.Eventually(t, "the span", o.HasSpan("create kv/"))
	span := o.Spans("create kv/")[0]
	assert.Equal(t, callerTrace, span.TraceID().String())
	assert.Equal(t, callerSpan, span.ParentSpanID().String())
	assert.Equal(t, ptrace.SpanKindServer, span.Kind())
	assert.Equal(t, ptrace.StatusCodeUnset, span.Status().Code())
	assert.Greater(t, span.EndTimestamp(), span.StartTimestamp())
	assert.Subset(t, span.Attributes().AsRaw(), map[string]any{
		"vault.request.operation": "create", "vault.request.path": "kv/planted-key", "vault.mount.path": "kv/", "vault.mount.type": "kv",
		"client.address": "127.0.0.1", "vault.auth.allowed": true,
	})
	for _, name := range []string{"vault.audit.request", "vault.audit.response"} {
		o.Eventually(t, name, o.HasEvent(name, "vault.mount.path", "kv/"))
		event := o.Events(name, "vault.mount.path", "kv/")[0]
		assert.Equal(t, span.TraceID(), event.TraceID())
		assert.Equal(t, span.SpanID(), event.SpanID())
	}

	nobody := inTrace(t, client)
	nobody.SetToken("hvs.planted-token")
	_, err := nobody.Logical().Read("kv/planted-key")
	require.Error(t, err)
	o.Eventually(t, "the denial", o.HasSpan("read kv/", "error.type", "invalid_token"))
	denied := o.Spans("read kv/", "error.type", "invalid_token")[0]
	assert.Equal(t, ptrace.StatusCodeError, denied.Status().Code())
	o.RequireNotTold(t, "planted-field", "planted-value", "planted-token", vault.RootToken)
}

func TestATraceOfTheCallerCanBeLinkedOrIgnored(t *testing.T) {
	vault, client := startVault(t)
	linked, there := listening(t, only(vault.Addr, ""))
	linked.Audit.Trust = "link"
	linked.Audit.Redact = []string{`[^/]+/$`}
	ignored, here := listening(t, only(vault.Addr, ""))
	ignored.Audit.Trust = "ignore"
	first, second := observe(t, linked), observe(t, ignored)
	sendAudit(t, client, there)
	require.NoError(t, client.Sys().EnableAuditWithOptions("second", &api.EnableAuditOptions{
		Type: "socket", Options: map[string]string{"address": here, "socket_type": "tcp"},
	}))
	_, err := inTrace(t, client).Logical().List("sys/policies/acl")
	require.NoError(t, err)
	first.Eventually(t, "the span", first.HasSpan("list sys/"))
	span := first.Spans("list sys/")[0]
	assert.NotEqual(t, callerTrace, span.TraceID().String())
	assert.True(t, span.ParentSpanID().IsEmpty())
	require.Equal(t, 1, span.Links().Len())
	assert.Equal(t, callerTrace, span.Links().At(0).TraceID().String())
	path, _ := span.Attributes().Get("vault.request.path")
	assert.Equal(t, "sys/policies/*", path.Str(), "redacted")

	second.Eventually(t, "the span", second.HasSpan("list sys/"))
	again := second.Spans("list sys/")[0]
	assert.Equal(t, span.TraceID(), again.TraceID(), "two that see the same make the same")
	assert.Equal(t, span.SpanID(), again.SpanID())
	assert.Zero(t, again.Links().Len())
}

// The receiver's own requests are left out, or it would watch itself for ever.
func TestOwnRequestsAreLeftOut(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, only(vault.Addr, tokenFor(t, client, policyOf(t, "Mounts"))))
	cfg.Mounts.Enabled = true
	o := observe(t, cfg)
	sendAudit(t, client, address)
	o.Eventually(t, "own entries", func() bool { n, ok := o.Value(auditEntries, auditOutcome, "own"); return ok && n > 10 })
	_, err := client.Sys().ListAuth()
	require.NoError(t, err)
	o.Eventually(t, "the request of another", o.HasSpan("read sys/", "vault.request.path", "sys/auth"))
	assert.Len(t, o.Spans("read sys/", "vault.request.path", "sys/auth"), 1)
	assert.Empty(t, o.Spans("read sys/", "vault.request.path", "sys/mounts"))
}

// A standby passes requests on to the active node, and whichever node writes them,
// each is told once.
func TestAForwardedRequestIsToldOnce(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3})
	active := leaderOf(t, vault, -1)
	client, err := vault.Client(active)
	require.NoError(t, err)
	cfg, address := listening(t, only(vault.Addrs[active], ""))
	o := observe(t, cfg, vault.RootToken)
	sendAudit(t, client, address)
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))
	ask := func(by string, i int) {
		asked := mustClient(t, vault, i)
		o.Eventually(t, "it knows to whom to pass on", func() bool {
			said, err := asked.Sys().LeaderWithContext(t.Context())
			return err == nil && said.LeaderAddress == vault.Addrs[active]
		})
		for n := range 10 {
			path := fmt.Sprint("kv/", by, "-", n)
			write(t, inTrace(t, asked), path, map[string]any{"field": "value"})
			o.Eventually(t, path, o.HasSpan("create kv/", "vault.request.path", path))
		}
	}
	ask("standby", (active+1)%3)
	require.NoError(t, vault.StepDown(t.Context()))
	active = leaderOf(t, vault, active)
	ask("another-standby", (active+1)%3)
	ask("active", active)
	told := map[string]int{}
	for _, span := range o.Spans("create kv/") {
		assert.Equal(t, callerTrace, span.TraceID().String())
		assert.False(t, half(span))
		path, _ := span.Attributes().Get("vault.request.path")
		told[path.Str()]++
	}
	assert.Len(t, told, 30)
	for path, spans := range told {
		assert.Equal(t, 1, spans, path)
	}
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func entry(id, kind string) string {
	return fmt.Sprintf(`{"type":%q,"time":"2026-01-02T03:04:05.5Z","request":{"id":%q,"operation":"read","path":"kv/a","mount_point":"kv/","mount_type":"kv"}}`, kind, id) + "\n"
}

func TestWhateverIsSentToTheSocket(t *testing.T) {
	for _, transport := range []confignet.TransportType{confignet.TransportTypeTCP, confignet.TransportTypeUnix} {
		t.Run(string(transport), func(t *testing.T) {
			cfg, address := listening(t, only("http://127.0.0.1:1", ""))
			socket := cfg.Audit.Socket.Get()
			if socket.Transport = transport; transport == confignet.TransportTypeUnix {
				address = filepath.Join(t.TempDir(), "audit.sock")
				socket.Endpoint = address
			}
			socket.Connections = 10
			cfg.Audit.LongestLine = 100_000
			o := observe(t, cfg)
			count := func(outcome string) func(int64) func() bool {
				return func(want int64) func() bool { return o.HasValue(want, auditEntries, auditOutcome, outcome) }
			}
			send := func(what string) {
				conn := dial(t, string(transport), address)
				_, err := io.WriteString(conn, what)
				require.NoError(t, err)
				require.NoError(t, conn.Close())
			}
			o.Eventually(t, "it listens", count("accepted")(0))
			send("\x00\xff garbage\n\n{}\n" + strings.Repeat("[", 50_000) + "\n")
			o.Eventually(t, "garbage", count("malformed")(4))
			send(strings.Repeat("x", 5_000_000) + "\n" + entry("a", "request"))
			o.Eventually(t, "a line that is too long, and the next one", count("too_long")(1))
			send(entry("a", "response") + entry("b", "request")[:50])
			o.Eventually(t, "half a line", count("cut")(1))
			o.Eventually(t, "the exchange", o.HasSpan("read kv/", "vault.request.id", "a"))
			send(entry("a", "request") + entry("a", "response"))
			o.Eventually(t, "what was told already", count("repeated")(2))
			o.Eventually(t, "all are closed", o.HasValue(0, "vault.audit.connection.count"))

			for range 10 {
				dial(t, string(transport), address)
			}
			o.Eventually(t, "as many as may be", o.HasValue(10, "vault.audit.connection.count"))
			one := dial(t, string(transport), address)
			_, err := one.Read(make([]byte, 1))
			require.Error(t, err, "one more is closed")
			o.Eventually(t, "that is said", func() bool { return strings.Contains(o.Trouble(), "audit::socket::connections") })
		})
	}
}

// A socket of Unix that is left of a process that was killed is taken over; one that
// somebody listens at is not.
func TestASocketOfAnotherIsNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.sock")
	cfg := only("http://127.0.0.1:1", "")
	socket := cfg.Audit.Socket.GetOrInsertDefault()
	socket.Transport, socket.Endpoint = confignet.TransportTypeUnix, path
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	first, err := w.audit.listen(t.Context())
	require.NoError(t, err)
	_, err = w.audit.listen(t.Context())
	require.ErrorContains(t, err, "audit::socket::endpoint "+path+" cannot be listened on, is another collector there?")
	require.NoError(t, dial(t, "unix", path).Close(), "the first still listens")

	first.listener.(*net.UnixListener).SetUnlinkOnClose(false)
	first.close()
	require.FileExists(t, path)
	second, err := w.audit.listen(t.Context())
	require.NoError(t, err)
	second.close()

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = w.audit.listen(t.Context())
	require.ErrorContains(t, err, "cannot be listened on", "only a socket is removed")
	require.FileExists(t, path)
}

func TestWhatWasAcceptedIsToldAtShutdown(t *testing.T) {
	cfg, address := listening(t, only("http://127.0.0.1:1", ""))
	o := observedtest.Start(t, NewFactory(), cfg)
	var conn net.Conn
	o.Eventually(t, "it listens", func() (ok bool) { var err error; conn, err = net.Dial("tcp", address); return err == nil })
	defer func() { _ = conn.Close() }()
	_, err := io.WriteString(conn, entry("a", "request")+entry("a", "response")+entry("b", "request"))
	require.NoError(t, err)
	o.Eventually(t, "the first", o.HasSpan("read kv/", "vault.request.id", "a"))
	o.Shutdown(t)
	half := o.Spans("read kv/", "vault.request.id", "b")
	require.Len(t, half, 1)
	said, _ := half[0].Attributes().Get("vault.request.half")
	assert.Equal(t, "request", said.Str())
}

// Entries that come again and again make nothing to tell, and hold up nobody.
func TestTheQueueIsTakenInPieces(t *testing.T) {
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	var spans countingSpans
	w.Delivery().Traces = &spans
	for range 2*entriesAtOnce + 1 {
		require.True(t, w.audit.offer(&audit.Entry{Kind: audit.Request, ID: "a"}))
	}
	require.True(t, w.audit.offer(&audit.Entry{Kind: audit.Response, ID: "a"}))
	got := w.audit.gather(audited{}, nil)
	assert.True(t, got.empty())
	assert.Len(t, w.audit.queue, entriesAtOnce+2)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.audit.run(ctx)
	assert.Empty(t, w.audit.queue)
	assert.EqualValues(t, 1, spans.spans.Load(), "what was accepted is told at shutdown")
}

// slowSpans is a consumer that has not taken what it is given by when the
// receiver is to end, and takes it then unless it is cut off.
type slowSpans struct {
	countingSpans

	begun chan struct{} // once
	end   <-chan struct{}
}

func (c *slowSpans) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	select {
	case c.begun <- struct{}{}:
	default:
	}
	<-c.end
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.countingSpans.ConsumeTraces(ctx, traces)
}

func TestShutdownDoesNotCutOffWhatIsBeingTold(t *testing.T) {
	cfg, _ := listening(t, only("http://127.0.0.1:1", ""))
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	slow := &slowSpans{begun: make(chan struct{}, 1), end: ctx.Done()}
	w.Delivery().Traces = slow
	run := make(chan struct{})
	go func() { defer close(run); w.audit.run(ctx) }()
	var reader audit.Reader
	for _, kind := range []string{"request", "response"} {
		w.audit.take(&reader, []byte(entry("a", kind)))
	}
	<-slow.begun
	cancel()
	<-run
	assert.Empty(t, w.audit.untold)
	assert.EqualValues(t, 1, slow.spans.Load())
}

// A pipeline that takes nothing costs entries, never Vault's time.
func TestASlowPipelineCostsEntries(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, only(vault.Addr, ""))
	cfg.Audit.Queue = 50
	o := observe(t, cfg)
	sendAudit(t, client, address)
	o.Refuse(true)
	const requests = 2000
	for range requests {
		_, err := client.Sys().ListPolicies()
		require.NoError(t, err)
	}
	const sent = 2*requests + 3 // with what sendAudit has asked for since the device was there
	var dropped int64
	o.Eventually(t, "all that was sent is dropped or not", func() bool {
		accepted, _ := o.Value(auditEntries, auditOutcome, "accepted")
		dropped, _ = o.Value(auditEntries, auditOutcome, "dropped")
		return accepted+dropped >= sent
	})
	assert.Greater(t, dropped, int64(1000))
	o.Refuse(false)
	o.Eventually(t, "events say it", func() bool {
		told := int64(0)
		for _, event := range o.Events("vault.audit.dropped") {
			count, _ := event.Attributes().Get("vault.audit.count")
			told += count.Int()
		}
		return told == dropped
	})
	assert.LessOrEqual(t, len(o.Events("vault.audit.dropped")), 2, "the one that was refused, and one for all since")
	assert.True(t, o.HasValue(dropped, auditEntries, auditOutcome, "dropped")(), "as the metric has it")
}
