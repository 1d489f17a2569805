// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

// Devices write all as it is, nothing hashed, which nobody should have them do.
// Still no token, accessor, header, data or text of an error is told, logged or
// stored, whichever way it comes; but for the first bytes of a file.
func TestNoSecretOfARequestIsTold(t *testing.T) {
	vault, client := startVault(t)
	var secrets []string
	planted := func(more ...string) {
		for _, secret := range more {
			require.Greater(t, len(secret), 7, "so short a secret is told by accident")
			secrets = append(secrets, secret)
		}
	}
	logged, dir := filepath.Join(t.TempDir(), "audit.log"), t.TempDir()
	byFile := tailing(only(vault.Addr, ""), logged)
	storage, host := observedtest.FileStorage(t, dir)
	byFile.Storage = &storage
	for _, begun := range []string{logged, logged + ".1"} { // Files are known by their first bytes, which are stored.
		appendTo(t, begun, fmt.Sprintf("{%q:%q}\n", begun, strings.Repeat("x", knownBy)))
	}
	bySocket, address := listening(t, only(vault.Addr, ""))
	bySocket.Scrape = byFile.Scrape
	for _, cfg := range []*Config{byFile, bySocket} {
		cfg.Audit.Redact = []string{"planted-in-a-path"}
	}
	file, socket := observedtest.StartOn(t, host, NewFactory(), byFile), observedtest.Start(t, NewFactory(), bySocket)
	socket.Eventually(t, "it listens", socket.HasValue(0, "vault.audit.connection.count"))
	for kind, options := range map[string]map[string]string{
		"file":   {"file_path": logged},
		"socket": {"address": address, "socket_type": "tcp"},
	} {
		options["log_raw"], options["hmac_accessor"] = "true", "false"
		require.NoError(t, client.Sys().EnableAuditWithOptions(kind, &api.EnableAuditOptions{Type: kind, Options: options}))
	}
	write(t, client, "sys/config/auditing/request-headers/x-planted", map[string]any{"hmac": false})
	headed, err := client.CloneWithHeaders()
	require.NoError(t, err)
	headed.SetToken(client.Token())
	headed.SetHeaders(http.Header{"X-Planted": {"planted-header"}})
	self, err := client.Auth().Token().LookupSelf()
	require.NoError(t, err)
	planted(vault.RootToken, self.Data["accessor"].(string), "planted-header")

	// Data, of requests and of responses.
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv", Description: "planted-description"}))
	write(t, headed, "kv/planted-in-a-path", map[string]any{"planted-field": "planted-value"})
	_, err = client.Logical().ReadWithData("kv/planted-in-a-path", map[string][]string{"planted-query": {"planted-query-value"}})
	require.NoError(t, err)
	planted("planted-in-a-path", "planted-description", "planted-field", "planted-value", "planted-query")
	require.NoError(t, client.Sys().PutPolicy("app", `path "kv/planted-in-a-policy" { capabilities = ["read"] }`))
	planted("planted-in-a-policy")
	require.NoError(t, client.Sys().Mount("transit", &api.MountInput{Type: "transit"}))
	write(t, client, "transit/keys/key", nil)
	encrypted := write(t, client, "transit/encrypt/key", map[string]any{"plaintext": "cGxhbnRlZA=="})
	write(t, client, "transit/decrypt/key", map[string]any{"ciphertext": encrypted.Data["ciphertext"]})
	planted("cGxhbnRlZA", encrypted.Data["ciphertext"].(string))
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki"}))
	write(t, client, "pki/root/generate/exported", map[string]any{"common_name": "planted-authority", "key_type": "ec"})
	write(t, client, "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "generate_lease": true})
	issued := write(t, client, "pki/issue/web", map[string]any{"common_name": "planted-common-name", "ttl": "1h"})
	body := func(pem any) string { return strings.Split(pem.(string), "\n")[1] }
	planted("planted-authority", "planted-common-name", body(issued.Data["private_key"]), body(issued.Data["certificate"]), issued.LeaseID)

	// Tokens, their accessors and what they are given for.
	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	write(t, client, "auth/userpass/users/ann", map[string]any{"password": "planted-password"})
	login := write(t, client, "auth/userpass/login/ann", map[string]any{"password": "planted-password"})
	planted("planted-password", login.Auth.ClientToken, login.Auth.Accessor)
	made, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"}, TTL: "1h", Metadata: map[string]string{"m": "planted-metadata"}})
	require.NoError(t, err)
	planted(made.Auth.ClientToken, made.Auth.Accessor, "planted-metadata")
	wrapping, err := client.Clone()
	require.NoError(t, err)
	wrapping.SetToken(client.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "1h" })
	wrapped, err := wrapping.Logical().Read("kv/planted-in-a-path")
	require.NoError(t, err)
	_, err = client.Logical().Unwrap(wrapped.WrapInfo.Token)
	require.NoError(t, err)
	planted(wrapped.WrapInfo.Token, wrapped.WrapInfo.Accessor)

	// Both may be a part of a path, which Vault writes as it is.
	for _, path := range []string{
		"auth/token/lookup-accessor/" + made.Auth.Accessor, "auth/token/renew/" + made.Auth.ClientToken,
		"sys/leases/renew/" + issued.LeaseID, "kv/" + login.Auth.ClientToken,
	} {
		_, _ = client.Logical().Write(path, map[string]any{"field": "value"}) // Whether it is answered does not matter.
		again, err := os.ReadFile(logged)
		require.NoError(t, err)
		require.Contains(t, string(again), `"path":"`+path+`"`)
	}

	// What is refused, and why.
	anyone, err := client.Clone()
	require.NoError(t, err)
	anyone.SetToken(made.Auth.ClientToken)
	_, err = anyone.Logical().Write("kv/planted-in-a-path", map[string]any{"field": "planted-and-denied"})
	require.Error(t, err)
	anyone.SetToken("hvs.planted-and-invalid")
	_, err = anyone.Logical().Read("kv/planted-in-a-path")
	require.Error(t, err)
	_, err = client.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "planted-and-wrong"})
	require.Error(t, err)
	require.ErrorContains(t, client.Sys().Mount("other", &api.MountInput{Type: "planted-in-an-error"}), "planted-in-an-error")
	planted("planted-and-denied", "hvs.planted-and-invalid", "planted-and-wrong", "planted-in-an-error")

	// A request without a response waits, and is stored when the collector ends.
	written, err := os.ReadFile(logged)
	require.NoError(t, err)
	for line := range bytes.Lines(written) {
		if bytes.Contains(line, []byte(`"type":"request"`)) && bytes.Contains(line, []byte("planted-header")) {
			half := bytes.Replace(line, []byte(`"request":{`), []byte(`"request":{"id":"half-of-it",`), 1)
			require.Contains(t, string(half), "planted-value")
			appendTo(t, logged+".1", string(half))
		}
	}
	appendTo(t, logged+".1", entry("after-it", "request")+entry("after-it", "response"))
	file.Eventually(t, "it was read", file.HasSpan("read kv/", "vault.request.id", "after-it"))

	require.NoError(t, client.Sys().Unmount("pki"))
	for _, o := range []*observedtest.Receiver{file, socket} {
		o.Eventually(t, "the last", o.HasSpan("delete sys/", "vault.request.path", "sys/mounts/pki"))
		o.Eventually(t, "what is redacted", o.HasSpan("read kv/", "vault.request.path", "kv/*"))
		o.Eventually(t, "what is denied", o.HasSpan("update kv/", "error.type", "permission_denied"))
		o.Shutdown(t)
		o.RequireNotTold(t, secrets...)
	}

	written, err = os.ReadFile(logged)
	require.NoError(t, err)
	stored := readAll(t, dir)
	assert.Contains(t, stored, "half-of-it")
	for _, secret := range secrets {
		assert.Contains(t, string(written), secret, "it was not sent, so nothing is shown")
		if strings.Contains(stored, secret) {
			t.Errorf("the storage holds a secret that ends with …%s", secret[len(secret)-3:])
		}
	}
}

// readAll returns the content of all files of a folder.
func readAll(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(content)
	}
	return all.String()
}
