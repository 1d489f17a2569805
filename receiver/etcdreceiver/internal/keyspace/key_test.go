// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/key"
)

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []Observation
		want     []string
	}{
		"created, changed and deleted": {
			[]Observation{list(1), watched(put(keyAt("/a", 2, 2, 1)), put(keyAt("/a", 2, 3, 2)), deleted("/a", 4))},
			[]string{"1: 2 put /a created", "1: 3 put /a", "1: 4 deleted /a"},
		},
		"the baseline is not news": {
			[]Observation{list(5, keyAt("/a", 2, 3, 2)), watched(put(keyAt("/a", 2, 6, 3)))},
			[]string{"1: 6 put /a"},
		},
		"the order of etcd is kept": {
			[]Observation{list(1), watched(put(keyAt("/b", 2, 2, 1)), put(keyAt("/a", 2, 2, 1)), deleted("/b", 3))},
			[]string{"1: 2 put /b created", "1: 2 put /a created", "1: 3 deleted /b"},
		},
		"what a gap hid": {
			[]Observation{
				list(5, keyAt("/changed", 2, 2, 1), keyAt("/deleted", 3, 3, 1), keyAt("/recreated", 4, 4, 1), keyAt("/same", 5, 5, 1)),
				list(9, keyAt("/changed", 2, 8, 2), keyAt("/created", 6, 7, 2), keyAt("/recreated", 9, 9, 1), keyAt("/same", 5, 5, 1)),
			},
			[]string{
				"1: 9 gap 6-9", "1: 9 deleted /deleted reconciled",
				"1: 7 put /created created reconciled", "1: 8 put /changed reconciled",
				"1: 9 deleted /recreated reconciled", "1: 9 put /recreated created reconciled",
			},
		},
		"a list at the known revision hides nothing": {
			[]Observation{list(5, keyAt("/a", 2, 2, 1)), list(5, keyAt("/a", 2, 2, 1))},
			nil,
		},
		"a restored backup": {
			[]Observation{list(9, keyAt("/a", 2, 8, 4), keyAt("/b", 9, 9, 1)), list(5, keyAt("/a", 2, 3, 2))},
			[]string{"1: 5 gap 1-5", "1: 5 deleted /b reconciled", "1: 3 put /a reconciled"},
		},
		"progress without changes": {
			[]Observation{list(1), {Prefix: prefix, Revision: 7}, list(9)},
			[]string{"2: 9 gap 8-9"},
		},
		"what happened before the watch was opened is in its exact order": {
			[]Observation{list(1), watched(put(keyAt("/b", 2, 2, 1)), put(keyAt("/a", 3, 3, 1)), deleted("/b", 4), put(keyAt("/a", 3, 5, 2))).late(4)},
			[]string{"1: 2 put /b created reconciled", "1: 3 put /a created reconciled", "1: 4 deleted /b reconciled", "1: 5 put /a"},
		},
		"a watch that missed a deletion": {
			[]Observation{list(1, keyAt("/a", 1, 1, 1)), watched(put(keyAt("/a", 3, 3, 1)))},
			[]string{"1: 3 deleted /a", "1: 3 put /a created"},
		},
		"one response brings some of it again": {
			[]Observation{list(1), watched(put(keyAt("/a", 2, 2, 1))), watched(put(keyAt("/a", 2, 2, 1)), put(keyAt("/a", 2, 3, 2)))},
			[]string{"1: 2 put /a created", "2: 3 put /a"},
		},
		"what happened before the known revision is no news": {
			[]Observation{list(5), watched(put(keyAt("/a", 4, 4, 1)))},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, observeKeys(Prefixes{Watch: []string{"/"}}, tc.observed...))
		})
	}
}

func TestWhatADeletedKeyWas(t *testing.T) {
	before := key.Key{Name: "/b", Created: 2, Modified: 2, Version: 7, Lease: 0xa, Size: 5}
	for name, tc := range map[string]struct {
		change key.Change
		want   key.Key
	}{
		"it is remembered":         {deleted("/a", 4), key.Key{Name: "/a", Created: 3, Modified: 4, Version: 1}},
		"etcd was asked for it":    {key.Change{Key: key.Key{Name: "/b", Modified: 4}, Deleted: true, Before: &before}, key.Key{Name: "/b", Created: 2, Modified: 4, Version: 7, Lease: 0xa, Size: 5}},
		"it is beyond the limit":   {deleted("/b", 4), key.Key{Name: "/b", Modified: 4}},
		"nobody has ever known it": {deleted("/c", 4), key.Key{Name: "/c", Modified: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMachine(Prefixes{Watch: []string{"/"}}, Limits{Keys: 1}, false)
			m.Step(at(0), list(3, keyAt("/a", 3, 3, 1), before))
			effects := m.Step(at(1), watched(tc.change))
			require.Len(t, effects, 1)
			assert.Equal(t, tc.want, flat(at(1), effects[0]).key)
		})
	}
}

func TestAKeyOfALockIsReportedWithItsAttempt(t *testing.T) {
	m := NewMachine(Prefixes{Watch: []string{"/"}, Locks: []string{"/"}}, Limits{Keys: 100}, false)
	m.Step(at(0), list(1))
	effects := m.Step(at(1), watched(put(keyOfLock(0xa, 2)), deleted("/l/a", 3)))
	for _, e := range all(at(1), effects) {
		require.NotNil(t, e.attempt)
	}
	assert.Equal(t, []string{"put", "queued", "acquired", "deleted", "released"}, whats(effects))
	queued := flat(at(1), effects[1]).attempt
	assert.False(t, queued.Holds(), "an effect holds the attempt as it was then")
	assert.Equal(t, queued.SpanKey("x"), effects[0].(*key.Put).Attempt.SpanKey("x"), "the key belongs to it")
}

func TestCovering(t *testing.T) {
	p := Prefixes{Watch: []string{"/b/c", "/a", "/b"}, Locks: []string{"/a", "/a/locks", "/c"}}
	assert.Equal(t, []string{"/a", "/b", "/c"}, p.Covering())
	assert.Empty(t, Prefixes{}.Covering())
	assert.Equal(t, Prefixes{Watch: []string{"/a"}, Locks: []string{"/a/locks", "/a"}}, p.under("/a"))
}

// What a restored backup brings back was there before, unless the key is known to be
// new; of those that are not known, the old ones may have been.
func TestAKeyThatARestoredBackupChangesWasThereBefore(t *testing.T) {
	created := func(m *Machine, o Observation) map[string]bool {
		puts := map[string]bool{}
		for _, effect := range m.Step(at(9), o) {
			if p, is := effect.(*key.Put); is {
				puts[p.Key.Name] = p.Created
			}
		}
		return puts
	}
	kept, came, again := keyAt("/d/kept", 2, 2, 1), keyAt("/d/came", 12, 12, 1), keyAt("/d/again", 7, 7, 1)
	restored := list(12, kept, came, again)
	restored.Restored = true

	m := NewMachine(everything, Limits{100, 100}, true)
	m.Step(at(1), list(10, keyAt("/d/kept", 2, 9, 4), keyAt("/d/again", 3, 3, 1)))
	assert.Equal(t, map[string]bool{"/d/kept": false, "/d/came": true, "/d/again": true}, created(m, restored))
	assert.Equal(t, 1, m.Restores(prefix))
	saved, _ := m.Save(prefix)

	m = NewMachine(everything, Limits{100, 100}, true)
	restored.Saved = &saved
	restored.Saved.Revision = 10
	assert.Equal(t, map[string]bool{"/d/kept": false, "/d/came": true, "/d/again": false}, created(m, restored), "names are not saved")
	assert.Equal(t, 2, m.Restores(prefix))
}
