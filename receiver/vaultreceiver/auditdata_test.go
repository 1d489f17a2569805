// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

// What a mount has not hashed is plain, all else is a hash, and what is not named
// is not there at all.
func TestNamedFieldsOfDataOfARealVault(t *testing.T) {
	vault, client := startVault(t)
	cfg, address := listening(t, only(vault.Addr, ""))
	cfg.Audit.Data = []string{"common_name", "alt_names", "serial_number", "expiration", "ca_chain", "absent", "region", "note", "size", "active", "inner"}
	o := observe(t, cfg, vault.RootToken)
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki", Config: api.MountConfigInput{
		AuditNonHMACRequestKeys: []string{"common_name"}, AuditNonHMACResponseKeys: []string{"serial_number"},
	}}))
	write(t, client, "pki/root/generate/internal", map[string]any{"common_name": "authority", "key_type": "ec"})
	write(t, client, "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec"})
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv", Config: api.MountConfigInput{
		AuditNonHMACRequestKeys: []string{"region", "planted-plain"}, AuditNonHMACResponseKeys: []string{"region"},
	}}))
	sendAudit(t, client, address)

	issued := write(t, client, "pki/issue/web", map[string]any{"common_name": "app.example.com", "alt_names": "planted.example.com", "ttl": "1h"})
	o.Eventually(t, "the certificate", o.HasEvent("vault.audit.response", "vault.request.path", "pki/issue/web"))
	asked := o.Events("vault.audit.request", "vault.request.path", "pki/issue/web")[0].Attributes().AsRaw()
	answered := o.Events("vault.audit.response", "vault.request.path", "pki/issue/web")[0].Attributes().AsRaw()
	data := asked["vault.request.data"].(map[string]any)
	assert.Equal(t, "app.example.com", data["common_name"])
	assert.Regexp(t, "^hmac-sha256:[0-9a-f]{64}$", data["alt_names"])
	assert.Len(t, data, 2)
	assert.Equal(t, data, answered["vault.request.data"])
	assert.NotContains(t, asked, "vault.response.data")
	number, err := issued.Data["expiration"].(interface{ Int64() (int64, error) }).Int64()
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"serial_number": issued.Data["serial_number"], "expiration": number}, answered["vault.response.data"])

	// As a token by mistake.
	token := "hvs." + strings.Repeat("planted", 4)
	write(t, client, "kv/a", map[string]any{
		"region": "eu " + token, "note": "planted-note", "size": 7, "active": true, "inner": map[string]any{"region": "planted-inner"}, "planted-plain": "planted-value",
	})
	_, err = client.Logical().Read("kv/a")
	require.NoError(t, err)
	o.Eventually(t, "the secret", o.HasEvent("vault.audit.response", "vault.request.path", "kv/a", "vault.request.operation", "read"))
	written := o.Events("vault.audit.request", "vault.request.path", "kv/a", "vault.request.operation", "create")[0].Attributes().AsRaw()["vault.request.data"].(map[string]any)
	assert.Equal(t, "eu hvs.*", written["region"])
	assert.Regexp(t, "^hmac-sha256:", written["note"])
	assert.Equal(t, true, written["active"])
	assert.NotContains(t, written, "inner")
	assert.Regexp(t, "^hmac-sha256:", written["size"], "numbers of a request are texts to Vault")
	read := o.Events("vault.audit.response", "vault.request.path", "kv/a", "vault.request.operation", "read")[0].Attributes().AsRaw()["vault.response.data"].(map[string]any)
	assert.Equal(t, "eu hvs.*", read["region"])
	assert.Equal(t, written["note"], read["note"], "the same text has the same hash")
	o.RequireNotTold(t, token, "planted.example.com", "planted-note", "planted-inner", "planted-plain", "planted-value", vault.RootToken)
}

func TestNamedFieldsOfDataThatIsPosted(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	cfg.Audit.Data = []string{"common_name"}
	o := observe(t, cfg)
	d := newDevice(t, uri)
	d.listens(t, o)
	for _, line := range recording(t) {
		d.require(t, http.StatusNoContent, string(line))
	}
	o.Eventually(t, "the certificate", o.HasEvent("vault.audit.request", "vault.request.path", "pki/issue/web"))
	asked := o.Events("vault.audit.request", "vault.request.path", "pki/issue/web")[0].Attributes().AsRaw()
	assert.Equal(t, map[string]any{"common_name": "hmac-sha256:70573d03194d26ae68c9f5b401cabb4e34c97d0f49451e5810889798dea5dcf3"}, asked["vault.request.data"])
}

// What waits in the storage was named; what is not named any more is not told.
func TestDataThatWaitsOverARestart(t *testing.T) {
	path, dir := filepath.Join(t.TempDir(), "audit.log"), t.TempDir()
	storage, host := observedtest.FileStorage(t, dir)
	begin := func(names ...string) *observedtest.Receiver {
		cfg := tailing(only("http://127.0.0.1:1", ""), path)
		cfg.Storage, cfg.Audit.Data = &storage, names
		return observedtest.StartOn(t, host, NewFactory(), cfg)
	}
	half := strings.Replace(entry("half-of-it", "request"), `"id"`, `"data":{"first":"a","second":"b","third":"planted-third"},"id"`, 1)
	appendTo(t, path, fmt.Sprintf("{%q:0}\n", strings.Repeat("x", knownBy))+half+entry("after-it", "request")+entry("after-it", "response"))
	o := begin("first", "second")
	o.Eventually(t, "it was read", o.HasSpan("read kv/", "vault.request.id", "after-it"))
	o.Shutdown(t)
	stored := readAll(t, dir)
	assert.Contains(t, stored, `"Name":"second"`)
	assert.NotContains(t, stored, "third")

	o = begin("first")
	appendTo(t, path, entry("half-of-it", "response"))
	o.Eventually(t, "the other half", o.HasEvent("vault.audit.request", "vault.request.id", "half-of-it"))
	assert.Equal(t, map[string]any{"first": "a"}, o.Events("vault.audit.request", "vault.request.id", "half-of-it")[0].Attributes().AsRaw()["vault.request.data"])
}
