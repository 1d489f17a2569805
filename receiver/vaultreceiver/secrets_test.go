// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

// everything returns a configuration in which all is asked for, often.
func everything(endpoint string) *Config {
	cfg := configFor(endpoint)
	often := func(c *FollowConfig) {
		c.Interval, c.RequestsPerSecond, c.ExpiryWarning = 200*time.Millisecond, 1000, time.Hour
	}
	cfg.Leases.Mode, cfg.Leases.Prefixes = ModePrefixes, []string{"pki/issue", "auth/userpass", "auth/token/create"}
	cfg.Tokens.Mode, cfg.Tokens.LookupDelay = ModeAccessors, 5*time.Second
	cfg.PKI.Mounts, cfg.PKI.Lifetimes = []string{"pki"}, true
	often(&cfg.Leases.FollowConfig)
	often(&cfg.Tokens.FollowConfig)
	often(&cfg.PKI.FollowConfig)
	for _, domain := range []*DomainConfig{
		&cfg.Mounts, &cfg.Policies, &cfg.AuditDevices, &cfg.Quotas, &cfg.LockedUsers, &cfg.InFlightRequests, &cfg.Clients,
	} {
		domain.Interval = 200 * time.Millisecond
	}
	cfg.ScrapeServerMetrics = true
	return cfg
}

// Whatever is in Vault, and whatever happens to it while all is observed: no
// token, accessor, password, key or value is told, logged or stored.
func TestNoSecretIsTold(t *testing.T) {
	vault, client := startVault(t)
	var secrets []string
	planted := func(more ...string) {
		for _, secret := range more {
			require.Greater(t, len(secret), 7, "so short a secret is told by accident")
			secrets = append(secrets, secret)
		}
	}
	planted(vault.RootToken)
	planted(vault.UnsealKeys...)
	self, err := client.Auth().Token().LookupSelf()
	require.NoError(t, err)
	planted(self.Data["accessor"].(string))

	require.NoError(t, client.Sys().PutPolicy("app", `path "kv/planted-path-in-a-policy" { capabilities = ["read"] }`))
	planted("planted-path-in-a-policy")
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv", Description: "planted-description"}))
	write(t, client, "kv/planted-key-name", map[string]any{"planted-field": "planted-value"})
	planted("planted-description", "planted-key-name", "planted-field", "planted-value")
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki"}))
	authority := write(t, client, "pki/root/generate/exported", map[string]any{"common_name": "planted-authority", "key_type": "ec"})
	write(t, client, "pki/roles/web", map[string]any{"allow_any_name": true, "key_type": "ec", "generate_lease": true})
	write(t, client, "pki/issue/web", map[string]any{"common_name": "planted-earlier-name", "ttl": "24h"})
	planted("planted-earlier-name")
	body := func(pem any) string { return strings.Split(pem.(string), "\n")[1] }
	planted("planted-authority", body(authority.Data["private_key"]), body(authority.Data["certificate"]))
	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	for _, user := range []string{"ann", "planted-locked-out"} {
		write(t, client, "auth/userpass/users/"+user, map[string]any{"password": "planted-password", "token_ttl": "28s"})
	}
	planted("planted-password", "planted-locked-out")
	write(t, client, "sys/quotas/rate-limit/tight", map[string]any{"path": "kv", "rate": 1})
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": filepath.Join(t.TempDir(), "planted-audit.log")},
	}))
	planted("planted-audit.log")

	cfg := everything(vault.Addr)
	cfg.AppRole = &AppRoleConfig{}
	r := newRole(t, client, "planted-role", map[string]any{"token_ttl": "10m"})
	require.NoError(t, client.Sys().PutPolicy("otelcol", shipped(t)))
	cfg.AppRole.RoleID = configopaque.String(r.id)
	cfg.AppRole.SecretID = configopaque.String(newSecretID(t, client, r))
	planted(r.id, string(cfg.AppRole.SecretID))

	dir := t.TempDir()
	storage, host := observedtest.FileStorage(t, dir)
	cfg.Storage = &storage
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	o := observedtest.StartOn(t, host, NewFactory(), cfg)
	var missing string
	t.Cleanup(func() { t.Log("the last that was missing:", missing) })
	o.Eventually(t, "all domains", func() bool {
		for _, name := range []string{
			"vault.lease.count", "vault.lease.irrevocable.count", "vault.lease.followed.count", "vault.token.count", "vault.token.followed.count",
			"vault.pki.certificate.count", "vault.pki.ca.expiry", "vault.pki.crl.expiry", "vault.mount.count", "vault.policy.count",
			"vault.audit.device.count", "vault.quota.rate_limit", "vault.request.in_flight.count", "vault.entity.count", "vault.own_token.ttl",
		} {
			if missing = name; !o.HasMetric(name) {
				return false
			}
		}
		return true
	})

	var leases []string
	for _, ttl := range []string{"24s", "72s"} { // The last quarter of the first is soon over.
		issued := write(t, client, "pki/issue/web", map[string]any{"common_name": "planted-common-name", "ttl": ttl})
		planted("planted-common-name", body(issued.Data["private_key"]), body(issued.Data["certificate"]), issued.LeaseID)
		leases = append(leases, issued.LeaseID)
	}
	login := write(t, client, "auth/userpass/login/ann", map[string]any{"password": "planted-password"})
	planted(login.Auth.ClientToken, login.Auth.Accessor)
	made, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: "1h", Metadata: map[string]string{"m": "planted-metadata"}})
	require.NoError(t, err)
	planted(made.Auth.ClientToken, made.Auth.Accessor, "planted-metadata")
	for range 6 {
		_, _ = client.Logical().Write("auth/userpass/login/planted-locked-out", map[string]any{"password": "planted-wrong-password"})
		_, _ = client.Logical().Read("kv/planted-key-name")
	}
	planted("planted-wrong-password")
	require.NoError(t, client.Sys().PutPolicy("app", `path "kv/planted-other-path" { capabilities = ["read"] }`))
	description := "planted-new-description"
	require.NoError(t, client.Sys().TuneMountAllowNil("kv", api.TuneMountConfigInput{Description: &description}))
	planted("planted-other-path", "planted-new-description")
	for _, event := range []string{
		"vault.lease.created", "vault.lease.expiring", "vault.lease.ended", "vault.token.expiring", "vault.pki.certificate.expiring",
		"vault.policy.changed", "vault.mount.tuned", "vault.quota.exceeded",
	} {
		o.Eventually(t, event, o.HasEvent(event))
	}
	o.Eventually(t, "the span of the lease", o.HasSpan("vault.lease"))
	o.Eventually(t, "the span of the certificate", o.HasSpan("vault.pki.certificate"))
	o.Eventually(t, "the locked user", o.HasValue(1, "vault.locked_user.count"))

	require.NoError(t, client.Sys().DeletePolicy("otelcol")) // All is denied.
	o.Eventually(t, "the denial", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointAudit))
	o.Shutdown(t)
	o.RequireNotTold(t, secrets...)

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		stored, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, secret := range secrets {
			if slices.Contains(leases, secret) {
				continue // To ask for a lease again takes its ID.
			}
			assert.False(t, bytes.Contains(stored, []byte(secret)), "%s holds a secret that ends with …%s", file, secret[len(secret)-3:])
		}
	}
}
