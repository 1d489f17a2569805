// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// giveUp returns the address of a Vault that says of some leases that it has
// given up to revoke them. The answers are recorded ones: to give up takes Vault
// ten minutes, or a plugin that refuses to revoke.
func giveUp(t *testing.T, vault string) (address string, say func(leases ...string)) {
	t.Helper()
	target, err := url.Parse(vault)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	var given atomic.Pointer[[]string]
	given.Store(&[]string{})
	answer := func(name string, fill func(leases []string) []any) http.HandlerFunc {
		body, err := os.ReadFile(filepath.Join("testdata", "api", name))
		require.NoError(t, err)
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("type") != "irrevocable" || r.Method != http.MethodGet {
				http.Error(w, `{"errors":["not what was expected"]}`, http.StatusBadRequest)
				return
			}
			_, err := fmt.Fprintf(w, string(body), fill(*given.Load())...)
			assert.NoError(t, err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/sys/leases/count", answer("leases_count_irrevocable.json", func(leases []string) []any { return []any{len(leases)} }))
	mux.HandleFunc("/v1/sys/leases", answer("leases_irrevocable.json", func(leases []string) []any {
		said := make([]string, len(leases))
		for i, lease := range leases {
			said[i] = fmt.Sprintf(`{"lease_id":%q,"mount_id":"pki_8ad48657","error":"planted in an error"}`, lease)
		}
		return []any{len(leases), strings.Join(said, ",")}
	}))
	mux.Handle("/", proxy)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, func(leases ...string) { given.Store(&leases) }
}

func TestALeaseThatVaultHasGivenUpOn(t *testing.T) {
	vault, client := startVault(t)
	address, say := giveUp(t, vault.Addr)
	cfg := following(t, address, client)
	cfg.Leases.Prefixes = []string{"pki/issue"}
	issuer := newIssuer(t, client)
	before, lease := issuer.certificate("1h"), issuer.certificate("1h")
	say(before)
	o := observe(t, cfg, string(cfg.Token), "planted", leaf(before), leaf(lease))
	o.Eventually(t, "the baseline", o.HasValue(2, "vault.lease.followed.count", "vault.expiry", "hour"))
	o.Eventually(t, "it asks which", o.HasValue(1, "vault.endpoint.up", "vault.endpoint", endpointIrrevocable))
	say(before, lease, "database/creds/app/other")
	o.Eventually(t, "another one", o.HasEvent("vault.lease.irrevocable", "vault.lease.hash", hash(lease)))
	o.Eventually(t, "one that is not followed", o.HasEvent("vault.lease.irrevocable", "vault.lease.prefix", "database/creds/app"))
	event := o.Events("vault.lease.irrevocable", "vault.lease.hash", hash(lease))[0]
	assert.Equal(t, plog.SeverityNumberError, event.SeverityNumber())
	assert.Equal(t, map[string]any{
		"vault.mount.path": "pki/", "vault.lease.prefix": "pki/issue/web", "vault.lease.role": "web", "vault.lease.hash": hash(lease),
	}, event.Attributes().AsRaw())
	require.NoError(t, client.Sys().Revoke(lease))
	o.Eventually(t, "it is removed after all", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(lease)))
	span := requireEnd(t, o, lease, "revoked")
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	assert.Equal(t, "vault could not revoke the lease", span.Status().Message())
	assert.Equal(t, span.SpanID(), event.SpanID())
	assert.Len(t, o.Events("vault.lease.irrevocable"), 2, "each is told once, and the baseline is not news")
}

func TestTheNumberOfIrrevocableLeasesIsAskedForWithTheOthers(t *testing.T) {
	vault := newLeasesFake(t, "pki/issue/web/a")
	cfg := vault.followed()
	cfg.Leases.Interval = time.Hour
	o := observe(t, cfg, "planted")
	o.Eventually(t, "the number", o.HasValue(0, "vault.lease.irrevocable.count"))
	cycles := len(o.Metrics.AllMetrics())
	o.Eventually(t, "more cycles", func() bool { return len(o.Metrics.AllMetrics()) > cycles+5 })
	assert.True(t, o.HasValue(0, "vault.lease.irrevocable.count")())
	assert.LessOrEqual(t, vault.asked.Load(), int64(2), "at the start and when it is seen to be active")
}
