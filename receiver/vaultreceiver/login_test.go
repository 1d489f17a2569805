// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
)

const loginAppRole = "auth/approle/login"

// write makes a request of the root token.
func write(t *testing.T, client *api.Client, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := client.Logical().WriteWithContext(t.Context(), path, data)
	require.NoError(t, err)
	return secret
}

// role is an AppRole.
type role struct{ name, id string }

// clusterOnly returns a configuration for which the policy of the cluster is enough.
func clusterOnly(endpoint string) *Config {
	cfg := only(endpoint, "")
	cfg.Leases.Mode = ModeCount
	return cfg
}

// newRole makes an AppRole with the README's policy, and that of every token.
func newRole(t *testing.T, client *api.Client, name string, settings map[string]any) role {
	t.Helper()
	require.NoError(t, client.Sys().PutPolicy("otelcol", policyOf(t, "Cluster")))
	methods, err := client.Sys().ListAuth()
	require.NoError(t, err)
	if methods["approle/"] == nil {
		require.NoError(t, client.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}))
	}
	settings["token_policies"] = "otelcol"
	write(t, client, "auth/approle/role/"+name, settings)
	secret, err := client.Logical().Read("auth/approle/role/" + name + "/role-id")
	require.NoError(t, err)
	return role{name, secret.Data["role_id"].(string)}
}

// newSecretID returns a secret ID of the role.
func newSecretID(t *testing.T, client *api.Client, r role) string {
	t.Helper()
	return write(t, client, "auth/approle/role/"+r.name+"/secret-id", nil).Data["secret_id"].(string)
}

// rotate replaces a file, as who rotates secrets should: it is never empty.
func rotate(t *testing.T, file, secret string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file+".next", []byte(secret+"\n"), 0o600))
	require.NoError(t, os.Rename(file+".next", file))
}

// logins are those that a proxy before Vault has passed on.
type logins struct {
	mu        sync.Mutex
	tried     int
	accessors []string // of the tokens
}

// proxied returns the address of a proxy before Vault, which notes the logins.
func proxied(t *testing.T, vault, login string) (string, *logins) {
	t.Helper()
	var all logins
	address := retold(t, vault, login, func(answer []byte) []byte {
		all.note(answer)
		return answer
	})
	return address, &all
}

func (l *logins) note(answer []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried++
	var secret api.Secret
	if json.Unmarshal(answer, &secret) == nil && secret.Auth != nil {
		l.accessors = append(l.accessors, secret.Auth.Accessor)
	}
}

func (l *logins) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tried
}

// revoke revokes the tokens, and returns their accessors. To look for them among
// all would revoke those that others are making.
func (l *logins) revoke(t *testing.T, client *api.Client) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, accessor := range l.accessors {
		var gone *api.ResponseError
		if err := client.Auth().Token().RevokeAccessor(accessor); errors.As(err, &gone) {
			require.Less(t, gone.StatusCode, http.StatusInternalServerError, "it may have ended, but %v", err)
		} else {
			require.NoError(t, err)
		}
	}
	return slices.Clone(l.accessors)
}

func requireEvent(t *testing.T, o *observedtest.Receiver, name string, severity plog.SeverityNumber, attributes ...string) {
	t.Helper()
	o.Eventually(t, name, o.HasEvent(name, attributes...))
	assert.Equal(t, severity, o.Events(name)[0].SeverityNumber(), name)
}

func TestAnAppRoleOfARealVault(t *testing.T) {
	vault, client := startVault(t)

	t.Run("is not denied by a server that is sealed", func(t *testing.T) {
		r := newRole(t, client, "sealed", map[string]any{"token_ttl": "3s", "token_max_ttl": "3s"})
		secret := newSecretID(t, client, r)
		cfg := clusterOnly(vault.Addr)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretID: configopaque.String(secret)}
		o := observe(t, cfg, r.id, secret)
		o.Eventually(t, "its end", func() bool { return o.HasMetric("vault.own_token.ttl") })
		require.NoError(t, vault.Seal(t.Context()))
		o.Eventually(t, "it is sealed", o.HasValue(1, "vault.sealed"))
		denied := len(o.Events("vault.own_token.denied")) // A machine that is busy may be late once.
		time.Sleep(3 * time.Second)
		assert.Len(t, o.Events("vault.own_token.denied"), denied)
		require.NoError(t, vault.Unseal(t.Context()))
		o.Eventually(t, "it is logged in anew", o.HasEvent("vault.own_token.replaced"))
		o.Eventually(t, "all is well", func() bool { return o.HasMetric("vault.lease.count") && o.Trouble() == "" })
		for _, endpoint := range []string{loginAppRole, endpointRenew} {
			// A request under way may fail otherwise, just as the server is being sealed.
			assert.LessOrEqual(t, o.Warnings(endpoint), 1, endpoint)
		}
	})

	// The others run at once, when this has ended.
	t.Run("is renewed, and logged in anew when that ends", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "short", map[string]any{"token_ttl": "12s", "token_max_ttl": "28s"})
		secret := newSecretID(t, client, r)
		address, logins := proxied(t, vault.Addr, loginAppRole)
		cfg := clusterOnly(address)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretID: configopaque.String(secret)}
		o := observe(t, cfg, r.id, secret)
		o.Eventually(t, "it may do what it should", func() bool { return o.HasMetric("vault.lease.count") })
		o.Eventually(t, "its end", func() bool { return o.HasMetric("vault.own_token.ttl") })
		requireEvent(t, o, "vault.own_token.renewed", plog.SeverityNumberInfo, "vault.own_token.source", "approle")
		requireEvent(t, o, "vault.own_token.replaced", plog.SeverityNumberInfo, "vault.own_token.source", "approle")
		o.Eventually(t, "again and again", func() bool { return len(o.Events("vault.own_token.replaced")) > 1 })
		assert.Empty(t, o.Events("vault.own_token.denied"))
		// A machine that is busy may be late with some, but not with each.
		assert.LessOrEqual(t, len(o.Events("vault.own_token.expiring")), len(o.Events("vault.own_token.replaced")), "it is short, but nothing is wrong")
		assert.Empty(t, o.Trouble())
		o.RequireNotTold(t, logins.revoke(t, client)...)
	})

	t.Run("is kept alive while nobody takes the events", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "held", map[string]any{"token_period": "15s"})
		secret := newSecretID(t, client, r)
		cfg := clusterOnly(vault.Addr)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretID: configopaque.String(secret)}
		o := observe(t, cfg, r.id, secret)
		requireEvent(t, o, "vault.own_token.renewed", plog.SeverityNumberInfo)
		o.Refuse(true)
		time.Sleep(20 * time.Second)
		assert.Zero(t, o.Warnings(endpointMetrics))
		o.Refuse(false)
		told := len(o.Events("vault.own_token.renewed"))
		o.Eventually(t, "it goes on", func() bool { return len(o.Events("vault.own_token.renewed")) > told })
		assert.Empty(t, o.Events("vault.own_token.replaced"))
		assert.Empty(t, o.Events("vault.own_token.denied"))
	})

	t.Run("is logged in anew when its token is revoked", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "revoked", map[string]any{"token_ttl": "1h"})
		secret := newSecretID(t, client, r)
		address, logins := proxied(t, vault.Addr, loginAppRole)
		cfg := clusterOnly(address)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretID: configopaque.String(secret)}
		o := observe(t, cfg, r.id, secret)
		o.Eventually(t, "its end", func() bool { return o.HasMetric("vault.own_token.ttl") })
		accessors := logins.revoke(t, client)
		require.Len(t, accessors, 1, "all signals share one login")
		requireEvent(t, o, "vault.own_token.denied", plog.SeverityNumberWarn, "vault.own_token.denial", "invalid_token")
		requireEvent(t, o, "vault.own_token.replaced", plog.SeverityNumberInfo)
		o.Eventually(t, "all is well again", func() bool { return o.HasMetric("vault.lease.count") && o.Trouble() == "" })
		require.Len(t, o.Events("vault.own_token.denied"), 1)
		o.RequireNotTold(t, accessors...)
	})

	t.Run("waits with a wrong secret, until its file has another", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "wrong", map[string]any{"token_ttl": "1h"})
		const wrong = "planted-secret-id"
		file := filepath.Join(t.TempDir(), "secret-id")
		rotate(t, file, wrong)
		address, logins := proxied(t, vault.Addr, loginAppRole)
		cfg := clusterOnly(address)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretIDFile: file}
		o := observe(t, cfg, r.id, wrong)
		requireEvent(t, o, "vault.own_token.denied", plog.SeverityNumberWarn, "vault.own_token.denial", "login_refused")
		assert.Contains(t, o.Trouble(), "auth/approle/login: vault refuses the login: status 400: invalid role or secret ID (check approle::role_id")
		assert.Zero(t, o.Warnings(endpointMetrics), "one line says it")
		time.Sleep(2 * time.Second)
		assert.Equal(t, 1, logins.count(), "many would lock the role out")
		o.Eventually(t, "a second attempt", func() bool { return logins.count() == 2 })

		secret := newSecretID(t, client, r)
		rotate(t, file, secret)
		o.Eventually(t, "the new one counts", func() bool { return o.HasMetric("vault.lease.count") && o.Trouble() == "" })
		assert.Equal(t, 3, logins.count())
		assert.Len(t, o.Events("vault.own_token.denied"), 1)
		o.RequireNotTold(t, secret)
	})

	t.Run("is logged in anew when its token may not be renewed", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "fixed", map[string]any{"token_ttl": "3s", "token_no_default_policy": true})
		secret := newSecretID(t, client, r)
		address, logins := proxied(t, vault.Addr, loginAppRole)
		cfg := clusterOnly(address)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretID: configopaque.String(secret)}
		cfg.OwnToken.Enabled = false
		o := observe(t, cfg, r.id, secret)
		first := time.Now()
		o.Eventually(t, "it counts, after the first token's end too", func() bool {
			return time.Since(first) > 5*time.Second && o.HasMetric("vault.lease.count")
		})
		assert.False(t, o.HasMetric("vault.own_token.ttl"), "it is off")
		assert.Empty(t, o.Events("vault.own_token.replaced"), "it is off")
		o.Eventually(t, "all is well", func() bool { return o.Trouble() == "" })

		logins.revoke(t, client)
		o.Eventually(t, "the denial", func() bool { return o.Warnings(endpointLookup) > 0 })
		o.Eventually(t, "another login", func() bool { return o.HasMetric("vault.lease.count") && o.Trouble() == "" })
	})

	t.Run("says in time that its secret is not good any more", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "late", map[string]any{"token_ttl": "28s", "token_max_ttl": "28s"})
		secret := newSecretID(t, client, r)
		file := filepath.Join(t.TempDir(), "secret-id")
		rotate(t, file, secret)
		address, logins := proxied(t, vault.Addr, loginAppRole)
		cfg := clusterOnly(address)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretIDFile: file}
		o := observe(t, cfg, r.id, secret)
		o.Eventually(t, "its end", func() bool { return o.HasMetric("vault.own_token.ttl") })
		write(t, client, "auth/approle/role/"+r.name+"/secret-id/destroy", map[string]any{"secret_id": secret})
		o.Eventually(t, "the refusal, while the old token works", func() bool { return o.Warnings(loginAppRole) == 1 })
		assert.Empty(t, o.Events("vault.own_token.denied"))
		requireEvent(t, o, "vault.own_token.expiring", plog.SeverityNumberWarn)
		requireEvent(t, o, "vault.own_token.denied", plog.SeverityNumberWarn, "vault.own_token.denial", "invalid_token")
		assert.LessOrEqual(t, logins.count(), 3)

		rotate(t, file, newSecretID(t, client, r))
		o.Eventually(t, "the new one counts", func() bool { return o.HasMetric("vault.lease.count") && o.Trouble() == "" })
		assert.Len(t, o.Events("vault.own_token.denied"), 1)
		assert.Len(t, o.Events("vault.own_token.expiring"), 1)
	})

	t.Run("reads a secret that was rotated at its next login", func(t *testing.T) {
		t.Parallel()
		r := newRole(t, client, "rotated", map[string]any{"token_ttl": "1h"})
		first := newSecretID(t, client, r)
		file := filepath.Join(t.TempDir(), "secret-id")
		rotate(t, file, first)
		address, logins := proxied(t, vault.Addr, loginAppRole)
		cfg := clusterOnly(address)
		cfg.AppRole = &AppRoleConfig{RoleID: configopaque.String(r.id), SecretIDFile: file}
		o := observe(t, cfg, r.id, first)
		o.Eventually(t, "its end", func() bool { return o.HasMetric("vault.own_token.ttl") })
		second := newSecretID(t, client, r)
		rotate(t, file, second)
		write(t, client, "auth/approle/role/"+r.name+"/secret-id/destroy", map[string]any{"secret_id": first})
		require.Len(t, logins.revoke(t, client), 1)
		requireEvent(t, o, "vault.own_token.replaced", plog.SeverityNumberInfo)
		assert.Zero(t, o.Warnings(loginAppRole))
		o.RequireNotTold(t, second)
	})
}

func TestTokensThatAreGivenToARealVault(t *testing.T) {
	vault, client := startVault(t)
	create := func(t *testing.T, request api.TokenCreateRequest) *api.SecretAuth {
		t.Helper()
		require.NoError(t, client.Sys().PutPolicy("otelcol", policyOf(t, "Cluster")))
		request.Policies = []string{"otelcol"}
		secret, err := client.Auth().Token().Create(&request)
		require.NoError(t, err)
		return secret.Auth
	}

	t.Run("one that is revoked is denied once", func(t *testing.T) {
		t.Parallel()
		token := create(t, api.TokenCreateRequest{TTL: "1h"})
		cfg := clusterOnly(vault.Addr)
		cfg.Token = configopaque.String(token.ClientToken)
		o := observe(t, cfg, token.ClientToken, token.Accessor)
		o.Eventually(t, "its end", func() bool {
			left, ok := o.Value("vault.own_token.ttl", "vault.own_token.source", "token")
			return ok && left > 3500 && left <= 3600
		})
		requireEvent(t, o, "vault.own_token.expiring", plog.SeverityNumberWarn)
		require.NoError(t, client.Auth().Token().RevokeAccessor(token.Accessor))
		requireEvent(t, o, "vault.own_token.denied", plog.SeverityNumberWarn, "vault.own_token.denial", "invalid_token")
		o.Eventually(t, "its end is left out", func() bool { return !o.HasMetric("vault.own_token.ttl") })
		assert.Contains(t, o.Trouble(), "auth/token/lookup-self: the token is not or no longer valid")
		time.Sleep(time.Second)
		assert.Len(t, o.Events("vault.own_token.denied"), 1)
		assert.Len(t, o.Events("vault.own_token.expiring"), 1)
	})

	t.Run("a file that is replaced", func(t *testing.T) {
		t.Parallel()
		old, fresh := create(t, api.TokenCreateRequest{TTL: "720h"}), create(t, api.TokenCreateRequest{TTL: "720h"})
		cfg := clusterOnly(vault.Addr)
		cfg.TokenFile = filepath.Join(t.TempDir(), "token")
		rotate(t, cfg.TokenFile, old.ClientToken)
		o := observe(t, cfg, old.ClientToken, fresh.ClientToken, old.Accessor, fresh.Accessor)
		o.Eventually(t, "its end", func() bool { return o.HasMetric("vault.own_token.ttl") })
		rotate(t, cfg.TokenFile, fresh.ClientToken)
		requireEvent(t, o, "vault.own_token.replaced", plog.SeverityNumberInfo, "vault.own_token.source", "token_file")
		require.NoError(t, client.Auth().Token().RevokeAccessor(old.Accessor))
		time.Sleep(time.Second)
		assert.Empty(t, o.Events("vault.own_token.denied"))
		assert.Empty(t, o.Events("vault.own_token.expiring"))

		require.NoError(t, client.Auth().Token().RevokeAccessor(fresh.Accessor))
		o.Eventually(t, "the new one ends too", o.HasEvent("vault.own_token.denied"))
		last := create(t, api.TokenCreateRequest{TTL: "720h"})
		rotate(t, cfg.TokenFile, last.ClientToken)
		o.Eventually(t, "the last one works", func() bool { return o.HasMetric("vault.lease.count") && o.Trouble() == "" })
		o.RequireNotTold(t, last.ClientToken, last.Accessor)
	})

	t.Run("a periodic one is renewed", func(t *testing.T) {
		t.Parallel()
		token := create(t, api.TokenCreateRequest{Period: "36s"})
		cfg := clusterOnly(vault.Addr)
		cfg.Token = configopaque.String(token.ClientToken)
		o := observe(t, cfg, token.ClientToken)
		requireEvent(t, o, "vault.own_token.renewed", plog.SeverityNumberInfo)
		o.Eventually(t, "again and again", func() bool { return len(o.Events("vault.own_token.renewed")) > 1 })
		assert.Empty(t, o.Events("vault.own_token.denied"))
		assert.Empty(t, o.Events("vault.own_token.expiring"))
	})

	t.Run("a periodic one that may not be renewed is said to", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, client.Sys().PutPolicy("looks", `path "auth/token/lookup-self" { capabilities = ["read"] }`))
		secret, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"looks"}, Period: "24s", NoDefaultPolicy: true})
		require.NoError(t, err)
		cfg := clusterOnly(vault.Addr)
		cfg.Token = configopaque.String(secret.Auth.ClientToken)
		o := observe(t, cfg, secret.Auth.ClientToken)
		o.Eventually(t, "the refusal", func() bool { return o.Warnings(endpointRenew) == 1 })
		assert.Contains(t, o.Trouble(), "(the token needs update on auth/token/renew-self)")
		requireEvent(t, o, "vault.own_token.denied", plog.SeverityNumberWarn, "vault.own_token.denial", "invalid_token")
		assert.Len(t, o.Events("vault.own_token.denied"), 1)
	})

	t.Run("one that may not look itself up works, and is said to", func(t *testing.T) {
		t.Parallel()
		token := create(t, api.TokenCreateRequest{TTL: "1h", NoDefaultPolicy: true})
		cfg := clusterOnly(vault.Addr)
		cfg.Token = configopaque.String(token.ClientToken)
		o := observe(t, cfg, token.ClientToken)
		o.Eventually(t, "the refusal", func() bool { return o.Warnings(endpointLookup) == 1 })
		assert.Contains(t, o.Trouble(), "(the token needs read on auth/token/lookup-self)")
		o.Eventually(t, "it counts", func() bool { return o.HasMetric("vault.lease.count") })
		assert.Empty(t, o.Events("vault.own_token.denied"))
	})

	t.Run("the root token has no end", func(t *testing.T) {
		t.Parallel()
		cfg := clusterOnly(vault.Addr)
		cfg.Token, cfg.Namespace = configopaque.String(vault.RootToken), "team"
		o := observe(t, cfg, vault.RootToken)
		o.Eventually(t, "it counts", func() bool { return o.HasMetric("vault.lease.count") })
		const ignored = "namespace is set, but this vault is the community edition, which ignores it: remove it"
		o.Eventually(t, "a namespace without effect", func() bool { return o.Log.FilterMessage(ignored).Len() == 1 })
		assert.False(t, o.HasMetric("vault.own_token.ttl"))
		assert.Empty(t, o.Trouble())
	})
}

// Vault's auth method kubernetes is not in the server that tests use, so this
// one answers as it does.
func TestALoginWithKubernetes(t *testing.T) {
	const jwt, planted = "planted.service.account", "planted-token"
	file := filepath.Join(t.TempDir(), "jwt")
	rotate(t, file, jwt)
	var asked atomic.Pointer[map[string]string]
	var denies atomic.Bool
	mux := http.NewServeMux()
	mux.Handle("GET /v1/sys/health", recorded{200, "health_200_active.json"})
	mux.Handle("GET /v1/sys/leader", recorded{200, "leader_active.json"})
	mux.HandleFunc("GET /v1/sys/seal-status", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"type":"shamir","initialized":true,"sealed":false,"t":1,"n":1,"storage_type":"consul"}`))
	})
	mux.HandleFunc("PUT /v1/auth/cluster-1/login", func(w http.ResponseWriter, r *http.Request) {
		body := map[string]string{}
		_ = json.NewDecoder(r.Body).Decode(&body)
		body["token"] = r.Header.Get(api.AuthHeaderName)
		asked.Store(&body)
		if denies.Load() {
			recorded{403, "login_403_denied.json"}.ServeHTTP(w, r)
		} else {
			recorded{200, "login_200_kubernetes.json"}.ServeHTTP(w, r)
		}
	})
	mux.HandleFunc("GET /v1/", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get(api.AuthHeaderName) != planted || denies.Load():
			recorded{403, "denied_403.json"}.ServeHTTP(w, r)
		case r.URL.Path == "/v1/sys/metrics":
			answerPage(w, r)
		case r.URL.Path == "/v1/"+endpointNodes:
			recorded{200, "ha_status.json"}.ServeHTTP(w, r)
		case r.URL.Path == "/v1/"+endpointLookup:
			recorded{200, "lookup_self_kubernetes.json"}.ServeHTTP(w, r)
		default:
			recorded{200, "leases_count.json"}.ServeHTTP(w, r)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	cfg := clusterOnly(server.URL)
	cfg.Kubernetes = &KubernetesConfig{Mount: "/cluster-1/", Role: "otelcol", JWTFile: file}
	require.NoError(t, cfg.Validate())
	o := observe(t, cfg, jwt, planted, "planted-accessor")
	o.Eventually(t, "its end", func() bool {
		left, ok := o.Value("vault.own_token.ttl", "vault.own_token.source", "kubernetes")
		return ok && left > 3500
	})
	assert.Equal(t, map[string]string{"jwt": jwt, "role": "otelcol", "token": ""}, *asked.Load())
	o.Eventually(t, "it counts", func() bool { return o.HasMetric("vault.lease.count") })

	const other = "planted.rotated.account"
	rotate(t, file, other)
	denies.Store(true)
	o.Eventually(t, "the denial", o.HasEvent("vault.own_token.denied"))
	o.Eventually(t, "the refusal of the login", func() bool { return o.Warnings("auth/cluster-1/login") == 1 })
	assert.Contains(t, o.Trouble(), "auth/cluster-1/login: vault refuses the login: status 403: permission denied (check kubernetes::role")
	assert.Equal(t, other, (*asked.Load())["jwt"])
	denies.Store(false)
	rotate(t, file, jwt)
	o.Eventually(t, "the rotated one counts", func() bool { return o.Trouble() == "" })
	assert.Len(t, o.Events("vault.own_token.denied"), 1)
	o.RequireNotTold(t, other)
}

func TestMetricsAloneKeepTheTokenToo(t *testing.T) {
	var lookups atomic.Int32
	server := serve(t, map[string]http.Handler{
		"sys/health":       recorded{200, "health_200_active.json"},
		"sys/leader":       recorded{200, "leader_active.json"},
		"sys/metrics":      http.HandlerFunc(answerPage),
		"sys/leases/count": recorded{200, "leases_count.json"},
		endpointLookup: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lookups.Add(1)
			recorded{200, "lookup_self_kubernetes.json"}.ServeHTTP(w, r)
		}),
	})
	cfg := clusterOnly(server.URL)
	cfg.Token = "planted-token"
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 50*time.Millisecond, 0
	var sink consumertest.MetricsSink
	metrics, err := NewFactory().CreateMetrics(t.Context(), receivertest.NewNopSettings(NewFactory().Type()), cfg, &sink)
	require.NoError(t, err)
	require.NoError(t, metrics.Start(t.Context(), componenttest.NewNopHost()))
	require.Eventually(t, func() bool { return lookups.Load() == 1 && len(sink.AllMetrics()) > 5 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, metrics.Shutdown(context.Background()))
	assert.EqualValues(t, 1, lookups.Load())
}

func TestALoginDoesNotTellItsCredentials(t *testing.T) {
	const roleID, secret = "planted-role-id", "planted-secret-id"
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"Vault repeats them": {400, `{"errors":["invalid secret_id \"planted-secret-id\" of planted-role-id"]}`,
			`auth/approle/login: vault refuses the login: status 400: invalid secret_id "[REDACTED]" of [REDACTED] (check approle::role_id, `},
		"Vault repeats them as it fails": {500, `{"errors":["no planted-secret-id"]}`, "auth/approle/login: status 500: no [REDACTED]"},
		"a rate limit":                   {429, `{"errors":["quota exceeded"]}`, "auth/approle/login: status 429: quota exceeded"},
		"the page of a proxy":            {403, `<html>planted-secret-id</html>`, "auth/approle/login: the answer is not Vault's, check endpoint: status 403"},
		"no token":                       {200, `{"data":{}}`, "auth/approle/login: the answer holds no token, check endpoint"},
		"nothing":                        {204, ``, "auth/approle/login: the answer holds no token, check endpoint"},
		"null":                           {200, `null`, "auth/approle/login: the answer holds no token, check endpoint"},
		"a wrapped answer":               {200, wrapped, "auth/approle/login: the answer holds no token, check endpoint"},
		"an empty token":                 {200, `{"auth":{"client_token":"","lease_duration":60}}`, "auth/approle/login: the answer holds no token, check endpoint"},
		"a token without its end":        {200, `{"auth":{"client_token":"planted"}}`, "auth/approle/login: the answer is not Vault's, check endpoint: it lacks auth.lease_duration"},
		"a page":                         {200, `<html>planted-secret-id</html>`, "auth/approle/login: the answer is not Vault's, check endpoint: "},
		"a list":                         {200, `[]`, "auth/approle/login: the answer is not Vault's, check endpoint: "},
		"half of it":                     {200, `{"auth":{"client_token":"planted",`, "auth/approle/login: "},
		"the denial of a proxy":          {403, `{"message":"forbidden"}`, "auth/approle/login: the answer is not Vault's, check endpoint: status 403"},
		"sealed":                         {503, `{"errors":["Vault is sealed"]}`, "auth/approle/login: the server is sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}))
			t.Cleanup(server.Close)
			cfg := clusterOnly(server.URL)
			cfg.AppRole = &AppRoleConfig{RoleID: roleID, SecretID: secret}
			method := cfg.method()
			with, err := method.read()
			require.NoError(t, err)
			_, err = method.logIn(t.Context(), with, clientOf(t, cfg).as(""))
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), secret)
			assert.NotContains(t, err.Error(), roleID)
		})
	}
}
