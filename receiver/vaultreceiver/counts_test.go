// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLockedUsers(t *testing.T) {
	vault, client := startVault(t)
	require.NoError(t, client.Sys().EnableAuthWithOptions("people", &api.EnableAuthOptions{Type: "userpass"}))
	methods, err := client.Sys().ListAuth()
	require.NoError(t, err)
	accessor := methods["people/"].Accessor
	for _, name := range []string{"ann-planted", "bob-planted"} {
		_, err := client.Logical().Write("auth/people/users/"+name, map[string]any{"password": "right"})
		require.NoError(t, err)
		for range 5 {
			_, err = client.Logical().Write("auth/people/login/"+name, map[string]any{"password": "wrong"})
			require.Error(t, err)
		}
	}
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Locked users", "Mounts")))
	cfg.LockedUsers.Enabled = true
	alone := observe(t, cfg, string(cfg.Token), "planted")
	alone.Eventually(t, "by the accessor", alone.HasValue(2, "vault.locked_user.count", "vault.mount.path", accessor))

	withMounts := *cfg
	withMounts.Mounts.Enabled = true
	o := observe(t, &withMounts, string(cfg.Token), "planted")
	o.Eventually(t, "by the path", o.HasValue(2, "vault.locked_user.count", "vault.mount.path", "auth/people/"))
	for _, name := range []string{"ann-planted", "bob-planted"} {
		_, err := client.Logical().Write("sys/locked-users/"+accessor+"/unlock/"+name, nil)
		require.NoError(t, err)
	}
	o.Eventually(t, "none", o.HasValue(0, "vault.locked_user.count", "vault.mount.path", "auth/people/"))
	_, byAccessor := o.Value("vault.locked_user.count", "vault.mount.path", accessor)
	assert.False(t, byAccessor)
	assert.Zero(t, o.Warnings(endpointLockedUsers))
}

func TestRequestsInFlight(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Requests in flight")))
	cfg.InFlightRequests.Enabled = true
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "none", o.HasValue(0, "vault.request.in_flight.count"))

	// One that lasts: Vault sends its log until the client goes.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, vault.Addr+"/v1/sys/monitor?log_level=error", http.NoBody)
	require.NoError(t, err)
	request.Header.Set("X-Vault-Token", vault.RootToken)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	o.Eventually(t, "one", o.HasValue(1, "vault.request.in_flight.count"))
	o.Eventually(t, "it takes long", func() bool { age, _ := o.Float("vault.request.in_flight.age"); return age > 1 })
	cancel()
	_, _ = io.Copy(io.Discard, response.Body)
	o.Eventually(t, "none again", o.HasValue(0, "vault.request.in_flight.count"))
	age, ok := o.Float("vault.request.in_flight.age")
	assert.True(t, ok)
	assert.Zero(t, age)
	assert.Zero(t, o.Warnings(endpointInFlight))
}

func TestWhatIsInFlightIsReadInPieces(t *testing.T) {
	for body, want := range map[string]int64{
		`{}`: -1, // It would list at least this request.
		`{"a":{"start_time":"2026-11-23T03:16:41.7Z","request_path":"/v1/sys/in-flight-req"}}`:                                                                                           0,
		`{"a":{"start_time":"2026-11-23T03:16:41.7Z","request_path":"/v1/kv/a","other":[1]},"b":{"start_time":"2026-11-23T03:16:40Z","request_path":"/v1/kv/b","request_method":"GET"}}`: 2,
		`{"a":{"start_time":"2026-11-23T03:16:41.7Z","request_path":"/v1/kv/a"}`:                                                                                                         -1,
		`{"a":{"start_time":7}}`:       -1,
		`{"request_id":"a","data":{}}`: -1,
		`<html>`:                       -1,
		``:                             -1,
	} {
		c := clientOf(t, only(serve(t, map[string]http.Handler{endpointInFlight: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body)
		})}).URL, "planted"))
		got, err := c.InFlight(t.Context())
		if want < 0 {
			require.ErrorContains(t, err, endpointInFlight, body)
			continue
		}
		require.NoError(t, err, body)
		assert.Equal(t, want, got.Count, body)
	}
}

func TestClients(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Clients")))
	cfg.Clients.Enabled = true
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "no entities", o.HasValue(0, "vault.entity.count"))
	o.Eventually(t, "clients are asked for", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointClients))
	assert.False(t, o.HasMetric("vault.client.count"), "the community edition does not count them")
	assert.Zero(t, o.Warnings(endpointClients)+o.Warnings(endpointEntities))

	_, err := client.Logical().Write("sys/internal/counters/config", map[string]any{"enabled": "enable"})
	require.NoError(t, err)
	o.Eventually(t, "the receiver itself", o.HasValue(1, "vault.client.count", "vault.client.type", "non_entity"))
	assert.True(t, o.HasValue(0, "vault.client.count", "vault.client.type", "entity")())
	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	_, err = client.Logical().Write("auth/userpass/users/ann", map[string]any{"password": "p"})
	require.NoError(t, err)
	secret, err := client.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "p"})
	require.NoError(t, err)
	o.Eventually(t, "an entity", o.HasValue(1, "vault.entity.count"))
	ann, err := client.Clone()
	require.NoError(t, err)
	ann.SetToken(secret.Auth.ClientToken)
	_, err = ann.Auth().Token().LookupSelf()
	require.NoError(t, err)
	o.Eventually(t, "a client", o.HasValue(1, "vault.client.count", "vault.client.type", "entity"))
	assert.True(t, o.HasValue(0, "vault.client.count", "vault.client.type", "acme")())
	assert.True(t, o.HasValue(0, "vault.client.count", "vault.client.type", "secret_sync")())
}

func TestTokenCount(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	cfg.Tokens.Mode, cfg.Tokens.Interval = ModeCount, cfg.Mounts.Interval
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the root token, and that of the receiver", o.HasValue(2, "vault.token.count"))
	secret, err := client.Auth().Token().Create(&api.TokenCreateRequest{})
	require.NoError(t, err)
	o.Eventually(t, "one more", o.HasValue(3, "vault.token.count"))
	require.NoError(t, client.Auth().Token().RevokeTree(secret.Auth.ClientToken))
	o.Eventually(t, "one less", o.HasValue(2, "vault.token.count"))
	assert.Zero(t, o.Warnings(endpointTokens))
}

func TestTokensAreLookedUpLater(t *testing.T) {
	cfg := defaultConfig()
	require.Equal(t, 90*time.Second, cfg.Tokens.LookupDelay)
	cfg.Tokens.LookupDelay = 0
	require.NoError(t, cfg.Validate(), "none is looked up")
	cfg.Tokens.Mode = ModeAccessors
	require.ErrorContains(t, cfg.Validate(), "tokens::lookup_delay is 0s: write a duration with a unit, such as 90s")
}

func TestTokensNeedAnInterval(t *testing.T) {
	for mode, fails := range map[string]bool{ModeOff: false, ModeCount: true, ModeAccessors: true} {
		cfg := defaultConfig()
		cfg.Tokens.Mode, cfg.Tokens.Interval = mode, 0
		if err := cfg.Validate(); fails {
			require.ErrorContains(t, err, "tokens::interval", mode)
		} else {
			require.NoError(t, err, mode)
		}
	}
}
