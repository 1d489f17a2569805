// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// raw returns an answer of Vault as it comes.
func raw(t *testing.T, vault, token, path string) (body string, status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, vault+"/v1/"+path, nil)
	require.NoError(t, err)
	request.Header.Set(api.AuthHeaderName, token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return strings.TrimSpace(string(text)), response.StatusCode
}

// The forms of nothing that the table has are those of a real Vault, and what it says
// when there is something is complete.
func TestWhatVaultAnswersWhenThereIsNothing(t *testing.T) {
	vault, client := startVault(t)
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki"}))
	cfg := configFor(vault.Addr)
	cfg.Token = configopaque.String(vault.RootToken)
	c := clientOf(t, cfg)

	for path, want := range map[string]struct {
		status int
		body   string // that it has
	}{
		"pki/certs?list=true":                     {404, `{"errors":[]}`},
		"pki/certs/revoked?list=true":             {404, `{"errors":[]}`},
		"pki/issuers?list=true":                   {404, `{"errors":[]}`},
		"pki/roles?list=true":                     {404, `{"errors":[]}`},
		"pki/roles/none":                          {404, `{"errors":[]}`},
		"pki/cert/" + answerSerial:                {404, `{"errors":[]}`},
		endpointQuotas + "?list=true":             {404, `{"errors":[]}`},
		endpointQuotas + "/none":                  {404, `{"errors":[]}`},
		endpointPolicies + "/none":                {404, `{"errors":[]}`},
		endpointLease + "/none/?list=true":        {404, `{"errors":[]}`},
		"none/certs?list=true":                    {404, `no handler for route`},
		endpointAudit:                             {200, `"data":{}`},
		endpointLockedUsers:                       {200, `"by_namespace":[]`},
		endpointLeases + "?type=irrevocable":      {200, `"lease_count":0`},
		endpointIrrevocable + "?type=irrevocable": {200, `"leases":[]`},
		endpointClients:                           {204, ``},
		endpointInFlight:                          {200, `"request_path":"/v1/sys/in-flight-req"`},
	} {
		body, status := raw(t, vault.Addr, vault.RootToken, path)
		assert.Equal(t, want.status, status, path)
		assert.Contains(t, body, want.body, path)
	}

	write(t, client, "auth/token/create", map[string]any{"ttl": "1h", "no_parent": true})
	own := []string{endpointLease, endpointRenew, endpointToken, endpointLease + "/database"} // They need a name of something.
	for _, a := range allAsked(t) {
		got, err := a.read(t.Context(), c)
		switch {
		case slices.Contains(own, a.endpoint) || strings.HasPrefix(a.endpoint, "pki/issuer/"):
		case a.noList && a.endpoint != endpointAccessors && a.endpoint != endpointPolicies:
			require.NoError(t, err, a.endpoint)
			assert.Empty(t, got, a.endpoint)
		case a.endpoint == endpointAutopilot && isAbsent(err): // It is not there at first.
		default:
			require.NoError(t, err, a.endpoint)
		}
	}

	issuer := newPKIMount(t, client, "full", "8760h")
	newPKIRole(t, client, "full", "web", "example.com", nil)
	number := issue(t, client, "full", "web", "a.example.com", "2h")
	write(t, client, "full/revoke", map[string]any{"serial_number": number})
	write(t, client, endpointQuotas+"/small", map[string]any{"rate": 1000})
	serial, ok := state.ParseSerial(number)
	require.True(t, ok)
	secret := write(t, client, "auth/token/create", map[string]any{"ttl": "1h", "no_parent": true})
	leases, err := c.list(t.Context(), call{endpoint: endpointLease + "/auth", path: endpointLease + "/auth/token/create/"})
	require.NoError(t, err)
	require.NotEmpty(t, leases)
	for name, read := range map[string]func() (any, error){
		"lease":        func() (any, error) { return c.Lease(t.Context(), "auth/token/create/"+leases[0]) },
		"token":        func() (any, error) { facts, _, err := c.Token(t.Context(), secret.Auth.Accessor); return facts, err },
		"root token":   func() (any, error) { return "it works", c.session.look(t.Context()) },
		"quotas":       func() (any, error) { limits, _, err := c.RateLimits(t.Context()); return limits, err },
		"mount":        func() (any, error) { return c.Mount(t.Context(), "full") },
		"certificates": func() (any, error) { return c.Certificates(t.Context(), "full/certs") },
		"revoked":      func() (any, error) { return c.Certificates(t.Context(), "full/certs/revoked") },
		"certificate":  func() (any, error) { return c.Certificate(t.Context(), "full", serial) },
		"issuers":      func() (any, error) { return c.Issuers(t.Context(), "full") },
		"issuer":       func() (any, error) { return c.Issuer(t.Context(), "full", issuer) },
		"list":         func() (any, error) { return c.RevocationList(t.Context(), "full", issuer) },
		"roles":        func() (any, error) { return c.Roles(t.Context(), "full") },
		"role":         func() (any, error) { return c.Role(t.Context(), "full", "web") },
		"renewal": func() (any, error) {
			cfg := configFor(vault.Addr)
			cfg.Token = configopaque.String(secret.Auth.ClientToken)
			other := clientOf(t, cfg)
			return "it works", other.session.renew(t.Context())
		},
	} {
		got, err := read()
		require.NoError(t, err, name)
		assert.NotEmpty(t, got, name)
	}
}

// emptiable returns the address of a proxy to a server, and a function that has it
// answer everything with 200 and a text; with an empty one, it lets all through again.
func emptiable(t *testing.T, server string) (address string, answer func(text string)) {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	pass := httputil.NewSingleHostReverseProxy(to)
	pass.ErrorLog = log.New(io.Discard, "", 0)
	var text atomic.Value
	text.Store("")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := text.Load().(string)
		// What Vault never wraps, a proxy that has answers wrapped leaves as it is.
		open := slices.Contains([]string{"/v1/" + endpointHealth, "/v1/" + endpointSeal, "/v1/" + endpointLeader}, r.URL.Path)
		if said == "" || said == wrapped && open {
			pass.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, said)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, func(said string) { text.Store(said) }
}

func TestAVaultWhoseAnswersAreEmptyForAWhile(t *testing.T) {
	vault, client := startVault(t)
	require.NoError(t, client.Sys().PutPolicy("mine", `path "a" { capabilities = ["read"] }`))
	enableKV(t, client, "kv", "2")
	require.NoError(t, client.Sys().EnableAuditWithOptions("file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": filepath.Join(t.TempDir(), "audit.log")},
	}))
	write(t, client, endpointQuotas+"/small", map[string]any{"rate": 1000})
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	issue(t, client, "pki", "web", "a.example.com", "720h")
	write(t, client, "auth/token/create", map[string]any{"ttl": "1h", "no_parent": true})

	for name, text := range map[string]string{"an empty object": `{}`, "null": `null`, "a wrapped answer": wrapped, "a page": "<html>welcome</html>"} {
		t.Run(name, func(t *testing.T) {
			address, answer := emptiable(t, vault.Addr)
			id, host := observedtest.FileStorage(t, t.TempDir())
			start := func() *observedtest.Receiver {
				cfg := only(address, vault.RootToken)
				cfg.Storage = &id
				cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
				for _, domain := range []*DomainConfig{&cfg.Mounts, &cfg.Policies, &cfg.AuditDevices, &cfg.Quotas, &cfg.LockedUsers, &cfg.InFlightRequests} {
					domain.Enabled = true
				}
				cfg.Leases.Mode, cfg.Leases.Prefixes, cfg.Leases.Interval = ModePrefixes, []string{"auth/token/create"}, 200*time.Millisecond
				cfg.Tokens.Mode, cfg.Tokens.Interval = ModeAccessors, 200*time.Millisecond
				cfg.PKI.Mounts, cfg.PKI.Interval = []string{"pki"}, 200*time.Millisecond
				return observedtest.StartOn(t, host, NewFactory(), cfg)
			}
			known := []string{
				endpointMounts, endpointAuth, endpointPolicies, endpointPolicy, endpointAudit, endpointQuotas, endpointPeers, endpointNodes,
				endpointAccessors, endpointLease + "/auth/token/create", "pki/certs", "pki/issuers", "pki/roles",
			}
			first := start()
			up := func(o *observedtest.Receiver) {
				for _, endpoint := range known {
					o.Eventually(t, endpoint+" is up", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpoint))
				}
				for _, gauge := range []string{"vault.policy.count", "vault.lease.followed.count", "vault.pki.certificate.count"} {
					o.Eventually(t, gauge, func() bool { return o.HasMetric(gauge) })
				}
			}
			up(first)
			before := len(first.Events(""))
			for _, o := range []*observedtest.Receiver{first, nil} {
				t.Cleanup(func() {
					if t.Failed() && o != nil {
						t.Log(o.Trouble())
					}
				})
				answer(text)
				if o == nil {
					first.Shutdown(t)
					o, before = start(), 0 // It knows what is stored.
				}
				if text == wrapped {
					for _, endpoint := range known {
						if endpoint != endpointPolicy && !strings.HasPrefix(endpoint, "pki/") { // They are asked when others were answered.
							o.Eventually(t, endpoint+" is down", o.HasValue(0, "vault.endpoint.up", "vault.endpoint", endpoint))
						}
					}
				} else {
					o.Eventually(t, "it is down", o.HasValue(0, "vault.up"))
				}
				o.Eventually(t, "the status says why", func() bool { return strings.Contains(o.Trouble(), "the answer is not Vault's, check endpoint") })
				for _, gauge := range []string{"vault.mount.count", "vault.policy.count", "vault.audit.device.count", "vault.raft.peer.count"} {
					o.Eventually(t, gauge+" is not known", func() bool { return !o.HasMetric(gauge) })
				}
				answer("")
				up(o)
				o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
				for _, event := range o.Events("")[before:] {
					assert.Equal(t, "vault.watch.gap", event.EventName(), "no event but that the server was not observed")
				}
				assert.LessOrEqual(t, len(o.Events("")), before+1)
				before = len(o.Events(""))
				assert.Empty(t, o.Spans("vault.lease"), "none has ended")
			}
		})
	}
}
