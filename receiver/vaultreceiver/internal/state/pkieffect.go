// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"time"
)

// PKIEvent is what becomes of a certificate, an issuer or a revocation list.
type PKIEvent int

// In this order they are told, when it is of one time.
const (
	CertificateStarted PKIEvent = iota // of spans only
	CertificateExpiring
	CertificateRevoked
	CertificateEnded // of spans only
	CAExpiring
	CRLExpiring
)

// PKIEffect is what is to be told of a mount.
type PKIEffect struct {
	Event PKIEvent
	At    time.Time
	Left  time.Duration // until the end, of what expires

	Serial     Serial // of the certificate
	Role       string
	Superseded bool
	Reconciled bool // At is when it was learnt

	// NotBefore and End are those of the life of a certificate, and Revoked says
	// that it ended so.
	NotBefore, End time.Time
	Revoked        bool

	IssuerID, IssuerName string // of a certificate, too
}

func compareEffects(a, b PKIEffect) int {
	return cmp.Or(a.At.Compare(b.At), compareSerials(a.Serial, b.Serial), cmp.Compare(a.IssuerID, b.IssuerID), cmp.Compare(a.Event, b.Event))
}

// maxWarnings is of how many certificates it is kept that they were told to expire
// before all are read. Others are told again after a restart before that.
const maxWarnings = 1000

// PKIProgress is how far a mount was told. It is small, whatever the number of
// certificates is, and so survives a restart.
type PKIProgress struct {
	// Ended is until when the ends of certificates were told, and Warned until
	// when those were that expire, which was so long before their ends.
	Ended, Warned time.Time
	Warning       time.Duration

	// Warnings are the serial numbers of those that were told to expire since, as
	// Warned waits until all certificates are read.
	Warnings map[string]bool `json:",omitempty"`

	// Revoked is when the last revocation was, in nanoseconds of Vault's clock.
	Revoked int64

	// Issuers are those whose certificates were told to expire, and Lists are the
	// ends of the lists that were, by issuer.
	Issuers map[string]bool
	Lists   map[string]time.Time
}

// The parts of its life in which something may be told to expire. That of a
// revocation list is small, as Vault, where it renews lists, does so in their last
// sixth by default.
const (
	certificatePart = 4
	listPart        = 8
)

// warnAt is when what lasts from a start to an end is told to expire: some time
// before its end, but no more than a part of its life.
func warnAt(start, end time.Time, warning time.Duration, part int64) time.Time {
	return end.Add(-max(0, min(warning, end.Sub(start)/time.Duration(part))))
}
