// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
)

func TestKeysOverLimitTheBound(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}, Locks: []string{"/"}}, Limits{Keys: 2}, false)
	m.Step(at(0), list(3, keyAt("/a", 1, 1, 1), keyAt("/b", 2, 2, 1), keyAt("/c", 3, 3, 1)))
	assert.Equal(t, 1, m.KeysOverLimit())

	require.Len(t, m.Step(at(1), watched(put(keyAt("/d", 4, 4, 1)))), 1, "it is reported, only not remembered")
	assert.Equal(t, 2, m.KeysOverLimit())
	m.Step(at(2), watched(put(keyAt("/c", 3, 5, 2))))
	assert.Equal(t, 2, m.KeysOverLimit(), "it is counted once")
	m.Step(at(3), watched(deleted("/d", 6), deleted("/a", 7)))
	assert.Equal(t, 1, m.KeysOverLimit())
	m.Step(at(4), watched(put(keyAt("/c", 3, 8, 3))))
	assert.Equal(t, 0, m.KeysOverLimit(), "there is room again")

	m.Step(at(5), list(20, keyAt("/0", 9, 9, 1), keyAt("/1", 10, 10, 1), keyAt("/b", 2, 2, 1), keyAt("/c", 3, 8, 3)))
	assert.Equal(t, 2, m.KeysOverLimit())
	effects := m.Step(at(6), list(30, keyAt("/b", 2, 2, 1), keyAt("/c", 3, 8, 3)))
	var names []string
	for _, e := range all(at(6), effects[1:]) {
		names = append(names, fmt.Sprint(e.what, e.key.Name))
	}
	assert.Equal(t, []string{"deleted/0", "deleted/1"}, names, "what was beyond the bound is not new")
}

func TestTheBoundIsOneForAllPrefixes(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/a", "/b"}}, Limits{Keys: 3}, false)
	a := Observation{Prefix: "/a", Revision: 9, Listed: true, Keys: []key.Key{keyAt("/a1", 1, 1, 1), keyAt("/a2", 2, 2, 1)}}
	b := Observation{Prefix: "/b", Revision: 9, Listed: true, Keys: []key.Key{keyAt("/b1", 3, 3, 1), keyAt("/b2", 4, 4, 1)}, More: 5}
	m.Step(at(0), a)
	assert.Zero(t, m.KeysOverLimit())
	m.Step(at(0), b)
	assert.Equal(t, 6, m.KeysOverLimit())
}

func TestCountsOfKeys(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/", "/deep/", "/deep/er/"}, Locks: []string{"/l/"}, Elections: []string{"/e/"}}, Limits{Keys: 5}, false)
	assert.Equal(t, map[string]key.Counts{"/": {}, "/deep/": {}, "/deep/er/": {}}, m.Counts().Keys, "zero is reported from the beginning")
	assert.Equal(t, map[string]lock.Counts{"/l/": {}}, m.Counts().Locks)
	assert.Equal(t, map[string]lock.Counts{"/e/": {}}, m.Counts().Elections)

	m.Step(at(0), list(3, keyAt("/a", 1, 1, 1), key.Key{Name: "/deep/er/a", Created: 2, Modified: 3, Version: 2, Size: 10}))
	assert.Equal(t, map[string]key.Counts{"/": {Keys: 1, Size: 2}, "/deep/": {}, "/deep/er/": {Keys: 1, Size: 20}}, m.Counts().Keys)

	m.Step(at(1), watched(
		put(key.Key{Name: "/a", Created: 1, Modified: 4, Version: 2, Size: 3}), put(keyAt("/deep/a", 5, 5, 1)), deleted("/deep/er/a", 6),
		put(keyAt("/deep/er/a", 7, 7, 1)), put(keyAt("/deep/er/b", 8, 8, 1)), put(keyAt("/b", 9, 9, 1)), put(keyAt("/beyond", 10, 10, 1)), deleted("/beyond", 11),
		put(keyAt("/beyond", 12, 12, 1)),
	))
	assert.Equal(t, map[string]key.Counts{
		"/": {Keys: 2, Size: 7, Puts: 4, Deletes: 1}, "/deep/": {Keys: 1, Size: 7, Puts: 1}, "/deep/er/": {Keys: 2, Size: 20, Puts: 2, Deletes: 1},
	}, m.Counts().Keys)
	assert.EqualValues(t, 1, m.Counts().KeysOverLimit)

	m.Step(at(2), list(20))
	assert.Equal(t, map[string]key.Counts{
		"/": {Puts: 4, Deletes: 3}, "/deep/": {Puts: 1, Deletes: 1}, "/deep/er/": {Puts: 2, Deletes: 3},
	}, m.Counts().Keys, "what was beyond the limit is gone too, but nobody knows when")
	assert.Zero(t, m.Counts().KeysOverLimit)
}

func TestCountsOfQueues(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}, Locks: []string{"/l", "/l/deep/"}}, Limits{Keys: 100}, false)
	deep := key.Key{Name: "/l/deep/x/a", Created: 4, Modified: 4, Version: 1, Lease: 0xa}
	m.Step(at(0), list(4, keyOfLock(0xa, 2), keyOfLock(0xb, 3), deep))
	assert.Equal(t, map[string]lock.Counts{"/l": {Holding: 1, Waiting: 1}, "/l/deep/": {Holding: 1}}, m.Counts().Locks)
	assert.Empty(t, m.Counts().Elections, "what is recognized under a watched prefix counts once there is any")

	m.Step(at(1), watched(put(keyOfLock(0xc, 5)), put(candidate(0xa, 6, 6, 1)), put(key.Key{Name: "/m/a", Created: 7, Modified: 7, Version: 1, Lease: 0xa})))
	assert.Equal(t, map[string]lock.Counts{"/": {Holding: 1, Acquired: 1}, "/l": {Holding: 1, Waiting: 2}, "/l/deep/": {Holding: 1}}, m.Counts().Locks)
	assert.Equal(t, map[string]lock.Counts{"/": {Holding: 1, Acquired: 1}}, m.Counts().Elections)

	m.Step(at(2), watched(deleted("/l/b", 8), deleted("/l/a", 9), deleted("/e/leader/a", 10)))
	assert.Equal(t, map[string]lock.Counts{"/": {Holding: 1, Acquired: 1}, "/l": {Waiting: 1, Abandoned: 1}, "/l/deep/": {Holding: 1}}, m.Counts().Locks,
		"the lock within it holds it up")
	assert.Equal(t, map[string]lock.Counts{"/": {Acquired: 1}}, m.Counts().Elections)

	m.Step(at(3), list(20))
	assert.Equal(t, map[string]lock.Counts{"/": {Acquired: 1}, "/l": {Abandoned: 1}, "/l/deep/": {}}, m.Counts().Locks)
}

// A queue whose holder does not fit in any more waits until it is observed to move.
func TestAQueueThatIsPartlyBeyondTheBound(t *testing.T) {
	m := NewMachine(Prefixes{Locks: []string{"/"}}, Limits{Keys: 2}, false)
	m.Step(at(0), list(3, keyOfLock(0xa, 2), keyOfLock(0xb, 1)))
	assert.Equal(t, []string{"1: 9 gap 4-9"}, observe(m, 1, list(9, keyAt("/0", 9, 9, 1), keyOfLock(0xa, 2), keyOfLock(0xb, 1))))
	assert.Equal(t, map[string]lock.Counts{"/": {Waiting: 1}}, m.Counts().Locks)
	assert.Equal(t, []string{
		"2: 11 queued /l/c behind 1", "2: 11 acquired /l/a began before",
	}, observe(m, 2, watched(deleted("/0", 10), put(keyOfLock(0xc, 11)))), "nobody is known to have held it before")
}
