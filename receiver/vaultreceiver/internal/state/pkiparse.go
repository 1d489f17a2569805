// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"slices"
	"time"
)

// What cannot be parsed is not repeated, nor what the parser says of it, which
// may name parts of it.
var (
	errNoCertificate    = errors.New("is no certificate that can be read, check whether Vault itself can read it")
	errNoRevocationList = errors.New("is no revocation list that can be read, rotate it with <mount>/crl/rotate")
)

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(text string) (*x509.Certificate, error) {
	der := block(text, "CERTIFICATE")
	if der == nil {
		return nil, errNoCertificate
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errNoCertificate
	}
	return certificate, nil
}

// RevocationList is how long a revocation list is valid.
type RevocationList struct{ ThisUpdate, NextUpdate time.Time }

// ParseRevocationList reads the times of a revocation list in PEM. It may be
// long, so what was revoked is not read.
func ParseRevocationList(text string) (RevocationList, error) {
	var list struct {
		Signed struct {
			Version    int `asn1:"optional,default:0"`
			Algorithm  pkix.AlgorithmIdentifier
			Issuer     asn1.RawValue
			ThisUpdate time.Time
			NextUpdate time.Time `asn1:"optional"`
		}
	}
	der := block(text, "X509 CRL")
	if der == nil {
		return RevocationList{}, errNoRevocationList
	}
	if _, err := asn1.Unmarshal(der, &list); err != nil {
		return RevocationList{}, errNoRevocationList
	}
	return RevocationList{ThisUpdate: list.Signed.ThisUpdate.UTC(), NextUpdate: list.Signed.NextUpdate.UTC()}, nil
}

func block(text, kind string) []byte {
	found, _ := pem.Decode([]byte(text))
	if found == nil || found.Type != kind {
		return nil
	}
	return found.Bytes
}

// namesOf returns a hash of all names of a certificate; 0 when it has none.
func namesOf(c *x509.Certificate) uint64 {
	names := append([]string(nil), c.DNSNames...)
	names = append(names, c.EmailAddresses...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range c.URIs {
		names = append(names, uri.String())
	}
	if len(names) == 0 && c.Subject.CommonName == "" {
		return 0
	}
	slices.Sort(names)
	hash := sha256.New()
	for _, name := range append(slices.Compact(names), c.Subject.CommonName) {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(name))))
		hash.Write([]byte(name))
	}
	return max(1, binary.BigEndian.Uint64(hash.Sum(nil)))
}
