// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

func complains(o *observedtest.Receiver, of string) func() bool {
	return func() bool { return strings.Contains(o.Trouble(), of) }
}

func isWell(o *observedtest.Receiver, with string) func() bool {
	return func() bool { return !strings.Contains(o.Trouble(), with) }
}

// What a device with a prefix sends is no entry, wherever it comes.
func TestThatNoEntriesComeIsSaid(t *testing.T) {
	for source, start := range map[string]func(*testing.T) (*observedtest.Receiver, func(line string)){
		conditionSocket: func(t *testing.T) (*observedtest.Receiver, func(string)) {
			cfg, address := listening(t, only("http://127.0.0.1:1", ""))
			o := observe(t, cfg)
			listens(t, o, conditionSocket, address)
			conn := dial(t, "tcp", address)
			return o, func(line string) { sendAll(t, conn, line) }
		},
		conditionHTTP: func(t *testing.T) (*observedtest.Receiver, func(string)) {
			cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
			o := observe(t, cfg)
			listens(t, o, conditionHTTP, strings.TrimPrefix(uri, "http://"))
			d := newDevice(t, uri)
			return o, func(line string) {
				_, _, err := d.post([]byte(line))
				require.NoError(t, err)
			}
		},
		conditionFile: func(t *testing.T) (*observedtest.Receiver, func(string)) {
			path := filepath.Join(t.TempDir(), "audit.log")
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			return observe(t, tailing(only("http://127.0.0.1:1", ""), path)), func(line string) { appendTo(t, path, line) }
		},
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			o, send := start(t)
			send("prefix " + entry("a", "request"))
			o.Eventually(t, "the condition", complains(o, "what comes to "+source+" is no audit entry: vault's device must have format=json and no prefix"))
			assert.Equal(t, 1, o.Warnings("entries of "+source))
			send(entry("a", "request"))
			o.Eventually(t, "its end", isWell(o, "entries of "+source))
			o.RequireNotTold(t, "prefix {")
		})
	}
}

// listens waits until the receiver has said so.
func listens(t *testing.T, o *observedtest.Receiver, source, address string) {
	t.Helper()
	said := o.Log.FilterLevelExact(zap.InfoLevel).FilterMessage("listening for Vault's audit devices").FilterField(zap.String("setting", source))
	require.Equal(t, 1, said.Len())
	assert.Equal(t, address, said.All()[0].ContextMap()["address"])
}

func TestWhatIsWrongWithFilesIsSaid(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "audit.log")
	missing := observe(t, tailing(only("http://127.0.0.1:1", ""), none))
	shut := filepath.Join(t.TempDir(), "audit.log")
	listener, err := net.Listen("unix", shut) // which nobody can open, not even root
	require.NoError(t, err)
	denied := observe(t, tailing(only("http://127.0.0.1:1", ""), shut))
	missing.Eventually(t, "that there is none", complains(missing, "audit::file::include matches no file: check its paths"))
	denied.Eventually(t, "that it cannot be opened", complains(denied, "1 of the files that audit::file::include matches cannot be read: have the collector run as vault's user"))
	require.NoError(t, listener.Close())
	for _, path := range []string{none, shut} {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	missing.Eventually(t, "there is one", isWell(missing, "audit::file"))
	denied.Eventually(t, "it can be opened", isWell(denied, "audit::file"))
}

func TestAHashedTraceparentIsSaid(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, only(vault.Addr, ""))
	o := observe(t, cfg, vault.RootToken)
	sendAudit(t, client, address)
	set := func(hmac bool) {
		write(t, client, "sys/config/auditing/request-headers/traceparent", map[string]any{"hmac": hmac})
		_, err := inTrace(t, client).Sys().ListPolicies()
		require.NoError(t, err)
	}
	set(true)
	const way = "the header traceparent is audited with hmac, so no request is in its caller's trace: run vault write sys/config/auditing/request-headers/traceparent hmac=false"
	o.Eventually(t, "the condition", complains(o, way))
	set(false)
	o.Eventually(t, "its end", isWell(o, way))
}

// With its probe, Vault tries a device that is enabled. Who enables one at the path
// that the probe names is told.
func TestTheProbeOfADeviceIsNotTold(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, only(vault.Addr, ""))
	cfg.Audit.OwnRequests = true
	o := observe(t, cfg, vault.RootToken)
	sendAudit(t, client, address)
	o.Eventually(t, "the probe", o.HasValue(1, auditEntries, auditOutcome, "probe"))
	require.NoError(t, client.Sys().EnableAuditWithOptions("test", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": filepath.Join(t.TempDir(), "audit.log")},
	}))
	o.Eventually(t, "who enables one", o.HasSpan("update sys/", "vault.request.path", "sys/audit/test"))
	o.Shutdown(t)
	assert.Empty(t, o.Spans("update"))
	assert.True(t, o.HasValue(1, auditEntries, auditOutcome, "probe")())
}
