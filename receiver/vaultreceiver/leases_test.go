// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/eventlog"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
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
	if value, ok := attrs.Get(name); ok {
		return value.AsString()
	}
	return ""
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
	brief := issuer.certificate("24s")
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
	assert.Contains(t, exemplars(o, "vault.lease.lifetime", 3), o.Spans(telemetry.SpanLease, "vault.lease.hash", hash(brief))[0].SpanID())
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

// leaseOf returns the ID of the one lease below a path that has come since those
// that are known.
func (i *issuer) leaseOf(prefix string, known ...string) string {
	i.t.Helper()
	secret, err := i.client.Logical().List("sys/leases/lookup/" + prefix)
	require.NoError(i.t, err)
	require.NotNil(i.t, secret)
	for _, name := range secret.Data["keys"].([]any) {
		if lease := prefix + name.(string); !slices.Contains(known, lease) {
			return lease
		}
	}
	require.Fail(i.t, "no lease")
	return ""
}

// lookup returns the times of a lease, as Vault tells them.
func (i *issuer) lookup(lease string) (issued, renewed, expires time.Time) {
	i.t.Helper()
	data := i.write("sys/leases/lookup", map[string]any{"lease_id": lease}).Data
	at := func(name string) (parsed time.Time) {
		if data[name] != nil {
			var err error
			parsed, err = time.Parse(time.RFC3339Nano, data[name].(string))
			require.NoError(i.t, err)
		}
		return parsed
	}
	return at("issue_time"), at("last_renewal"), at("expire_time")
}

func TestLeasesOfLogins(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	cfg.Leases.FullIDs = true
	issuer := newIssuer(t, client)
	o := observe(t, cfg, string(cfg.Token), vault.RootToken)
	o.Eventually(t, "the baseline is read", o.HasValue(1, "vault.lease.followed.count", "vault.expiry", "hour"))

	const folder = "auth/userpass/login/ann/"
	issuer.write("auth/userpass/users/ann", map[string]any{"password": "p", "token_ttl": "24s"})
	short := issuer.login()
	lease := issuer.leaseOf(folder)
	o.Eventually(t, "it is issued", o.HasEvent("vault.lease.created", "vault.lease.id", lease))
	issuer.renew(short, "24s")
	issued, renewed, expires := issuer.lookup(lease)
	created := o.Events("vault.lease.created", "vault.lease.id", lease)[0]
	assert.Equal(t, map[string]any{
		"vault.mount.path": "auth/userpass/", "vault.lease.prefix": "auth/userpass/login/ann", "vault.lease.role": "ann", "vault.lease.id": lease,
		"vault.lease.hash": hash(lease), "vault.lease.ttl": number(t, created.Attributes(), "vault.lease.ttl"), "observation.reconciled": false,
	}, created.Attributes().AsRaw())
	assert.Equal(t, issued, created.Timestamp().AsTime())
	o.Eventually(t, "it is renewed", o.HasEvent("vault.lease.renewed", "vault.lease.id", lease))
	renewal := o.Events("vault.lease.renewed", "vault.lease.id", lease)[0]
	assert.Equal(t, renewed, renewal.Timestamp().AsTime(), "the time is that of the renewal")
	assert.InDelta(t, expires.Sub(renewed).Seconds(), number(t, renewal.Attributes(), "vault.lease.ttl"), 0.001)
	o.Eventually(t, "the counter", o.HasValue(1, "vault.lease.renewals", "vault.mount.path", "auth/userpass/"))
	o.Eventually(t, "it is about to expire", o.HasEvent("vault.lease.expiring", "vault.lease.id", lease))
	o.Eventually(t, "it expires", o.HasEvent("vault.lease.ended", "vault.lease.id", lease))
	span := requireEnd(t, o, lease, "expired")
	assert.Equal(t, issued, span.StartTimestamp().AsTime())
	assert.Equal(t, expires, span.EndTimestamp().AsTime())
	require.Equal(t, 1, span.Events().Len())
	assert.Equal(t, renewed, span.Events().At(0).Timestamp().AsTime())
	assert.Len(t, o.Events("vault.lease.expiring", "vault.lease.id", lease), 1)

	issuer.write("auth/userpass/users/ann", map[string]any{"password": "p", "token_ttl": "2h"})
	token := issuer.login()
	first := issuer.leaseOf(folder)
	issuer.login()
	second := issuer.leaseOf(folder, first)
	o.Eventually(t, "two more", func() bool { return len(o.Events("vault.lease.created", "vault.lease.role", "ann")) == 3 })
	issuer.write("auth/token/revoke", map[string]any{"token": token})
	o.Eventually(t, "a token is revoked", o.HasEvent("vault.lease.ended", "vault.lease.id", first))
	span = requireEnd(t, o, first, "revoked")
	assert.Equal(t, "likely", text(span.Attributes(), "vault.lease.end.confidence"), "a renewal may have shortened it")
	require.NoError(t, client.Sys().RevokePrefix("auth/userpass/login"))
	o.Eventually(t, "a prefix is revoked", o.HasEvent("vault.lease.ended", "vault.lease.id", second))
	requireEnd(t, o, second, "revoked")
	assert.Len(t, o.Events("vault.lease.ended"), 3, "no other lease has ended")
	assert.Len(t, o.Events("vault.lease.created"), 3)
}

func TestLeasesOverARestart(t *testing.T) {
	vault, client := startVault(t)
	address, say := giveUp(t, vault.Addr)
	cfg := following(t, address, client)
	cfg.Leases.Prefixes = []string{"pki/issue"}
	issuer := newIssuer(t, client)
	dir := t.TempDir()
	start := func() *observedtest.Receiver {
		storage, host := observedtest.FileStorage(t, dir)
		cfg.Storage = &storage
		cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
		return observedtest.StartOn(t, host, NewFactory(), cfg)
	}
	o := start()
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.lease.unread.count"))
	stays, revoked, expires := issuer.certificate("1h"), issuer.certificate("1h"), issuer.certificate("20s")
	o.Eventually(t, "they are read", func() bool { return len(o.Events("vault.lease.created")) == 3 })
	say("ssh/creds/app/told")
	o.Eventually(t, "one that is given up", o.HasEvent("vault.lease.irrevocable"))
	o.Shutdown(t)
	say("ssh/creds/app/told", "ssh/creds/app/new")

	require.NoError(t, client.Sys().Revoke(revoked))
	between := issuer.certificate("2h")
	require.Eventually(t, func() bool { // until Vault has done away with it
		secret, err := client.Logical().List("sys/leases/lookup/pki/issue/web")
		return err == nil && !slices.Contains(secret.Data["keys"].([]any), any(leaf(expires)))
	}, time.Minute, 50*time.Millisecond)
	o = start()
	for lease, cause := range map[string]string{revoked: "revoked", expires: "expired"} {
		o.Eventually(t, "the end of what has ended meanwhile", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(lease)))
		span := requireEnd(t, o, lease, cause)
		assert.Equal(t, "true", text(span.Attributes(), period.AttrReconciled), cause)
	}
	o.Eventually(t, "one was issued meanwhile", o.HasEvent("vault.lease.created", "vault.lease.hash", hash(between), "observation.reconciled", "true"))
	o.Eventually(t, "another one that is given up", o.HasEvent("vault.lease.irrevocable", "vault.lease.hash", hash("ssh/creds/app/new")))
	assert.Len(t, o.Events("vault.lease.irrevocable"), 1)
	require.NoError(t, client.Sys().RevokePrefix("pki"))
	o.Eventually(t, "the end of one that was known before", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(stays)))
	span := requireEnd(t, o, stays, "revoked")
	assert.Empty(t, text(span.Attributes(), period.AttrReconciled))
	assert.InDelta(t, 3600, number(t, span.Attributes(), "vault.lease.ttl"), 2, "its TTL is known, and it was not asked for again")
	assert.Len(t, o.Events("vault.lease.created"), 1, "what was told is not told again")
}

func TestLeasesOfASealedVault(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	issuer := newIssuer(t, client)
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.lease.unread.count"))
	stays, expires, until := issuer.certificate("1h"), issuer.certificate("15s"), time.Now().Add(15*time.Second)
	o.Eventually(t, "they are read", func() bool { return len(o.Events("vault.lease.created")) == 2 })
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "it is seen sealed", o.HasValue(1, "vault.sealed"))
	o.Eventually(t, "nothing is told of leases", func() bool { return !o.HasMetric("vault.lease.followed.count") })
	o.Eventually(t, "it expires meanwhile", func() bool { return time.Now().After(until) })
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "what has expired meanwhile", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(expires)))
	requireEnd(t, o, expires, "expired")
	fresh := issuer.certificate("1h")
	o.Eventually(t, "it goes on", o.HasEvent("vault.lease.created", "vault.lease.hash", hash(fresh)))
	assert.Len(t, o.Events("vault.lease.ended"), 1)
	assert.Len(t, o.Events("vault.lease.created"), 3)
	assert.Empty(t, o.Events("vault.lease.ended", "vault.lease.hash", hash(stays)))
	assert.Zero(t, o.Warnings(endpointLease)+o.Warnings(endpointLease+"/pki/issue"), "a sealed server is no failure")
}

func TestLeasesWhenAnotherNodeBecomesActive(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3})
	first := leaderOf(t, vault, -1)
	client, err := vault.Client(first)
	require.NoError(t, err)
	issuer := newIssuer(t, client)
	stays, goes := issuer.certificate("1h"), issuer.certificate("1h")
	var all []*observedtest.Receiver
	for i := range vault.Members {
		cfg := following(t, vault.Addrs[i], client)
		cfg.Leases.Prefixes = []string{"pki/issue"} // Each receiver has a token.
		all = append(all, observe(t, cfg, string(cfg.Token)))
	}
	read := func(at int) {
		all[at].Eventually(t, "they are read", all[at].HasValue(0, "vault.lease.unread.count"))
		all[at].Eventually(t, "they are known", func() bool { return all[at].HasMetric("vault.lease.followed.count") })
	}
	read(first)
	require.NoError(t, vault.StepDown(t.Context()))
	second := leaderOf(t, vault, first)
	read(second)
	client, err = vault.Client(second)
	require.NoError(t, err)
	require.NoError(t, client.Sys().Revoke(goes))
	all[second].Eventually(t, "its receiver tells", all[second].HasEvent("vault.lease.ended", "vault.lease.hash", hash(goes)))
	requireEnd(t, all[second], goes, "revoked")
	for i, o := range all {
		assert.Empty(t, o.Events("vault.lease.created"), "what was there before is not news")
		assert.Empty(t, o.Events("vault.lease.ended", "vault.lease.hash", hash(stays)))
		if i != second {
			assert.Empty(t, o.Events("vault.lease.ended"), "the active node's receiver alone tells")
		}
	}
}

func TestLeasesWhileAConsumerRefuses(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	cfg.Leases.Prefixes = []string{"pki/issue"}
	issuer := newIssuer(t, client)
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.lease.unread.count"))
	o.Refuse(true)
	var leases []string
	for i := range 5 {
		leases = append(leases, issuer.certificate("1h"))
		o.Eventually(t, "the metrics go on", o.HasValue(int64(i+1), "vault.lease.created"))
	}
	require.NoError(t, client.Sys().RevokePrefix("pki"))
	o.Eventually(t, "the metrics go on", o.HasValue(5, "vault.lease.ended", "vault.lease.end.cause", "revoked"))
	o.Eventually(t, "the gauges, too", o.HasValue(0, "vault.lease.followed.count", "vault.expiry", "hour"))
	assert.Empty(t, o.Events("vault.lease.created"))
	o.Refuse(false)
	o.Eventually(t, "all is told", func() bool { return len(o.Events("vault.lease.ended")) == 5 })
	assert.Len(t, o.Events("vault.lease.created"), 5)
	for _, lease := range leases {
		requireEnd(t, o, lease, "revoked")
	}
}

func TestLeasesThatAreDeniedAndAllowed(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	issuer := newIssuer(t, client)
	token := issuer.certificate("1h")
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.lease.unread.count"))
	const lists = endpointLease + "/auth"
	without := strings.ReplaceAll(policyOf(t, "Leases"), "lookup/auth/", "lookup/other/")
	require.NoError(t, client.Sys().PutPolicy("part", without))
	o.Eventually(t, "a prefix is denied", o.HasEvent("vault.endpoint.denied", "vault.endpoint", lists))
	o.Eventually(t, "the metric", o.HasValue(0, "vault.endpoint.up", "vault.endpoint", lists))
	require.NoError(t, client.Sys().Revoke(token))
	o.Eventually(t, "the other prefix is listed", o.HasEvent("vault.lease.ended", "vault.lease.hash", hash(token)))
	assert.Len(t, o.Events("vault.lease.ended"), 1, "what is denied does not end")

	require.NoError(t, client.Sys().PutPolicy("part", strings.ReplaceAll(policyOf(t, "Leases"), `"update"`, `"deny"`)))
	o.Eventually(t, "it is allowed again", o.HasEvent("vault.endpoint.allowed", "vault.endpoint", lists))
	unread := issuer.certificate("1h")
	o.Eventually(t, "what cannot be asked for is counted", o.HasValue(1, "vault.lease.unread.count"))
	o.Eventually(t, "the denial", o.HasEvent("vault.endpoint.denied", "vault.endpoint", endpointLease))
	require.NoError(t, client.Sys().PutPolicy("part", policyOf(t, "Leases")))
	o.Eventually(t, "it is read now", o.HasEvent("vault.lease.created", "vault.lease.hash", hash(unread)))
	assert.Len(t, o.Events("vault.lease.created"), 1)
	assert.Len(t, o.Events("vault.lease.ended"), 1)
	assert.Len(t, o.Events("vault.endpoint.denied", "vault.endpoint", lists), 1)
}

func TestNothingIsAskedOfLeasesThatAreOff(t *testing.T) {
	vault, client := startVault(t)
	asked := func(mode string) int64 {
		cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Cluster")))
		cfg.Leases.Mode = mode
		o := observe(t, cfg)
		scraped := func() bool { return len(o.Metrics.AllMetrics()) > 3 && o.HasMetric("vault.ha.node.count") }
		o.Eventually(t, "some metrics", scraped)
		return o.Own(t, "otelcol_vault_requests", "request", endpointMetrics) + o.Own(t, "otelcol_vault_requests", "request", endpointLeases)
	}
	assert.Zero(t, asked(ModeOff))
	assert.Positive(t, asked(ModeCount))
}

func TestMoreLeasesThanTheLimit(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	cfg.Leases.Prefixes = []string{"pki/issue"}
	cfg.Leases.Limit = 2
	issuer := newIssuer(t, client)
	leases := make([]string, 5)
	for i := range leases {
		leases[i] = issuer.certificate("1h")
	}
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "those beyond are counted", o.HasValue(3, "vault.lease.unfollowed.count"))
	o.Eventually(t, "the others are followed", o.HasValue(2, "vault.lease.followed.count", "vault.expiry", "hour"))
	for _, lease := range leases[:4] {
		require.NoError(t, client.Sys().Revoke(lease))
	}
	o.Eventually(t, "there is room", o.HasValue(0, "vault.lease.unfollowed.count"))
	o.Eventually(t, "the last one is followed", o.HasValue(1, "vault.lease.followed.count", "vault.expiry", "hour"))
	assert.Empty(t, o.Events("vault.lease.created"), "it is not new")
}

// refusing is a consumer that refuses events, but not for good, while told to.
type refusing struct {
	consumertest.LogsSink
	refuses atomic.Bool
}

func (r *refusing) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	if r.refuses.Load() {
		return errors.New("not now")
	}
	return r.LogsSink.ConsumeLogs(ctx, logs)
}

func TestWhenTooMuchWaitsNothingMoreIsAsked(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	cfg.Leases.Prefixes = []string{"pki/issue"}
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	issuer := newIssuer(t, client)
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	next := &refusing{}
	w.Delivery().Logs = next
	l := w.domains[0].(*leases)
	l.most = 3
	require.NoError(t, w.Start(t.Context(), componenttest.NewNopHost()))
	defer func() { assert.NoError(t, w.Shutdown(context.Background())) }()
	eventually := func(what string, condition func() bool) {
		t.Helper()
		require.Eventually(t, condition, 90*time.Second, 20*time.Millisecond, what)
	}
	locked := func(condition func() bool) func() bool {
		return func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return condition()
		}
	}
	eventually("the baseline", locked(func() bool { return !l.looked.IsZero() }))
	next.refuses.Store(true)
	const all = 12 // Three of them are on their way to the consumer, and three more wait.
	for range all {
		issuer.certificate("1h")
		read := time.Now()
		eventually("they are listed, or no longer", locked(func() bool { return l.looked.After(read) || len(l.waiting) >= l.most }))
	}
	eventually("too much waits", locked(func() bool { return len(l.waiting) >= l.most }))
	looked := time.Time{}
	eventually("it holds", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		same := looked.Equal(l.looked) && time.Since(l.looked) > 4*cfg.Leases.Interval
		looked = l.looked
		return same
	})
	locked(func() bool { assert.Less(t, len(l.waiting), all); return true })()
	next.refuses.Store(false)
	created := func() (n int) {
		for _, logs := range next.AllLogs() {
			eventlog.Each(logs, func(record plog.LogRecord) {
				if record.EventName() == "vault.lease.created" {
					n++
				}
			})
		}
		return n
	}
	eventually("all is told", func() bool { return created() == all })
}

func TestLeasesOfAMountWithALongPath(t *testing.T) {
	vault, client := startVault(t)
	cfg := following(t, vault.Addr, client)
	require.NoError(t, client.Sys().PutPolicy("part", strings.ReplaceAll(policyOf(t, "Leases"), "lookup/pki/issue/*", "lookup/team/*")))
	cfg.Leases.Prefixes = []string{"team"}
	issuer := newIssuer(t, client)
	require.NoError(t, client.Sys().Mount("team/of/pki", &api.MountInput{Type: "pki"}))
	issuer.write("team/of/pki/root/generate/internal", map[string]any{"common_name": "root", "key_type": "ec", "key_bits": 256})
	issuer.write("team/of/pki/roles/web", map[string]any{"allow_any_name": true, "generate_lease": true, "key_type": "ec", "key_bits": 256})
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	next := &refusing{}
	w.Delivery().Logs = next
	w.learnMounts([]string{"pki/", "team/of/pki/", "auth/token/"})
	l := w.domains[0].(*leases)
	require.NoError(t, w.Start(t.Context(), componenttest.NewNopHost()))
	defer func() { assert.NoError(t, w.Shutdown(context.Background())) }()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.roster.Version() > 0
	}, 90*time.Second, 20*time.Millisecond, "the baseline")
	issuer.write("team/of/pki/issue/web", map[string]any{"common_name": "a.example", "ttl": "1h"})
	found := func() (attributes map[string]any) {
		for _, logs := range next.AllLogs() {
			eventlog.Each(logs, func(record plog.LogRecord) {
				if record.EventName() == "vault.lease.created" {
					attributes = record.Attributes().AsRaw()
				}
			})
		}
		return attributes
	}
	require.Eventually(t, func() bool { return found() != nil }, 90*time.Second, 20*time.Millisecond)
	assert.Equal(t, "team/of/pki/", found()["vault.mount.path"])
	assert.Equal(t, "web", found()["vault.lease.role"])
}
