// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

// pkiRules are the README's, for some mounts.
func pkiRules(t *testing.T, mounts ...string) string {
	t.Helper()
	var rules strings.Builder
	for _, mount := range mounts {
		rules.WriteString(strings.ReplaceAll(policyOf(t, "PKI"), `path "pki/`, `path "`+mount+"/"))
	}
	return rules.String()
}

// observedPKI returns a configuration that asks for PKI mounts only.
func observedPKI(t *testing.T, vault *lab.Vault, client *api.Client, mounts ...string) *Config {
	t.Helper()
	cfg := only(vault.Addr, tokenFor(t, client, pkiRules(t, mounts...)))
	cfg.PKI.Mounts, cfg.PKI.Interval, cfg.PKI.RequestsPerSecond = mounts, 200*time.Millisecond, 1000
	cfg.PKI.Lifetimes = true
	return cfg
}

// newPKIMount mounts a PKI secrets engine with a root, and returns its issuer.
func newPKIMount(t *testing.T, client *api.Client, mount, ttl string) string {
	t.Helper()
	require.NoError(t, client.Sys().Mount(mount, &api.MountInput{Type: "pki"}))
	write(t, client, "sys/mounts/"+mount+"/tune", map[string]any{"max_lease_ttl": "87600h"})
	root := write(t, client, mount+"/root/generate/internal", map[string]any{
		"common_name": "Root of " + mount, "issuer_name": "root", "key_type": "ec", "ttl": ttl,
	})
	return root.Data["issuer_id"].(string)
}

// newPKIRole makes a role for a domain and those below it.
func newPKIRole(t *testing.T, client *api.Client, mount, name, domain string, more map[string]any) {
	t.Helper()
	data := map[string]any{
		"allowed_domains": domain, "allow_subdomains": true, "allow_localhost": false,
		"key_type": "ec", "max_ttl": "720h", "not_before_duration": "1s",
	}
	for key, value := range more {
		data[key] = value
	}
	write(t, client, mount+"/roles/"+name, data)
}

// issue issues a certificate, and returns its serial number.
func issue(t *testing.T, client *api.Client, mount, role, name, ttl string) string {
	t.Helper()
	secret := write(t, client, mount+"/issue/"+role, map[string]any{"common_name": name, "ttl": ttl})
	return secret.Data["serial_number"].(string)
}

const (
	serialAttr = "vault.pki.certificate.serial"
	roleAttr   = "vault.pki.role"
	mountAttr  = "vault.mount.path"
)

func TestTheMountsOfPKIAreChecked(t *testing.T) {
	cfg := configFor("http://127.0.0.1:8200")
	cfg.PKI.Mounts = []string{"pki", "team/pki/"}
	require.NoError(t, cfg.Validate())
	cfg.PKI.Mounts = []string{"pki", "/", "pki/"}
	err := cfg.Validate()
	require.ErrorContains(t, err, "pki::mounts[1] is empty: name the path of a PKI secrets engine, such as pki")
	require.ErrorContains(t, err, "pki::mounts[2] is pki, which is named before: name each mount once")
}

// requireAllowed requires that all parts of the mounts could be used.
func requireAllowed(t *testing.T, o *observedtest.Receiver, mounts ...string) {
	t.Helper()
	for _, mount := range mounts {
		for _, part := range []string{"certs", "certs/revoked", "cert/+", "issuers", "issuer/+", "issuer/+/crl", "roles", "roles/+"} {
			endpoint := mount + "/" + part
			assert.Empty(t, o.Events("vault.endpoint.denied", "vault.endpoint", endpoint), endpoint)
			assert.Zero(t, o.Warnings(endpoint), endpoint)
		}
		assert.NotContains(t, o.Trouble(), mount)
	}
}

func attributes(event plog.LogRecord) map[string]any { return event.Attributes().AsRaw() }

func TestPKI(t *testing.T) {
	vault, client := startVault(t)
	issuer := newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	newPKIRole(t, client, "pki", "shop", "shop.example.com", nil)
	issue(t, client, "pki", "web", "old.example.com", "2h")
	gone := issue(t, client, "pki", "web", "gone.example.com", "2h")
	write(t, client, "pki/revoke", map[string]any{"serial_number": gone})
	cfg := observedPKI(t, vault, client, "pki")
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.pki.certificate.count", roleAttr, "web", "vault.expiry", "day", mountAttr, "pki/"))
	o.Eventually(t, "that which is revoked", o.HasValue(1, "vault.pki.revoked.count", mountAttr, "pki/"))
	o.Eventually(t, "the CA", func() bool {
		left, ok := o.Float("vault.pki.ca.expiry", "vault.issuer.id", issuer)
		return ok && left > 8750*3600 && left < 8760*3600
	})
	o.Eventually(t, "its list", func() bool {
		left, ok := o.Float("vault.pki.crl.expiry", "vault.issuer.name", "root")
		return ok && left > 71*3600 && left <= 72*3600
	})
	for name, want := range map[string]int64{"vault.pki.certificate.unread.count": 0, "vault.pki.certificate.unfollowed.count": 0} {
		o.Eventually(t, name, o.HasValue(want, name, mountAttr, "pki/")) // Others may be read yet.
	}
	left, ok := o.Float("vault.pki.certificate.expiry", roleAttr, "web")
	assert.True(t, ok && left > 7000 && left < 7201, left)

	t.Run("one is issued, expires and ends", func(t *testing.T) {
		serial := issue(t, client, "pki", "web", "short.example.com", "24s")
		o.Eventually(t, "its start", o.HasSpan(telemetry.SpanCertificate+".start", serialAttr, serial))
		o.Eventually(t, "that it expires", o.HasEvent("vault.pki.certificate.expiring", serialAttr, serial))
		o.Eventually(t, "its end", o.HasSpan(telemetry.SpanCertificate, serialAttr, serial))
		span, start := o.Spans(telemetry.SpanCertificate, serialAttr, serial)[0], o.Spans(telemetry.SpanCertificate+".start", serialAttr, serial)[0]
		life := span.EndTimestamp().AsTime().Sub(span.StartTimestamp().AsTime())
		assert.InDelta(t, 25, life.Seconds(), 1, "the role backdates by a second")
		assert.Equal(t, map[string]any{
			mountAttr: "pki/", roleAttr: "web", serialAttr: serial, "vault.issuer.id": issuer, "vault.issuer.name": "root", "vault.pki.revoked": false,
		}, span.Attributes().AsRaw())
		assert.Equal(t, span.SpanID(), start.ParentSpanID())
		assert.Equal(t, ptrace.StatusCodeUnset, span.Status().Code())
		assert.True(t, span.ParentSpanID().IsEmpty())

		events := o.Events("vault.pki.certificate.expiring", serialAttr, serial)
		require.Len(t, events, 1, "told once")
		assert.Equal(t, plog.SeverityNumberWarn, events[0].SeverityNumber())
		assert.Equal(t, span.SpanID(), events[0].SpanID())
		told := attributes(events[0])
		assert.Equal(t, false, told["vault.pki.superseded"])
		secondsLeft := told["vault.pki.left"].(float64)
		assert.True(t, secondsLeft > 0 && secondsLeft <= 6.5, "a quarter of its life before, at the earliest: %v", secondsLeft)
	})
	t.Run("one is replaced", func(t *testing.T) {
		serial := issue(t, client, "pki", "web", "twice.example.com", "24s")
		issue(t, client, "pki", "web", "twice.example.com", "1h")
		o.Eventually(t, "that it expires", o.HasEvent("vault.pki.certificate.expiring", serialAttr, serial, "vault.pki.superseded", "true"))
		assert.Equal(t, plog.SeverityNumberInfo, o.Events("vault.pki.certificate.expiring", serialAttr, serial)[0].SeverityNumber())
	})
	t.Run("one is revoked", func(t *testing.T) {
		serial := issue(t, client, "pki", "web", "bad.example.com", "1h")
		o.Eventually(t, "its start", o.HasSpan(telemetry.SpanCertificate+".start", serialAttr, serial))
		revoked := write(t, client, "pki/revoke", map[string]any{"serial_number": serial})
		o.Eventually(t, "that it is", o.HasEvent("vault.pki.certificate.revoked", serialAttr, serial))
		event := o.Events("vault.pki.certificate.revoked", serialAttr, serial)[0]
		assert.Equal(t, map[string]any{mountAttr: "pki/", roleAttr: "web", serialAttr: serial, "observation.reconciled": false}, attributes(event))
		when := event.Timestamp().AsTime()
		assert.Equal(t, revoked.Data["revocation_time_rfc3339"], when.Format(time.RFC3339Nano), "as Vault tells it")
		o.Eventually(t, "its end", o.HasSpan(telemetry.SpanCertificate, serialAttr, serial, "vault.pki.revoked", "true"))
		assert.Equal(t, when, o.Spans(telemetry.SpanCertificate, serialAttr, serial)[0].EndTimestamp().AsTime())
		o.Eventually(t, "the number", o.HasValue(2, "vault.pki.revoked.count"))
		assert.Empty(t, o.Events("vault.pki.certificate.expiring", serialAttr, serial))
	})
	t.Run("one could be of two roles", func(t *testing.T) {
		serial := issue(t, client, "pki", "shop", "x.shop.example.com", "100s")
		o.Eventually(t, "that it has none", o.HasValue(1, "vault.pki.certificate.count", roleAttr, "", "vault.expiry", "ten_minutes"))
		o.Eventually(t, "its start", o.HasSpan(telemetry.SpanCertificate+".start", serialAttr, serial))
		_, known := o.Spans(telemetry.SpanCertificate+".start", serialAttr, serial)[0].Attributes().Get(roleAttr)
		assert.False(t, known)
	})
	assert.Empty(t, o.Events("vault.pki.certificate.revoked", serialAttr, gone), "the baseline is not news")
	assert.Empty(t, o.Spans(telemetry.SpanCertificate, serialAttr, gone))
	assert.Empty(t, o.Events("vault.pki.ca.expiring"))
	requireAllowed(t, o, "pki")
}

func TestAnIssuerOfPKIExpiresAndItsListToo(t *testing.T) {
	vault, client := startVault(t)
	root := newPKIMount(t, client, "root", "8760h")
	require.NoError(t, client.Sys().Mount("team/pki", &api.MountInput{Type: "pki"}))
	request := write(t, client, "team/pki/intermediate/generate/internal", map[string]any{"common_name": "Team", "key_type": "ec"})
	signed := write(t, client, "root/root/sign-intermediate", map[string]any{"csr": request.Data["csr"], "common_name": "Team", "ttl": "1h", "not_before_duration": "1s"})
	imported := write(t, client, "team/pki/intermediate/set-signed", map[string]any{"certificate": signed.Data["certificate"]})
	intermediate := imported.Data["imported_issuers"].([]any)[0].(string)
	cfg := observedPKI(t, vault, client, "root", "team/pki")
	cfg.PKI.ExpiryWarning = 1000 * time.Hour // A quarter of their lives is less.
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the CA", func() bool {
		_, ok := o.Float("vault.pki.ca.expiry", mountAttr, "team/pki/", "vault.issuer.id", intermediate)
		return ok
	})
	o.Eventually(t, "what the root has signed", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "hour", mountAttr, "root/", roleAttr, ""))

	write(t, client, "team/pki/config/crl", map[string]any{"expiry": "8s"})
	rotate := func() {
		_, err := client.Logical().ReadWithContext(t.Context(), "team/pki/crl/rotate")
		require.NoError(t, err)
	}
	rotate()
	o.Eventually(t, "that the list expires", o.HasEvent("vault.pki.crl.expiring", "vault.issuer.id", intermediate))
	first := attributes(o.Events("vault.pki.crl.expiring", "vault.issuer.id", intermediate)[0])
	assert.LessOrEqual(t, first["vault.pki.left"].(float64), 1.0, "an eighth of its life before, at the earliest")
	o.Eventually(t, "that it is out of date", func() bool {
		left, ok := o.Float("vault.pki.crl.expiry", "vault.issuer.id", intermediate)
		return ok && left < 0
	})
	assert.Len(t, o.Events("vault.pki.crl.expiring"), 1, "told once")
	rotate()
	o.Eventually(t, "that another list is good", func() bool {
		left, ok := o.Float("vault.pki.crl.expiry", "vault.issuer.id", intermediate)
		return ok && left > 0
	})
	o.Eventually(t, "that it expires", func() bool { return len(o.Events("vault.pki.crl.expiring", "vault.issuer.id", intermediate)) == 2 })

	// An issuer without a key has no list, and is about to end.
	short := write(t, client, "root/root/generate/exported", map[string]any{"common_name": "Short", "key_type": "ec", "ttl": "20s"})
	write(t, client, "team/pki/issuers/import/cert", map[string]any{"pem_bundle": short.Data["certificate"]})
	o.Eventually(t, "that the CA expires", o.HasEvent("vault.pki.ca.expiring", mountAttr, "team/pki/"))
	event := o.Events("vault.pki.ca.expiring", mountAttr, "team/pki/")[0]
	assert.Equal(t, plog.SeverityNumberWarn, event.SeverityNumber())
	assert.LessOrEqual(t, attributes(event)["vault.pki.left"].(float64), 12.5)
	assert.Empty(t, o.Events("vault.pki.ca.expiring", "vault.issuer.id", root))
	requireAllowed(t, o, "root", "team/pki")
}

// TestTheRolesOfARealVault requires that each certificate is allowed by the role
// that it was issued with, and by no role that Vault itself refuses it.
func TestTheRolesOfARealVault(t *testing.T) {
	_, client := startVault(t)
	newPKIMount(t, client, "pki", "87600h")
	names := map[string]map[string]any{
		"plain":    {},
		"bare":     {"allow_bare_domains": true, "allow_subdomains": false},
		"glob":     {"allowed_domains": "a*.example.com,*.org", "allow_glob_domains": true, "allow_subdomains": false},
		"any":      {"allow_any_name": true, "enforce_hostnames": false, "allow_wildcard_certificates": false},
		"local":    {"allow_localhost": true},
		"free":     {"cn_validations": "disabled", "require_cn": false},
		"uris":     {"allowed_uri_sans": "spiffe://example.com/*", "allow_ip_sans": false, "require_cn": false},
		"short":    {"max_ttl": "1h"},
		"others":   {"allowed_other_sans": "1.3.6.1.4.1.311.20.2.3;utf8:*@example.com", "allowed_serial_numbers": "1*", "allowed_user_ids": "ann"},
		"ed25519":  {"key_type": "ed25519"},
		"rsa":      {"key_type": "rsa", "key_bits": 2048},
		"p384":     {"key_bits": 384},
		"client":   {"server_flag": false, "key_usage": "DigitalSignature"},
		"code":     {"code_signing_flag": true, "ext_key_usage": "TimeStamping", "ext_key_usage_oids": "1.3.6.1.5.5.7.3.9,1.2.3.4"},
		"subject":  {"ou": "b,a", "organization": "o", "country": "CH", "locality": "l", "province": "p", "street_address": "s", "postal_code": "1"},
		"policies": {"policy_identifiers": "1.2.3,1.2.4", "basic_constraints_valid_for_non_ca": true},
	}
	requests := []map[string]any{
		{"common_name": "a.example.com"}, {"common_name": "example.com"}, {"common_name": "*.example.com"}, {"common_name": "b*.example.com"},
		{"common_name": "x.y.example.com", "alt_names": "a.example.com,ann@example.com"}, {"common_name": "a1.example.com"}, {"common_name": "x.org"},
		{"common_name": "ann@example.com"}, {"common_name": "ann@a.example.com"}, {"common_name": "localhost"}, {"common_name": "a.localhost"},
		{"common_name": "Ann Other"}, {"common_name": "EXAMPLE.com"}, {"common_name": "a.EXAMPLE.com"}, {"common_name": "aexample.com"},
		{"common_name": "a.example.com", "ip_sans": "127.0.0.1,::1"}, {"uri_sans": "spiffe://example.com/a"},
		{"common_name": "a.example.com", "uri_sans": "spiffe://example.org/a"}, {"common_name": "a.example.com", "ttl": "2h"},
		{"common_name": "a.example.com", "serial_number": "12"}, {"common_name": "a.example.com", "user_ids": "ann"},
		{"common_name": "a.example.com", "other_sans": "1.3.6.1.4.1.311.20.2.3;utf8:ann@example.com"},
		{"common_name": "a.example.com", "exclude_cn_from_sans": true}, {"common_name": "*.localhost"}, {"common_name": "a.*.example.com"},
	}
	roles := map[string]state.Role{}
	for name, settings := range names {
		newPKIRole(t, client, "pki", name, "example.com", settings)
		secret, err := client.Logical().ReadRawWithContext(t.Context(), "pki/roles/"+name)
		require.NoError(t, err)
		var answer struct{ Data state.Role }
		require.NoError(t, json.NewDecoder(secret.Body).Decode(&answer))
		require.NoError(t, secret.Body.Close())
		roles[name] = answer.Data
	}
	issued, refused, found := 0, 0, 0
	for _, request := range requests {
		may := map[string]*x509.Certificate{}
		for name := range roles {
			secret, err := client.Logical().WriteWithContext(t.Context(), "pki/issue/"+name, request)
			if err != nil {
				refused++
				continue
			}
			may[name], err = state.ParseCertificate(secret.Data["certificate"].(string))
			require.NoError(t, err)
			issued++
			assert.True(t, roles[name].Allows(may[name], 87600*time.Hour), "%s: %v", name, request)
			if state.RoleOf(may[name], roles, 87600*time.Hour) == name {
				found++
			}
		}
		for of, certificate := range may {
			for name, role := range roles {
				_, allowed := may[name]
				assert.False(t, !allowed && role.Allows(certificate, 87600*time.Hour), "%s, which was issued with %s: %v", name, of, request)
			}
		}
	}
	t.Logf("%d were issued, %d refused, of %d the role was found", issued, refused, found)
	assert.Greater(t, issued, 100)
	assert.Greater(t, refused, 100)
}

func TestWhatIsDeniedOfPKI(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	issue(t, client, "pki", "web", "a.example.com", "2h")
	cfg := observedPKI(t, vault, client, "pki")
	rule := func(path, capability string) string {
		return fmt.Sprintf("path %q { capabilities = [%q] }\n", path, capability)
	}
	rules := func(rules ...string) { require.NoError(t, client.Sys().PutPolicy("part", strings.Join(rules, ""))) }
	certs, revoked, issuers := rule("pki/certs", "list"), rule("pki/certs/revoked", "list"), rule("pki/issuer/+", "read")
	roles, role := rule("pki/roles", "list"), rule("pki/roles/+", "read")
	rules(certs)
	o := observe(t, cfg, string(cfg.Token))
	for _, part := range []string{"certs/revoked", "issuer/+", "roles"} {
		o.Eventually(t, part, o.HasEvent("vault.endpoint.denied", "vault.endpoint", "pki/"+part))
	}
	o.Eventually(t, "it costs the role only", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, ""))
	assert.False(t, o.HasMetric("vault.pki.revoked.count"))
	assert.False(t, o.HasMetric("vault.pki.ca.expiry"))
	assert.True(t, o.HasMetric("vault.pki.crl.expiry"), "it is told to anybody")

	rules(certs, roles)
	o.Eventually(t, "the roles' rules", o.HasEvent("vault.endpoint.denied", "vault.endpoint", "pki/roles/+"))
	rules(certs, roles, role)
	o.Eventually(t, "the role", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	rules(certs, roles, role, revoked, issuers)
	o.Eventually(t, "the revoked", o.HasValue(0, "vault.pki.revoked.count"))
	o.Eventually(t, "the CA", func() bool { return o.HasMetric("vault.pki.ca.expiry") })
	for _, part := range []string{"certs/revoked", "issuer/+", "roles", "roles/+"} {
		assert.Len(t, o.Events("vault.endpoint.denied", "vault.endpoint", "pki/"+part), 1, part)
		assert.Len(t, o.Events("vault.endpoint.allowed", "vault.endpoint", "pki/"+part), 1, part)
	}

	rules(revoked, issuers)
	o.Eventually(t, "the certificates", o.HasEvent("vault.endpoint.denied", "vault.endpoint", "pki/certs"))
	o.Eventually(t, "what is denied is not told", func() bool { return !o.HasMetric("vault.pki.certificate.count") })
	assert.True(t, o.HasMetric("vault.pki.ca.expiry"))
	rules(certs)
	o.Eventually(t, "the certificates", func() bool { return o.HasMetric("vault.pki.certificate.count") })
	assert.Empty(t, o.Spans(telemetry.SpanCertificate+".start"), "nothing is new")
}

func TestNoRoleIsAskedFor(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	issue(t, client, "pki", "web", "a.example.com", "2h")
	cfg := observedPKI(t, vault, client, "pki")
	cfg.PKI.Roles = false
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "it has no role", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, ""))
	assert.False(t, o.HasValue(1, "vault.endpoint.up", "vault.endpoint", "pki/roles")())
	requireAllowed(t, o, "pki")
}

func TestAMountThatIsNotPKI(t *testing.T) {
	vault, client := startVault(t)
	require.NoError(t, client.Sys().Mount("kv", &api.MountInput{Type: "kv"}))
	newPKIMount(t, client, "pki", "8760h")
	cfg := observedPKI(t, vault, client, "kv", "absent", "pki", "pki/in")
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the one that is", func() bool { return o.HasMetric("vault.pki.ca.expiry") })
	for _, want := range []string{
		"pki::mounts[0]: kv/ is not a PKI secrets engine, but one of type kv",
		"pki::mounts[1]: there is no mount absent/, or the token may use nothing of it",
		"pki::mounts[3]: pki/in/ is no mount, but within pki/",
	} {
		o.Eventually(t, want, func() bool { return strings.Contains(o.Trouble(), want) })
	}
	assert.NotContains(t, o.Trouble(), "pki::mounts[2]")
	for _, endpoint := range []string{"kv/certs", "absent/certs"} {
		assert.Empty(t, o.Events("vault.endpoint.denied", "vault.endpoint", endpoint))
	}
	newPKIMount(t, client, "absent", "8760h")
	o.Eventually(t, "it is there", func() bool {
		_, ok := o.Float("vault.pki.ca.expiry", mountAttr, "absent/")
		return ok && !strings.Contains(o.Trouble(), "pki::mounts[1]")
	})
}

// before is a proxy before Vault, which may answer requests itself.
func before(t *testing.T, vault string, answer func(w http.ResponseWriter, path string) bool) string {
	t.Helper()
	to, err := url.Parse(vault)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := strings.TrimPrefix(r.URL.Path, "/v1/"); !answer(w, path) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// retold is a proxy before Vault, which passes on of the answers of an endpoint
// what tell returns.
func retold(t *testing.T, vault, endpoint string, tell func(answer []byte) []byte) string {
	t.Helper()
	to, err := url.Parse(vault)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(response *http.Response) error {
		if response.Request.URL.Path != "/v1/"+endpoint {
			return nil
		}
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return err // Who has asked waits no more.
		}
		answer = tell(answer)
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
		response.Header.Del("Content-Length")
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

func TestACertificateThatCannotBeRead(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	bad := issue(t, client, "pki", "web", "a.example.com", "2h")
	issue(t, client, "pki", "web", "b.example.com", "2h")
	cfg := observedPKI(t, vault, client, "pki")
	var mended atomic.Bool
	const body = "planted0000"
	cfg.HTTP.Endpoint = before(t, vault.Addr, func(w http.ResponseWriter, path string) bool {
		if mended.Load() || path != "pki/cert/"+bad {
			return false
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(body)})
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"certificate": string(text), "revocation_time": 0}}))
		return true
	})
	o := observe(t, cfg, string(cfg.Token), body, base64.StdEncoding.EncodeToString([]byte(body)))
	o.Eventually(t, "the other one", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	o.Eventually(t, "it is not read", o.HasValue(1, "vault.pki.certificate.unread.count"))
	want := "pki/: certificate " + bad + " is no certificate that can be read"
	o.Eventually(t, want, func() bool { return strings.Contains(o.Trouble(), want) })
	mended.Store(true)
	o.Eventually(t, "it is read", o.HasValue(2, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	o.Eventually(t, "all is well", func() bool { return !strings.Contains(o.Trouble(), "pki") })
}

// A list takes eight requests and more, which is longer than the interval here.
func TestCertificatesAreReadAlsoWhenListsTakeLongerThanTheInterval(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	issue(t, client, "pki", "web", "a.example.com", "2h")
	cfg := observedPKI(t, vault, client, "pki")
	cfg.PKI.Interval, cfg.PKI.RequestsPerSecond = 200*time.Millisecond, 10
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "it is read", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
}

func TestManyCertificatesAreReadWithinTheBudget(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	const many, limit, budget = 2000, 1900, 400
	var issuing errgroup.Group
	issuing.SetLimit(4)
	for range many {
		issuing.Go(func() error {
			_, err := client.Logical().WriteWithContext(t.Context(), "pki/issue/web", map[string]any{"common_name": "a.example.com", "ttl": "2h"})
			return err
		})
	}
	require.NoError(t, issuing.Wait())
	cfg := observedPKI(t, vault, client, "pki")
	cfg.PKI.Interval, cfg.PKI.RequestsPerSecond, cfg.PKI.Limit = time.Second, budget, limit
	var mu sync.Mutex
	var asked []time.Time
	read := map[string]int{}
	cfg.HTTP.Endpoint = before(t, vault.Addr, func(_ http.ResponseWriter, path string) bool {
		if strings.HasPrefix(path, "pki/") || strings.HasPrefix(path, "sys/internal/") {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, time.Now())
			if serial, is := strings.CutPrefix(path, "pki/cert/"); is {
				read[serial]++
			}
		}
		return false
	})
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "some are unread", func() bool {
		unread, ok := o.Value("vault.pki.certificate.unread.count")
		return ok && unread > 0
	})
	o.Eventually(t, "all are read", o.HasValue(limit, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	o.Eventually(t, "none is unread", o.HasValue(0, "vault.pki.certificate.unread.count"))
	assert.True(t, o.HasValue(many-limit, "vault.pki.certificate.unfollowed.count")())
	mu.Lock()
	defer mu.Unlock()
	assert.Len(t, read, limit)
	for serial, times := range read {
		assert.Equal(t, 1, times, "%s never changes", serial)
	}
	span := asked[len(asked)-1].Sub(asked[0])
	// The first one may have been under way for longer than the last one.
	assert.LessOrEqual(t, float64(len(asked)), budget*(span.Seconds()+1), "in %s", span)
	t.Logf("%d requests in %s", len(asked), span)
}

func TestPKIWhileTheServerIsSealed(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	revoked := issue(t, client, "pki", "web", "b.example.com", "2h")
	cfg := observedPKI(t, vault, client, "pki")
	o := observe(t, cfg, string(cfg.Token), vault.RootToken)
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	short, end := issue(t, client, "pki", "web", "a.example.com", "15s"), time.Now().Add(15*time.Second)
	o.Eventually(t, "it is known", o.HasSpan(telemetry.SpanCertificate+".start", serialAttr, short))
	write(t, client, "pki/revoke", map[string]any{"serial_number": revoked})
	require.NoError(t, vault.Seal(t.Context()))
	o.Eventually(t, "it is sealed", o.HasValue(1, "vault.sealed"))
	assert.False(t, o.HasMetric("vault.pki.certificate.count"))
	o.Eventually(t, "it ends meanwhile", func() bool { return time.Now().After(end) })
	require.NoError(t, vault.Unseal(t.Context()))
	o.Eventually(t, "what ended meanwhile", o.HasSpan(telemetry.SpanCertificate, serialAttr, short))
	o.Eventually(t, "what was revoked", o.HasEvent("vault.pki.certificate.revoked", serialAttr, revoked))
	o.Eventually(t, "it is observed again", func() bool { return o.HasMetric("vault.pki.certificate.count") })
	assert.Len(t, o.Spans(telemetry.SpanCertificate+".start"), 1)
	for _, part := range []string{"certs", "certs/revoked", "cert/+", "issuers", "roles"} {
		// A request under way may fail otherwise, just as the server is being sealed.
		assert.LessOrEqual(t, o.Warnings("pki/"+part), 1, part)
	}
}

func TestPKIGoesOnAfterARestart(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "100h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	old := issue(t, client, "pki", "web", "a.example.com", "90m")
	bad := issue(t, client, "pki", "web", "b.example.com", "90h")
	dir := t.TempDir()
	start := func() *observedtest.Receiver {
		cfg := observedPKI(t, vault, client, "pki")
		cfg.PKI.ExpiryWarning = 1000 * time.Hour
		cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
		storage, host := observedtest.FileStorage(t, dir)
		cfg.Storage = &storage
		return observedtest.StartOn(t, host, NewFactory(), cfg)
	}
	newPKIRole(t, client, "pki", "backdated", "example.org", map[string]any{"not_before_duration": "1h"})
	expiring := issue(t, client, "pki", "backdated", "c.example.org", "30s") // It is in its last quarter at once.
	first := start()
	first.Eventually(t, "the baseline", first.HasValue(1, "vault.pki.certificate.count", roleAttr, "web", "vault.expiry", "week"))
	first.Eventually(t, "what expires already", first.HasEvent("vault.pki.certificate.expiring", serialAttr, expiring))
	first.Shutdown(t)

	write(t, client, "pki/revoke", map[string]any{"serial_number": bad})
	second := start()
	second.Eventually(t, "what was revoked meanwhile", second.HasEvent("vault.pki.certificate.revoked", serialAttr, bad))
	second.Eventually(t, "its end", second.HasSpan(telemetry.SpanCertificate, serialAttr, bad))
	second.Eventually(t, "the end of the other", second.HasSpan(telemetry.SpanCertificate, serialAttr, expiring))
	assert.Empty(t, second.Events("vault.pki.certificate.expiring"), "it was told before")
	assert.Empty(t, second.Spans(telemetry.SpanCertificate+".start"))
	assert.Empty(t, second.Spans(telemetry.SpanCertificate, serialAttr, old))
	second.Shutdown(t)

	third := start()
	third.Eventually(t, "all is read", third.HasValue(0, "vault.pki.certificate.unread.count"))
	write(t, client, "pki/revoke", map[string]any{"serial_number": old})
	third.Eventually(t, "what is revoked now", third.HasEvent("vault.pki.certificate.revoked", serialAttr, old))
	assert.Len(t, third.Events("vault.pki.certificate.revoked"), 1)
	assert.Empty(t, third.Events("vault.pki.certificate.expiring"))
}

func TestPKIWhileTheConsumerRefuses(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	cfg := observedPKI(t, vault, client, "pki")
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(0, "vault.pki.certificate.unread.count"))
	o.Refuse(true)
	held := issue(t, client, "pki", "web", "a.example.com", "2h")
	o.Eventually(t, "the metrics go on", o.HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	o.Eventually(t, "it is refused", func() bool { return strings.Contains(o.Trouble(), "delivery of") })
	write(t, client, "pki/revoke", map[string]any{"serial_number": held})
	o.Eventually(t, "the metrics go on yet", o.HasValue(1, "vault.pki.revoked.count"))
	o.Refuse(false)
	o.Eventually(t, "the story", o.HasEvent("vault.pki.certificate.revoked", serialAttr, held))
	o.Eventually(t, "its end", o.HasSpan(telemetry.SpanCertificate, serialAttr, held))
	assert.Len(t, o.Spans(telemetry.SpanCertificate+".start", serialAttr, held), 1)
}

func TestOneOfThreeServersTellsOfPKI(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3})
	active := leaderOf(t, vault, -1)
	client, err := vault.Client(active)
	require.NoError(t, err)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	serial := issue(t, client, "pki", "web", "a.example.com", "2h")
	token := observedPKI(t, vault, client, "pki").Token
	var all []*observedtest.Receiver
	for _, addr := range vault.Addrs {
		cfg := only(addr, string(token))
		cfg.PKI.Mounts, cfg.PKI.Interval, cfg.PKI.RequestsPerSecond, cfg.PKI.Lifetimes = []string{"pki"}, 200*time.Millisecond, 1000, true
		all = append(all, observe(t, cfg, string(token), vault.RootToken))
	}
	all[active].Eventually(t, "the active one tells", all[active].HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	require.NoError(t, vault.StepDown(t.Context()))
	next := leaderOf(t, vault, active)
	all[next].Eventually(t, "the other tells", all[next].HasValue(1, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	all[active].Eventually(t, "it tells no more", func() bool { return !all[active].HasMetric("vault.pki.certificate.count") })
	if client, err = vault.Client(next); err == nil {
		write(t, client, "pki/revoke", map[string]any{"serial_number": serial})
	}
	require.NoError(t, err)
	all[next].Eventually(t, "the revocation", all[next].HasEvent("vault.pki.certificate.revoked", serialAttr, serial))
	all[next].Eventually(t, "the end", all[next].HasSpan(telemetry.SpanCertificate, serialAttr, serial))
	for i, o := range all {
		if i != next {
			assert.Empty(t, o.Events("vault.pki.certificate.revoked"))
			assert.Empty(t, o.Spans(telemetry.SpanCertificate))
		}
		assert.Empty(t, o.Spans(telemetry.SpanCertificate+".start"), "nothing is new")
	}
}

func TestACertificateThatIsRevokedWhileItIsDenied(t *testing.T) {
	vault, client := startVault(t)
	newPKIMount(t, client, "pki", "8760h")
	newPKIRole(t, client, "pki", "web", "example.com", nil)
	serials := []string{issue(t, client, "pki", "web", "a.example.com", "2h"), issue(t, client, "pki", "web", "b.example.com", "2h")}
	cfg := observedPKI(t, vault, client, "pki")
	var denied atomic.Bool
	cfg.HTTP.Endpoint = before(t, vault.Addr, func(w http.ResponseWriter, path string) bool {
		if !denied.Load() || !strings.HasPrefix(path, "pki/cert/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden) // Vault itself denies it to nobody.
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"errors": []string{"permission denied"}}))
		return true
	})
	o := observe(t, cfg, string(cfg.Token))
	o.Eventually(t, "the baseline", o.HasValue(2, "vault.pki.certificate.count", "vault.expiry", "day", roleAttr, "web"))
	denied.Store(true)
	for _, serial := range serials {
		write(t, client, "pki/revoke", map[string]any{"serial_number": serial})
	}
	for _, serial := range serials {
		o.Eventually(t, "that it is", o.HasEvent("vault.pki.certificate.revoked", serialAttr, serial, "observation.reconciled", "true"))
		o.Eventually(t, "its end", o.HasSpan(telemetry.SpanCertificate, serialAttr, serial, "observation.reconciled", "true"))
	}
	o.Eventually(t, "the denial", o.HasEvent("vault.endpoint.denied", "vault.endpoint", "pki/cert/+"))
	denied.Store(false)
	short := issue(t, client, "pki", "web", "c.example.com", "2h")
	o.Eventually(t, "it is read again", o.HasSpan(telemetry.SpanCertificate+".start", serialAttr, short))
}
