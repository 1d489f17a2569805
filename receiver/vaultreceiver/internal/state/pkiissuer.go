// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/x509"
	"maps"
	"slices"
	"time"
)

// IssuerInfo is what the list of issuers tells of one.
type IssuerInfo struct {
	Name   string
	Serial Serial
	Signs  bool // It has a key, and so a revocation list.
}

// issuer is what is kept of an issuer.
type issuer struct {
	IssuerInfo

	notBefore, notAfter time.Time // zero: its certificate was not read
	keyID               []byte
	told                bool // that it expires

	list     RevocationList // zero: it was not read
	listRead time.Time
	listTold bool
}

// ListIssuers takes in which issuers there are.
func (m *PKIMount) ListIssuers(now time.Time, issuers map[string]IssuerInfo) {
	for id := range m.issuers {
		if _, still := issuers[id]; !still {
			delete(m.issuers, id)
		}
	}
	for id, info := range issuers {
		i := m.issuers[id]
		i.IssuerInfo = info
		m.issuers[id] = i
	}
	m.listedCAs = now
}

// UnreadIssuers returns those whose certificates are to be read, which never
// change.
func (m *PKIMount) UnreadIssuers() []string {
	return m.issuersThat(func(i issuer) bool { return i.notAfter.IsZero() })
}

// SigningIssuers returns those that have revocation lists.
func (m *PKIMount) SigningIssuers() []string {
	return m.issuersThat(func(i issuer) bool { return i.Signs })
}

func (m *PKIMount) issuersThat(are func(issuer) bool) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(m.issuers)) {
		if are(m.issuers[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

// ReadIssuer takes in the certificate of an issuer.
func (m *PKIMount) ReadIssuer(id string, x *x509.Certificate) {
	i, known := m.issuers[id]
	if !known {
		return
	}
	i.notBefore, i.notAfter, i.keyID = x.NotBefore, x.NotAfter, x.SubjectKeyId
	i.told = m.progress.Issuers[id]
	m.issuers[id] = i
}

// ReadRevocationList takes in the revocation list of an issuer.
func (m *PKIMount) ReadRevocationList(now time.Time, id string, list RevocationList) {
	i, known := m.issuers[id]
	if !known {
		return
	}
	if list != i.list {
		i.listTold = m.progress.Lists[id].Equal(list.NextUpdate)
	}
	i.list, i.listRead = list, now
	m.issuers[id] = i
}

// warnAt is when the certificate of an issuer is told to expire.
func (i *issuer) warnAt(warning time.Duration) time.Time {
	return warnAt(i.notBefore, i.notAfter, warning, certificatePart)
}

// warnListAt is when its revocation list is.
func (i *issuer) warnListAt(warning time.Duration) time.Time {
	return warnAt(i.list.ThisUpdate, i.list.NextUpdate, warning, listPart)
}

// issuerOf returns the one issuer that has signed a certificate, as far as its
// key tells.
func (m *PKIMount) issuerOf(x *x509.Certificate) string {
	found := ""
	for id, i := range m.issuers {
		if sameKey(x, i.keyID) {
			if found != "" {
				return ""
			}
			found = id
		}
	}
	return found
}
