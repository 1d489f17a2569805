// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// issuer makes leases in a Vault: of certificates, which are not renewable, and
// of logins and tokens, which are.
type issuer struct {
	t      *testing.T
	client *api.Client
}

func newIssuer(t *testing.T, client *api.Client) *issuer {
	t.Helper()
	i := &issuer{t, client}
	require.NoError(t, client.Sys().Mount("pki", &api.MountInput{Type: "pki", Config: api.MountConfigInput{MaxLeaseTTL: "240h"}}))
	i.write("pki/root/generate/internal", map[string]any{"common_name": "root", "key_type": "ec", "key_bits": 256, "ttl": "100h"})
	i.write("pki/roles/web", map[string]any{"allow_any_name": true, "generate_lease": true, "key_type": "ec", "key_bits": 256, "max_ttl": "50h"})
	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	i.write("auth/userpass/users/ann", map[string]any{"password": "p", "token_ttl": "1h"})
	return i
}

func (i *issuer) write(path string, data map[string]any) *api.Secret {
	i.t.Helper()
	secret, err := i.client.Logical().Write(path, data)
	require.NoError(i.t, err)
	return secret
}

// certificate issues one, and returns the ID of its lease.
func (i *issuer) certificate(ttl string) string {
	i.t.Helper()
	return i.write("pki/issue/web", map[string]any{"common_name": "a.example", "ttl": ttl}).LeaseID
}

// login returns a token.
func (i *issuer) login() string {
	i.t.Helper()
	return i.write("auth/userpass/login/ann", map[string]any{"password": "p"}).Auth.ClientToken
}

// token makes one of its own, for a time.
func (i *issuer) token(ttl string) string {
	i.t.Helper()
	secret, err := i.client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: ttl})
	require.NoError(i.t, err)
	return secret.Auth.ClientToken
}

func (i *issuer) renew(token, increment string) {
	i.t.Helper()
	i.write("auth/token/renew", map[string]any{"token": token, "increment": increment})
}

// following returns a configuration that follows leases only.
func following(t *testing.T, endpoint string, client *api.Client) *Config {
	t.Helper()
	cfg := only(endpoint, tokenFor(t, client, policyOf(t, "Leases")))
	cfg.Leases.Mode = ModePrefixes
	cfg.Leases.Prefixes = []string{"pki/issue", "auth"}
	cfg.Leases.Interval = 200 * time.Millisecond
	cfg.Leases.RequestsPerSecond = 200
	return cfg
}

func text(attrs pcommon.Map, name string) string {
	value, _ := attrs.Get(name)
	return value.AsString()
}

func number(t *testing.T, attrs pcommon.Map, name string) float64 {
	t.Helper()
	value, ok := attrs.Get(name)
	require.True(t, ok, name)
	return value.Double()
}

func TestLeasesOfACertificate(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	cfg.Metrics.Metrics.VaultLeaseMountCount.Enabled = true
	cfg.Leases.Prefixes = []string{"pki/issue"}
	issuer := newIssuer(t, client)
	old := issuer.certificate("1h")
	o := observe(t, cfg, string(cfg.Token), vault.RootToken)
	o.Eventually(t, "the baseline is read", o.HasValue(1, "vault.lease.followed.count", "vault.expiry", "hour"))
	o.Eventually(t, "all is read", o.HasValue(0, "vault.lease.unread.count"))
	o.Eventually(t, "its mount", o.HasValue(1, "vault.lease.mount.count", "vault.mount.path", "pki/"))

	fresh := issuer.certificate("30h")
	brief := issuer.certificate("3s")
	o.Eventually(t, "the new ones", func() bool { return len(o.Events("vault.lease.created", "vault.lease.prefix", "pki/issue/web")) == 2 })
	o.Eventually(t, "the counter", o.HasValue(2, "vault.lease.created", "vault.mount.path", "pki/"))
	o.Eventually(t, "when it expires", o.HasValue(1, "vault.lease.followed.count", "vault.expiry", "week"))
	created := o.Events("vault.lease.created", "vault.lease.hash", hash(fresh))[0]
	assert.Equal(t, map[string]any{
		"vault.mount.path": "pki/", "vault.lease.prefix": "pki/issue/web", "vault.lease.role": "web",
		"vault.lease.hash": hash(fresh), "vault.lease.ttl": number(t, created.Attributes(), "vault.lease.ttl"), "observation.reconciled": false,
	}, created.Attributes().AsRaw())
	assert.InDelta(t, 30*3600, number(t, created.Attributes(), "vault.lease.ttl"), 2)
	assert.Equal(t, "a lease of pki/issue/web was issued", created.Body().Str())

	o.Eventually(t, "a short one is about to expire", o.HasEvent("vault.lease.expiring", "vault.lease.hash", hash(brief)))
	o.Eventually(t, "it expires", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(brief)))
	requireEnd(t, o, brief, "expired")
	assert.Len(t, o.Events("vault.lease.expiring", "vault.lease.hash", hash(brief)), 1)

	require.NoError(t, client.Sys().Revoke(fresh))
	o.Eventually(t, "one is revoked", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(fresh)))
	span := requireEnd(t, o, fresh, "revoked")
	assert.Equal(t, "certain", text(span.Attributes(), "vault.lease.end.confidence"), "no renewal can have shortened it")
	assert.Equal(t, created.TraceID(), span.TraceID())
	assert.Equal(t, created.SpanID(), span.SpanID())
	marker := o.Spans(telemetry.SpanLease+".start", "vault.lease.hash", hash(fresh))[0]
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, span.StartTimestamp(), marker.StartTimestamp())
	assert.Equal(t, ptrace.StatusCodeUnset, span.Status().Code())

	require.NoError(t, client.Sys().Unmount("pki"))
	o.Eventually(t, "the mount goes", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(old)))
	requireEnd(t, o, old, "revoked")
	assert.Empty(t, o.Events("vault.lease.created", "vault.lease.hash", hash(old)), "the baseline is not news")
	o.Eventually(t, "the counter", o.HasValue(2, "vault.lease.ended", "vault.lease.end.cause", "revoked"))
	o.Eventually(t, "the TTLs", func() bool { return len(exemplars(o, "vault.lease.ttl.issued", 2)) == 2 })
	o.Eventually(t, "the lifetimes", func() bool { return len(exemplars(o, "vault.lease.lifetime", 3)) >= 2 })
	assert.Contains(t, exemplars(o, "vault.lease.lifetime", 3), span.SpanID())
	assert.Empty(t, exemplars(o, "vault.lease.ttl.remaining", 1), "it is of all of them")
	o.RequireNotTold(t, leaf(fresh), leaf(brief), leaf(old))
}

// hash stands for a lease's ID.
func hash(lease string) string {
	sum := sha256.Sum256([]byte(lease))
	return hex.EncodeToString(sum[:])[:16]
}

// exemplars returns the spans that the newest histogram leads to, if it has at
// least so many values.
func exemplars(o *observedtest.Receiver, name string, values uint64) (spans []pcommon.SpanID) {
	all := o.Metrics.AllMetrics()
	sum := uint64(0)
	for _, metric := range all[len(all)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if metric.Name() != name {
			continue
		}
		for _, point := range metric.Histogram().DataPoints().All() {
			sum += point.Count()
			for _, exemplar := range point.Exemplars().All() {
				spans = append(spans, exemplar.SpanID())
			}
		}
	}
	if sum < values {
		return nil
	}
	return spans
}

// requireEnd requires that the end of a lease is told, for that cause, and
// returns its span.
func requireEnd(t *testing.T, o *observedtest.Receiver, lease, cause string) ptrace.Span {
	t.Helper()
	ended, spans := o.Events("vault.lease.ended", "vault.lease.hash", hash(lease)), o.Spans(telemetry.SpanLease, "vault.lease.hash", hash(lease))
	require.Len(t, ended, 1)
	require.Len(t, spans, 1)
	require.Equal(t, cause, text(ended[0].Attributes(), "vault.lease.end.cause"))
	require.Equal(t, cause, text(spans[0].Attributes(), "vault.lease.end.cause"))
	require.Equal(t, spans[0].SpanID(), ended[0].SpanID())
	_, before := spans[0].Attributes().Get(period.AttrBeganBeforeObservation)
	require.False(t, before, "its issue is known")
	length := spans[0].EndTimestamp().AsTime().Sub(spans[0].StartTimestamp().AsTime())
	require.InDelta(t, length.Seconds(), number(t, ended[0].Attributes(), "vault.lease.lifetime"), 0.001)
	return spans[0]
}

// leaf is the part of a lease's ID that makes it this one.
func leaf(lease string) string { return lease[strings.LastIndexByte(lease, '/')+1:] }
