// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"maps"
	"slices"
	"time"
)

// RateLimit is a rate-limit quota.
type RateLimit struct {
	Path      string  // empty: all paths
	PerSecond float64 // requests of a client that are allowed
}

// maxCounts is of how many quotas the refusals are known.
const maxCounts = 1000

// Refusals are how many requests each quota has refused, those that have gone
// included, as one process of Vault counts them.
type Refusals struct {
	Since  time.Time // when the process began; zero: it is not known
	Counts map[string]int64

	// Forgotten are those that Vault counts no more: it forgets what a quota
	// refused when it refuses nothing for long, and counts from 0 again.
	Forgotten map[string]int64
}

// Total returns how many requests a quota has refused since the process began.
func (r Refusals) Total(name string) int64 { return r.Counts[name] + r.Forgotten[name] }

// Quotas are the rate-limit quotas, by their names, and what they refused.
type Quotas struct {
	Limits   map[string]RateLimit
	Refusals Refusals // Without Counts, they were never asked for.

	// Old says that the refusals could not be asked for this time, and are those
	// of the time before.
	Old bool
}

// Take returns what is known when the quotas are limits now, and these are the
// refusals, or none can be asked for.
func (q Quotas) Take(limits map[string]RateLimit, refusals Refusals, asked bool) Quotas {
	if !asked {
		return Quotas{Limits: limits, Refusals: q.Refusals, Old: true}
	}
	taken := Quotas{Limits: limits, Refusals: Refusals{Since: refusals.Since, Counts: map[string]int64{}}}
	for name := range limits { // They come first, should there be too many.
		if count, counted := refusals.Counts[name]; counted {
			taken.Refusals.Counts[name] = count
		}
	}
	addFirst(taken.Refusals.Counts, refusals.Counts)
	if refusals.Since.Equal(q.Refusals.Since) {
		taken.Refusals.Forgotten = q.Refusals.forgotten(limits, refusals.Counts)
	}
	return taken
}

// forgotten returns what Vault counts no more when these are the counts now.
// What is less than before was counted from 0 again.
func (r Refusals) forgotten(limits map[string]RateLimit, counts map[string]int64) map[string]int64 {
	all := map[string]int64{}
	for name := range r.Counts {
		if counts[name] < r.Counts[name] {
			all[name] = r.Total(name)
		}
	}
	for name, count := range r.Forgotten {
		if _, more := all[name]; !more {
			all[name] = count
		}
	}
	if len(all) <= maxCounts {
		return all
	}
	kept := map[string]int64{}
	for name := range limits {
		if count, forgotten := all[name]; forgotten {
			kept[name] = count
		}
	}
	addFirst(kept, all)
	return kept
}

// addFirst adds what is not there yet, first what is first by name, as long as it
// is not too much.
func addFirst(to, from map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if _, known := to[name]; !known && len(to) < maxCounts {
			to[name] = from[name]
		}
	}
}

// Exceeded is a quota because of which requests were refused.
type Exceeded struct {
	Name, Path string
	Refused    int64
}

// Compare returns which quotas refused requests since, in the order of their
// names. One that has gone meanwhile may have, too.
func (q Quotas) Compare(after Quotas) (exceeded []Exceeded) {
	if q.Refusals.Counts == nil {
		return nil
	}
	same := after.Refusals.Since.Equal(q.Refusals.Since)
	limits := maps.Clone(q.Limits)
	if limits == nil {
		limits = map[string]RateLimit{}
	}
	maps.Copy(limits, after.Limits)
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		refused, before := after.Refusals.Total(name), q.Refusals.Total(name)
		if same && refused >= before {
			refused -= before // else it is counted from 0 again
		}
		if refused > 0 {
			exceeded = append(exceeded, Exceeded{Name: name, Path: limits[name].Path, Refused: refused})
		}
	}
	return exceeded
}
