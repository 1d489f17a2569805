// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

func TestLocks(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []Observation
		want     []string
	}{
		"a free lock is held at once": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2))), watched(deleted("/l/a", 3))},
			[]string{"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "2: 3 released /l/a waited 0s held 1s"},
		},
		"three contend and hold in the order of their revisions": {
			[]Observation{
				list(1),
				watched(put(keyOfLock(0xc, 2)), put(keyOfLock(0xa, 3)), put(keyOfLock(0xb, 4))),
				watched(deleted("/l/c", 5)),
				watched(deleted("/l/a", 6)),
				watched(deleted("/l/b", 7)),
			},
			[]string{
				"1: 2 queued /l/c behind 0", "1: 2 acquired /l/c", "1: 3 queued /l/a behind 1", "1: 4 queued /l/b behind 2",
				"2: 5 released /l/c waited 0s held 1s", "2: 5 acquired /l/a after /l/c",
				"3: 6 released /l/a waited 1s held 1s", "3: 6 acquired /l/b after /l/a",
				"4: 7 released /l/b waited 2s held 1s",
			},
		},
		"a wait that is given up": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3))), watched(deleted("/l/b", 4)), watched(deleted("/l/a", 5))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1",
				"2: 4 abandoned /l/b", "3: 5 released /l/a waited 0s held 2s",
			},
		},
		"a TryLock that fails": {
			[]Observation{list(1, keyOfLock(0xa, 1)), watched(put(keyOfLock(0xb, 2)), deleted("/l/b", 3))},
			[]string{"1: 2 queued /l/b behind 1", "1: 3 abandoned /l/b"},
		},
		"one transaction deletes the whole queue, and nobody holds in between": {
			[]Observation{list(1), watched(put(keyOfLock(0xb, 2)), put(keyOfLock(0xa, 3)), put(keyOfLock(0xc, 4))),
				watched(deleted("/l/a", 5), deleted("/l/b", 5), deleted("/l/c", 5))},
			[]string{
				"1: 2 queued /l/b behind 0", "1: 2 acquired /l/b", "1: 3 queued /l/a behind 1", "1: 4 queued /l/c behind 2",
				"2: 5 abandoned /l/a, by its client", "2: 5 released /l/b waited 0s held 1s, by its client", "2: 5 abandoned /l/c, by its client",
			},
		},
		"the baseline is not news": {
			[]Observation{list(3, keyOfLock(0xa, 3), keyOfLock(0xb, 2))},
			nil,
		},
		"the baseline's holder and waiter began before": {
			[]Observation{list(3, keyOfLock(0xa, 3), keyOfLock(0xb, 2)), watched(deleted("/l/b", 4)), watched(deleted("/l/a", 5))},
			[]string{
				"1: 4 released /l/b waited 0s held 1s began before", "1: 4 acquired /l/a after /l/b began before",
				"2: 5 released /l/a waited 1s held 1s began before",
			},
		},
		"the same client locks again": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2)), deleted("/l/a", 3), put(keyOfLock(0xa, 4)))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 released /l/a waited 0s held 0s, by its client",
				"1: 4 queued /l/a behind 0", "1: 4 acquired /l/a",
			},
		},
		"a leader's proclamation is no new attempt": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2))), watched(put(key.Key{Name: "/l/a", Created: 2, Modified: 3, Version: 2, Lease: 0xa}))},
			[]string{"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a"},
		},
		"keys that only look like a lock": {
			[]Observation{list(1), watched(
				put(keyAt("/l/a", 2, 2, 1)), // no lease
				put(key.Key{Name: "/l/b", Created: 3, Modified: 3, Version: 1, Lease: 0xc}),    // another lease
				put(key.Key{Name: "/l/name", Created: 4, Modified: 4, Version: 1, Lease: 0xc}), // no lease ID
				put(key.Key{Name: "a", Created: 5, Modified: 5, Version: 1, Lease: 0xa}),       // no lock
			)},
			nil,
		},
		"the same changes again are no news": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3))), watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3)))},
			[]string{"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1"},
		},
		"a gap hid a release": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3))), list(9, keyOfLock(0xb, 3))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1",
				"2: 9 gap 4-9", "2: 9 released /l/a waited 0s held 1s reconciled", "2: 9 acquired /l/b after /l/a reconciled",
			},
		},
		"a gap hid what became of a waiter": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3))), list(9, keyOfLock(0xc, 8))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1",
				"2: 9 gap 4-9", "2: 9 released /l/a waited 0s held 1s reconciled", "2: 9 released /l/b reconciled somewhen in a gap",
				"2: 8 queued /l/c behind 0 reconciled", "2: 9 acquired /l/c reconciled",
			},
		},
		"a gap hid that a client locked again": {
			[]Observation{list(1), watched(put(keyOfLock(0xa, 2))), list(9, keyOfLock(0xa, 7))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "2: 9 gap 3-9",
				"2: 7 released /l/a waited 0s held 1s, by its client reconciled", "2: 7 queued /l/a behind 0 reconciled", "2: 9 acquired /l/a reconciled",
			},
		},
		"who comes after a gap that hid a waiter is not known to follow the holder": {
			[]Observation{
				list(1), watched(put(keyOfLock(0xb, 2)), put(keyOfLock(0xa, 3)), put(keyOfLock(0xc, 4))), list(9, keyOfLock(0xc, 4)),
			},
			[]string{
				"1: 2 queued /l/b behind 0", "1: 2 acquired /l/b", "1: 3 queued /l/a behind 1", "1: 4 queued /l/c behind 2",
				"2: 9 gap 5-9", "2: 9 released /l/a reconciled somewhen in a gap", "2: 9 released /l/b waited 0s held 1s reconciled",
				"2: 9 acquired /l/c reconciled",
			},
		},
		"who comes after a holder that outlived a gap is known to follow it": {
			[]Observation{
				list(1), watched(put(keyOfLock(0xb, 2)), put(keyOfLock(0xa, 3)), put(keyOfLock(0xc, 4))), list(9, keyOfLock(0xb, 2), keyOfLock(0xc, 4)),
				watched(deleted("/l/b", 10)),
			},
			[]string{
				"1: 2 queued /l/b behind 0", "1: 2 acquired /l/b", "1: 3 queued /l/a behind 1", "1: 4 queued /l/c behind 2",
				"2: 9 gap 5-9", "2: 9 released /l/a reconciled somewhen in a gap",
				"3: 10 released /l/b waited 0s held 2s", "3: 10 acquired /l/c after /l/b",
			},
		},
		"what happened before the watch was opened is in order, but has no time": {
			[]Observation{
				list(1),
				watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3)), deleted("/l/b", 4), put(keyOfLock(0xc, 5)), deleted("/l/a", 6)).late(5),
				watched(deleted("/l/c", 7)).late(5),
			},
			[]string{
				"1: 2 queued /l/a behind 0 reconciled", "1: 2 acquired /l/a reconciled", "1: 3 queued /l/b behind 1 reconciled",
				"1: 4 abandoned /l/b reconciled", "1: 5 queued /l/c behind 1 reconciled",
				"1: 6 released /l/a waited 0s held 0s", "1: 6 acquired /l/c after /l/a",
				"2: 7 released /l/c waited 0s held 1s",
			},
		},
		"a key that gets its lease later is no new attempt": {
			[]Observation{list(1), watched(put(keyAt("/l/a", 2, 2, 1))), watched(put(key.Key{Name: "/l/a", Created: 2, Modified: 3, Version: 2, Lease: 0xa})), watched(deleted("/l/a", 4))},
			[]string{"3: 4 released /l/a waited 0s held 1s began before"},
		},
		"a key that was moved to another lease goes with that one": {
			[]Observation{
				list(1, keyOfLock(0xa, 1)),
				watched(put(key.Key{Name: "/l/a", Created: 1, Modified: 2, Version: 2, Lease: 0xb}), put(key.Key{Name: "/x", Created: 3, Modified: 3, Version: 1, Lease: 0xa})),
				watched(deleted("/l/a", 4)),
			},
			[]string{"2: 4 released /l/a waited 0s held 2s began before"},
		},
		"a key that lost its lease is deleted by a client": {
			[]Observation{list(1, keyOfLock(0xa, 1)), watched(put(keyAt("/l/a", 1, 2, 2))), watched(deleted("/l/a", 3))},
			[]string{"2: 3 released /l/a waited 0s held 2s, by its client began before"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, observeKeys(Prefixes{Locks: []string{"/l"}}, tc.observed...))
		})
	}
}

// candidate is the key of a candidate for /e/leader.
func candidate(lease, created, modified, version int64) key.Key {
	return key.Key{Name: fmt.Sprintf("/e/leader/%x", lease), Created: created, Modified: modified, Version: version, Lease: lease, Size: 4}
}

func TestElections(t *testing.T) {
	elected := "1: 2 acquired /e/leader/a of an election"
	for name, tc := range map[string]struct {
		observed []any
		want     []string
	}{
		"a leader resigns, and the next one leads": {
			[]any{
				list(1), watched(put(candidate(0xa, 2, 2, 1)), put(candidate(0xb, 3, 3, 1))),
				asked(alive(0xa, 2, 60, 50), alive(0xb, 2, 60, 50)), watched(deleted("/e/leader/a", 4)),
			},
			[]string{
				"1: lease a granted", "1: 2 queued /e/leader/a behind 0 of an election", elected,
				"1: lease b granted", "1: 3 queued /e/leader/b behind 1 of an election",
				"2: lease a queried, 50 of 60 left at first", "2: lease b queried, 50 of 60 left at first",
				"3: 4 released /e/leader/a waited 0s held 2s, by its client of an election",
				"3: 4 acquired /e/leader/b after /e/leader/a of an election",
			},
		},
		"a leader is lost with its lease": {
			[]any{
				list(1), watched(put(candidate(0xa, 2, 2, 1))), asked(alive(0xa, 2, 1, 0)),
				watched(deleted("/e/leader/a", 3)).and(gone(0xa, 3)),
			},
			[]string{
				"1: lease a granted", "1: 2 queued /e/leader/a behind 0 of an election", elected,
				"2: lease a queried, 0 of 1 left at first",
				"3: 3 released /e/leader/a waited 0s held 2s, as its lease expired of an election",
				"3: lease a ended expired, 1 keys, after 2s",
			},
		},
		"a candidate gives up": {
			[]any{list(1), watched(put(candidate(0xa, 2, 2, 1)), put(candidate(0xb, 3, 3, 1)), deleted("/e/leader/b", 4))},
			[]string{
				"1: lease a granted", "1: 2 queued /e/leader/a behind 0 of an election", elected,
				"1: lease b granted", "1: 3 queued /e/leader/b behind 1 of an election", "1: 4 abandoned /e/leader/b of an election",
			},
		},
		"a leader proclaims, while nothing is known to change": {
			[]any{list(1), watched(put(candidate(0xa, 2, 2, 1))), watched(put(candidate(0xa, 2, 3, 2))).late(3), watched(deleted("/e/leader/a", 4))},
			[]string{
				"1: lease a granted", "1: 2 queued /e/leader/a behind 0 of an election", elected,
				"3: 4 released /e/leader/a waited 0s held 2s of an election",
			},
		},
		"the leader of the baseline led before, and a gap hides that another one does": {
			[]any{list(5, candidate(0xa, 2, 4, 2), candidate(0xb, 3, 3, 1)), list(9, candidate(0xb, 3, 8, 2))},
			[]string{
				"1: 9 gap 6-9", "1: 9 released /e/leader/a waited 0s held 1s began before of an election reconciled",
				"1: 9 acquired /e/leader/b after /e/leader/a began before of an election reconciled",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Prefixes{Elections: []string{"/e/"}}, Limits{100, 100}, true)
			for i, o := range tc.observed {
				if o, ok := o.(Observation); ok {
					o.Prefix = "/e/"
					tc.observed[i] = o
				}
			}
			assert.Equal(t, tc.want, observe(m, 0, tc.observed...))
		})
	}
}

// The effects of a proclamation that is late leave the times of its term alone.
func TestOnlyTheTimesOfAnAttemptMakeItReconciled(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}}, Limits{100, 100}, false)
	m.Step(at(0), list(1))
	m.Step(at(1), watched(put(candidate(0xa, 2, 2, 1))))
	m.Step(at(2), watched(put(candidate(0xa, 2, 3, 2))).late(3))
	effects := m.Step(at(3), watched(deleted("/e/leader/a", 4)))
	require.Len(t, effects, 2)
	assert.False(t, effects[1].(lock.Released).Attempt.Reconciled)
}

func TestWhyALockEnds(t *testing.T) {
	a, other := keyOfLock(0xa, 2), key.Key{Name: "/x", Created: 3, Modified: 3, Version: 1, Lease: 0xa}
	b, unleased := keyOfLock(0xb, 3), keyAt("/y", 1, 1, 1)
	for name, tc := range map[string]struct {
		keys     []key.Key
		observed []any // from the second 10 on
		want     string
	}{
		"the lease was not asked for": {
			[]key.Key{a}, []any{watched(deleted("/l/a", 9))}, "",
		},
		"the lease cannot have expired yet": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 5)), watched(deleted("/l/a", 9))}, ", by its client",
		},
		"the lease could have expired": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 1)), watched(deleted("/l/a", 9))}, "",
		},
		"the lease is there": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 1)), watched(deleted("/l/a", 9)).and(alive(0xa, 11, 60, 59))}, ", by its client",
		},
		"the lease is gone before it could expire": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 5)), asked(gone(0xa, 11)), watched(deleted("/l/a", 9))}, ", by its client",
		},
		"the lease is gone after it could have expired": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 1)), watched(deleted("/l/a", 9)).and(gone(0xa, 11))}, ", as its lease expired",
		},
		"the lease is gone, and how long it had left was never known": {
			[]key.Key{a}, []any{watched(deleted("/l/a", 9)).and(gone(0xa, 10))}, "",
		},
		"all keys of the lease go in one revision": {
			[]key.Key{a, other}, []any{asked(alive(0xa, 10, 60, 1)), watched(deleted("/l/a", 9), deleted("/x", 9))}, ", as its lease expired",
		},
		"all keys of the lease go in one revision, before it could expire": {
			[]key.Key{a, other}, []any{asked(alive(0xa, 10, 60, 5)), watched(deleted("/l/a", 9), deleted("/x", 9))}, ", by its client",
		},
		"all keys go in one revision of a lease that was not asked for": {
			[]key.Key{a, other}, []any{watched(deleted("/l/a", 9), deleted("/x", 9))}, "",
		},
		"another key of the lease stays": {
			[]key.Key{a, other}, []any{watched(deleted("/l/a", 9))}, ", by its client",
		},
		"another key of the lease stays at first, then the lease is gone": {
			[]key.Key{a, other},
			[]any{asked(alive(0xa, 10, 60, 0)), watched(deleted("/l/a", 9), deleted("/x", 10)).and(gone(0xa, 11))}, ", by its client",
		},
		"the lease gets a key later, then it is gone": {
			[]key.Key{a},
			[]any{asked(alive(0xa, 10, 60, 0)), watched(deleted("/l/a", 9), put(key.Key{Name: "/x", Created: 10, Modified: 10, Version: 1, Lease: 0xa}), deleted("/x", 11)).and(gone(0xa, 11))},
			", by its client",
		},
		"a key of another lease goes at once": {
			[]key.Key{a, b}, []any{watched(deleted("/l/a", 9), deleted("/l/b", 9))}, ", by its client",
		},
		"a key without a lease goes at once, as prev_kv says": {
			[]key.Key{a},
			[]any{watched(deleted("/l/a", 9), key.Change{Key: key.Key{Name: "/y", Modified: 9}, Deleted: true, Before: &unleased})},
			", by its client",
		},
		"a key of which nothing is known goes at once": {
			[]key.Key{a}, []any{watched(deleted("/l/a", 9), deleted("/y", 9))}, "",
		},
		"another key is put at once": {
			[]key.Key{a}, []any{watched(deleted("/l/a", 9), put(keyAt("/y", 9, 9, 1)))}, ", by its client",
		},
		"another key is put at once, and reported first": {
			[]key.Key{a}, []any{watched(put(keyAt("/y", 9, 9, 1)), deleted("/l/a", 9))}, ", by its client",
		},
		"it lost its lease, and was restored to a time without it": {
			[]key.Key{a}, []any{watched(put(keyAt("/l/a", 2, 9, 2))), list(1)}, " reconciled",
		},
		"a gap hid it, and the lease has a key after that": {
			[]key.Key{a}, []any{list(9, key.Key{Name: "/x", Created: 8, Modified: 8, Version: 1, Lease: 0xa})}, ", by its client reconciled",
		},
		"a gap hid it, and the other key of the lease was moved": {
			[]key.Key{a, other}, []any{list(9, key.Key{Name: "/x", Created: 3, Modified: 8, Version: 2, Lease: 0xc})}, " reconciled",
		},
		"a gap hid it, and the other key of the lease was created anew without one": {
			[]key.Key{a, other}, []any{list(9, keyAt("/x", 8, 8, 1))}, " reconciled",
		},
		"it was restored to a time without it": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 50)), list(1)}, " reconciled",
		},
		"it is learnt late": {
			[]key.Key{a}, []any{asked(alive(0xa, 10, 60, 0)), watched(deleted("/l/a", 9)).late(99).and(gone(0xa, 11))}, " reconciled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Prefixes{Locks: []string{"/"}}, Limits{100, 100}, true)
			m.Step(at(9), list(5, tc.keys...))
			var ends []string
			for _, line := range observe(m, 10, tc.observed...) {
				if strings.Contains(line, "released /l/a") {
					ends = append(ends, line)
				}
			}
			require.Len(t, ends, 1)
			_, cause, _ := strings.Cut(ends[0], fmt.Sprintf("held %ds", len(tc.observed)))
			cause, _ = strings.CutSuffix(cause, " began before")
			cause = strings.Replace(cause, " began before reconciled", " reconciled", 1)
			assert.Equal(t, tc.want, cause)
		})
	}
}

// A lease under two covering prefixes ends under each of them.
func TestALockWhoseLeaseHasKeysElsewhere(t *testing.T) {
	m := NewMachine(Prefixes{Locks: []string{"/l/"}, Watch: []string{"/x"}}, Limits{100, 100}, true)
	under := func(prefix string, o Observation) Observation {
		o.Prefix = prefix
		return o
	}
	m.Step(at(0), under("/l/", list(2, keyOfLock(0xa, 1))))
	m.Step(at(0), under("/x", list(2, key.Key{Name: "/x", Created: 2, Modified: 2, Version: 1, Lease: 0xa})))
	assert.Equal(t, []string{
		"1: lease a queried, 0 of 60 left at first",
		"2: 3 released /l/a waited 0s held 2s, as its lease expired began before",
		"3: 3 deleted /x", "3: lease a ended expired, 2 keys, after 3s began before",
	}, observe(m, 1,
		asked(alive(0xa, 1, 60, 0)),
		under("/l/", watched(deleted("/l/a", 3)).and(gone(0xa, 2))),
		under("/x", watched(deleted("/x", 3))),
	))
}
