// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Expiry is how long it is until an end, in steps.
type Expiry int

// The steps. Each is of up to that much, and more than the one before.
const (
	ExpiryPassed Expiry = iota
	ExpiryMinute
	ExpiryTenMinutes
	ExpiryHour
	ExpiryDay
	ExpiryWeek
	ExpiryLater
	ExpiryNever
)

// ExpiryOf returns the step of what is left.
func ExpiryOf(left time.Duration) Expiry {
	for i, most := range []time.Duration{0, time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
		if left <= most {
			return ExpiryPassed + Expiry(i)
		}
	}
	return ExpiryLater
}

// Standing is what those that are followed are counted by.
type Standing struct {
	Group  string
	Expiry Expiry
}

// RosterCounts are of what is listed now.
type RosterCounts struct {
	Followed   map[Standing]int64 // those of which the times are known
	Groups     map[string]int64   // all that are followed
	Unread     int64              // those of which they are not known yet
	Unfollowed int64              // beyond the limit, as of the newest complete lists
}

// Count counts what is followed, by the group of each.
func (r *Roster[D]) Count(now time.Time, group func(id string, detail D) string) RosterCounts {
	c := RosterCounts{Followed: map[Standing]int64{}, Groups: map[string]int64{}, Unread: int64(r.unread)}
	for _, p := range r.parts {
		c.Unfollowed += int64(p.beyond)
	}
	for id, l := range r.known {
		s := Standing{Group: group(id, l.detail), Expiry: ExpiryNever}
		c.Groups[s.Group]++
		if l.expires > 0 {
			s.Expiry = ExpiryOf(time.Duration(l.expected - now.UnixNano()))
		}
		if l.read {
			c.Followed[s]++
		}
	}
	return c
}

// EachLeft calls do with how long it is until the end of each one of a part that
// has an end, as far as known. The order is of no meaning.
func (r *Roster[D]) EachLeft(now time.Time, part string, do func(left time.Duration)) {
	for _, l := range r.known {
		if l.expires > 0 && l.part.name == part {
			do(time.Duration(l.expected - now.UnixNano()))
		}
	}
}
