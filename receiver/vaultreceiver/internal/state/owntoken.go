// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// OwnToken is the token that the receiver itself uses.
type OwnToken struct {
	// ID tells two tokens apart. It is not for telling.
	ID string

	// Known says whether its end is known: a token may not be allowed to look
	// itself up.
	Known   bool
	Expires time.Time // by the receiver's clock; zero: it has no end

	// Until is its end as Vault says it, by Vault's clock, and Renewals how
	// often the receiver renewed it. Either tells a renewal.
	Until    time.Time
	Renewals int

	// Kept is the TTL of a token that the receiver keeps alive itself, and zero
	// of any other.
	Kept time.Duration
}

// Denial is why the receiver has no token that works.
type Denial string

// The denials. A token is invalid that was revoked, has ended, or never was
// one of this Vault.
const (
	InvalidToken Denial = "invalid_token"
	LoginRefused Denial = "login_refused"
)

// OwnSight is what is known of the receiver's own token. It may be looked at
// less often than it changes, and therefore counts the denials.
type OwnSight struct {
	Token   OwnToken
	Works   bool
	Denial  Denial // the last one
	Denials int    // times that it ceased to work, or never did
}

// Accept returns the sight of a token that works.
func (s OwnSight) Accept(t OwnToken) OwnSight {
	if !t.Known && t.ID == s.Token.ID {
		t.Known, t.Expires, t.Until = s.Token.Known, s.Token.Expires, s.Token.Until
	}
	s.Token, s.Works = t, true
	return s
}

// Deny returns the sight of a token that does not work, or of none. What
// follows a denial until it works again is the same denial.
func (s OwnSight) Deny(why Denial) OwnSight {
	if s.Works || s.Denials == 0 {
		s.Denials++
		s.Denial = why
	}
	s.Works = false
	return s
}

// Left returns how long the token will work yet, if it does and has an end.
func (s OwnSight) Left(now time.Time) (left time.Duration, ok bool) {
	if !s.Works || !s.Token.Known || s.Token.Expires.IsZero() {
		return 0, false
	}
	return max(0, s.Token.Expires.Sub(now)), true
}

// OwnEvent is what happened to the receiver's own token.
type OwnEvent string

// The events of the receiver's own token.
const (
	TokenDenied   OwnEvent = "denied"
	TokenReplaced OwnEvent = "replaced"
	TokenRenewed  OwnEvent = "renewed"
	TokenExpiring OwnEvent = "expiring"
)

// OwnEffect is one event of the receiver's own token.
type OwnEffect struct {
	Event  OwnEvent
	Denial Denial        // of TokenDenied
	Left   time.Duration // until its end; zero: it has none, or it is not known
}

// OwnStory tells what happens to the receiver's own token.
type OwnStory struct {
	token   OwnToken
	denials int
	warned  bool
}

// Step takes in what is known at now, and returns what happened since the last
// step. warning is how long before its end a token is said to expire, once.
func (o *OwnStory) Step(now time.Time, s OwnSight, warning time.Duration) []OwnEffect {
	var effects []OwnEffect
	if s.Denials > o.denials {
		effects = append(effects, OwnEffect{Event: TokenDenied, Denial: s.Denial})
		o.denials = s.Denials
	}
	if !s.Works {
		return effects
	}
	left, ends := s.Left(now)
	if event := o.compare(s.Token); event != "" {
		effects = append(effects, OwnEffect{Event: event, Left: left})
	}
	o.token = s.Token
	if !ends || left > s.Token.warning(warning) {
		o.warned = false
	} else if !o.warned {
		o.warned = true
		effects = append(effects, OwnEffect{Event: TokenExpiring, Left: left})
	}
	return effects
}

func (o *OwnStory) compare(t OwnToken) OwnEvent {
	switch before := o.token; {
	case before.ID == "":
		return ""
	case t.ID != before.ID:
		o.warned = false
		return TokenReplaced
	case t.Renewals > before.Renewals, !before.Until.IsZero() && t.Until.After(before.Until):
		return TokenRenewed
	default:
		return ""
	}
}

// warning is short for a token that the receiver keeps alive: it is due for
// renewal long before, and when a quarter of its time is left that has failed.
func (t OwnToken) warning(configured time.Duration) time.Duration {
	if t.Kept > 0 {
		return min(configured, t.Kept/4)
	}
	return configured
}
