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
}

// Quotas are the rate-limit quotas, by their names, and what they refused.
type Quotas struct {
	Limits   map[string]RateLimit
	Refusals Refusals // Without Counts, they were never asked for.

	// Old says that the refusals could not be asked for this time, and are those
	// of the time before.
	Old bool
}

// Take returns what is known when the quotas are limits now, and these are the
// refusals, or none can be asked for. Vault forgets what a quota refused when it
// refuses nothing for long, which is remembered until Vault counts again.
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
	taken.Refusals.add(refusals.Counts)
	if refusals.Since.Equal(q.Refusals.Since) {
		taken.Refusals.add(q.Refusals.Counts)
	}
	return taken
}

// add adds counts of other quotas, those first that are first by name.
func (r Refusals) add(counts map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if _, known := r.Counts[name]; !known && len(r.Counts) < maxCounts {
			r.Counts[name] = counts[name]
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
		refused, before := after.Refusals.Counts[name], q.Refusals.Counts[name]
		if same && refused >= before {
			refused -= before // else it counts from 0 again
		}
		if refused > 0 {
			exceeded = append(exceeded, Exceeded{Name: name, Path: limits[name].Path, Refused: refused})
		}
	}
	return exceeded
}
