// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/examples/order/vault"
)

// standIn answers as Vault does. Its tokens are counted, and only the last one is valid.
type standIn struct {
	mu      sync.Mutex
	tokens  int
	revoked bool
	asked   map[string]int
	headers http.Header
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[r.URL.Path]++
	s.headers = r.Header
	answer := func(code int, body map[string]any) {
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			panic(err)
		}
	}
	auth := func() map[string]any {
		return map[string]any{"client_token": "token-" + strconv.Itoa(s.tokens), "renewable": true, "lease_duration": 3600}
	}
	if r.URL.Path == "/v1/auth/approle/login" {
		s.tokens++
		s.revoked = false
		answer(http.StatusOK, map[string]any{"auth": auth()})
		return
	}
	if s.revoked || r.Header.Get("X-Vault-Token") != "token-"+strconv.Itoa(s.tokens) {
		answer(http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
		return
	}
	switch r.URL.Path {
	case "/v1/auth/token/renew-self":
		answer(http.StatusOK, map[string]any{"auth": auth()})
	case "/v1/auth/token/lookup-self":
		answer(http.StatusOK, map[string]any{"data": map[string]any{}})
	case "/v1/auth/token/revoke-self":
		s.revoked = true
		w.WriteHeader(http.StatusNoContent)
	case "/v1/credentials/database", "/v1/sys/leases/renew":
		answer(http.StatusOK, map[string]any{"lease_id": "credentials/database/1", "renewable": true,
			"lease_duration": 3600, "data": map[string]any{"username": "user-" + strconv.Itoa(s.tokens)}})
	case "/v1/secrets/data/payment":
		answer(http.StatusOK, map[string]any{"data": map[string]any{
			"data": map[string]any{"key": "k"}, "metadata": map[string]any{"created_time": "2026-01-01T00:00:00Z"}}})
	default: // no policy allows it
		answer(http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
	}
}

func (s *standIn) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// start runs a client until the test ends.
func start(t *testing.T) (*standIn, *vault.Client) {
	t.Helper()
	s := &standIn{asked: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Setenv("VAULT_ADDR", server.URL)
	role, secret := filepath.Join(t.TempDir(), "role_id"), filepath.Join(t.TempDir(), "secret_id")
	require.NoError(t, os.WriteFile(role, []byte("role\n"), 0o600))
	require.NoError(t, os.WriteFile(secret, []byte("secret\n"), 0o600))
	client, err := vault.New(role, secret)
	require.NoError(t, err)

	_, err = client.Secret(t.Context(), "secrets", "payment")
	require.ErrorIs(t, err, vault.ErrNoToken)
	var running sync.WaitGroup
	running.Go(func() { client.Run(t.Context()) })
	t.Cleanup(running.Wait) // t's context has ended then
	eventually(t, func() bool {
		_, err := client.Secret(t.Context(), "secrets", "payment")
		return err == nil
	})
	return s, client
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 10*time.Millisecond)
}

func TestARevokedTokenIsReplaced(t *testing.T) {
	s, client := start(t)
	first, err := client.Credentials(t.Context(), "credentials/database")
	require.NoError(t, err)
	assert.Equal(t, "user-1", first["username"])

	s.mu.Lock()
	s.revoked = true
	s.mu.Unlock()
	_, err = client.Secret(t.Context(), "secrets", "payment")
	require.ErrorIs(t, err, vault.ErrNoToken)
	require.False(t, vault.Denied(err), "it helps to try again")
	eventually(t, func() bool {
		_, err := client.Secret(t.Context(), "secrets", "payment")
		return err == nil
	})
	assert.Equal(t, 2, s.count("/v1/auth/approle/login"))

	// The lease has ended with its token.
	second, err := client.Credentials(t.Context(), "credentials/database")
	require.NoError(t, err)
	assert.Equal(t, "user-2", second["username"])
}

func TestARequestThatNoPolicyAllowsIsDenied(t *testing.T) {
	s, client := start(t)
	_, err := client.Encrypt(t.Context(), "transit", "other", "x")
	require.Error(t, err)
	assert.True(t, vault.Denied(err))
	require.EqualError(t, err, "encrypt with key other of vault's transit: vault answered 403: permission denied")
	_, err = client.Secret(t.Context(), "secrets", "payment")
	require.NoError(t, err)
	assert.Equal(t, 1, s.count("/v1/auth/approle/login"), "the token is still valid")
}

func TestCredentialsAreReadOnceAndTheirLeaseRenewed(t *testing.T) {
	s, client := start(t)
	for range 3 {
		_, err := client.Credentials(t.Context(), "credentials/database")
		require.NoError(t, err)
	}
	assert.Equal(t, 1, s.count("/v1/credentials/database"))
	eventually(t, func() bool { return s.count("/v1/sys/leases/renew") > 0 })
}

func TestTheTokenIsRevokedAtTheEnd(t *testing.T) {
	var s *standIn
	t.Run("a client that ends", func(t *testing.T) { s, _ = start(t) })
	assert.Equal(t, 1, s.count("/v1/auth/token/revoke-self"))
}

func TestOtherVariablesOfVaultHaveNoEffect(t *testing.T) {
	for _, name := range []string{"VAULT_CACERT", "VAULT_CLIENT_CERT", "VAULT_MAX_RETRIES", "VAULT_NAMESPACE",
		"VAULT_HEADERS", "VAULT_RATE_LIMIT", "VAULT_SKIP_VERIFY", "VAULT_PROXY_ADDR", "VAULT_TOKEN"} {
		t.Setenv(name, "wrong")
	}
	s, _ := start(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Empty(t, s.headers.Get("X-Vault-Namespace"))
}
