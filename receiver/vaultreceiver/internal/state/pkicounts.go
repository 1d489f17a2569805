// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// noEnd is the end of what has none, as RFC 5280 has it: the last second of the
// year 9999.
const noEnd = 253402300799

func expiryOf(now time.Time, notAfter int64) Expiry {
	if notAfter == noEnd {
		return ExpiryNever
	}
	return ExpiryOf(time.Unix(notAfter, 0).Sub(now))
}

// maxRoles is of how many roles certificates are counted apart; those of the
// others are of otherRoles.
const (
	maxRoles   = 1000
	otherRoles = "other"
)

// PKICounts is what metrics tell of a mount.
type PKICounts struct {
	CertificatesKnown  bool
	Roles              []string           // that there are, or certificates are of; empty: none is known
	Certificates       []CertificateCount // where there are some
	Expiry             []RoleExpiry
	Unfollowed, Unread int

	RevokedKnown bool
	Revoked      int

	Authorities, Lists []IssuerExpiry
}

// CertificateCount is how many certificates of a role have so long until they end.
type CertificateCount struct {
	Role   string
	Expiry Expiry
	Count  int
}

// RoleExpiry is how long until the next certificate of a role ends. It is
// negative for some time after one has ended that has no successor.
type RoleExpiry struct {
	Role string
	Left time.Duration
}

// IssuerExpiry is how long until something of an issuer ends.
type IssuerExpiry struct {
	ID, Name string
	Left     time.Duration
}

// Count counts what was learnt no longer ago than age.
func (m *PKIMount) Count(now time.Time, age time.Duration) (counts PKICounts) {
	fresh := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) <= age }
	if counts.CertificatesKnown = fresh(m.listed); counts.CertificatesKnown {
		m.countCertificates(now, &counts)
	}
	counts.RevokedKnown, counts.Revoked = fresh(m.listedGone), m.revocations
	if !fresh(m.listedCAs) {
		return counts
	}
	for _, id := range slices.Sorted(maps.Keys(m.issuers)) {
		i := m.issuers[id]
		if !i.notAfter.IsZero() {
			counts.Authorities = append(counts.Authorities, IssuerExpiry{ID: id, Name: i.Name, Left: i.notAfter.Sub(now)})
		}
		if fresh(i.listRead) && !i.list.NextUpdate.IsZero() {
			counts.Lists = append(counts.Lists, IssuerExpiry{ID: id, Name: i.Name, Left: i.list.NextUpdate.Sub(now)})
		}
	}
	return counts
}

func (m *PKIMount) countCertificates(now time.Time, counts *PKICounts) {
	type kind struct {
		role   string
		expiry Expiry
	}
	count, first := map[kind]int{}, map[string]time.Duration{}
	counts.Unfollowed = m.unfollowed
	counts.Roles = m.countedRoles()
	for _, c := range m.certs {
		if !c.is(wasRead) {
			counts.Unread++
		}
		if !c.counts() {
			continue
		}
		role, expiry := c.role, expiryOf(now, c.notAfter)
		if _, apart := slices.BinarySearch(counts.Roles, role); !apart {
			role = otherRoles
		}
		count[kind{role, expiry}]++
		left := time.Unix(c.notAfter, 0).Sub(now)
		// What has ended stays for as long as it was about to, so that an alert does.
		if expiry == ExpiryNever || left < -m.warnedFor(&c) || m.superseded(&c) {
			continue
		}
		if least, known := first[role]; !known || left < least {
			first[role] = left
		}
	}
	for k, n := range count {
		counts.Certificates = append(counts.Certificates, CertificateCount{Role: k.role, Expiry: k.expiry, Count: n})
	}
	slices.SortFunc(counts.Certificates, func(a, b CertificateCount) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Expiry, b.Expiry))
	})
	for _, role := range slices.Sorted(maps.Keys(first)) {
		counts.Expiry = append(counts.Expiry, RoleExpiry{Role: role, Left: first[role]})
	}
}

// countedRoles returns the roles of which certificates are counted, sorted.
func (m *PKIMount) countedRoles() []string {
	roles := map[string]bool{}
	for role := range m.roles {
		roles[role] = true
	}
	for _, c := range m.certs {
		if c.counts() {
			roles[c.role] = true
		}
	}
	roles[""] = true
	sorted := slices.Sorted(maps.Keys(roles))
	if len(sorted) > maxRoles {
		sorted = append(sorted[:maxRoles], otherRoles)
		slices.Sort(sorted)
		sorted = slices.Compact(sorted)
	}
	return sorted
}

// warnedFor is how long before its end a certificate is told to expire.
func (m *PKIMount) warnedFor(c *certificate) time.Duration {
	end := time.Unix(c.notAfter, 0)
	return end.Sub(warnAt(time.Unix(c.notBefore, 0), end, m.Warning, certificatePart))
}
