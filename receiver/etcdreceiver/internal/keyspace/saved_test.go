// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

// roundTrip is what storage does to what is saved.
func roundTrip[V any](t *testing.T, v V) (same V) {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &same))
	return same
}

// resumed is a list of what an earlier machine saved.
func (o Observation) resumed(t *testing.T, m *Machine) Observation {
	t.Helper()
	saved, ok := m.Save(prefix)
	require.True(t, ok)
	saved = roundTrip(t, saved)
	o.Saved = &saved
	return o
}

var everything = Prefixes{Watch: []string{"/"}, Locks: []string{"/l/"}, Elections: []string{"/e/"}}

// again is a machine of another process, which has the leases of the one before.
func again(t *testing.T, now int, m *Machine) *Machine {
	t.Helper()
	next := NewMachine(m.prefixes, Limits{100, 100}, true)
	next.RestoreLeases(at(now), roundTrip(t, m.SaveLeases()))
	return next
}

func TestNothingIsSavedBeforeTheBaseline(t *testing.T) {
	m := NewMachine(everything, Limits{100, 100}, true)
	_, ok := m.Save(prefix)
	assert.False(t, ok)
	assert.Empty(t, m.SaveLeases())
}

// A restart between any two observations changes nothing of what is reported.
func TestAReportGoesOnAfterARestart(t *testing.T) {
	bytes := key.Key{Name: "/l/\xff/c", Created: 6, Modified: 6, Version: 1, Lease: 0xc}
	steps := []struct {
		observed Observation
		keys     []key.Key // that are there then
	}{
		{list(3, keyOfLock(0xb, 2), keyOfLock(0xa, 3)), []key.Key{keyOfLock(0xb, 2), keyOfLock(0xa, 3)}},
		{watched(put(candidate(0xa, 4, 4, 1)), put(candidate(0xb, 5, 5, 1))), []key.Key{keyOfLock(0xb, 2), keyOfLock(0xa, 3), candidate(0xa, 4, 4, 1), candidate(0xb, 5, 5, 1)}},
		{watched(deleted("/l/b", 6), put(bytes)), []key.Key{keyOfLock(0xa, 3), bytes, candidate(0xa, 4, 4, 1), candidate(0xb, 5, 5, 1)}},
		{nothing(9), []key.Key{keyOfLock(0xa, 3), bytes, candidate(0xa, 4, 4, 1), candidate(0xb, 5, 5, 1)}},
		{watched(put(candidate(0xa, 4, 10, 2)), put(keyOfLock(0xd, 11))), []key.Key{keyOfLock(0xa, 3), bytes, keyOfLock(0xd, 11), candidate(0xa, 4, 10, 2), candidate(0xb, 5, 5, 1)}},
		{watched(deleted("/e/leader/a", 12), deleted("/l/a", 13)), []key.Key{bytes, keyOfLock(0xd, 11), candidate(0xb, 5, 5, 1)}},
		{watched(deleted("/l/\xff/c", 14), deleted("/e/leader/b", 15), deleted("/l/d", 16)), nil},
	}
	through := func(restart int) (reported []string, m *Machine) {
		m = NewMachine(everything, Limits{100, 100}, true)
		for i, step := range steps {
			reported = append(reported, observe(m, i, step.observed)...)
			if i == restart || restart == len(steps) {
				next := again(t, i, m)
				reported = append(reported, observe(next, i, list(step.observed.Revision, step.keys...).resumed(t, m))...)
				m = next
			}
		}
		return reported, m
	}
	want, _ := through(-1)
	require.Len(t, want, 28)
	for restart := range len(steps) + 1 {
		reported, m := through(restart)
		assert.Equal(t, want, reported, "restart after %d", restart)
		counts := m.Counts()
		assert.Zero(t, counts.Locks["/l/"].Waiting+counts.Locks["/l/"].Holding+counts.Elections["/e/"].Waiting+counts.Elections["/e/"].Holding)
		assert.Zero(t, counts.Keys["/"].Keys)
		assert.Zero(t, counts.Keys["/"].Size)
	}
}

func TestARestart(t *testing.T) {
	history := []any{list(1), watched(put(keyOfLock(0xa, 2)), put(keyOfLock(0xb, 3)), put(keyAt("/k", 4, 4, 1)))}
	for name, tc := range map[string]struct {
		first Observation
		then  []any
		want  []string
	}{
		"and nothing has changed": {
			list(4, keyOfLock(0xa, 2), keyOfLock(0xb, 3), keyAt("/k", 4, 4, 1)),
			[]any{watched(deleted("/l/a", 5)).late(5), watched(deleted("/l/b", 6))},
			[]string{
				"3: 5 deleted /l/a reconciled", "3: 5 released /l/a waited 0s held 2s reconciled", "3: 5 acquired /l/b after /l/a reconciled",
				"4: 6 deleted /l/b", "4: 6 released /l/b waited 2s held 1s",
			},
		},
		"and what was reported is observed again": {
			list(4, keyOfLock(0xa, 2), keyOfLock(0xb, 3), keyAt("/k", 4, 4, 1)),
			[]any{watched(put(keyOfLock(0xb, 3)), put(keyAt("/k", 4, 4, 1)))}, nil,
		},
		"into a compaction": {
			list(9, keyOfLock(0xb, 3), keyOfLock(0xc, 8), keyAt("/k", 4, 4, 1), keyAt("/new", 7, 7, 1)),
			[]any{watched(deleted("/l/b", 10))},
			[]string{
				"2: 9 gap 5-9", "2: 9 deleted /l/a reconciled", "2: 9 released /l/a waited 0s held 1s reconciled",
				"2: 7 put /new created reconciled", "2: lease c granted reconciled",
				"2: 8 put /l/c created reconciled", "2: 8 queued /l/c behind 1 reconciled",
				"2: 9 acquired /l/b after /l/a reconciled",
				"3: 10 deleted /l/b", "3: 10 released /l/b waited 1s held 1s", "3: 10 acquired /l/c after /l/b",
			},
		},
		"into a restored backup": {
			list(2, keyOfLock(0xa, 2)),
			[]any{watched(deleted("/l/a", 3))},
			[]string{
				"2: 2 gap 1-2", "2: 2 deleted /l/b reconciled", "2: 2 released /l/b reconciled somewhen in a gap",
				"2: 2 put /l/a reconciled", "3: 3 deleted /l/a", "3: 3 released /l/a waited 0s held 2s",
			},
		},
		"and the holder is not observed any more": {
			list(4, keyOfLock(0xb, 3)), []any{watched(deleted("/l/b", 5))},
			[]string{"3: 5 deleted /l/b", "3: 5 released /l/b waited 1s held 1s"},
		},
		"and a key is another one than before": {
			list(4, keyOfLock(0xa, 4), keyOfLock(0xb, 3)), []any{watched(deleted("/l/b", 5))},
			[]string{"3: 5 deleted /l/b", "3: 5 released /l/b waited 1s held 1s", "3: 5 acquired /l/a after /l/b began before"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(everything, Limits{100, 100}, true)
			observe(m, 0, history...)
			next := again(t, 2, m)
			var reported []string
			for _, line := range observe(next, 2, append([]any{tc.first.resumed(t, m)}, tc.then...)...) {
				if line != "3: 5 acquired /l/a after /l/b began before" || name == "and a key is another one than before" {
					reported = append(reported, line)
				}
			}
			assert.Equal(t, tc.want, reported)
		})
	}
}

func TestARestartWithOtherPrefixes(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}}, Limits{100, 100}, false)
	keys := []key.Key{keyOfLock(0xa, 2), keyOfLock(0xb, 3), candidate(0xa, 4, 4, 1), {Name: "/m/a", Created: 5, Modified: 5, Version: 1, Lease: 0xa}}
	observe(m, 0, list(1), watched(put(keys[0]), put(keys[1]), put(keys[2]), put(keys[3])))
	for name, tc := range map[string]struct {
		prefixes Prefixes
		limit    int
		want     []string
		counts   map[string]lock.Counts
	}{
		"locks have a prefix of their own": {
			Prefixes{Watch: []string{"/"}, Locks: []string{"/l/"}}, 100, []string{
				"3: 6 released /l/a waited 0s held 2s", "3: 6 acquired /l/b after /l/a",
				"3: 7 released /e/leader/a waited 0s held 2s of an election", "3: 8 released /m/a waited 0s held 2s",
			},
			map[string]lock.Counts{"/": {Holding: 1}, "/l/": {Holding: 1, Waiting: 1}},
		},
		"what was an election is a lock": {
			Prefixes{Watch: []string{"/"}, Locks: []string{"/"}}, 100, []string{
				"3: 6 released /l/a waited 0s held 2s", "3: 6 acquired /l/b after /l/a",
				"3: 7 released /e/leader/a waited 0s held 1s began before", "3: 8 released /m/a waited 0s held 2s",
			},
			map[string]lock.Counts{"/": {Holding: 3, Waiting: 1}},
		},
		"only some locks are followed": {
			Prefixes{Watch: []string{"/e/", "/"}[:1], Locks: []string{"/m/", "/"}[:1]}, 100, []string{
				"3: 7 released /e/leader/a waited 0s held 2s of an election", "3: 8 released /m/a waited 0s held 2s",
			},
			map[string]lock.Counts{"/m/": {Holding: 1}},
		},
		"fewer keys are remembered": {
			Prefixes{Watch: []string{"/"}}, 2, []string{
				"3: 6 released /l/a waited 0s held 2s",
				"3: 7 released /e/leader/a waited 0s held 1s began before of an election",
			},
			map[string]lock.Counts{"/": {Holding: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			next := NewMachine(tc.prefixes, Limits{tc.limit, 100}, false)
			if name == "only some locks are followed" { // Such a list is of another covering prefix.
				next.prefixes.Watch = append(next.prefixes.Watch, "/\xff")
			}
			assert.Empty(t, observe(next, 2, list(5, keys...).resumed(t, m)))
			assert.Equal(t, tc.counts, next.Counts().Locks)
			var ends []string
			for _, line := range observe(next, 3, watched(deleted("/l/a", 6), deleted("/e/leader/a", 7), deleted("/m/a", 8))) {
				if len(line) > 8 && line[5:8] != "del" {
					ends = append(ends, line)
				}
			}
			assert.Equal(t, tc.want, ends)
		})
	}
}

func TestLeasesAfterARestart(t *testing.T) {
	there := []key.Key{leased("/v", 0xa, 2, 2), leased("/w", 0xa, 3, 3), leased("/x", 0xb, 4, 4)}
	begin := func() *Machine {
		m := following(100)
		observe(m, 0, list(1), watched(put(there[0]), put(there[1]), put(there[2])), asked(alive(0xa, 2, 60, 8), alive(0xb, 2, 60, 50)))
		return m
	}
	for name, tc := range map[string]struct {
		observed []any // from the second 5 on, after a restart
		want     []string
	}{
		"they are there still": {
			[]any{asked(alive(0xa, 5, 60, 50)), watched(deleted("/v", 5), deleted("/w", 5)).late(5), asked(gone(0xa, 7))},
			[]string{
				"5: lease a queried, 50 of 60 left", "6: 5 deleted /v reconciled", "6: 5 deleted /w reconciled",
				"7: lease a ended revoked, 2 keys, after 6s certain",
			},
		},
		"one has ended meanwhile": {
			[]any{asked(gone(0xa, 5)), nothing(4), watched(deleted("/v", 5), deleted("/w", 5)).late(5)},
			[]string{
				"7: 5 deleted /v reconciled", "7: 5 deleted /w reconciled", "7: lease a ended revoked, 2 keys, after 6s certain reconciled",
			},
		},
		"one is observed to have a key for the first time again": {
			[]any{watched(put(there[2]), put(leased("/y", 0xb, 5, 5)))}, []string{"5: 5 put /y created"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := begin()
			next := again(t, 5, m)
			assert.Empty(t, observe(next, 5, list(4, there...).resumed(t, m)))
			assert.Equal(t, tc.want, observe(next, 5, tc.observed...))
		})
	}
	t.Run("one has ended that has no keys, and nobody knows when", func(t *testing.T) {
		m := following(100)
		observe(m, 0, listed(), listed(0xa), asked(alive(0xa, 2, 60, 8)))
		assert.Equal(t, []string{"20: lease a ended somehow, 0 keys, after 19s reconciled"}, observe(again(t, 5, m), 20, asked(gone(0xa, 20))))
		assert.Equal(t, []string{"21: lease a ended somehow, 0 keys, after 20s reconciled"}, observe(again(t, 5, m), 20, listed(), listed()))
	})
	t.Run("the change that reports it comes again", func(t *testing.T) {
		m := begin()
		saved := roundTrip(t, m.SaveLeases())
		next := following(100)
		next.RestoreLeases(at(5), append(saved, saved[0], lease.Saved{}))
		assert.Equal(t, []string{"5: lease a granted", "5: 2 put /v created", "5: 3 put /w created", "5: lease b granted", "5: 4 put /x created"},
			observe(next, 4, list(1), watched(put(there[0]), put(there[1]), put(there[2]))))
	})
	t.Run("another change is no reason to report it", func(t *testing.T) {
		next := again(t, 5, begin())
		assert.Equal(t, []string{"5: 7 put /y created"}, observe(next, 4, list(6), watched(put(leased("/y", 0xa, 7, 7)))))
	})
	t.Run("fewer are followed", func(t *testing.T) {
		next := following(1)
		next.RestoreLeases(at(5), begin().SaveLeases())
		assert.Len(t, next.leases.IDs(), 1)
	})
	t.Run("one of its times is not known", func(t *testing.T) {
		m := following(100)
		observe(m, 0, list(1), watched(put(there[0])).late(2))
		assert.True(t, leaseOf(again(t, 5, m), 0xa).Reconciled)
	})
}

func TestAQueueThatWasSavedWithoutAHolder(t *testing.T) {
	saved := Saved{Revision: 4, Attempts: []lock.SavedAttempt{
		{Key: []byte("/l/b"), Lock: []byte("/l"), Lease: 0xb, Created: 3, Queued: at(1)},
		{Key: []byte("/l/a"), Lock: []byte("/l"), Lease: 0xa, Created: 2, Queued: at(1)},
	}}
	m := NewMachine(everything, Limits{100, 100}, false)
	compacted := list(9, keyOfLock(0xb, 3), keyOfLock(0xa, 2))
	compacted.Saved = &saved
	assert.Equal(t, []string{
		"5: 9 gap 5-9", "5: 9 acquired /l/a reconciled", "6: 10 deleted /l/a", "6: 10 released /l/a waited 4s held 1s", "6: 10 acquired /l/b after /l/a",
	}, observe(m, 5, compacted, watched(deleted("/l/a", 10))))
}

// What is in storage can be of another version, or be mixed up.
func TestAnyStateCanBeRestored(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...int64) int64 { return of[random.IntN(len(of))] }
	for range 3000 {
		truth := newEtcd()
		var slots [4]int64
		for range 30 {
			change(truth, &slots, random.IntN(0x80))
		}
		o := &observer{
			t: t, etcd: truth, prefixes: everything, partly: true, restarts: true,
			limits: Limits{int(pick(1, 3, 100)), int(pick(0, 1, 100))},
			seen:   map[string]int64{},
			kept:   map[int64]lease.Saved{}, reported: map[string]int{},
			attempts: map[string]string{}, granted: map[int64]int{}, ended: map[int64]int{}, holders: map[string]string{},
		}
		o.m = NewMachine(o.prefixes, o.limits, true)
		saved := Saved{Revision: pick(-5, 0, 1, truth.revision, truth.revision, 1000)}
		var leases []lease.Saved
		for range random.IntN(8) {
			name := []string{"/l/x", "/l/y", "/l/e/a", "/p/el", "", "\xff"}[random.IntN(6)]
			id := pick(0, 0xa1, 0xa2, 0xa3, -1)
			a := lock.SavedAttempt{
				Lock: []byte(name), Lease: id, Created: pick(-1, 0, 2, 3, 5, 9, 2000), Position: int(pick(-1, 0, 7)),
				Election: pick(0, 1) == 1, Queued: at(int(pick(0, 5000))), BeganBefore: pick(0, 1) == 1, HeldBefore: pick(0, 1) == 1,
				Key: []byte(leased(name+"/"+[]string{"a1", "a2", "a3", "", "0"}[random.IntN(5)], 0, 0, 0).Name),
			}
			if pick(0, 1) == 1 {
				a.Acquired, a.PreviousHolder = at(1), []byte("?")
			}
			saved.Attempts = append(saved.Attempts, a)
			leases = append(leases, lease.Saved{ID: pick(0, 0xa1, 0xa1, 0xa2, 7), Deadline: at(int(pick(0, 900))), TTL: pick(-1, 0, 5), Names: [][]byte{nil, {0xff}}})
		}
		o.m.RestoreLeases(truth.now, roundTrip(t, leases))
		o.m.ChangeAllLeases()
		revision := min(max(1, saved.Revision), truth.revision)
		observed := truth.list(prefix, revision)
		if pick(0, 1) == 1 {
			observed = truth.list(prefix, truth.revision)
		}
		saved = roundTrip(t, saved)
		observed.Saved = &saved
		o.m.Step(truth.now, observed)
		o.seen[prefix] = observed.Revision
		o.check()
		for range 20 {
			change(truth, &slots, random.IntN(0x80))
			o.m.Step(truth.now, truth.list(prefix, truth.revision))
			o.seen[prefix] = truth.revision
			o.check()
		}
	}
}

// What an earlier version saved is still read, and saved in the same form with what came since.
func TestAnEarlierVersionsCheckpoint(t *testing.T) {
	const keys = `{"Revision":4,"Attempts":[` +
		`{"Key":"L2wvYQ==","Lock":"L2w=","Election":false,"Lease":10,"Created":2,"Position":0,` +
		`"Queued":"2024-01-01T00:00:01Z","Acquired":"2024-01-01T00:00:02Z","BeganBefore":false,"HeldBefore":true,` +
		`"Reconciled":true,"HoldReconciled":true,"Behind":"L2wvOQ==","BehindCreated":1},` +
		`{"Key":"L2wvYg==","Lock":"L2w=","Election":false,"Lease":11,"Created":3,"Position":1,` +
		`"Queued":"2024-01-01T00:00:03Z","Acquired":"0001-01-01T00:00:00Z","BeganBefore":true,"HeldBefore":false,` +
		`"Reconciled":false,"HoldReconciled":false,"Behind":null,"BehindCreated":0}]}`
	const leases = `[{"ID":10,"Seen":"2024-01-01T00:00:01Z","Deadline":"2024-01-01T00:01:00Z","BeganBefore":true,` +
		`"Reconciled":true,"Granted":2,"TTL":60,"Names":["L2wvYQ=="]}]`
	var saved Saved
	require.NoError(t, json.Unmarshal([]byte(keys), &saved))
	var savedLeases []lease.Saved
	require.NoError(t, json.Unmarshal([]byte(leases), &savedLeases))

	m := NewMachine(everything, Limits{100, 100}, true)
	m.RestoreLeases(at(5), savedLeases)
	observed := list(4, keyOfLock(0xa, 2), keyOfLock(0xb, 3))
	observed.Saved = &saved
	assert.Empty(t, observe(m, 5, observed))

	again, ok := m.Save(prefix)
	require.True(t, ok)
	text, err := json.Marshal(again)
	require.NoError(t, err)
	const newest = `"Newest":{"Name":"L2wvYg==","Modified":3,"Created":3,"Version":1,"Lease":11,"Deleted":false},`
	assert.JSONEq(t, strings.Replace(keys, `"Attempts"`, newest+`"Attempts"`, 1), string(text), "with the newest change")
	text, err = json.Marshal(m.SaveLeases()[:1])
	require.NoError(t, err)
	assert.JSONEq(t, strings.TrimSuffix(leases, "}]")+`,"Revision":2}]`, string(text), "and at which revision it was there")
}
