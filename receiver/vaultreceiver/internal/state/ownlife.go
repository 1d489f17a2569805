// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// OwnAction is what the receiver does to keep a token that works.
type OwnAction int

// The actions.
const (
	Rest OwnAction = iota
	Renew
	LogIn
)

// OwnLife is the time that the receiver's token was given, last and at most.
type OwnLife struct {
	Since     time.Time // of the login or of the last renewal
	TTL       time.Duration
	Longest   time.Duration
	Renewable bool
	LogsIn    bool // the receiver can get another token
}

// Given returns the life of a token that was given ttl at now: at its login, or
// when it was renewed.
func (l OwnLife) Given(now time.Time, ttl time.Duration, renewable bool) OwnLife {
	l.Since, l.TTL, l.Renewable = now, ttl, renewable
	l.Longest = max(l.Longest, ttl)
	return l
}

// Next returns what is to be done next, and when: after two thirds of the
// token's time, so that there is time to try again.
func (l OwnLife) Next() (OwnAction, time.Time) {
	due := l.Since.Add(l.TTL * 2 / 3)
	switch {
	case l.TTL == 0:
		return Rest, time.Time{}
	case l.Renewable && !l.capped():
		return Renew, due
	case l.LogsIn:
		return LogIn, due
	default:
		return Rest, time.Time{}
	}
}

// capped says that a renewal gave less than before: the token comes to the end
// that no renewal moves.
func (l OwnLife) capped() bool { return l.TTL < l.Longest*9/10 }

// RefusedPause is how long to wait after the n-th login in a row that was
// refused: few are made quickly, and the others are longest apart.
func RefusedPause(n int, longest time.Duration) time.Duration {
	switch n {
	case 1:
		return min(10*time.Second, longest)
	case 2:
		return min(time.Minute, longest)
	default:
		return longest
	}
}
