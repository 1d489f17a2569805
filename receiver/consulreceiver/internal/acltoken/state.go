// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package acltoken

import "time"

// Token is the receiver's own ACL token.
type Token struct {
	Accessor string
	Expires  time.Time // zero: never
}

// Expiring means that the receiver's own token is about to expire.
type Expiring struct {
	Token
	Left time.Duration
}

// Expiry reports once of each token that it is about to expire.
type Expiry struct{ reported Token }

// Clone returns a copy that goes on by itself.
func (e *Expiry) Clone() *Expiry {
	c := *e
	return &c
}

// Step takes in the token at now; before is how long before the expiry it is reported.
func (e *Expiry) Step(now time.Time, token Token, before time.Duration) []Expiring {
	left := token.Expires.Sub(now)
	// Times are the same in whatever zone: == does not know.
	reported := token.Accessor == e.reported.Accessor && token.Expires.Equal(e.reported.Expires)
	if token.Expires.IsZero() || left > before || reported {
		return nil
	}
	e.reported = token
	return []Expiring{{Token: token, Left: left}}
}
