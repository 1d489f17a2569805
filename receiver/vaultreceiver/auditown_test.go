// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
)

func TestOnlyWhatReceiversAskIsOwn(t *testing.T) {
	s := &auditStream{login: "auth/team/approle/login"}
	kv, pki, system, token := audit.Mount{Path: "kv/", Type: "kv"}, audit.Mount{Path: "ca/web/", Type: "pki"}, audit.Mount{Path: "sys/", Type: "system"},
		audit.Mount{Path: "auth/token/", Type: "token"}
	approle := audit.Mount{Path: "auth/team/approle/", Type: "approle"}
	for _, tc := range []struct {
		operation, path string
		mount           audit.Mount
		own             bool
	}{
		{"read", "sys/mounts", system, true},
		{"read", "sys/policies/acl/web", system, true},
		{"list", "sys/policies/acl/", system, true},
		{"list", "sys/policies/acl", system, true},
		{"list", "sys/leases/lookup/auth/token/", system, true},
		{"update", "sys/leases/lookup", system, true},
		{"update", "auth/token/lookup-accessor", token, true},
		{"update", "auth/token/renew-self", token, true},
		{"list", "ca/web/certs/revoked", pki, true},
		{"read", "ca/web/cert/11-22", pki, true},
		{"read", "ca/web/issuer/9f8/crl", pki, true},
		{"update", "auth/team/approle/login", approle, true},

		{"update", "sys/policies/acl/web", system, false},
		{"delete", "sys/policies/acl/web", system, false},
		{"update", "sys/mounts", system, false},
		{"read", "sys/mounts/kv/tune", system, false},
		{"read", "sys/raw/core", system, false},
		{"update", "sys/leases/revoke", system, false},
		{"update", "auth/token/create", token, false},
		{"read", "kv/sys/mounts", kv, false},
		{"read", "kv/cert/a", kv, false},
		{"update", "ca/web/issue/web", pki, false},
		{"update", "ca/web/roles/web", pki, false},
		{"update", "auth/other/login", audit.Mount{Path: "auth/other/", Type: "approle"}, false},
		{"update", "auth/team/approle/role/x/secret-id", approle, false},
		{"", "", audit.Mount{}, false},
	} {
		e := &audit.Entry{Operation: tc.operation, Path: tc.path, Mount: tc.mount, UserAgent: userAgent}
		assert.Equal(t, tc.own, s.own(e), "%s %s", tc.operation, tc.path)
		e.UserAgent = "curl/8"
		assert.False(t, s.own(e), "%s %s of another", tc.operation, tc.path)
	}
	assert.False(t, (&auditStream{}).own(&audit.Entry{Operation: "update", UserAgent: userAgent}), "without a login")
}

// Nothing that the receiver does to observe a real Vault is told, be all of its
// domains on; and nobody hides behind its name.
func TestAllOwnRequestsAreLeftOut(t *testing.T) {
	vault, client := startVault(t)
	r := newRole(t, client, "receiver", map[string]any{"token_ttl": "3s", "token_max_ttl": "6s"})
	require.NoError(t, client.Sys().PutPolicy("otelcol", shipped(t)))
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki"}))
	write(t, client, "pki/root/generate/internal", map[string]any{"common_name": "Root", "key_type": "ec"})
	write(t, client, "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec"})
	write(t, client, "pki/issue/web", map[string]any{"common_name": "a.example.com", "ttl": "1h"})
	write(t, client, "sys/quotas/rate-limit/all", map[string]any{"rate": 10_000})

	cfg, address := listening(t, only(vault.Addr, ""))
	cfg.Token = ""
	cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretID: configopaque.String(newSecretID(t, client, r))}
	for _, domain := range []*DomainConfig{
		&cfg.Mounts, &cfg.Policies, &cfg.AuditDevices, &cfg.Quotas, &cfg.LockedUsers, &cfg.InFlightRequests, &cfg.Clients,
	} {
		domain.Enabled = true
	}
	cfg.Leases.Mode, cfg.Leases.Prefixes, cfg.Leases.Interval = ModePrefixes, []string{"auth"}, time.Second
	cfg.Tokens.Mode, cfg.Tokens.Interval, cfg.Tokens.LookupDelay = ModeAccessors, time.Second, 5*time.Second
	cfg.PKI.Mounts, cfg.PKI.Interval = []string{"pki"}, time.Second
	o := observe(t, cfg)
	sendAudit(t, client, address)
	o.Eventually(t, "a certificate", func() bool { return o.HasMetric("vault.pki.certificate.count") })
	o.Eventually(t, "a login anew", o.HasEvent("vault.own_token.replaced"))
	o.Eventually(t, "own entries", func() bool { n, ok := o.Value(auditEntries, auditOutcome, "own"); return ok && n > 200 })

	liar, err := client.CloneWithHeaders()
	require.NoError(t, err)
	liar.SetToken(client.Token())
	liar.SetHeaders(http.Header{"User-Agent": {userAgent}})
	write(t, liar, "sys/policies/acl/planted", map[string]any{"policy": `path "*" { capabilities = ["sudo"] }`})
	o.Eventually(t, "who lies is told", o.HasSpan("update sys/", "vault.request.path", "sys/policies/acl/planted"))
	for _, name := range []string{"read sys/", "list sys/", "update sys/", "read pki/", "list pki/", "read auth/token/", "list auth/token/", "update auth/token/", "update auth/approle/"} {
		for _, span := range o.Spans(name) {
			who, _ := span.Attributes().Get("vault.auth.display_name")
			path, _ := span.Attributes().Get("vault.request.path")
			assert.NotEqual(t, "approle", who.Str(), "%s: %s", name, path.Str())
		}
	}
}
