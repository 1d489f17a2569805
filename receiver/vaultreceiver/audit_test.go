// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/pdata/plog"
)

// only returns a configuration that asks for nothing but the server's state.
func only(endpoint, token string) *Config {
	cfg := configFor(endpoint)
	cfg.Token = configopaque.String(token)
	cfg.Leases.Mode, cfg.Tokens.Mode = ModeOff, ModeOff
	for _, domain := range []*DomainConfig{
		&cfg.Mounts, &cfg.Policies, &cfg.AuditDevices, &cfg.Quotas, &cfg.LockedUsers, &cfg.InFlightRequests, &cfg.Clients,
	} {
		domain.Enabled, domain.Interval = false, 200*time.Millisecond
	}
	return cfg
}

// tokenFor returns a token that may do what the rules say, and nothing else.
func tokenFor(t *testing.T, client *api.Client, rules string) string {
	t.Helper()
	require.NoError(t, client.Sys().PutPolicy("part", rules))
	secret, err := client.Auth().Token().Create(&api.TokenCreateRequest{
		Policies: []string{"part"}, NoDefaultPolicy: true, TTL: "1h", NoParent: true,
	})
	require.NoError(t, err)
	return secret.Auth.ClientToken
}

func TestAuditDevices(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Audit devices")))
	cfg.AuditDevices.Enabled = true
	folder := t.TempDir()
	enable := func(path string) {
		require.NoError(t, client.Sys().EnableAuditWithOptions(path, &api.EnableAuditOptions{Type: "file", Options: map[string]string{"file_path": filepath.Join(folder, path)}}))
	}
	enable("first")
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.audit.device.count", "vault.audit.device.type", "file"))
	enable("second")
	o.Eventually(t, "another device", o.HasValue(2, "vault.audit.device.count", "vault.audit.device.type", "file"))
	o.Eventually(t, "its event", o.HasEvent("vault.audit.device.enabled"))
	require.NoError(t, client.Sys().DisableAudit("first"))
	o.Eventually(t, "one device goes", o.HasEvent("vault.audit.device.disabled"))

	enabled, disabled := o.Events("vault.audit.device.enabled"), o.Events("vault.audit.device.disabled")
	require.Len(t, enabled, 1, "the baseline is not news")
	require.Len(t, disabled, 1)
	assert.Equal(t, map[string]any{"vault.audit.device.path": "second/", "vault.audit.device.type": "file", "observation.reconciled": false},
		enabled[0].Attributes().AsRaw())
	assert.Equal(t, plog.SeverityNumberWarn, disabled[0].SeverityNumber())
	assert.Equal(t, "audit device first/ was disabled", disabled[0].Body().Str())
}

func TestWhatIsDeniedIsToldOnceAndComesBack(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, `path "sys/audit" { capabilities = ["read"] }`))
	cfg.AuditDevices.Enabled = true
	o := observe(t, cfg)
	o.Eventually(t, "the denial", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointAudit))
	o.Eventually(t, "the metric", o.HasValue(0, "vault.endpoint.up", "vault.endpoint", endpointAudit))
	time.Sleep(2 * deniedEvery * 200 * time.Millisecond) // It is asked for again, and denied again.
	denied := o.Events("vault.endpoint.denied", "vault.endpoint", endpointAudit)
	require.Len(t, denied, 1)
	assert.Equal(t, map[string]any{"vault.endpoint": endpointAudit}, denied[0].Attributes().AsRaw())
	assert.Equal(t, plog.SeverityNumberWarn, denied[0].SeverityNumber())

	require.NoError(t, client.Sys().PutPolicy("part", policyOf(t, "Audit devices")))
	o.Eventually(t, "it is allowed again", o.HasEvent("vault.endpoint.allowed", "vault.endpoint", endpointAudit))
	o.Eventually(t, "the metric", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointAudit))
}
