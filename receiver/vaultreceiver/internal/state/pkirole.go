// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ryanuber/go-glob"
)

// Role is what a role of a PKI mount allows, as Vault tells it. What is left out
// here does not tell in a certificate.
type Role struct {
	MaxTTL            int64  `json:"max_ttl"`
	NotAfter          string `json:"not_after"`
	NotBeforeDuration int64  `json:"not_before_duration"`

	AllowAnyName           bool     `json:"allow_any_name"`
	AllowLocalhost         bool     `json:"allow_localhost"`
	AllowedDomains         []string `json:"allowed_domains"`
	AllowedDomainsTemplate bool     `json:"allowed_domains_template"`
	AllowBareDomains       bool     `json:"allow_bare_domains"`
	AllowSubdomains        bool     `json:"allow_subdomains"`
	AllowGlobDomains       bool     `json:"allow_glob_domains"`
	AllowWildcards         bool     `json:"allow_wildcard_certificates"`
	AllowTokenDisplayName  bool     `json:"allow_token_displayname"`
	RequireCN              bool     `json:"require_cn"`
	CNValidations          []string `json:"cn_validations"`
	AllowIPSANs            bool     `json:"allow_ip_sans"`
	AllowedURISANs         []string `json:"allowed_uri_sans"`
	AllowedURISANsTemplate bool     `json:"allowed_uri_sans_template"`
	AllowedOtherSANs       []string `json:"allowed_other_sans"`
	AllowedSerialNumbers   []string `json:"allowed_serial_numbers"`
	AllowedUserIDs         []string `json:"allowed_user_ids"`

	KeyType string `json:"key_type"`
	KeyBits int    `json:"key_bits"`

	ServerFlag               bool     `json:"server_flag"`
	ClientFlag               bool     `json:"client_flag"`
	CodeSigningFlag          bool     `json:"code_signing_flag"`
	EmailProtectionFlag      bool     `json:"email_protection_flag"`
	KeyUsage                 []string `json:"key_usage"`
	ExtKeyUsage              []string `json:"ext_key_usage"`
	ExtKeyUsageOIDs          []string `json:"ext_key_usage_oids"`
	PolicyIdentifiers        []string `json:"policy_identifiers"`
	BasicConstraintsForNonCA bool     `json:"basic_constraints_valid_for_non_ca"`

	OU            []string `json:"ou"`
	Organization  []string `json:"organization"`
	Country       []string `json:"country"`
	Locality      []string `json:"locality"`
	Province      []string `json:"province"`
	StreetAddress []string `json:"street_address"`
	PostalCode    []string `json:"postal_code"`

	NoStore bool `json:"no_store"`
}

// RoleOf returns the one role that allows a certificate; empty when it is none,
// or when it could be several. maxTTL is that of the mount.
func RoleOf(c *x509.Certificate, roles map[string]Role, maxTTL time.Duration) string {
	found := ""
	for name, role := range roles {
		if !role.Allows(c, maxTTL) {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

// Allows says whether the certificate can have been issued or signed with the
// role, as far as it tells.
func (r Role) Allows(c *x509.Certificate, maxTTL time.Duration) bool {
	return !c.IsCA && !r.NoStore && c.BasicConstraintsValid == r.BasicConstraintsForNonCA &&
		r.allowsKey(c) && r.allowsUsage(c) && r.allowsSubject(c) && r.allowsLife(c, maxTTL) && r.allowsNames(c)
}

// allowsLife allows for two seconds, as Vault looks at its clock twice and
// rounds.
func (r Role) allowsLife(c *x509.Certificate, maxTTL time.Duration) bool {
	if end, err := time.Parse(time.RFC3339, r.NotAfter); err == nil {
		return !c.NotAfter.After(end) // It is earlier when the issuer ends earlier.
	}
	if r.MaxTTL > 0 {
		maxTTL = time.Duration(r.MaxTTL) * time.Second
	}
	before := time.Duration(r.NotBeforeDuration) * time.Second
	return maxTTL <= 0 || c.NotAfter.Sub(c.NotBefore) <= before+maxTTL+2*time.Second
}

func (r Role) allowsKey(c *x509.Certificate) bool {
	kind, bits := "", 0
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		kind, bits = "rsa", key.N.BitLen()
	case *ecdsa.PublicKey:
		kind, bits = "ec", key.Curve.Params().BitSize
	case ed25519.PublicKey:
		kind, bits = "ed25519", r.KeyBits
	}
	return kind != "" && (r.KeyType == "any" || r.KeyType == kind && bits >= r.KeyBits)
}

var usages = map[string]x509.KeyUsage{
	"digitalsignature": x509.KeyUsageDigitalSignature, "contentcommitment": x509.KeyUsageContentCommitment,
	"keyencipherment": x509.KeyUsageKeyEncipherment, "dataencipherment": x509.KeyUsageDataEncipherment,
	"keyagreement": x509.KeyUsageKeyAgreement, "certsign": x509.KeyUsageCertSign, "crlsign": x509.KeyUsageCRLSign,
	"encipheronly": x509.KeyUsageEncipherOnly, "decipheronly": x509.KeyUsageDecipherOnly,
}

var extendedUsages = map[string]x509.ExtKeyUsage{
	"any": x509.ExtKeyUsageAny, "serverauth": x509.ExtKeyUsageServerAuth, "clientauth": x509.ExtKeyUsageClientAuth,
	"codesigning": x509.ExtKeyUsageCodeSigning, "emailprotection": x509.ExtKeyUsageEmailProtection,
	"ipsecendsystem": x509.ExtKeyUsageIPSECEndSystem, "ipsectunnel": x509.ExtKeyUsageIPSECTunnel,
	"ipsecuser": x509.ExtKeyUsageIPSECUser, "timestamping": x509.ExtKeyUsageTimeStamping,
	"ocspsigning":                x509.ExtKeyUsageOCSPSigning,
	"microsoftservergatedcrypto": x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	"netscapeservergatedcrypto":  x509.ExtKeyUsageNetscapeServerGatedCrypto,
}

// allowsUsage compares what a certificate may be used for, which Vault takes
// over from the role as it is.
func (r Role) allowsUsage(c *x509.Certificate) bool {
	var usage x509.KeyUsage
	for _, name := range r.KeyUsage {
		usage |= usages[strings.ToLower(strings.TrimSpace(name))]
	}
	want := map[x509.ExtKeyUsage]bool{}
	for kind, is := range map[x509.ExtKeyUsage]bool{
		x509.ExtKeyUsageServerAuth: r.ServerFlag, x509.ExtKeyUsageClientAuth: r.ClientFlag,
		x509.ExtKeyUsageCodeSigning: r.CodeSigningFlag, x509.ExtKeyUsageEmailProtection: r.EmailProtectionFlag,
	} {
		if is {
			want[kind] = true
		}
	}
	for _, name := range r.ExtKeyUsage {
		if kind, known := extendedUsages[strings.ToLower(strings.TrimSpace(name))]; known {
			want[kind] = true
		}
	}
	for _, kind := range c.ExtKeyUsage {
		if !want[kind] && !slices.Contains(r.ExtKeyUsageOIDs, extendedOID(kind)) {
			return false
		}
		delete(want, kind)
	}
	return c.KeyUsage == usage && len(want) == 0 && allIn(oids(c.UnknownExtKeyUsage), r.ExtKeyUsageOIDs) && r.allowsPolicies(c)
}

// extendedOID returns how a usage that Go knows may be written as an OID.
func extendedOID(kind x509.ExtKeyUsage) string { return kind.OID().String() }

// allowsPolicies compares the OIDs of policies, which a role has as they are, or
// in an object with qualifiers.
func (r Role) allowsPolicies(c *x509.Certificate) bool {
	var want, has []string
	for _, policy := range r.PolicyIdentifiers {
		var qualified struct{ OID string }
		if json.Unmarshal([]byte(policy), &qualified) == nil && qualified.OID != "" {
			policy = qualified.OID
		}
		want = append(want, policy)
	}
	for _, policy := range c.Policies {
		has = append(has, policy.String())
	}
	return sameSet(has, want)
}

var (
	oidUserID         = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
)

func (r Role) allowsSubject(c *x509.Certificate) bool {
	s := c.Subject
	if s.SerialNumber != "" && !anyGlob(r.AllowedSerialNumbers, s.SerialNumber) {
		return false
	}
	for _, attribute := range s.Names {
		if id, isText := attribute.Value.(string); isText && attribute.Type.Equal(oidUserID) && !anyGlob(r.AllowedUserIDs, id) {
			return false
		}
	}
	return sameSet(s.OrganizationalUnit, r.OU) && sameSet(s.Organization, r.Organization) && sameSet(s.Country, r.Country) &&
		sameSet(s.Locality, r.Locality) && sameSet(s.Province, r.Province) &&
		sameSet(s.StreetAddress, r.StreetAddress) && sameSet(s.PostalCode, r.PostalCode)
}

func (r Role) allowsNames(c *x509.Certificate) bool {
	switch cn := c.Subject.CommonName; {
	case cn == "":
		if r.RequireCN {
			return false
		}
	case !r.allowsCommonName(cn):
		return false
	}
	for _, names := range [][]string{c.DNSNames, c.EmailAddresses} {
		for _, name := range names {
			if !r.allowsName(name) {
				return false
			}
		}
	}
	if len(c.IPAddresses) > 0 && !r.AllowIPSANs {
		return false
	}
	for _, uri := range c.URIs {
		depends := r.AllowedURISANsTemplate && anyTemplate(r.AllowedURISANs)
		if !depends && !anyGlob(r.AllowedURISANs, uri.String()) {
			return false
		}
	}
	return len(r.AllowedOtherSANs) > 0 || !hasOtherName(c)
}

func (r Role) allowsCommonName(name string) bool {
	if slices.Equal(r.CNValidations, []string{"disabled"}) {
		return true
	}
	kind := "hostname"
	if strings.Contains(name, "@") {
		kind = "email"
	}
	return (len(r.CNValidations) == 0 || slices.Contains(r.CNValidations, kind)) && r.allowsName(name)
}

// allowsName says whether a role allows a host name or an address of email. What
// depends on who asked for the certificate may be allowed.
func (r Role) allowsName(name string) bool {
	_, host, isEmail := strings.Cut(name, "@")
	if !isEmail {
		host = name
	} else if strings.Contains(host, "@") {
		return false
	}
	base, isWildcard := host, strings.Contains(host, "*")
	if isWildcard {
		label, rest, _ := strings.Cut(host, ".")
		if !r.AllowWildcards || isEmail || strings.Count(label, "*") != 1 || strings.Contains(rest, "*") {
			return false
		}
		base = rest
	}
	if r.AllowAnyName || r.AllowTokenDisplayName || r.AllowedDomainsTemplate && anyTemplate(r.AllowedDomains) {
		return true
	}
	if r.AllowLocalhost {
		for _, local := range []string{"localhost", "localdomain"} {
			if host == local || r.AllowSubdomains && below(base, local, isWildcard) {
				return true
			}
		}
	}
	return slices.ContainsFunc(r.AllowedDomains, func(domain string) bool {
		return domain != "" && (r.AllowBareDomains && (strings.EqualFold(name, domain) || isEmail && strings.EqualFold(host, domain)) ||
			r.AllowSubdomains && below(base, domain, isWildcard) ||
			r.AllowGlobDomains && strings.Contains(domain, "*") && glob.Glob(strings.ToLower(domain), strings.ToLower(name)))
	})
}

// below says whether a name is below a domain. Of a wildcard, base is what
// follows its first label.
func below(base, domain string, isWildcard bool) bool {
	return strings.HasSuffix(base, "."+domain) || isWildcard && strings.EqualFold(base, domain)
}

// hasOtherName says whether a certificate has names of a kind that Go leaves out.
func hasOtherName(c *x509.Certificate) bool {
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(extension.Value, &names); err != nil {
			return true
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == 0 {
				return true
			}
		}
	}
	return false
}

// anyTemplate says whether there is a template, which is filled in with who asks.
func anyTemplate(texts []string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "{{") })
}

func anyGlob(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return pattern != "" && glob.Glob(pattern, text) })
}

func oids(ids []asn1.ObjectIdentifier) []string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return texts
}

func allIn(texts, set []string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !slices.Contains(set, text) })
}

func sameSet(a, b []string) bool { return allIn(a, b) && allIn(b, a) }

// sameKey says whether a certificate was issued with the key that has this ID.
func sameKey(c *x509.Certificate, id []byte) bool {
	return len(id) > 0 && bytes.Equal(c.AuthorityKeyId, id)
}
