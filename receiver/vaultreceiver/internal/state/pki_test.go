// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	pkiStart = time.Unix(1_000_000, 0)
	pkiKey   = newKey()
)

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// certified makes a certificate such as a role with default settings would.
func certified(t testing.TB, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example.com"}, DNSNames: []string{"a.example.com"},
		NotBefore: pkiStart, NotAfter: pkiStart.Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "root"}, SubjectKeyId: []byte("root"),
		NotBefore: pkiStart.Add(-time.Hour), NotAfter: pkiStart.Add(10000 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, &pkiKey.PublicKey, pkiKey)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

func lasting(t testing.TB, name string, from, until time.Duration) *x509.Certificate {
	t.Helper()
	return certified(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames = name, []string{name}
		c.NotBefore, c.NotAfter = pkiStart.Add(from), pkiStart.Add(until)
	})
}

func pkiSerial(n byte) Serial { return Serial{octets: [maxSerial]byte{n}, length: 1} }

func mustSerials(from, to byte) (serials []Serial) {
	for n := from; n <= to; n++ {
		serials = append(serials, pkiSerial(n))
	}
	return serials
}

func TestSerials(t *testing.T) {
	for text, want := range map[string]string{
		"11:63:93:0f": "11:63:93:0f", "11-63-93-0F": "11:63:93:0f", "00": "00", "00:01": "00:01",
		strings.Repeat("ff:", 19) + "ff": strings.Repeat("ff:", 19) + "ff",
		"":                               "", "1": "", "123": "", "zz": "", "crl": "", strings.Repeat("ff:", 20) + "ff": "",
	} {
		s, ok := ParseSerial(text)
		assert.Equal(t, want != "", ok, text)
		assert.Equal(t, want, s.String(), text)
	}
}

func FuzzSerial(f *testing.F) {
	f.Add("11:63:93:0f")
	f.Add("00-ff")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := ParseSerial(text)
		if !ok {
			return
		}
		again, ok := ParseSerial(s.String())
		if !ok || again != s {
			t.Fatalf("%q is %q, which is another one", text, s)
		}
	})
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func newList(t testing.TB) []byte {
	t.Helper()
	authority := certified(t, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.SubjectKeyId, c.KeyUsage = true, true, []byte("root"), x509.KeyUsageCRLSign
	})
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: pkiStart, NextUpdate: pkiStart.Add(72 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(7), RevocationTime: pkiStart}},
	}, authority, pkiKey)
	require.NoError(t, err)
	return der
}

func TestParsing(t *testing.T) {
	c := certified(t, nil)
	parsed, err := ParseCertificate(inPEM("CERTIFICATE", c.Raw))
	require.NoError(t, err)
	assert.Equal(t, c.SerialNumber, parsed.SerialNumber)

	list, err := ParseRevocationList(inPEM("X509 CRL", newList(t)))
	require.NoError(t, err)
	assert.True(t, list.ThisUpdate.Equal(pkiStart))
	assert.True(t, list.NextUpdate.Equal(pkiStart.Add(72*time.Hour)))

	for _, text := range []string{"", "secret", inPEM("PRIVATE KEY", c.Raw), inPEM("CERTIFICATE", c.Raw[:100]), inPEM("X509 CRL", []byte("secret"))} {
		_, err = ParseCertificate(text)
		require.ErrorIs(t, err, errNoCertificate)
		_, err = ParseRevocationList(text)
		require.ErrorIs(t, err, errNoRevocationList)
	}
}

// FuzzParsing requires that what cannot be parsed is not repeated, and that what
// Go parses whole is read alike.
func FuzzParsing(f *testing.F) {
	f.Add(certified(f, nil).Raw)
	f.Add(newList(f))
	f.Add([]byte("secret"))
	f.Fuzz(func(t *testing.T, der []byte) {
		if _, err := ParseCertificate(string(der)); err != nil && err != errNoCertificate { //nolint:errorlint // It is not wrapped.
			t.Fatal(err)
		}
		c, err := ParseCertificate(inPEM("CERTIFICATE", der))
		if err != nil && err != errNoCertificate { //nolint:errorlint // It is not wrapped.
			t.Fatal(err)
		}
		if err == nil {
			Role{AllowAnyName: true, AllowWildcards: true, KeyType: "any"}.Allows(c, time.Hour)
			namesOf(c)
		}
		list, err := ParseRevocationList(inPEM("X509 CRL", der))
		if err != nil && err != errNoRevocationList { //nolint:errorlint // It is not wrapped.
			t.Fatal(err)
		}
		if whole, wholeErr := x509.ParseRevocationList(der); wholeErr == nil {
			if err != nil || !list.NextUpdate.Equal(whole.NextUpdate) || !list.ThisUpdate.Equal(whole.ThisUpdate) {
				t.Fatalf("%v to %v, but %v to %v: %v", list.ThisUpdate, list.NextUpdate, whole.ThisUpdate, whole.NextUpdate, err)
			}
		}
	})
}

func TestNamesAreTheSameInAnyOrder(t *testing.T) {
	of := func(cn string, dns ...string) uint64 {
		return namesOf(certified(t, func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = cn, dns }))
	}
	assert.Equal(t, of("a", "a", "b"), of("a", "b", "a"))
	assert.NotEqual(t, of("a", "a", "b"), of("b", "a", "b"))
	assert.NotEqual(t, of("a", "bc"), of("a", "b", "c"))
	assert.Zero(t, of(""))
}

// webRole is what Vault tells of a role with default settings.
func webRole(change func(*Role)) Role {
	r := Role{
		AllowedDomains: []string{"example.com"}, AllowSubdomains: true, AllowWildcards: true, AllowLocalhost: true, AllowIPSANs: true,
		RequireCN: true, CNValidations: []string{"email", "hostname"}, KeyType: "ec", KeyBits: 256, ServerFlag: true, ClientFlag: true,
		KeyUsage: []string{"DigitalSignature", "KeyAgreement", "KeyEncipherment"}, MaxTTL: 7200, NotBeforeDuration: 30,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func named(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = names[0], names }
}

func TestWhatARoleAllows(t *testing.T) {
	uri, err := url.Parse("spiffe://example.com/a")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		role Role
		of   func(*x509.Certificate)
		want bool
	}{
		"a name below the domain":         {webRole(nil), nil, true},
		"another domain":                  {webRole(nil), named("a.example.org"), false},
		"one name of another domain":      {webRole(nil), named("a.example.com", "a.example.org"), false},
		"the end of a name":               {webRole(nil), named("aexample.com"), false},
		"the domain itself":               {webRole(nil), named("example.com"), false},
		"the domain itself, allowed":      {webRole(func(r *Role) { r.AllowBareDomains = true }), named("EXAMPLE.com"), true},
		"none below the domain":           {webRole(func(r *Role) { r.AllowSubdomains = false }), nil, false},
		"a wildcard":                      {webRole(nil), named("*.example.com"), true},
		"a wildcard, forbidden":           {webRole(func(r *Role) { r.AllowWildcards = false }), named("*.example.com"), false},
		"two wildcards":                   {webRole(nil), named("*.*.example.com"), false},
		"a glob":                          {webRole(func(r *Role) { r.AllowedDomains, r.AllowGlobDomains = []string{"web-*.org"}, true }), named("web-1.org"), true},
		"a glob that is not one":          {webRole(func(r *Role) { r.AllowedDomains = []string{"web-*.org"} }), named("web-1.org"), false},
		"any name":                        {webRole(func(r *Role) { r.AllowAnyName, r.AllowedDomains = true, nil }), named("x"), true},
		"localhost":                       {webRole(nil), named("localhost"), true},
		"below localhost":                 {webRole(nil), named("a.localdomain"), true},
		"localhost, forbidden":            {webRole(func(r *Role) { r.AllowLocalhost = false }), named("localhost"), false},
		"who asked may have a name":       {webRole(func(r *Role) { r.AllowTokenDisplayName = true }), named("ann"), true},
		"a template":                      {webRole(func(r *Role) { r.AllowedDomains, r.AllowedDomainsTemplate = []string{"{{identity.entity.name}}"}, true }), named("ann"), true},
		"no common name":                  {webRole(nil), func(c *x509.Certificate) { c.Subject.CommonName = "" }, false},
		"no common name, allowed":         {webRole(func(r *Role) { r.RequireCN = false }), func(c *x509.Certificate) { c.Subject.CommonName = "" }, true},
		"a common name that may be all":   {webRole(func(r *Role) { r.CNValidations = []string{"disabled"} }), func(c *x509.Certificate) { c.Subject.CommonName = "Ann" }, true},
		"a host where an email should be": {webRole(func(r *Role) { r.CNValidations = []string{"email"} }), nil, false},
		"an email": {webRole(func(r *Role) { r.AllowBareDomains = true }), func(c *x509.Certificate) {
			c.Subject.CommonName, c.DNSNames, c.EmailAddresses = "ann@example.com", nil, []string{"ann@example.com"}
		}, true},
		"an address":               {webRole(nil), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }, true},
		"an address, forbidden":    {webRole(func(r *Role) { r.AllowIPSANs = false }), func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} }, false},
		"a URI":                    {webRole(func(r *Role) { r.AllowedURISANs = []string{"spiffe://example.com/*"} }), func(c *x509.Certificate) { c.URIs = []*url.URL{uri} }, true},
		"a URI, forbidden":         {webRole(nil), func(c *x509.Certificate) { c.URIs = []*url.URL{uri} }, false},
		"as long as it may":        {webRole(nil), func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(7230 * time.Second) }, true},
		"too long":                 {webRole(nil), func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(7233 * time.Second) }, false},
		"as long as the mount has": {webRole(func(r *Role) { r.MaxTTL = 0 }), func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(3 * time.Hour) }, true},
		"longer than that":         {webRole(func(r *Role) { r.MaxTTL = 0 }), func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(5 * time.Hour) }, false},
		"until a day":              {webRole(func(r *Role) { r.NotAfter = "1970-01-12T14:46:40Z" }), nil, true},
		"after that day":           {webRole(func(r *Role) { r.NotAfter = "1970-01-12T14:46:39Z" }), nil, false},
		"another kind of key":      {webRole(func(r *Role) { r.KeyType, r.KeyBits = "rsa", 2048 }), nil, false},
		"any kind of key":          {webRole(func(r *Role) { r.KeyType, r.KeyBits = "any", 2048 }), nil, true},
		"a key that is too short":  {webRole(func(r *Role) { r.KeyBits = 384 }), nil, false},
		"not for servers":          {webRole(func(r *Role) { r.ServerFlag = false }), nil, false},
		"for code, too":            {webRole(func(r *Role) { r.CodeSigningFlag = true }), nil, false},
		"for servers, as a list":   {webRole(func(r *Role) { r.ServerFlag, r.ExtKeyUsage = false, []string{"ServerAuth"} }), nil, true},
		"for servers, by number":   {webRole(func(r *Role) { r.ServerFlag, r.ExtKeyUsageOIDs = false, []string{"1.3.6.1.5.5.7.3.1"} }), nil, true},
		"another use of the key":   {webRole(func(r *Role) { r.KeyUsage = []string{"DigitalSignature"} }), nil, false},
		"of an organization":       {webRole(func(r *Role) { r.Organization = []string{"b", "a"} }), func(c *x509.Certificate) { c.Subject.Organization = []string{"a", "b"} }, true},
		"of none":                  {webRole(func(r *Role) { r.Organization = []string{"a"} }), nil, false},
		"of another unit":          {webRole(nil), func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"a"} }, false},
		"a number of the subject":  {webRole(func(r *Role) { r.AllowedSerialNumbers = []string{"1*"} }), func(c *x509.Certificate) { c.Subject.SerialNumber = "12" }, true},
		"a number, forbidden":      {webRole(nil), func(c *x509.Certificate) { c.Subject.SerialNumber = "12" }, false},
		"a user": {webRole(func(r *Role) { r.AllowedUserIDs = []string{"ann"} }), func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidUserID, Value: "ann"}}
		}, true},
		"a user, forbidden": {webRole(nil), func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidUserID, Value: "ann"}}
		}, false},
		"a policy":           {webRole(func(r *Role) { r.PolicyIdentifiers = []string{`{"oid":"1.2.3","notice":"x"}`} }), func(c *x509.Certificate) { c.Policies = []x509.OID{oid(t, "1.2.3")} }, true},
		"another policy":     {webRole(func(r *Role) { r.PolicyIdentifiers = []string{"1.2.4"} }), func(c *x509.Certificate) { c.Policies = []x509.OID{oid(t, "1.2.3")} }, false},
		"that it is no CA":   {webRole(func(r *Role) { r.BasicConstraintsForNonCA = true }), func(c *x509.Certificate) { c.BasicConstraintsValid = true }, true},
		"not to say that":    {webRole(nil), func(c *x509.Certificate) { c.BasicConstraintsValid = true }, false},
		"no CA":              {webRole(nil), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, false},
		"what is not stored": {webRole(func(r *Role) { r.NoStore = true }), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, tc.role.Allows(certified(t, tc.of), 4*time.Hour))
		})
	}
}

func oid(t *testing.T, text string) x509.OID {
	t.Helper()
	id, err := x509.ParseOID(text)
	require.NoError(t, err)
	return id
}

func TestTheRoleIsTheOnlyOneThatAllowsACertificate(t *testing.T) {
	c := certified(t, nil)
	other := webRole(func(r *Role) { r.AllowedDomains = []string{"example.org"} })
	assert.Equal(t, "web", RoleOf(c, map[string]Role{"web": webRole(nil), "other": other}, time.Hour))
	assert.Empty(t, RoleOf(c, map[string]Role{"web": webRole(nil), "same": webRole(nil), "other": other}, time.Hour))
	assert.Empty(t, RoleOf(c, map[string]Role{"other": other}, time.Hour))
}

// FuzzRole requires that roles and names of any kind are compared, and that who
// allows any name allows those that another role does.
func FuzzRole(f *testing.F) {
	role, err := json.Marshal(webRole(nil))
	require.NoError(f, err)
	f.Add(role, "a.example.com")
	f.Add([]byte(`{"allowed_domains":["*"],"allow_glob_domains":true,"not_after":"x"}`), "*.a@b")
	f.Add([]byte(`{"allowed_domains":["{{x","@"],"allowed_uri_sans":["**"],"policy_identifiers":["{"]}`), "@")
	c := certified(f, nil)
	f.Fuzz(func(t *testing.T, rules []byte, name string) {
		var r Role
		if json.Unmarshal(rules, &r) != nil {
			return
		}
		x := *c
		x.Subject.CommonName, x.DNSNames, x.EmailAddresses = name, []string{name}, []string{name}
		allowed := r.Allows(&x, time.Hour)
		r.AllowAnyName = true
		if allowed && !r.Allows(&x, time.Hour) {
			t.Fatalf("%q is allowed, but not as any name", name)
		}
		if got := RoleOf(&x, map[string]Role{"a": r, "b": r}, time.Hour); got != "" {
			t.Fatalf("it could be of both, but is of %q", got)
		}
	})
}

// tellPKI returns what a mount tells now, in words, and takes it for told.
func tellPKI(m *PKIMount, after time.Duration) (words []string) {
	names := map[PKIEvent]string{
		CertificateStarted: "started", CertificateExpiring: "expiring", CertificateRevoked: "revoked", CertificateEnded: "ended",
		CAExpiring: "CA expiring", CRLExpiring: "list expiring",
	}
	effects, next := m.Due(pkiStart.Add(after), 1000)
	for _, e := range effects {
		word := names[e.Event]
		if e.Superseded {
			word += " superseded"
		}
		if e.Reconciled {
			word += " reconciled"
		}
		words = append(words, word+" "+e.Serial.String()+e.IssuerID)
	}
	m.Told(effects, !next.Equal(pkiStart.Add(after)))
	return words
}

func newMount(t testing.TB, told PKIProgress, after time.Duration) *PKIMount {
	t.Helper()
	m := &PKIMount{Warning: 30 * time.Minute, Lifetimes: true}
	m.SetRoles(map[string]Role{"web": webRole(func(r *Role) { r.MaxTTL = 1 << 30 })}, 0)
	m.Begin(pkiStart.Add(after), told)
	return m
}

func pkiAt(after time.Duration) time.Time { return pkiStart.Add(after) }

func TestTheLifeOfACertificate(t *testing.T) {
	m := newMount(t, PKIProgress{}, time.Second)
	m.List(pkiAt(time.Second), mustSerials(1, 2), 0, 10)
	m.ListRevoked(pkiAt(time.Second), nil, 0)
	for n, c := range map[byte]*x509.Certificate{1: lasting(t, "a.example.com", -time.Hour, 3*time.Hour), 2: lasting(t, "b.example.com", -time.Hour, 0)} {
		m.Read(pkiAt(time.Second), pkiSerial(n), c, time.Time{})
	}
	assert.Empty(t, tellPKI(m, time.Second), "what ended before is not told")

	m.List(pkiAt(2*time.Second), mustSerials(1, 3), 0, 10)
	s, ok := m.Next()
	require.True(t, ok)
	require.Equal(t, pkiSerial(3), s)
	m.Read(pkiAt(2*time.Second), s, lasting(t, "c.example.com", time.Second, time.Hour+time.Second), time.Time{})
	_, ok = m.Next()
	require.False(t, ok)
	assert.Equal(t, []string{"started 03"}, tellPKI(m, 2*time.Second))
	assert.Empty(t, tellPKI(m, 45*time.Minute))
	assert.Equal(t, []string{"expiring 03"}, tellPKI(m, 45*time.Minute+time.Second), "a quarter of its life before")
	assert.Equal(t, []string{"ended 03"}, tellPKI(m, time.Hour+time.Second))
	assert.Equal(t, []string{"expiring 01"}, tellPKI(m, 150*time.Minute), "half an hour before")
	assert.Equal(t, []string{"ended 01"}, tellPKI(m, 3*time.Hour))
	assert.Empty(t, tellPKI(m, 4*time.Hour))
	counts := m.Count(pkiAt(4*time.Hour), 4*time.Hour)
	assert.Equal(t, []CertificateCount{{Role: "web", Expiry: ExpiryPassed, Count: 3}}, counts.Certificates)
	assert.Empty(t, counts.Expiry)

	m.List(pkiAt(4*time.Hour), nil, 0, 10)
	assert.Empty(t, tellPKI(m, 4*time.Hour))
	assert.Zero(t, m.Followed())
}

func TestWhenItIsToBeLookedAgain(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 1), 0, 10)
	m.Read(pkiAt(0), pkiSerial(1), lasting(t, "a.example.com", 0, 4*time.Hour), time.Time{})
	for _, want := range []time.Duration{210 * time.Minute, 4 * time.Hour} {
		effects, next := m.Due(pkiAt(want-time.Minute), 10)
		assert.Empty(t, effects)
		assert.True(t, next.Equal(pkiAt(want)))
		assert.Len(t, tellPKI(m, want), 1)
	}
	_, next := m.Due(pkiAt(5*time.Hour), 10)
	assert.Zero(t, next)
}

func TestACertificateIsSuperseded(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 4), 0, 10)
	m.Read(pkiAt(0), pkiSerial(1), lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	m.Read(pkiAt(0), pkiSerial(2), lasting(t, "b.example.com", 0, time.Hour), time.Time{})
	assert.Empty(t, tellPKI(m, 45*time.Minute), "what supersedes them may not have been read yet")
	m.Read(pkiAt(0), pkiSerial(3), lasting(t, "a.example.com", 0, 10*time.Hour), time.Time{})
	m.Read(pkiAt(0), pkiSerial(4), lasting(t, "b.example.com", 0, 10*time.Hour), pkiAt(-time.Minute))
	assert.Equal(t, []string{"expiring superseded 01", "expiring 02"}, tellPKI(m, 45*time.Minute), "one that is revoked supersedes none")
	counts := m.Count(pkiAt(45*time.Minute), time.Hour)
	assert.Equal(t, []RoleExpiry{{Role: "web", Left: 15 * time.Minute}}, counts.Expiry)
	assert.Equal(t, []CertificateCount{{"web", ExpiryHour, 2}, {"web", ExpiryDay, 1}}, counts.Certificates)
	m.Forget(pkiSerial(2))
	assert.Equal(t, 10*time.Hour-45*time.Minute, m.Count(pkiAt(45*time.Minute), time.Hour).Expiry[0].Left, "that which lasts longer")
}

func TestAWarningDoesNotWaitForEver(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 2), 0, 10)
	m.Read(pkiAt(0), pkiSerial(1), lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	assert.Empty(t, tellPKI(m, 52*time.Minute))
	assert.Equal(t, []string{"expiring 01"}, tellPKI(m, 52*time.Minute+30*time.Second), "half of its time has passed")
}

func TestARevocation(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 4), 0, 10)
	m.ListRevoked(pkiAt(0), mustSerials(1, 1), 1)
	long := lasting(t, "a.example.com", 0, time.Hour)
	m.Read(pkiAt(0), pkiSerial(1), long, pkiAt(-time.Minute))
	for n := byte(2); n <= 4; n++ {
		m.Read(pkiAt(0), pkiSerial(n), long, time.Time{})
	}
	assert.Empty(t, tellPKI(m, time.Second), "what was revoked before is not told")
	assert.Equal(t, 2, m.Count(pkiAt(0), time.Hour).Revoked)

	m.ListRevoked(pkiAt(time.Minute), mustSerials(1, 3), 0)
	assert.Equal(t, 1, m.Count(pkiAt(time.Minute), time.Hour).Certificates[0].Count, "it does not count at once")
	assert.Empty(t, tellPKI(m, time.Minute), "when is not known yet")
	s, _ := m.Next()
	require.Equal(t, pkiSerial(2), s)
	m.Read(pkiAt(time.Minute), s, long, pkiAt(30*time.Second))
	m.RevokedUnseen(pkiAt(2 * time.Minute))
	assert.Equal(t, []string{"revoked 02", "ended 02", "revoked reconciled 03", "ended reconciled 03"}, tellPKI(m, 2*time.Minute))
	effects, _ := m.Due(pkiAt(50*time.Minute), 10)
	assert.Len(t, effects, 1, "only that which is not revoked expires")
	assert.Equal(t, pkiSerial(4), effects[0].Serial)
}

func TestARevocationOfAnUnknownTime(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 2), 0, 10)
	long := lasting(t, "a.example.com", 0, time.Hour)
	m.Read(pkiAt(0), pkiSerial(1), long, pkiAt(-time.Second))
	m.Read(pkiAt(0), pkiSerial(2), long, pkiAt(time.Second))
	assert.Equal(t, []string{"revoked 02", "ended 02"}, tellPKI(m, time.Second), "the list is denied, but the certificates tell")
}

// restarted returns what is told of a progress after a restart.
func restarted(t *testing.T, p PKIProgress) (q PKIProgress) {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &q))
	return q
}

func TestARestart(t *testing.T) {
	certificates := map[byte]*x509.Certificate{
		1: lasting(t, "a.example.com", 0, time.Hour), // expires before, ends after
		2: lasting(t, "b.example.com", 0, 100*time.Minute),
		3: lasting(t, "c.example.com", 0, 30*time.Minute), // ends before
		4: lasting(t, "d.example.com", 0, 10*time.Hour),   // revoked before
		5: lasting(t, "e.example.com", 0, 10*time.Hour),   // revoked meanwhile
	}
	read := func(m *PKIMount, after time.Duration, revoked map[byte]time.Duration) {
		var gone []Serial
		for n := byte(1); n <= 5; n++ {
			if _, is := revoked[n]; is {
				gone = append(gone, pkiSerial(n))
			}
		}
		m.List(pkiAt(after), mustSerials(1, 5), 0, 10)
		m.ListRevoked(pkiAt(after), gone, 0)
		for s, ok := m.Next(); ok; s, ok = m.Next() {
			var when time.Time
			if d, is := revoked[s.octets[0]]; is {
				when = pkiAt(d)
			}
			m.Read(pkiAt(after), s, certificates[s.octets[0]], when)
		}
	}
	first := newMount(t, PKIProgress{}, 0)
	read(first, 0, nil)
	require.Empty(t, tellPKI(first, 0))
	read(first, 50*time.Minute, map[byte]time.Duration{4: 20 * time.Minute})
	require.Equal(t, []string{"revoked 04", "ended 04", "ended 03", "expiring 01"}, tellPKI(first, 50*time.Minute))

	second := newMount(t, restarted(t, first.Progress()), 90*time.Minute)
	read(second, 90*time.Minute, map[byte]time.Duration{4: 20 * time.Minute, 5: 70 * time.Minute})
	assert.Equal(t, []string{"ended 01", "revoked 05", "ended 05", "expiring 02"}, tellPKI(second, 90*time.Minute))

	third := newMount(t, PKIProgress{}, 90*time.Minute)
	read(third, 90*time.Minute, map[byte]time.Duration{4: 20 * time.Minute, 5: 70 * time.Minute})
	assert.Equal(t, []string{"expiring 02"}, tellPKI(third, 90*time.Minute), "without storage it is a baseline")

	fourth := newMount(t, restarted(t, first.Progress()), 55*time.Minute)
	fourth.Warning = time.Minute
	fourth.Begin(pkiAt(55*time.Minute), PKIProgress{})
	read(fourth, 55*time.Minute, nil)
	assert.Equal(t, []string{"expiring 01"}, tellPKI(fourth, 59*time.Minute), "with another setting it is told anew")
}

func TestARestartBeforeAllIsRead(t *testing.T) {
	read := func(m *PKIMount, certificates ...byte) {
		m.List(pkiAt(55*time.Minute), mustSerials(1, 3), 0, 10)
		for _, n := range certificates {
			m.Read(pkiAt(55*time.Minute), pkiSerial(n), lasting(t, "a.example.com", 0, time.Hour), time.Time{})
		}
	}
	first := newMount(t, PKIProgress{}, 55*time.Minute)
	read(first, 1)
	require.Equal(t, []string{"expiring 01"}, tellPKI(first, 55*time.Minute))
	second := newMount(t, restarted(t, first.Progress()), 55*time.Minute)
	read(second, 2, 1)
	require.Equal(t, []string{"expiring 02"}, tellPKI(second, 55*time.Minute))
	third := newMount(t, restarted(t, second.Progress()), 55*time.Minute)
	read(third, 1, 2, 3)
	require.Equal(t, []string{"expiring 03"}, tellPKI(third, 55*time.Minute))
	assert.Empty(t, third.Progress().Warnings, "all was told until then")
	fourth := newMount(t, restarted(t, third.Progress()), 55*time.Minute)
	read(fourth, 1, 2, 3)
	assert.Empty(t, tellPKI(fourth, 55*time.Minute))

	changed := &PKIMount{Warning: time.Minute}
	changed.Begin(pkiAt(55*time.Minute), restarted(t, second.Progress()))
	read(changed, 1, 2, 3)
	assert.Len(t, tellPKI(changed, 59*time.Minute), 3, "with another setting it is told anew")
}

func TestOfManyWarningsTheFirstAreKept(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	var serials []Serial
	for i := range maxWarnings + 2 {
		serials = append(serials, Serial{octets: [maxSerial]byte{byte(i >> 8), byte(i)}, length: 2})
	}
	m.List(pkiAt(0), serials, 0, 2*maxWarnings)
	c := lasting(t, "a.example.com", 0, time.Hour)
	for _, serial := range serials[1:] {
		m.Read(pkiAt(0), serial, c, time.Time{})
	}
	effects, _ := m.Due(pkiAt(55*time.Minute), 2*maxWarnings)
	require.Len(t, effects, maxWarnings+1)
	m.Told(effects, true)
	assert.Len(t, m.Progress().Warnings, maxWarnings)
}

func TestAnotherTerm(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	long := lasting(t, "a.example.com", 0, time.Hour)
	m.List(pkiAt(0), mustSerials(1, 3), 0, 10)
	m.ListRevoked(pkiAt(0), nil, 0)
	for n := byte(1); n <= 3; n++ {
		m.Read(pkiAt(0), pkiSerial(n), long, time.Time{})
	}
	m.Read(pkiAt(0), pkiSerial(3), long, time.Time{})
	require.Len(t, tellPKI(m, 50*time.Minute), 3)
	m.Begin(pkiAt(70*time.Minute), PKIProgress{})
	assert.Empty(t, tellPKI(m, 70*time.Minute), "nothing is told before it was listed")
	m.List(pkiAt(71*time.Minute), mustSerials(1, 4), 0, 10)
	m.ListRevoked(pkiAt(71*time.Minute), mustSerials(2, 2), 0)
	m.Read(pkiAt(71*time.Minute), pkiSerial(2), long, pkiAt(55*time.Minute))
	m.Read(pkiAt(71*time.Minute), pkiSerial(4), lasting(t, "b.example.com", time.Hour, 100*time.Hour), time.Time{})
	assert.Empty(t, tellPKI(m, 72*time.Minute), "another node's receiver has told")
}

func TestNoMoreThanTheLimitIsFollowed(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 5), 2, 3)
	assert.Equal(t, 3, m.Followed())
	counts := m.Count(pkiAt(0), time.Hour)
	assert.Equal(t, 4, counts.Unfollowed)
	assert.Equal(t, 3, counts.Unread)
	m.List(pkiAt(1), mustSerials(2, 5), 0, 3)
	for s, ok := m.Next(); ok; s, ok = m.Next() {
		m.Read(pkiAt(1), s, lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	}
	assert.Empty(t, tellPKI(m, time.Second), "one that comes to be followed is not new")
	assert.Equal(t, 1, m.Count(pkiAt(1), time.Hour).Unfollowed)
}

func TestIssuersAreNoCertificates(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.ListIssuers(pkiAt(0), map[string]IssuerInfo{"one": {Name: "root", Serial: pkiSerial(1), Signs: true}, "two": {Serial: pkiSerial(9)}})
	require.Equal(t, []string{"one", "two"}, m.UnreadIssuers())
	require.Equal(t, []string{"one"}, m.SigningIssuers())
	ca := certified(t, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.SubjectKeyId, c.NotAfter = true, true, []byte("root"), pkiAt(10*time.Hour)
		c.Subject.CommonName = "root"
	})
	m.ReadIssuer("one", ca)
	m.ReadIssuer("two", lasting(t, "two", -2*time.Hour, -time.Hour))
	m.ReadRevocationList(pkiAt(0), "one", RevocationList{ThisUpdate: pkiAt(0), NextUpdate: pkiAt(72 * time.Hour)})
	m.List(pkiAt(0), mustSerials(1, 3), 0, 10)
	m.Read(pkiAt(0), pkiSerial(2), lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	m.Read(pkiAt(0), pkiSerial(3), ca, time.Time{}) // of an issuer that was deleted
	counts := m.Count(pkiAt(0), time.Hour)
	assert.Equal(t, []CertificateCount{{"web", ExpiryHour, 1}}, counts.Certificates)
	assert.Equal(t, []IssuerExpiry{{"one", "root", 10 * time.Hour}, {"two", "", -time.Hour}}, counts.Authorities)
	assert.Equal(t, []IssuerExpiry{{"one", "root", 72 * time.Hour}}, counts.Lists)
	effects, _ := m.Due(pkiAt(50*time.Minute), 10)
	require.Len(t, effects, 2)
	assert.Equal(t, "one", effects[1].IssuerID, "the issuer of the certificate")

	assert.Equal(t, []string{"CA expiring two", "expiring 02one"}, strip(tellPKI(m, 50*time.Minute)))
	assert.Equal(t, []string{"ended 02one", "CA expiring one"}, strip(tellPKI(m, 570*time.Minute)), "half an hour before, as it is less than a quarter")
	assert.Equal(t, []string{"list expiring one"}, strip(tellPKI(m, 71*time.Hour+30*time.Minute)))

	// After a restart only another list is told.
	again := newMount(t, restarted(t, m.Progress()), 72*time.Hour)
	again.List(pkiAt(72*time.Hour), nil, 0, 10)
	assert.Empty(t, tellPKI(again, 72*time.Hour), "the issuers were not read yet")
	again.ListIssuers(pkiAt(72*time.Hour), map[string]IssuerInfo{"one": {Signs: true}})
	again.ReadIssuer("one", ca)
	again.ReadRevocationList(pkiAt(72*time.Hour), "one", RevocationList{ThisUpdate: pkiAt(0), NextUpdate: pkiAt(72 * time.Hour)})
	assert.Empty(t, tellPKI(again, 72*time.Hour))
	again.ReadRevocationList(pkiAt(72*time.Hour), "one", RevocationList{ThisUpdate: pkiAt(0), NextUpdate: pkiAt(73 * time.Hour)})
	assert.Equal(t, []string{"list expiring one"}, strip(tellPKI(again, 72*time.Hour+30*time.Minute)))
}

// strip takes away the serial number of what has none.
func strip(words []string) []string {
	for i, word := range words {
		words[i] = strings.ReplaceAll(word, "  ", " ")
	}
	return words
}

func TestAListMayBeRenewedInItsLastSixth(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.Warning = 1000 * time.Hour
	m.List(pkiAt(0), nil, 0, 10)
	m.ListIssuers(pkiAt(0), map[string]IssuerInfo{"one": {Signs: true}})
	m.ReadRevocationList(pkiAt(0), "one", RevocationList{ThisUpdate: pkiAt(0), NextUpdate: pkiAt(72 * time.Hour)})
	assert.Empty(t, tellPKI(m, 60*time.Hour+time.Minute), "Vault renews it twelve hours before")
	assert.Len(t, tellPKI(m, 63*time.Hour), 1)
}

func TestRolesThatBecomeKnown(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.LoseRoles()
	m.List(pkiAt(0), mustSerials(1, 1), 0, 10)
	c := lasting(t, "a.example.com", 0, time.Hour)
	m.Read(pkiAt(0), pkiSerial(1), c, time.Time{})
	_, ok := m.Next()
	require.False(t, ok)
	assert.Equal(t, []CertificateCount{{"", ExpiryHour, 1}}, m.Count(pkiAt(0), time.Hour).Certificates)
	assert.Equal(t, []string{""}, m.Count(pkiAt(0), time.Hour).Roles)
	m.SetRoles(map[string]Role{"web": webRole(nil)}, time.Hour)
	m.List(pkiAt(1), mustSerials(1, 1), 0, 10)
	s, ok := m.Next()
	require.True(t, ok)
	m.Read(pkiAt(1), s, c, time.Time{})
	_, ok = m.Next()
	require.False(t, ok)
	assert.Equal(t, []CertificateCount{{"web", ExpiryHour, 1}}, m.Count(pkiAt(1), time.Hour).Certificates)
}

func TestACertificateThatHasEndedWithoutASuccessor(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 2), 0, 10)
	m.Read(pkiAt(0), pkiSerial(1), lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	m.Read(pkiAt(0), pkiSerial(2), lasting(t, "b.example.com", 0, 10*time.Hour), time.Time{})
	for after, want := range map[time.Duration]time.Duration{
		50 * time.Minute: 10 * time.Minute, time.Hour: 0, 75 * time.Minute: -15 * time.Minute, 76 * time.Minute: 524 * time.Minute,
	} {
		assert.Equal(t, []RoleExpiry{{"web", want}}, m.Count(pkiAt(after), 24*time.Hour).Expiry, after)
	}
	m.List(pkiAt(0), mustSerials(1, 3), 0, 10)
	m.Read(pkiAt(0), pkiSerial(3), lasting(t, "a.example.com", time.Minute, 2*time.Hour), time.Time{})
	assert.Equal(t, []RoleExpiry{{"web", time.Hour}}, m.Count(pkiAt(time.Hour), 24*time.Hour).Expiry, "one that has a successor is not missed")
}

func TestOfManyRolesTheFirstAreCountedApart(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 1), 0, 10)
	m.Read(pkiAt(0), pkiSerial(1), lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	assert.Equal(t, []string{"", "web"}, m.Count(pkiAt(0), time.Hour).Roles)
	roles := map[string]Role{}
	for i := range maxRoles - 2 {
		roles[fmt.Sprintf("role%04d", i)] = Role{}
	}
	m.SetRoles(roles, 0)
	assert.Len(t, m.Count(pkiAt(0), time.Hour).Roles, maxRoles)
	assert.Equal(t, []CertificateCount{{"web", ExpiryHour, 1}}, m.Count(pkiAt(0), time.Hour).Certificates, "it is of one that was deleted")
	for i := range 2 {
		roles[fmt.Sprintf("more%04d", i)] = Role{}
	}
	counts := m.Count(pkiAt(0), time.Hour)
	assert.Len(t, counts.Roles, maxRoles+1)
	assert.Equal(t, []CertificateCount{{"other", ExpiryHour, 1}}, counts.Certificates)
	assert.Equal(t, "other", counts.Expiry[0].Role)
	assert.Contains(t, counts.Roles, "other")
}

func TestWhatCannotBeReadHoldsNothingBack(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 2), 0, 10)
	m.Unreadable(pkiSerial(1))
	s, ok := m.Next()
	require.True(t, ok)
	require.Equal(t, pkiSerial(2), s)
	m.Forget(s)
	_, ok = m.Next()
	require.False(t, ok)
	assert.Equal(t, 1, m.Count(pkiAt(0), time.Hour).Unread)
	m.List(pkiAt(1), mustSerials(1, 2), 0, 10)
	s, ok = m.Next()
	require.True(t, ok)
	require.Equal(t, pkiSerial(2), s, "others go before it")
	m.Read(pkiAt(1), s, lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	s, ok = m.Next()
	require.True(t, ok, "it is tried again after the next list")
	require.Equal(t, pkiSerial(1), s)
	m.Read(pkiAt(1), s, lasting(t, "b.example.com", 0, time.Hour), time.Time{})

	m.List(pkiAt(2), mustSerials(1, 2), 0, 10)
	m.ListRevoked(pkiAt(2), mustSerials(1, 2), 0)
	m.Unreadable(pkiSerial(1))
	s, ok = m.Next()
	require.True(t, ok, "it holds back none that was revoked either")
	require.Equal(t, pkiSerial(2), s)
	m.Read(pkiAt(2), s, nil, pkiAt(2))
	_, ok = m.Next()
	require.False(t, ok)
}

func TestMuchIsToldInParts(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 100), 0, 1000)
	for s, ok := m.Next(); ok; s, ok = m.Next() {
		m.Read(pkiAt(0), s, lasting(t, "a.example.com", 0, time.Hour), time.Time{})
	}
	var all []string
	for range 4 {
		effects, next := m.Due(pkiAt(50*time.Minute), 30)
		require.True(t, slices.IsSortedFunc(effects, compareEffects))
		m.Told(effects, !next.Equal(pkiAt(50*time.Minute)))
		for _, e := range effects {
			all = append(all, e.Serial.String())
		}
		require.Equal(t, len(all) < 100, m.Progress().Warned.IsZero(), "nothing is taken for told before all is")
	}
	assert.Len(t, slices.Compact(all), 100)
}

func TestExpiries(t *testing.T) {
	for left, want := range map[time.Duration]Expiry{
		-time.Hour: ExpiryPassed, 0: ExpiryPassed, time.Second: ExpiryMinute, time.Minute: ExpiryMinute, time.Minute + 1: ExpiryTenMinutes,
		time.Hour: ExpiryHour, 24 * time.Hour: ExpiryDay, 100 * time.Hour: ExpiryWeek, 8 * 24 * time.Hour: ExpiryLater,
	} {
		assert.Equal(t, want, expiryOf(pkiStart.Add(-left), pkiStart.Unix()), left)
	}
	assert.Equal(t, ExpiryNever, expiryOf(pkiStart, noEnd))
}

func TestWhatLastsForEverDoesNotOverflow(t *testing.T) {
	m := newMount(t, PKIProgress{}, 0)
	m.List(pkiAt(0), mustSerials(1, 1), 0, 10)
	m.Read(pkiAt(0), pkiSerial(1), certified(t, func(c *x509.Certificate) { c.NotAfter = time.Unix(noEnd, 0) }), time.Time{})
	m.ListRevoked(pkiAt(0), nil, 0)
	assert.Empty(t, tellPKI(m, time.Hour))
	assert.Empty(t, m.Count(pkiAt(time.Hour), time.Hour).Expiry)
	m.ListRevoked(pkiAt(time.Hour), mustSerials(1, 1), 0)
	m.RevokedUnseen(pkiAt(time.Hour))
	assert.Equal(t, []string{"revoked reconciled 01", "ended reconciled 01"}, tellPKI(m, time.Hour))
}
