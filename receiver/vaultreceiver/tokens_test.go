// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// accessors returns a configuration that follows tokens only.
func accessors(endpoint, token string) *Config {
	cfg := only(endpoint, token)
	cfg.Tokens.Mode = ModeAccessors
	cfg.Tokens.Interval, cfg.Tokens.LookupDelay = 200*time.Millisecond, 5*time.Second
	cfg.Tokens.RequestsPerSecond = 200
	return cfg
}

// minter makes tokens in a Vault.
type minter struct {
	t      *testing.T
	client *api.Client
}

// token makes a token, which the receiver must not tell.
func (m minter) token(request api.TokenCreateRequest) *api.SecretAuth {
	m.t.Helper()
	request.Policies = []string{"default"}
	secret, err := m.client.Auth().Token().CreateWithContext(m.t.Context(), &request)
	require.NoError(m.t, err)
	return secret.Auth
}

func (m minter) write(path string, data map[string]any) *api.Secret {
	m.t.Helper()
	secret, err := m.client.Logical().WriteWithContext(m.t.Context(), path, data)
	require.NoError(m.t, err)
	return secret
}

func (m minter) enable(method string) {
	m.t.Helper()
	require.NoError(m.t, m.client.Sys().EnableAuthWithOptions(method, &api.EnableAuthOptions{Type: method}))
}

func (m minter) renew(token *api.SecretAuth, increment int) {
	m.t.Helper()
	_, err := m.client.Auth().Token().RenewWithContext(m.t.Context(), token.ClientToken, increment)
	require.NoError(m.t, err)
}

func (m minter) revoke(token *api.SecretAuth) {
	m.t.Helper()
	require.NoError(m.t, m.client.Auth().Token().RevokeAccessorWithContext(m.t.Context(), token.Accessor))
}

func tokensThatEnd(o *observedtest.Receiver, n int64, mount, expiry string) func() bool {
	return o.HasValue(n, "vault.token.followed.count", "vault.mount.path", mount, "vault.expiry", expiry)
}

func TestTokensAreCountedByAuthMethodAndByTheirEnds(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	m.enable("userpass")
	m.write("auth/userpass/users/ann", map[string]any{"password": "p", "token_ttl": "50m"})
	m.enable("approle")
	m.write("auth/approle/role/app", map[string]any{"token_ttl": "30h", "secret_id_num_uses": 0})
	role, err := client.Logical().ReadWithContext(t.Context(), "auth/approle/role/app/role-id")
	require.NoError(t, err)
	secret := m.write("auth/approle/role/app/secret-id", nil)
	app := m.write("auth/approle/login", map[string]any{"role_id": role.Data["role_id"], "secret_id": secret.Data["secret_id"]}).Auth
	ann := m.write("auth/userpass/login/ann", map[string]any{"password": "p"}).Auth
	periodic := m.token(api.TokenCreateRequest{Period: "5m", NoParent: true})
	batch := m.token(api.TokenCreateRequest{Type: "batch", TTL: "500h"})
	require.Empty(t, batch.Accessor, "Vault keeps no batch tokens")

	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	o := observe(t, cfg, string(cfg.Token), vault.RootToken, ann.ClientToken, ann.Accessor, app.Accessor, periodic.Accessor)
	o.Eventually(t, "all are looked up", func() bool {
		return tokensThatEnd(o, 1, "auth/userpass/", "hour")() && tokensThatEnd(o, 1, "auth/approle/", "week")() &&
			tokensThatEnd(o, 1, "auth/token/", "ten_minutes")() && o.HasValue(0, "vault.token.unread.count")()
	})
	assert.True(t, tokensThatEnd(o, 1, "auth/token/", "hour")(), "the receiver's own")
	assert.True(t, tokensThatEnd(o, 1, "auth/token/", "never")(), "the root token")
	assert.True(t, tokensThatEnd(o, 0, "auth/token/", "later")(), "the batch token is not listed")
	assert.True(t, o.HasValue(0, "vault.token.unfollowed.count")())

	more := m.write("auth/userpass/login/ann", map[string]any{"password": "p"}).Auth
	o.Eventually(t, "another login", tokensThatEnd(o, 2, "auth/userpass/", "hour"))
	m.revoke(ann)
	m.revoke(more)
	o.Eventually(t, "both are revoked", func() bool {
		return !tokensThatEnd(o, 1, "auth/userpass/", "hour")() && !tokensThatEnd(o, 2, "auth/userpass/", "hour")() && o.HasMetric("vault.token.followed.count")
	})
	assert.Empty(t, o.Events("vault.token.expiring"), "what comes and goes is not told")
	for _, endpoint := range []string{endpointAccessors, endpointToken} {
		assert.True(t, o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpoint)(), endpoint)
		assert.Zero(t, o.Warnings(endpoint), endpoint)
	}
}

func TestATokenThatEndsIsToldOnceUntilItIsRenewed(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	m.enable("userpass")
	m.write("auth/userpass/users/ann", map[string]any{"password": "p", "token_ttl": "28s"})
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", tokensThatEnd(o, 1, "auth/token/", "hour"))

	kept := m.token(api.TokenCreateRequest{TTL: "60s", Renewable: new(true)})
	o.Eventually(t, "one that will be renewed", tokensThatEnd(o, 1, "auth/token/", "minute"))
	m.renew(kept, 3000)
	again := m.token(api.TokenCreateRequest{TTL: "28s", Renewable: new(true)})
	ann := m.write("auth/userpass/login/ann", map[string]any{"password": "p"}).Auth
	o.Eventually(t, "one is about to end", o.HasEvent("vault.token.expiring", "vault.token.hash", hash(again.Accessor)))
	m.renew(again, 24)
	o.Eventually(t, "a login is about to end", o.HasEvent("vault.token.expiring", "vault.token.hash", hash(ann.Accessor)))
	event := o.Events("vault.token.expiring", "vault.token.hash", hash(ann.Accessor))[0]
	left := number(t, event.Attributes(), "vault.token.left")
	assert.Equal(t, map[string]any{
		"vault.mount.path": "auth/userpass/", "vault.token.path": "auth/userpass/login/ann",
		"vault.token.display_name": "userpass-ann", "vault.token.hash": hash(ann.Accessor), "vault.token.left": left,
	}, event.Attributes().AsRaw())
	assert.Greater(t, left, 0.0)
	assert.LessOrEqual(t, left, 7.0, "a quarter of its TTL")
	assert.Equal(t, plog.SeverityNumberWarn, event.SeverityNumber())
	assert.Equal(t, "a token of auth/userpass/login/ann is about to end", event.Body().Str())

	o.Eventually(t, "it was renewed, and is about to end again", func() bool {
		return len(o.Events("vault.token.expiring", "vault.token.hash", hash(again.Accessor))) == 2
	})
	o.Eventually(t, "all but the one that was kept have ended", func() bool {
		return tokensThatEnd(o, 2, "auth/token/", "hour")() && tokensThatEnd(o, 0, "auth/token/", "minute")() && tokensThatEnd(o, 0, "auth/token/", "passed")()
	})
	assert.Len(t, o.Events("vault.token.expiring"), 3, "two tokens, one of them twice, and none that was renewed in time")
	o.RequireNotTold(t, ann.Accessor, again.Accessor, kept.Accessor, ann.ClientToken)
}

func TestATokenThatWasToldIsNotToldAgainAfterARestart(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	token := m.token(api.TokenCreateRequest{TTL: "10h"})
	var ends sync.Map // of tokens, by their accessors, that are told to end soon
	ends.Store(token.Accessor, time.Now().Add(10*time.Minute))
	cfg := accessors(ageing(t, vault.Addr, &ends), tokenFor(t, client, policyOf(t, "Tokens")))
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
	dir := t.TempDir()
	start := func() *observedtest.Receiver {
		storage, host := observedtest.FileStorage(t, dir)
		cfg.Storage = &storage
		return observedtest.StartOn(t, host, NewFactory(), cfg)
	}
	first := start()
	first.Eventually(t, "it is about to end", first.HasEvent("vault.token.expiring", "vault.token.hash", hash(token.Accessor)))
	first.Shutdown(t)

	second := start()
	brief := m.token(api.TokenCreateRequest{TTL: "10h"})
	ends.Store(brief.Accessor, time.Now().Add(10*time.Minute))
	second.Eventually(t, "another one is about to end", second.HasEvent("vault.token.expiring", "vault.token.hash", hash(brief.Accessor)))
	second.Eventually(t, "all are looked up", second.HasValue(0, "vault.token.unread.count"))
	assert.Len(t, second.Events("vault.token.expiring"), 1)
	second.Shutdown(t)
	second.RequireNotTold(t, token.Accessor, brief.Accessor, string(cfg.Token))

	stored := storedIn(t, dir)
	assert.Contains(t, stored, hash(token.Accessor))
	for _, secret := range []string{token.Accessor, brief.Accessor, token.ClientToken, string(cfg.Token)} {
		assert.NotContains(t, stored, secret)
	}
}

// ageing is a proxy before Vault, which tells of some tokens that they were issued
// an hour ago and have other ends.
func ageing(t *testing.T, vault string, ends *sync.Map) string {
	t.Helper()
	return retold(t, vault, endpointToken, func(said []byte) []byte {
		var answer struct {
			Data map[string]any `json:"data"`
		}
		err := json.Unmarshal(said, &answer)
		end, aged := ends.Load(answer.Data["accessor"])
		if err != nil || !aged {
			return said
		}
		answer.Data["issue_time"], answer.Data["expire_time"] = time.Now().Add(-time.Hour), end
		answer.Data["ttl"] = int(time.Until(end.(time.Time)).Seconds())
		told, err := json.Marshal(answer)
		assert.NoError(t, err)
		return told
	})
}

// storedIn returns all that the files of a folder hold.
func storedIn(t *testing.T, dir string) (all string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all += string(content)
		return err
	}))
	return all
}

func TestTokensThatAreDenied(t *testing.T) {
	vault, client := startVault(t)
	list := `path "auth/token/accessors/" { capabilities = ["list", "sudo"] }`
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Audit devices")+list))
	cfg.AuditDevices.Enabled = true
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "that lookups are denied", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointToken))
	o.Eventually(t, "the list is not", o.HasValue(2, "vault.token.unread.count"))
	o.Eventually(t, "nor the others", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointAudit))
	assert.False(t, o.HasMetric("vault.token.followed.count"))

	set := func(rules string) {
		require.NoError(t, client.Sys().PutPolicy("part", policyOf(t, "Audit devices")+rules))
	}
	set("")
	o.Eventually(t, "that lists are denied", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointAccessors))
	o.Eventually(t, "what is known gets old", func() bool { return !o.HasMetric("vault.token.unread.count") })
	assert.True(t, o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointAudit)(), "the others are not denied")

	set(policyOf(t, "Tokens"))
	o.Eventually(t, "lists are allowed", o.HasEvent("vault.endpoint.allowed", "vault.endpoint", endpointAccessors))
	o.Eventually(t, "lookups are allowed", o.HasEvent("vault.endpoint.allowed", "vault.endpoint", endpointToken))
	o.Eventually(t, "all are looked up", func() bool {
		return tokensThatEnd(o, 1, "auth/token/", "never")() && tokensThatEnd(o, 1, "auth/token/", "hour")() && o.HasValue(0, "vault.token.unread.count")()
	})
	for _, endpoint := range []string{endpointAccessors, endpointToken} {
		assert.Len(t, o.Events("vault.endpoint.denied", "vault.endpoint", endpoint), 1, "told once: %s", endpoint)
	}
}

func TestTokensOfASealedVault(t *testing.T) {
	vault, client := startVault(t)
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the own token", tokensThatEnd(o, 1, "auth/token/", "hour"))
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "nothing is known", func() bool { return !o.HasMetric("vault.token.followed.count") && o.HasValue(1, "vault.sealed")() })
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "it is known again", tokensThatEnd(o, 1, "auth/token/", "hour"))
	minter{t, client}.token(api.TokenCreateRequest{TTL: "10h"})
	o.Eventually(t, "it is followed again", tokensThatEnd(o, 1, "auth/token/", "day"))
	for _, endpoint := range []string{endpointAccessors, endpointToken} {
		assert.Zero(t, o.Warnings(endpoint), "a sealed server is no failure: %s", endpoint)
	}
}

func TestTokensWhileAConsumerRefuses(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the own token", tokensThatEnd(o, 1, "auth/token/", "hour"))
	o.Refuse(true)
	token := m.token(api.TokenCreateRequest{TTL: "28s"})
	ended := time.Now().Add(28 * time.Second)
	o.Eventually(t, "it is seen", tokensThatEnd(o, 1, "auth/token/", "minute"))
	o.Eventually(t, "it has ended", func() bool {
		return tokensThatEnd(o, 0, "auth/token/", "minute")() && tokensThatEnd(o, 0, "auth/token/", "passed")()
	})
	m.token(api.TokenCreateRequest{TTL: "10h"})
	o.Eventually(t, "the metrics go on", tokensThatEnd(o, 1, "auth/token/", "day"))
	assert.Empty(t, o.Events("vault.token.expiring"))
	o.Refuse(false)
	o.Eventually(t, "it is told after all", o.HasEvent("vault.token.expiring", "vault.token.hash", hash(token.Accessor)))
	event := o.Events("vault.token.expiring")[0]
	assert.True(t, event.Timestamp().AsTime().Before(ended), "as of when it was found")
	assert.Len(t, o.Events("vault.token.expiring"), 1)
}

func TestMoreTokensThanTheLimit(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	cfg.Tokens.Limit = 4
	var made []*api.SecretAuth
	for range 6 {
		made = append(made, m.token(api.TokenCreateRequest{TTL: "10h"}))
	}
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "what is beyond", o.HasValue(4, "vault.token.unfollowed.count"))
	for _, token := range made {
		m.revoke(token)
	}
	o.Eventually(t, "there is room", o.HasValue(0, "vault.token.unfollowed.count"))
	o.Eventually(t, "the root token is followed", tokensThatEnd(o, 1, "auth/token/", "never"))
	o.Eventually(t, "the own token is followed", tokensThatEnd(o, 1, "auth/token/", "hour"))
}

// Vault revokes a token that is looked up while it is made.
func TestATokenIsNotLookedUpWhileItIsMade(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	cfg.Tokens.Interval, cfg.Tokens.RequestsPerSecond = 10*time.Millisecond, 1000
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", tokensThatEnd(o, 1, "auth/token/", "hour"))
	const makers, each = 4, 100
	var making sync.WaitGroup
	for range makers {
		making.Go(func() {
			for range each {
				_, err := client.Auth().Token().CreateWithContext(context.Background(), &api.TokenCreateRequest{Policies: []string{"default"}, TTL: "10h"})
				assert.NoError(t, err)
			}
		})
	}
	making.Wait()
	m.token(api.TokenCreateRequest{TTL: "100h"})
	o.Eventually(t, "the last one", tokensThatEnd(o, 1, "auth/token/", "week"))
	o.Eventually(t, "all the others", tokensThatEnd(o, makers*each, "auth/token/", "day"))
}

func TestTokensThatAreRevokedBeforeTheyAreLookedUp(t *testing.T) {
	vault, client := startVault(t)
	m := minter{t, client}
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	gone := m.token(api.TokenCreateRequest{TTL: "1h"})
	m.revoke(gone)

	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	c, err := newClient(t.Context(), cfg, componenttest.NewNopHost(), w.settings)
	require.NoError(t, err)
	t.Cleanup(c.close)
	_, _, err = c.Token(t.Context(), gone.Accessor)
	require.ErrorIs(t, err, errGone)

	cfg.Tokens.RequestsPerSecond = 20
	var made []*api.SecretAuth
	for range 60 {
		made = append(made, m.token(api.TokenCreateRequest{TTL: "1h"}))
	}
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "they are listed", func() bool { unread, _ := o.Value("vault.token.unread.count"); return unread > 20 })
	for _, token := range made {
		m.revoke(token)
	}
	o.Eventually(t, "what is left", func() bool {
		return o.HasValue(0, "vault.token.unread.count")() && tokensThatEnd(o, 1, "auth/token/", "hour")()
	})
	assert.Empty(t, o.Log.FilterLevelExact(zap.WarnLevel).FilterField(zap.String("endpoint", endpointToken)).All(), "that is no failure")
}

func TestAnAccessorWithoutATokenIsNotDenied(t *testing.T) {
	vault, client := startVaultWith(t, "raw_storage_endpoint = true")
	m := minter{t, client}
	lost := m.token(api.TokenCreateRequest{TTL: "10h"})
	entries, err := client.Logical().ListWithContext(t.Context(), "sys/raw/sys/token/id/")
	require.NoError(t, err)
	for _, key := range entries.Data["keys"].([]any) {
		path := "sys/raw/sys/token/id/" + key.(string)
		entry, readErr := client.Logical().ReadWithContext(t.Context(), path)
		require.NoError(t, readErr)
		if strings.Contains(entry.Data["value"].(string), lost.Accessor) {
			_, err = client.Logical().DeleteWithContext(t.Context(), path)
			require.NoError(t, err)
		}
	}
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	o := observe(t, cfg, string(cfg.Token), lost.Accessor)
	o.Eventually(t, "the others are looked up", func() bool {
		return tokensThatEnd(o, 1, "auth/token/", "hour")() && tokensThatEnd(o, 1, "auth/token/", "never")()
	})
	o.Eventually(t, "nothing is known of it", func() bool {
		return o.HasValue(1, "vault.token.unread.count")() && o.Own(t, "otelcol_vault_requests", "request", endpointToken, "outcome", "failure") >= 1
	})
	assert.True(t, tokensThatEnd(o, 0, "auth/token/", "day")())
	assert.True(t, o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointToken)())
	assert.Empty(t, o.Events("vault.endpoint.denied", "vault.endpoint", endpointToken))
}

func TestFiveThousandTokensWithinTheBudget(t *testing.T) {
	vault, client := startVault(t)
	const many, budget = 5000, 500
	var making sync.WaitGroup
	for range 5 {
		making.Go(func() {
			for range many / 5 {
				_, err := client.Auth().Token().CreateWithContext(context.Background(), &api.TokenCreateRequest{Policies: []string{"default"}, TTL: "10h"})
				if !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	making.Wait()
	cfg := accessors(vault.Addr, tokenFor(t, client, policyOf(t, "Tokens")))
	cfg.Tokens.Interval = time.Second
	cfg.Tokens.RequestsPerSecond = budget
	began := time.Now()
	o := observe(t, cfg, string(cfg.Token))
	require.Eventually(t, func() bool {
		requests := o.Own(t, "otelcol_vault_requests", "request", endpointToken) + o.Own(t, "otelcol_vault_requests", "request", endpointAccessors)
		require.LessOrEqual(t, float64(requests), 1+budget*time.Since(began).Seconds())
		return tokensThatEnd(o, many, "auth/token/", "day")()
	}, 3*time.Minute, 100*time.Millisecond)
	t.Logf("%d tokens are known after %v", many, time.Since(began))
	lists := o.Own(t, "otelcol_vault_requests", "request", endpointAccessors)
	o.Eventually(t, "more lists", func() bool { return o.Own(t, "otelcol_vault_requests", "request", endpointAccessors) > lists+2 })
	assert.Equal(t, int64(many+2), o.Own(t, "otelcol_vault_requests", "request", endpointToken, "outcome", "success"), "each is looked up once")
}
