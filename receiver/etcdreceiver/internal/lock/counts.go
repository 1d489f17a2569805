// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lock

// Counts are of the queues of locks, or of elections, under a prefix: how many
// attempts there are, and how many came to hold or were abandoned since the Locks
// were made.
type Counts struct {
	Waiting, Holding    int64
	Acquired, Abandoned int64
}

// Counts returns the counts by configured prefix. A lock or an election counts
// under the longest one.
func (l *Locks) Counts() (locks, elections map[string]Counts) {
	return copied(l.locks), copied(l.elections)
}

func copied(from map[string]*Counts) map[string]Counts {
	to := make(map[string]Counts, len(from))
	for prefix, c := range from {
		to[prefix] = *c
	}
	return to
}

func (l *Locks) counts(a *Attempt) *Counts {
	queues := l.locks
	if a.Election {
		queues = l.elections
	}
	if queues[a.Prefix] == nil {
		queues[a.Prefix] = &Counts{}
	}
	return queues[a.Prefix]
}

func (l *Locks) held(a *Attempt) {
	c := l.counts(a)
	c.Waiting--
	c.Holding++
}

func (l *Locks) ended(a *Attempt) {
	if a.Holds() {
		l.counts(a).Holding--
	} else {
		l.counts(a).Waiting--
	}
}
