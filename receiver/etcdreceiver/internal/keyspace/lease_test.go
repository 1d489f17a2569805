// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// leased is a key at a revision, attached to a lease.
func leased(name string, lease, created, modified int64) key.Key {
	return key.Key{Name: name, Created: created, Modified: modified, Version: 1 + modified - created, Lease: lease}
}

func following(leases int) *Machine {
	return NewMachine(Prefixes{Watch: []string{prefix}}, Limits{100, leases}, true)
}

func TestLeasesOfKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []any
		want     []string
	}{
		"a lease is observed with its first key, and revoked": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2)), put(leased("/w", 0xa, 3, 3))), asked(alive(0xa, 2, 60, 50)),
				watched(deleted("/v", 4), deleted("/w", 4)), asked(gone(0xa, 4)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "1: 3 put /w created", "2: lease a queried, 50 of 60 left at first",
				"3: 4 deleted /v", "3: 4 deleted /w", "4: lease a ended revoked, 2 keys, after 3s certain",
			},
		},
		"it is gone first, and then its keys": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2))), asked(alive(0xa, 2, 1, 0)), asked(gone(0xa, 3)), asked(gone(0xa, 4)),
				watched(deleted("/v", 3)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "2: lease a queried, 0 of 1 left at first",
				"5: 3 deleted /v", "5: lease a ended expired, 1 keys, after 4s",
			},
		},
		"it is gone, and how long it had left was never known": {
			[]any{list(1), watched(put(leased("/v", 0xa, 2, 2))), watched(deleted("/v", 3)), asked(gone(0xa, 3))},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "2: 3 deleted /v", "3: lease a ended somehow, 1 keys, after 2s",
			},
		},
		"it could expire while the answer came": {
			[]any{list(1), watched(put(leased("/v", 0xa, 2, 2))), asked(alive(0xa, 2, 1, 1)), watched(deleted("/v", 3)), asked(gone(0xa, 2))},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "2: lease a queried, 1 of 1 left at first", "3: 3 deleted /v",
				"4: lease a ended expired, 1 keys, after 3s",
			},
		},
		"it has expired, and waits to be revoked": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2)), put(leased("/w", 0xa, 3, 3))), asked(alive(0xa, 2, 10, 9)), watched(deleted("/v", 4)),
				asked(alive(0xa, 4, 10, -1)), asked(alive(0xa, 5, 10, -13)), watched(deleted("/w", 5)), asked(gone(0xa, 7)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "1: 3 put /w created", "2: lease a queried, 9 of 10 left at first", "3: 4 deleted /v",
				"4: lease a queried, -1 of 10 left", "5: lease a queried, -13 of 10 left", "6: 5 deleted /w",
				"7: lease a ended expired, 1 keys, after 6s",
			},
		},
		"it lives on without keys, and gets one again": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2)), deleted("/v", 3)), asked(alive(0xa, 2, 60, 50)),
				watched(put(leased("/w", 0xa, 4, 4)), put(keyAt("/w", 4, 5, 2))), asked(gone(0xa, 4)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "1: 3 deleted /v", "2: lease a queried, 50 of 60 left at first",
				"3: 4 put /w created", "3: 5 put /w", "4: lease a ended revoked, 1 keys, after 3s certain",
			},
		},
		"a key is moved from one lease to another": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2)), put(leased("/v", 0xb, 2, 3))), asked(gone(0xa, 2)),
				watched(deleted("/v", 4)).and(gone(0xb, 3)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "1: lease b granted", "1: 3 put /v",
				"2: lease a ended somehow, 1 keys, after 1s reconciled",
				"3: 4 deleted /v", "3: lease b ended somehow, 1 keys, after 2s",
			},
		},
		"the leases of the baseline began before": {
			[]any{list(2, leased("/v", 0xa, 2, 2)), watched(put(leased("/w", 0xa, 3, 3))), watched(deleted("/v", 4), deleted("/w", 4)).and(gone(0xa, 2))},
			[]string{
				"1: 3 put /w created", "2: 4 deleted /v", "2: 4 deleted /w", "2: lease a ended somehow, 2 keys, after 2s began before",
			},
		},
		"a gap hid its beginning, and another one its end": {
			[]any{list(1), list(3, leased("/v", 0xa, 2, 2)), asked(alive(0xa, 2, 60, 1)), list(9), asked(gone(0xa, 4))},
			[]string{
				"1: 3 gap 2-3", "1: lease a granted reconciled", "1: 2 put /v created reconciled", "2: lease a queried, 1 of 60 left at first",
				"3: 9 gap 4-9", "3: 9 deleted /v reconciled", "4: lease a ended somehow, 1 keys, after 3s",
			},
		},
		"etcd has another history than before, so that nothing is certain": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2))), asked(alive(0xa, 2, 60, 50)), list(1), asked(gone(0xa, 4)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "2: lease a queried, 50 of 60 left at first",
				"3: 1 gap 1-1", "3: 1 deleted /v reconciled", "4: lease a ended somehow, 1 keys, after 3s reconciled",
			},
		},
		"it has ended, but the watch is behind": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2)), deleted("/v", 3)), asked(gone(0xa, 2)), asked(gone(0xa, 2)),
				watched(put(leased("/v", 0xa, 4, 4))), watched(deleted("/v", 5)).and(gone(0xa, 5)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "1: 3 deleted /v", "2: lease a ended somehow, 1 keys, after 1s",
				"4: 4 put /v created", "5: 5 deleted /v",
			},
		},
		"an answer that it is there is after one that it is gone": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2))), asked(alive(0xa, 2, 60, 50)), asked(gone(0xa, 3)), asked(alive(0xa, 4, 60, 0)),
				watched(deleted("/v", 3)).and(gone(0xa, 5)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "2: lease a queried, 50 of 60 left at first",
				"4: lease a queried, 0 of 60 left", "5: 3 deleted /v", "5: lease a ended expired, 1 keys, after 4s",
			},
		},
		"its ID is used again": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2))), watched(deleted("/v", 3)).and(gone(0xa, 2)),
				watched(put(leased("/v", 0xa, 4, 4))), asked(alive(0xa, 4, 60, 50)), watched(deleted("/v", 5)).and(gone(0xa, 5)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "2: 3 deleted /v", "2: lease a ended somehow, 1 keys, after 1s",
				"3: 4 put /v created", "4: lease a queried, 50 of 60 left at first", "5: 5 deleted /v",
				"5: lease a ended revoked, 1 keys, after 2s certain",
			},
		},
		"the same again is no news": {
			[]any{
				list(1), watched(put(leased("/v", 0xa, 2, 2))), watched(put(leased("/v", 0xa, 2, 2))), watched(deleted("/v", 3)).and(gone(0xa, 3)),
				watched(put(leased("/v", 0xa, 2, 2)), deleted("/v", 3)).and(gone(0xa, 3)), asked(gone(0xa, 3)),
			},
			[]string{
				"1: lease a granted", "1: 2 put /v created", "3: 3 deleted /v", "3: lease a ended somehow, 1 keys, after 2s",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, observe(following(100), 0, tc.observed...))
		})
	}
}

func TestListsOfLeases(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []any
		want     []string
	}{
		"the first list is not news": {
			[]any{listed(0xa, 0xb), listed(0xa, 0xb)}, nil,
		},
		"a lease is granted, and revoked": {
			[]any{listed(), listed(0xa), asked(alive(0xa, 2, 60, 59)), listed(), asked(gone(0xa, 4)), listed()},
			[]string{"1: lease a granted", "2: lease a queried, 59 of 60 left at first", "4: lease a ended revoked, 0 keys, after 3s certain"},
		},
		"a lease that is not in one list, but in the next": {
			[]any{listed(0xa), listed(), listed(0xa), listed(), listed(0xa)}, nil,
		},
		"a lease that is not in two lists has ended": {
			[]any{listed(0xa), asked(alive(0xa, 1, 60, 50)), listed(), listed(), listed()},
			[]string{"1: lease a queried, 50 of 60 left at first", "3: lease a ended revoked, 0 keys, after 3s began before"},
		},
		"a lease that is not in two lists, but there is an answer in between": {
			[]any{listed(0xa), listed(), asked(alive(0xa, 2, 60, 50)), listed(), listed()},
			[]string{"2: lease a queried, 50 of 60 left at first", "4: lease a ended revoked, 0 keys, after 4s began before"},
		},
		"a lease that is not in two lists and has a key ends with that": {
			[]any{list(2, leased("/v", 0xa, 2, 2)), listed(0xa), listed(), listed(), watched(deleted("/v", 3))},
			[]string{"4: 3 deleted /v", "4: lease a ended somehow, 1 keys, after 4s began before"},
		},
		"a member has not heard yet that it has ended": {
			[]any{listed(), listed(0xa), asked(gone(0xa, 2)), listed(0xa), listed(0xa, 0xb)},
			[]string{"1: lease a granted", "2: lease a ended somehow, 0 keys, after 1s reconciled", "4: lease b granted"},
		},
		"a lease is reported once, with its key or with the list": {
			[]any{list(1), listed(), watched(put(leased("/v", 0xa, 2, 2))), listed(0xa, 0xb), watched(put(leased("/w", 0xb, 3, 3)))},
			[]string{"2: lease a granted", "2: 2 put /v created", "3: lease b granted", "4: 3 put /w created"},
		},
		"a lease that nobody knows is answered for": {
			[]any{asked(alive(0xa, 1, 60, 50), gone(0xb, 1))}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, observe(following(100), 0, tc.observed...))
		})
	}
}

func TestLeasesThatAreOnlyCounted(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{prefix}}, Limits{100, 100}, false)
	assert.Zero(t, m.Counts().Leases.Alive)
	assert.Equal(t, []string{"1: 3 deleted /v"}, observe(m, 0,
		list(2, leased("/v", 0xa, 2, 2)), watched(deleted("/v", 3)), lease.Observation{Listed: true, IDs: []int64{0xa, 0xb}, Counted: true},
	))
	assert.EqualValues(t, 2, m.Counts().Leases.Alive)
	assert.Empty(t, m.leases.IDs())
	assert.Zero(t, m.LeasesOverLimit())
}

func TestLeasesBeyondTheLimit(t *testing.T) {
	m := following(1)
	observe(m, 0, list(2, leased("/v", 0xa, 1, 1), leased("/w", 0xb, 2, 2)))
	assert.Equal(t, 1, m.LeasesOverLimit())
	observe(m, 1, watched(put(leased("/x", 0xb, 3, 3))))
	assert.Equal(t, 2, m.LeasesOverLimit(), "attachments")
	assert.Equal(t, lease.Counts{Alive: 1, Keys: 3, OverLimit: 2, Ended: map[lease.Cause]int64{lease.EndUnknown: 0, lease.Revoked: 0, lease.Expired: 0}}, m.Counts().Leases)
	observe(m, 2, watched(deleted("/v", 4)).and(gone(0xa, 2)))
	assert.Equal(t, 2, m.LeasesOverLimit(), "there is room, but no reason to follow another one yet")
	assert.Equal(t, []string{"3: 5 put /y created"}, observe(m, 3, watched(put(leased("/y", 0xb, 5, 5)))), "it was there before")
	assert.Zero(t, m.LeasesOverLimit())
	require.Equal(t, 3, leaseOf(m, 0xb).Keys)
	assert.Equal(t, []string{
		"4: 6 deleted /w", "4: 6 deleted /x", "4: 6 deleted /y", "4: lease b ended somehow, 3 keys, after 1s began before",
	}, observe(m, 4, watched(deleted("/w", 6), deleted("/x", 6), deleted("/y", 6)).and(gone(0xb, 4))))
	assert.Zero(t, m.LeasesOverLimit())
	assert.Zero(t, m.Counts().Leases.Keys)
}

func TestLeasesBeyondTheLimitOfAList(t *testing.T) {
	m := following(1)
	assert.Empty(t, observe(m, 0, listed(0xa, 0xb)))
	assert.Equal(t, 1, m.LeasesOverLimit())
	assert.Equal(t, int64(2), m.Counts().Leases.Alive, "all are counted")
	assert.Equal(t, []string{"1: lease a ended somehow, 0 keys, after 1s began before reconciled"}, observe(m, 1, asked(gone(0xa, 1)), listed(0xb)),
		"what was beyond the limit is not new")
	assert.Zero(t, m.LeasesOverLimit())
	assert.Equal(t, []string{"3: lease b ended somehow, 0 keys, after 1s began before reconciled", "4: lease c granted"},
		observe(m, 3, asked(gone(0xb, 3)), listed(0xc)))

	m = following(1)
	observe(m, 0, list(3, leased("/v", 0xa, 2, 2), leased("/w", 0xb, 3, 3)), listed(0xa), watched(deleted("/v", 4)).and(gone(0xa, 2)))
	assert.Empty(t, observe(m, 3, listed(0xb)), "it has a key since before, though the member had not heard of it")
	assert.Equal(t, 1, leaseOf(m, 0xb).Keys)

	m = following(0)
	assert.Empty(t, observe(m, 0, listed(0xa), list(2, leased("/v", 0xa, 2, 2)), listed()))
	assert.Equal(t, 1, m.LeasesOverLimit())
}

func TestTheKeysOfALeaseThatEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []any
		want     []string // names
	}{
		"a lock was given back before": {
			[]any{watched(deleted("/l/a", 2)), asked(alive(0xa, 2, 60, 50))}, []string{"/l/a"},
		},
		"they go with it": {
			[]any{watched(put(leased("/v", 0xa, 2, 2))), watched(deleted("/l/a", 3), deleted("/v", 3))}, []string{"/l/a", "/v"},
		},
		"one went before, and another one was moved": {
			[]any{watched(put(leased("/v", 0xa, 2, 2))), watched(deleted("/l/a", 3)), watched(put(keyAt("/v", 2, 4, 2)))}, []string{"/v"},
		},
		"it was not there any more after a gap": {
			[]any{list(9)}, []string{"/l/a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := following(100)
			observe(m, 0, list(1, keyOfLock(0xa, 1)), asked(alive(0xa, 1, 60, 50)))
			observe(m, 2, tc.observed...)
			for _, m := range []*Machine{m, again(t, 5, m)} {
				effects := append(m.Step(at(8), list(9)), m.StepLeases(at(9), asked(gone(0xa, 9)))...)
				ended, is := effects[len(effects)-1].(lease.Ended)
				require.True(t, is)
				assert.Equal(t, tc.want, ended.Names)
				assert.Len(t, tc.want, ended.Keys)
			}
		})
	}
}

func TestALeaseThatHasLostItsKeysDoesNotCount(t *testing.T) {
	m := following(100)
	observe(m, 0, list(2, leased("/v", 0xa, 2, 2)), watched(put(leased("/v", 0xb, 2, 3))), asked(alive(0xa, 2, 10, 9), alive(0xb, 2, 10, 9)))
	assert.Equal(t, int64(1), m.Counts().Leases.Alive, "a is alive, and no observed key is attached to it")
	observe(m, 3, watched(deleted("/v", 4)))
	assert.Zero(t, m.Counts().Leases.Alive)
	observe(m, 4, watched(put(leased("/v", 0xa, 5, 5))))
	assert.Equal(t, int64(1), m.Counts().Leases.Alive)
	observe(m, 5, watched(deleted("/v", 6)), asked(gone(0xa, 6), gone(0xb, 6)))
	assert.Zero(t, m.Counts().Leases.Alive)
}

func leaseOf(m *Machine, id int64) lease.Lease {
	l, _ := m.leases.Get(id)
	return l
}

// ms is a time that milliseconds lie before.
func ms(n int) time.Time { return at(0).Add(time.Duration(n) * time.Millisecond) }

func TestWhenALeaseIsAskedFor(t *testing.T) {
	m := following(100)
	due := func(ms int) (id int64) {
		id, _, _ = m.DueLease(at(0).Add(time.Duration(ms) * time.Millisecond))
		return id
	}
	answer := func(now, id, ttl, remaining int) {
		m.StepLeases(ms(now), asked(lease.Answer{ID: int64(id), At: ms(now), TTL: int64(ttl), Remaining: int64(remaining)}))
	}
	assert.Zero(t, due(0))
	m.Step(ms(0), list(3, leased("/v", 0xa, 1, 1), leased("/w", 0xb, 2, 2), leased("/x", 0xc, 3, 3)))
	assert.EqualValues(t, 0xa, due(0), "at once, in the order of their IDs")
	answer(0, 0xa, 10, 9)
	assert.EqualValues(t, 0xb, due(0))
	answer(0, 0xb, 10, 5)
	answer(0, 0xc, 10, 0)
	assert.Zero(t, due(499), "no lease is asked for again soon")
	assert.EqualValues(t, 0xc, due(500))
	answer(500, 0xc, 100, 100)
	assert.Zero(t, due(4499))
	assert.EqualValues(t, 0xb, due(4500), "a lease is asked for before it can expire")
	answer(5000, 0xb, 10, 9)
	assert.Zero(t, due(8499))
	assert.EqualValues(t, 0xa, due(8500))

	m.Step(ms(5100), watched(deleted("/w", 4)))
	assert.Zero(t, due(5499), "not even when its last key goes")
	assert.EqualValues(t, 0xb, due(5500))
	answer(5500, 0xb, 10, 9)
	assert.Zero(t, due(5999))
	assert.EqualValues(t, 0xb, due(6000), "without a key it is likely to be revoked soon,")
	answer(6000, 0xb, 10, 9)
	assert.Zero(t, due(6999))
	assert.EqualValues(t, 0xb, due(7000), "and then less and less")
	answer(7000, 0xb, 10, 9)
	assert.Zero(t, due(8499))

	answer(9000, 0xa, 0, -1)
	answer(9000, 0xb, 10, 5)
	assert.Zero(t, due(12999), "the keys of a are about to go")
	assert.EqualValues(t, 0xb, due(13000))
	answer(13000, 0xb, 10, 1)
	assert.EqualValues(t, 0xb, due(13500), "its deadline comes first")
	answer(14000, 0xb, 10, 100)
	for again := range 4 { // 22, 38 and 70 seconds
		answer(22000+again, 0xb, 10, 100)
	}
	assert.EqualValues(t, 0xa, due(69000), "but they did not")

	m.StepLeases(ms(70000), listed(0xa, 0xb))
	assert.EqualValues(t, 0xa, due(70000), "longest due")
	answer(70000, 0xa, 0, -1)
	assert.EqualValues(t, 0xc, due(70000), "a lease that is not in a list is asked for")
}

func TestDoubtfulLeases(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}}, Limits{100, 100}, true)
	assert.Empty(t, m.Ambiguous(at(0), prefix, []key.Change{deleted("/l/a", 9)}, 5), "nothing is known yet")
	m.Step(at(0), list(5, keyOfLock(0xa, 1), keyOfLock(0xb, 2), keyOfLock(0xc, 3), leased("/x", 0xd, 4, 4), leased("/l/y", 0xa, 5, 5)))
	all := []key.Change{
		put(keyOfLock(0xe, 6)), deleted("/l/a", 7), deleted("/l/b", 8), deleted("/l/c", 9), deleted("/x", 10), deleted("/l/y", 11), deleted("/l/e", 12), deleted("/z", 13),
	}
	assert.Equal(t, []int64{0xa, 0xb, 0xc, 0xe}, m.Ambiguous(at(1), prefix, all, 5), "only locks and elections are worth asking, also those that came with the changes")
	assert.Equal(t, []int64{0xa, 0xb}, m.Ambiguous(at(1), prefix, all, 2))
	m.StepLeases(at(1), asked(alive(0xa, 1, 60, 5), gone(0xb, 1)))
	assert.Equal(t, []int64{0xc, 0xe}, m.Ambiguous(at(2), prefix, all, 5), "a is there, b is not")
	assert.Equal(t, []int64{0xa, 0xc, 0xe}, m.Ambiguous(at(6), prefix, all, 5))
	again := []key.Change{put(key.Key{Name: "/m/a", Created: 6, Modified: 6, Version: 1, Lease: 0xa}), deleted("/m/a", 8)}
	assert.Equal(t, []int64{0xa}, m.Ambiguous(at(6), prefix, again, 5), "by a key that came with the changes")
	put2 := []key.Change{put(keyOfLock(0xa, 6)), put(keyAt("/l/a", 6, 7, 2)), deleted("/l/a", 8)}
	assert.Empty(t, m.Ambiguous(at(6), prefix, put2, 5))
}

func TestOnlySomeKeysOfALeaseAreNamed(t *testing.T) {
	m := following(100)
	var keys []key.Key
	for i := range int64(20) {
		keys = append(keys, leased("/"+string(rune('a'+i)), 0xa, 2+i, 2+i))
	}
	m.Step(at(0), list(30, keys...))
	effects := m.StepLeases(at(1), asked(alive(0xa, 1, 60, 50)))
	require.Len(t, effects, 1)
	assert.Equal(t, []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"}, effects[0].(lease.Queried).Names)
	assert.Equal(t, 20, effects[0].(lease.Queried).Keys)
}

// When the end of a lease is learnt late, its client may have given back in
// time what it held.
func TestWhatIsLearntLateDoesNotExpire(t *testing.T) {
	for name, test := range map[string]struct {
		seen, asked int
		late        int64
		listed      bool
		want        lock.EndCause
		lease       lease.Cause
	}{
		"in time":             {10, 10, 0, false, lock.LeaseExpired, lease.Expired},
		"late":                {10, 10, 12, false, lock.CauseUnknown, lease.Expired},
		"in a gap":            {10, 10, 0, true, lock.CauseUnknown, lease.Expired},
		"asked too late":      {10, 12, 0, false, lock.CauseUnknown, lease.Expired},
		"before its deadline": {5, 12, 0, false, lock.ByClient, lease.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Prefixes{Locks: []string{"/"}}, Limits{Keys: 10, Leases: 10}, true)
			m.Step(at(0), list(1))
			other := key.Key{Name: "/other/7", Created: 3, Modified: 3, Version: 1, Lease: 7}
			m.Step(at(1), watched(put(keyOfLock(7, 2)), put(other)))
			m.StepLeases(at(1), asked(alive(7, 1, 5, 5), alive(7, 9, 5, 1)))
			gone := watched(deleted("/l/7", 12), deleted("/other/7", 12))
			gone.Late = test.late
			if test.listed {
				gone = list(12)
			}
			gone.Answers = []lease.Answer{{ID: 7, At: at(test.asked), By: at(test.asked), Remaining: -1}}
			ended := map[string]int{}
			for _, e := range all(at(test.seen), m.Step(at(test.seen), gone)) {
				if ended[e.what]++; e.what == "released" {
					assert.Equal(t, test.want, e.attempt.Cause)
				} else if e.what == "ended" {
					assert.Equal(t, test.lease, e.lease.Cause)
				}
			}
			assert.Equal(t, 2, ended["released"])
			assert.Equal(t, 1, ended["ended"])
		})
	}
}

// A lease that comes and whose lock goes in one batch is asked for after both.
func TestALockOfOneBatch(t *testing.T) {
	for name, test := range map[string]struct {
		answer lease.Answer
		want   lock.EndCause
	}{
		"it lives on":    {lease.Answer{ID: 0xa, At: at(1), By: at(1), TTL: 60, Remaining: 59}, lock.ByClient},
		"nobody can say": {lease.Answer{ID: 0xa, At: at(1), By: at(1), Remaining: -1}, lock.CauseUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Prefixes{Locks: []string{"/"}}, Limits{100, 100}, true)
			m.Step(at(0), list(1))
			o := watched(put(keyOfLock(0xa, 2)), deleted("/l/a", 3))
			o.Answers = []lease.Answer{test.answer}
			for _, e := range all(at(1), m.Step(at(1), o)) {
				if e.what == "released" {
					assert.Equal(t, test.want, e.attempt.Cause)
				}
			}
		})
	}
}

// Another cluster is another history, even at the same revision.
func TestAnotherClusterIsAnotherHistory(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}}, Limits{100, 100}, true)
	m.Step(at(0), list(5, keyAt("/a", 2, 2, 1)))
	assert.Empty(t, m.Step(at(1), list(5, keyAt("/b", 3, 3, 1))), "the same revision is the same history")
	other := list(5, keyAt("/b", 3, 3, 1))
	other.Another = true
	assert.Equal(t, []string{"gap", "deleted", "put"}, whats(m.Step(at(2), other)))
}
