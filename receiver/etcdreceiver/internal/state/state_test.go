// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const prefix = "/"

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// lockKey is the key of an attempt at the lock /l, enqueued at a revision.
func lockKey(lease, created int64) Key {
	return Key{Name: fmt.Sprintf("/l/%x", lease), Created: created, Modified: created, Version: 1, Lease: lease}
}

func key(name string, created, modified, version int64) Key {
	return Key{Name: name, Created: created, Modified: modified, Version: version}
}

func put(k Key) Change { return Change{Key: k} }

func deleted(name string, revision int64) Change {
	return Change{Key: Key{Name: name, Modified: revision}, Deleted: true}
}

// list is a list at a revision.
func list(revision int64, keys ...Key) Observation {
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Name, b.Name) })
	return Observation{Prefix: prefix, Revision: revision, Listed: true, Keys: keys}
}

// saw is a watch response.
func saw(changes ...Change) Observation {
	return Observation{Prefix: prefix, Revision: changes[len(changes)-1].Key.Modified, Changes: changes}
}

var kinds = map[Kind]string{
	KeyPut: "put", KeyDeleted: "deleted", LockQueued: "queued", LockAcquired: "acquired",
	LockReleased: "released", LockAbandoned: "abandoned", WatchGap: "gap",
}

func describe(e Effect) string {
	line := fmt.Sprintf("%d: %d %s", e.At.Unix(), e.Revision, kinds[e.Kind])
	switch e.Kind {
	case WatchGap:
		return line + fmt.Sprintf(" %d-%d", e.Gap.First, e.Gap.Last)
	case KeyPut, KeyDeleted:
		line += " " + e.Change.Key.Name
	default:
		line += " " + e.Attempt.Key
	}
	if e.Kind == LockQueued {
		line += fmt.Sprintf(" behind %d", e.Attempt.Position)
	}
	if e.Kind == LockReleased && e.Attempt.Holds() {
		line += fmt.Sprintf(" waited %s held %s", e.Attempt.Acquired.Sub(e.Attempt.Queued), e.Attempt.Ended.Sub(e.Attempt.Acquired))
	}
	if e.Created {
		line += " created"
	}
	if e.Reconciled {
		line += " reconciled"
	}
	if e.Attempt != nil && e.Attempt.BeganBefore {
		line += " began before"
	}
	return line
}

// course steps a machine once a second and describes every effect.
func course(prefixes Prefixes, observations ...Observation) []string {
	m := NewMachine(prefixes, Limits{100, 100}, false)
	var told []string
	for i, o := range observations {
		for _, e := range m.Step(at(i), o) {
			told = append(told, describe(e))
		}
	}
	return told
}

func TestLocks(t *testing.T) {
	for name, tc := range map[string]struct {
		saw  []Observation
		want []string
	}{
		"a free lock is held at once": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2))), saw(deleted("/l/a", 3))},
			[]string{"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "2: 3 released /l/a waited 0s held 1s"},
		},
		"three contend and hold in the order of their revisions": {
			[]Observation{
				list(1),
				saw(put(lockKey(0xc, 2)), put(lockKey(0xa, 3)), put(lockKey(0xb, 4))),
				saw(deleted("/l/c", 5)),
				saw(deleted("/l/a", 6)),
				saw(deleted("/l/b", 7)),
			},
			[]string{
				"1: 2 queued /l/c behind 0", "1: 2 acquired /l/c", "1: 3 queued /l/a behind 1", "1: 4 queued /l/b behind 2",
				"2: 5 released /l/c waited 0s held 1s", "2: 5 acquired /l/a",
				"3: 6 released /l/a waited 1s held 1s", "3: 6 acquired /l/b",
				"4: 7 released /l/b waited 2s held 1s",
			},
		},
		"a wait that is given up": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2)), put(lockKey(0xb, 3))), saw(deleted("/l/b", 4)), saw(deleted("/l/a", 5))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1",
				"2: 4 abandoned /l/b", "3: 5 released /l/a waited 0s held 2s",
			},
		},
		"a TryLock that fails": {
			[]Observation{list(1, lockKey(0xa, 1)), saw(put(lockKey(0xb, 2)), deleted("/l/b", 3))},
			[]string{"1: 2 queued /l/b behind 1", "1: 3 abandoned /l/b"},
		},
		"one transaction deletes the whole queue, and nobody holds in between": {
			[]Observation{list(1), saw(put(lockKey(0xb, 2)), put(lockKey(0xa, 3)), put(lockKey(0xc, 4))),
				saw(deleted("/l/a", 5), deleted("/l/b", 5), deleted("/l/c", 5))},
			[]string{
				"1: 2 queued /l/b behind 0", "1: 2 acquired /l/b", "1: 3 queued /l/a behind 1", "1: 4 queued /l/c behind 2",
				"2: 5 abandoned /l/a", "2: 5 released /l/b waited 0s held 1s", "2: 5 abandoned /l/c",
			},
		},
		"the baseline is not news": {
			[]Observation{list(3, lockKey(0xa, 3), lockKey(0xb, 2))},
			nil,
		},
		"the baseline's holder and waiter began before": {
			[]Observation{list(3, lockKey(0xa, 3), lockKey(0xb, 2)), saw(deleted("/l/b", 4)), saw(deleted("/l/a", 5))},
			[]string{
				"1: 4 released /l/b waited 0s held 1s began before", "1: 4 acquired /l/a began before",
				"2: 5 released /l/a waited 1s held 1s began before",
			},
		},
		"the same client locks again": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2)), deleted("/l/a", 3), put(lockKey(0xa, 4)))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 released /l/a waited 0s held 0s",
				"1: 4 queued /l/a behind 0", "1: 4 acquired /l/a",
			},
		},
		"a leader's proclamation is no new attempt": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2))), saw(put(Key{Name: "/l/a", Created: 2, Modified: 3, Version: 2, Lease: 0xa}))},
			[]string{"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a"},
		},
		"keys that only look like a lock": {
			[]Observation{list(1), saw(
				put(key("/l/a", 2, 2, 1)), // no lease
				put(Key{Name: "/l/b", Created: 3, Modified: 3, Version: 1, Lease: 0xc}),    // another lease
				put(Key{Name: "/l/name", Created: 4, Modified: 4, Version: 1, Lease: 0xc}), // no lease ID
				put(Key{Name: "a", Created: 5, Modified: 5, Version: 1, Lease: 0xa}),       // no lock
			)},
			nil,
		},
		"the same changes again are no news": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2)), put(lockKey(0xb, 3))), saw(put(lockKey(0xa, 2)), put(lockKey(0xb, 3)))},
			[]string{"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1"},
		},
		"a gap hid a release": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2)), put(lockKey(0xb, 3))), list(9, lockKey(0xb, 3))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1",
				"2: 9 gap 4-9", "2: 9 released /l/a waited 0s held 1s reconciled", "2: 9 acquired /l/b reconciled",
			},
		},
		"a gap hid what became of a waiter": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2)), put(lockKey(0xb, 3))), list(9, lockKey(0xc, 8))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "1: 3 queued /l/b behind 1",
				"2: 9 gap 4-9", "2: 9 released /l/a waited 0s held 1s reconciled", "2: 9 released /l/b reconciled",
				"2: 8 queued /l/c behind 0 reconciled", "2: 9 acquired /l/c reconciled",
			},
		},
		"a gap hid that a client locked again": {
			[]Observation{list(1), saw(put(lockKey(0xa, 2))), list(9, lockKey(0xa, 7))},
			[]string{
				"1: 2 queued /l/a behind 0", "1: 2 acquired /l/a", "2: 9 gap 3-9",
				"2: 7 released /l/a waited 0s held 1s reconciled", "2: 7 queued /l/a behind 0 reconciled", "2: 9 acquired /l/a reconciled",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, course(Prefixes{Locks: []string{"/l"}}, tc.saw...))
		})
	}
}

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		saw  []Observation
		want []string
	}{
		"created, changed and deleted": {
			[]Observation{list(1), saw(put(key("/a", 2, 2, 1)), put(key("/a", 2, 3, 2)), deleted("/a", 4))},
			[]string{"1: 2 put /a created", "1: 3 put /a", "1: 4 deleted /a"},
		},
		"the baseline is not news": {
			[]Observation{list(5, key("/a", 2, 3, 2)), saw(put(key("/a", 2, 6, 3)))},
			[]string{"1: 6 put /a"},
		},
		"the order of etcd is kept": {
			[]Observation{list(1), saw(put(key("/b", 2, 2, 1)), put(key("/a", 2, 2, 1)), deleted("/b", 3))},
			[]string{"1: 2 put /b created", "1: 2 put /a created", "1: 3 deleted /b"},
		},
		"what a gap hid": {
			[]Observation{
				list(5, key("/changed", 2, 2, 1), key("/deleted", 3, 3, 1), key("/recreated", 4, 4, 1), key("/same", 5, 5, 1)),
				list(9, key("/changed", 2, 8, 2), key("/created", 6, 7, 2), key("/recreated", 9, 9, 1), key("/same", 5, 5, 1)),
			},
			[]string{
				"1: 9 gap 6-9", "1: 9 deleted /deleted reconciled",
				"1: 7 put /created created reconciled", "1: 8 put /changed reconciled",
				"1: 9 deleted /recreated reconciled", "1: 9 put /recreated created reconciled",
			},
		},
		"a list at the known revision hides nothing": {
			[]Observation{list(5, key("/a", 2, 2, 1)), list(5, key("/a", 2, 2, 1))},
			nil,
		},
		"a restored backup": {
			[]Observation{list(9, key("/a", 2, 8, 4), key("/b", 9, 9, 1)), list(5, key("/a", 2, 3, 2))},
			[]string{"1: 5 gap 1-5", "1: 5 deleted /b reconciled", "1: 3 put /a created reconciled"},
		},
		"progress without changes": {
			[]Observation{list(1), {Prefix: prefix, Revision: 7}, list(9)},
			[]string{"2: 9 gap 8-9"},
		},
		"what happened before the known revision is no news": {
			[]Observation{list(5), saw(put(key("/a", 4, 4, 1)))},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, course(Prefixes{Watch: []string{"/"}}, tc.saw...))
		})
	}
}

func TestAKeyOfALockIsToldWithItsAttempt(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}, Locks: []string{"/"}}, Limits{Keys: 100}, false)
	m.Step(at(0), list(1))
	effects := m.Step(at(1), saw(put(lockKey(0xa, 2)), deleted("/l/a", 3)))
	var told []Kind
	for _, e := range effects {
		told = append(told, e.Kind)
		require.NotNil(t, e.Attempt)
	}
	assert.Equal(t, []Kind{KeyPut, LockQueued, LockAcquired, KeyDeleted, LockReleased}, told)
	assert.False(t, effects[0].Attempt.Holds(), "an effect holds the attempt as it was then")
}

func TestKeysBeyondTheBound(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}, Locks: []string{"/"}}, Limits{Keys: 2}, false)
	m.Step(at(0), list(3, key("/a", 1, 1, 1), key("/b", 2, 2, 1), key("/c", 3, 3, 1)))
	assert.Equal(t, 1, m.Beyond())

	require.Len(t, m.Step(at(1), saw(put(key("/d", 4, 4, 1)))), 1, "it is told, only not remembered")
	assert.Equal(t, 2, m.Beyond())
	m.Step(at(2), saw(put(key("/c", 3, 5, 2))))
	assert.Equal(t, 2, m.Beyond(), "it is counted once")
	m.Step(at(3), saw(deleted("/d", 6), deleted("/a", 7)))
	assert.Equal(t, 1, m.Beyond())
	m.Step(at(4), saw(put(key("/c", 3, 8, 3))))
	assert.Equal(t, 0, m.Beyond(), "there is room again")

	m.Step(at(5), list(20, key("/0", 9, 9, 1), key("/1", 10, 10, 1), key("/b", 2, 2, 1), key("/c", 3, 8, 3)))
	assert.Equal(t, 2, m.Beyond())
	told := m.Step(at(6), list(30, key("/b", 2, 2, 1), key("/c", 3, 8, 3)))
	var names []string
	for _, e := range told[1:] {
		names = append(names, fmt.Sprint(kinds[e.Kind], e.Change.Key.Name))
	}
	assert.Equal(t, []string{"deleted/0", "deleted/1"}, names, "what was beyond the bound is not new")
}

func TestTheBoundIsOneForAllPrefixes(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/a", "/b"}}, Limits{Keys: 3}, false)
	a := Observation{Prefix: "/a", Revision: 9, Listed: true, Keys: []Key{key("/a1", 1, 1, 1), key("/a2", 2, 2, 1)}}
	b := Observation{Prefix: "/b", Revision: 9, Listed: true, Keys: []Key{key("/b1", 3, 3, 1), key("/b2", 4, 4, 1)}, More: 5}
	m.Step(at(0), a)
	assert.Zero(t, m.Beyond())
	m.Step(at(0), b)
	assert.Equal(t, 6, m.Beyond())
}

func TestCovering(t *testing.T) {
	p := Prefixes{Watch: []string{"/b/c", "/a", "/b"}, Locks: []string{"/a", "/a/locks", "/c"}}
	assert.Equal(t, []string{"/a", "/b", "/c"}, p.Covering())
	assert.Empty(t, Prefixes{}.Covering())
	assert.Equal(t, Prefixes{Watch: []string{"/a"}, Locks: []string{"/a/locks", "/a"}}, p.under("/a"))
}

func TestALockIsFollowedWithItsWholeQueueOnly(t *testing.T) {
	for prefix, want := range map[string]bool{"/": true, "/l": true, "/l/": true, "/l/a": false, "/m": false} {
		_, ok := Prefixes{Locks: []string{prefix}}.queue(lockKey(0xa, 1))
		assert.Equal(t, want, ok, prefix)
	}
}

// cluster is a small etcd, the truth that a Machine is to find out.
type cluster struct {
	revision int64
	keys     map[string]Key
}

func (c *cluster) change(lease int64) Change {
	c.revision++
	name := fmt.Sprintf("/l%d/%x", lease%2, lease)
	if _, there := c.keys[name]; there {
		delete(c.keys, name)
		return deleted(name, c.revision)
	}
	c.keys[name] = Key{Name: name, Created: c.revision, Modified: c.revision, Version: 1, Lease: lease}
	return put(c.keys[name])
}

func (c *cluster) list() Observation {
	return list(c.revision, slices.Collect(maps.Values(c.keys))...)
}

func FuzzLocksAreFollowed(f *testing.F) {
	f.Add([]byte{1, 3, 5, 1, 3, 5})
	f.Add([]byte{1, 3, 0xff, 1, 5, 0x80, 3, 5, 0x81, 0x80})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 300)]
		truth := &cluster{revision: 1, keys: map[string]Key{}}
		bound := 100
		if len(script)%2 == 1 { // A lock that is partly beyond the bound is told wrong.
			bound = 8
		}
		m := NewMachine(Prefixes{Watch: []string{"/l1"}, Locks: []string{"/"}}, Limits{Keys: bound}, false)
		m.Step(at(0), truth.list())
		queued, ended, holders := map[string]int64{}, map[string]bool{}, map[string]string{}
		var unseen []Change
		for i, b := range script {
			o := Observation{Prefix: prefix, Changes: unseen}
			switch {
			case b == 0xff: // a gap
				o = truth.list()
			case b >= 0x80: // a watch response, some of it again
			default:
				unseen = append(unseen, truth.change(int64(b%12)+1))
				continue
			}
			for _, e := range m.Step(at(i), o) {
				if e.Attempt == nil {
					continue
				}
				a := *e.Attempt
				id := fmt.Sprint(a.Key, a.Created)
				switch e.Kind {
				case LockQueued:
					if queued[id] != 0 || ended[id] {
						t.Fatalf("%s is queued twice", id)
					}
					queued[id] = a.Created
				case LockAcquired:
					if holders[a.Lock] != "" && bound == 100 {
						t.Fatalf("%s and %s hold %s", holders[a.Lock], id, a.Lock)
					}
					holders[a.Lock] = id
				case LockReleased, LockAbandoned:
					if ended[id] {
						t.Fatalf("%s ended twice", id)
					}
					ended[id] = true
					if holders[a.Lock] == id {
						holders[a.Lock] = ""
					}
				}
			}
			if b&1 == 1 { // else the same changes come again
				unseen = nil
			}
			p := m.parts[prefix]
			if m.remembered != len(p.keys) || m.remembered > bound || len(p.attempts) > len(p.keys) {
				t.Fatalf("remembers %d keys (%d), %d attempts", len(p.keys), m.remembered, len(p.attempts))
			}
			if len(p.keys)+p.beyond != len(truth.keys) && (b == 0xff || len(unseen) == 0) {
				t.Fatalf("knows of %d+%d keys, there are %d", len(p.keys), p.beyond, len(truth.keys))
			}
			for lock, queue := range p.queues {
				if !slices.IsSortedFunc(queue.attempts, func(a, b *Attempt) int { return int(a.Created - b.Created) }) {
					t.Fatalf("the queue of %s is not in order", lock)
				}
				holding := 0
				for _, a := range queue.attempts {
					if a.Holds() {
						holding++
					}
				}
				if holding > 1 {
					t.Fatalf("%d hold %s", holding, lock)
				}
			}
		}
	})
}

// When the end of a lease is learnt late, its client may have given back in
// time what it held.
func TestWhatIsLearntLateDoesNotExpire(t *testing.T) {
	for name, test := range map[string]struct {
		seen, asked int
		late        int64
		listed      bool
		want        EndCause
		lease       LeaseCause
	}{
		"in time":             {10, 10, 0, false, LeaseExpired, Expired},
		"late":                {10, 10, 12, false, CauseUnknown, LeaseEndUnknown},
		"in a gap":            {10, 10, 0, true, CauseUnknown, LeaseEndUnknown},
		"asked too late":      {10, 12, 0, false, CauseUnknown, Expired},
		"before its deadline": {5, 12, 0, false, Released, Expired},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Prefixes{Locks: []string{"/"}}, Limits{Keys: 10, Leases: 10}, true)
			m.Step(at(0), list(1))
			other := Key{Name: "/other/7", Created: 3, Modified: 3, Version: 1, Lease: 7}
			m.Step(at(1), saw(put(lockKey(7, 2)), put(other)))
			m.StepLeases(at(1), LeaseObservation{Answers: []Answer{{ID: 7, At: at(1), TTL: 5, Remaining: 5}}})
			gone := saw(deleted("/l/7", 12), deleted("/other/7", 12))
			gone.Late = test.late
			if test.listed {
				gone = list(12)
			}
			gone.Answers = []Answer{{ID: 7, At: at(test.asked), Remaining: -1}}
			ended := map[Kind]int{}
			for _, e := range m.Step(at(test.seen), gone) {
				if ended[e.Kind]++; e.Kind == LockReleased {
					assert.Equal(t, test.want, e.Attempt.Cause)
				} else if e.Kind == LeaseEnded {
					assert.Equal(t, test.lease, e.Lease.Cause)
				}
			}
			assert.Equal(t, 2, ended[LockReleased])
			assert.Equal(t, 1, ended[LeaseEnded])
		})
	}
}
