// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/diff"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
)

// keys is what is stored. Keys are written as in free(1, 4, 2): created at index
// 1, last modified at 4, and acquired twice so far.
type keys map[string]Key

func free(created, modified, locked uint64) Key {
	return Key{CreateIndex: created, ModifyIndex: modified, LockIndex: locked}
}

func (k Key) heldBy(session string) Key {
	k.Session = session
	return k
}

func (k Key) containing(value string) Key {
	k.Value = Fingerprint{SHA256: value, Size: len(value)}
	return k
}

// sample is an observation of keys, and what Consul answers about holds that ended.
type sample struct {
	snapshot.Observation[string, Key]
	known     bool // the sessions are
	living    map[string]bool
	index     uint64 // of the last change of sessions
	created   []uint64
	deletedAt map[string]uint64
}

// at is an observation at an index, after which no session is known to live.
func (k keys) at(index uint64) sample {
	return sample{Observation: snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: index}, Objects: k}}
}

// alive says which sessions live, and when one last came or went.
func (l sample) alive(index uint64, sessions ...string) sample {
	l.known, l.index, l.living = true, index, map[string]bool{}
	for _, s := range sessions {
		l.living[s] = true
	}
	return l
}

// creating says at which indexes sessions that live were created.
func (l sample) creating(indexes ...uint64) sample {
	l.created = indexes
	return l
}

// deleting says at which index a key was deleted.
func (l sample) deleting(key string, index uint64) sample {
	l.deletedAt = maps.Clone(l.deletedAt)
	if l.deletedAt == nil {
		l.deletedAt = map[string]uint64{}
	}
	l.deletedAt[key] = index
	return l
}

// answer is the evidence that Consul gives.
func (l sample) answer(needs Needs) Evidence {
	e := Evidence{Sessions: map[string]SessionState{}, Created: map[uint64]bool{}, DeletedAt: map[string]uint64{}}
	for _, id := range needs.Sessions {
		if l.known {
			e.Sessions[id] = SessionState{Alive: l.living[id], Index: l.index}
		}
	}
	for _, index := range l.created {
		e.Created[index] = true
	}
	for _, key := range needs.Deleted {
		if index, ok := l.deletedAt[key]; ok {
			e.DeletedAt[key] = index
		}
	}
	return e
}

func (l sample) afterGap() sample {
	l.Gap = true
	return l
}

func (l sample) rebased() sample {
	l.Rebased = true
	return l
}

func describeKey(e Effect) string {
	switch e := e.(type) {
	case Changed:
		did := "updated"
		if e.Added {
			did = "created"
		} else if e.Removed {
			did = "deleted"
		}
		return e.Key + " " + did + snapshottest.Words(map[string]bool{"initial": e.Initial, "reconciled": e.Reconciled})
	case Acquired:
		return e.ID.name() + " acquired by " + e.Session +
			snapshottest.Words(map[string]bool{"initial": e.Initial, "reconciled": e.Reconciled, "before": e.BeganBefore, "(ended)": !e.End.IsZero() || e.How != ""})
	case Queued:
		return e.ID.name() + " queued by " + e.Session +
			snapshottest.Words(map[string]bool{"initial": e.Initial, "reconciled": e.Reconciled, "before": e.BeganBefore})
	case Waited:
		return fmt.Sprintf("%s waited for by %s for %s", e.ID.name(), e.Session, e.End.Sub(e.Start)) +
			snapshottest.Words(map[string]bool{"reconciled": e.EndedLate, "began late": e.Reconciled, "before": e.BeganBefore})
	case Abandoned:
		return fmt.Sprintf("%s abandoned by %s after %s, %s", e.ID.name(), e.Session, e.End.Sub(e.Start), e.How) +
			snapshottest.Words(map[string]bool{"reconciled": e.EndedLate, "began late": e.Reconciled, "before": e.BeganBefore})
	case Ended:
		return fmt.Sprintf("%s %s by %s after %s", e.ID.name(), e.How, e.Session, e.End.Sub(e.Start)) +
			snapshottest.Words(map[string]bool{"reconciled": e.EndedLate, "began late": e.Reconciled, "before": e.BeganBefore})
	default:
		return fmt.Sprintf("%T", e)
	}
}

func (id HoldID) name() string {
	name := fmt.Sprintf("%s#%d.%d", id.Key, id.CreateIndex, id.LockIndex)
	if id.Resets > 0 {
		name += fmt.Sprintf(" of %d", id.Resets)
	}
	return name
}

// keyed steps once a second and describes every effect. Like the receiver, it
// asks only for what a step needs.
func keyed(k *Keys, from int, looks ...sample) (lines []string) {
	for i, l := range looks {
		gap, effects := k.Step(snapshottest.At(from+i), l.Observation, l.answer(k.Needs(l.Objects)))
		lines = append(lines, snapshottest.DescribeGap(from+i, gap)...)
		for _, e := range effects {
			lines = append(lines, fmt.Sprintf("%d: %s", from+i, describeKey(e)))
		}
	}
	return lines
}

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		saw          []sample
		want         []string
		acquisitions int64
	}{
		"keys are created, updated and deleted, in their order": {
			[]sample{
				keys{}.at(1), keys{"b": free(2, 2, 0), "a": free(2, 2, 0), "c": free(2, 2, 0)}.at(2),
				keys{"c": free(2, 3, 0), "b": free(2, 2, 0), "d": free(3, 3, 0)}.at(3),
			},
			[]string{"1: a created", "1: b created", "1: c created", "2: a deleted", "2: c updated", "2: d created"}, 0,
		},
		"the baseline is not news": {
			[]sample{keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}.at(2), keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}.at(2)},
			nil, 0,
		},
		"a hold is reported when it begins and when it ends": {
			[]sample{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 3, 1).heldBy("s")}.at(3),
				keys{"a": free(1, 4, 1)}.at(4).alive(2, "s"),
			},
			[]string{"1: a#1.1 acquired by s", "3: a#1.1 released by s after 2s"}, 1,
		},
		"a key that is created by acquiring it is created and acquired": {
			[]sample{keys{}.at(1), keys{"a": free(2, 2, 1).heldBy("s")}.at(2)},
			[]string{"1: a created", "1: a#2.1 acquired by s"}, 1,
		},
		"a hold of the baseline began before": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(2, "s")},
			[]string{"1: a#1.1 released by s after 1s before"}, 0,
		},
		"a key that is given up as its session ends is invalidated": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(4, "other")},
			[]string{"1: a#1.1 invalidated by s after 1s before"}, 0,
		},
		"of a session that ended at once after its key was given up, the indexes do not say which was first": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(5)},
			[]string{"1: a#1.1 unknown by s after 1s before"}, 0,
		},
		"a session that ended with its key is found behind sessions that were created since": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(6, "t", "u").creating(2, 5, 6)},
			[]string{"1: a#1.1 invalidated by s after 1s before"}, 0,
		},
		"an index that nothing explains may be that of the end of the session": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(6, "u").creating(2, 6)},
			[]string{"1: a#1.1 unknown by s after 1s before"}, 0,
		},
		"a session that ended before the key was last written says nothing": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 6, 1)}.at(6).alive(5)},
			[]string{"1: a#1.1 unknown by s after 1s before"}, 0,
		},
		"a write without a session sets the LockIndex to 0, and the hold goes on": {
			[]sample{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 3, 2).heldBy("s")}.at(3), keys{"a": free(1, 4, 0).heldBy("s")}.at(4),
				keys{"a": free(1, 5, 0).heldBy("s")}.at(5), keys{"a": free(1, 6, 0)}.at(6).alive(2, "s"), keys{"a": free(1, 7, 1).heldBy("s")}.at(7),
			},
			[]string{
				"1: a#1.2 acquired by s", "2: a updated", "3: a updated", "4: a#1.2 released by s after 3s", "5: a#1.1 of 1 acquired by s",
			}, 3,
		},
		"a key that was written while it was held is invalidated with its session": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 0).heldBy("s")}.at(4), keys{"a": free(1, 5, 0)}.at(5).alive(5)},
			[]string{"1: a updated", "2: a#1.1 invalidated by s after 2s before"}, 0,
		},
		"a key without a LockIndex may have been written since it was given up": {
			[]sample{keys{"a": free(1, 3, 0).heldBy("s")}.at(3), keys{"a": free(1, 6, 0)}.at(6).alive(7, "r").creating(7)},
			[]string{"1: a#1.0 of 1 unknown by s after 1s before"}, 0,
		},
		"a key that was given up and then written": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 5, 0)}.at(5).alive(4)},
			[]string{"1: a#1.1 unknown by s after 1s before", "1: a updated"}, 0,
		},
		"holds before and after a write have different IDs": {
			[]sample{
				keys{}.at(1), keys{"a": free(2, 2, 1).heldBy("s")}.at(2), keys{"a": free(2, 3, 1)}.at(3).alive(1, "s"), keys{"a": free(2, 4, 0)}.at(4),
				keys{"a": free(2, 5, 1).heldBy("s")}.at(5),
			},
			[]string{"1: a created", "1: a#2.1 acquired by s", "2: a#2.1 released by s after 1s", "3: a updated", "4: a#2.1 of 1 acquired by s"}, 2,
		},
		"a key that is deleted with its session is invalidated": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{}.at(4).alive(4).deleting("a", 4)},
			[]string{"1: a#1.1 invalidated by s after 1s before", "1: a deleted"}, 0,
		},
		"a key that is deleted before its session ends": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{}.at(4).alive(5).deleting("a", 4)},
			[]string{"1: a#1.1 unknown by s after 1s before", "1: a deleted"}, 0,
		},
		"a key that is given up by a session that lives is released, at whatever index": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(4, "s")},
			[]string{"1: a#1.1 released by s after 1s before"}, 0,
		},
		"a key that was acquired again since was not given up at the last end of a session": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 5, 2)}.at(5).alive(5)},
			[]string{"1: a#1.1 unknown by s after 1s before"}, 1,
		},
		"a hold that ends with its key while its session lives is deleted": {
			[]sample{
				keys{"a": free(1, 3, 1).heldBy("s"), "b": free(1, 3, 1).heldBy("s")}.at(3), keys{"b": free(1, 3, 1).heldBy("s")}.at(4).alive(4, "s"),
				keys{}.at(5).alive(4, "s"),
			},
			[]string{"1: a#1.1 deleted by s after 1s before", "1: a deleted", "2: b#1.1 deleted by s after 2s before", "2: b deleted"}, 0,
		},
		"how a hold ended is unknown if the sessions are": {
			[]sample{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4)},
			[]string{"1: a#1.1 unknown by s after 1s before"}, 0,
		},
		"one holder follows another": {
			[]sample{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 4, 2).heldBy("r")}.at(4).alive(1, "r", "s"),
				keys{"a": free(1, 5, 2)}.at(5).alive(1, "r", "s"),
			},
			[]string{
				"1: a#1.1 acquired by s", "2: a#1.1 released by s after 1s", "2: a#1.2 acquired by r", "3: a#1.2 released by r after 1s",
			}, 2,
		},
		"a holder that comes back is another hold": {
			[]sample{keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 4, 2).heldBy("s")}.at(4).alive(1, "s")},
			[]string{"1: a#1.1 released by s after 1s before", "1: a#1.2 acquired by s"}, 1,
		},
		"acquisitions that were not seen are counted": {
			[]sample{keys{"a": free(1, 2, 1)}.at(2), keys{"a": free(1, 20, 7)}.at(20), keys{"a": free(1, 30, 9).heldBy("s")}.at(30), keys{"b": free(31, 40, 3)}.at(40).alive(1, "s")},
			[]string{"2: a#1.9 acquired by s", "3: a#1.9 deleted by s after 1s", "3: a deleted", "3: b created"}, 11,
		},
		"to acquire and release is no update": {
			[]sample{
				keys{"a": free(1, 1, 0).containing("x")}.at(1), keys{"a": free(1, 2, 1).heldBy("s").containing("x")}.at(2),
				keys{"a": free(1, 3, 1).containing("x")}.at(3).alive(1, "s"),
			},
			[]string{"1: a#1.1 acquired by s", "2: a#1.1 released by s after 1s"}, 1,
		},
		"to acquire and release with another value is an update": {
			[]sample{
				keys{"a": free(1, 1, 0).containing("x")}.at(1), keys{"a": free(1, 2, 1).heldBy("s").containing("y")}.at(2),
				keys{"a": free(1, 3, 1).containing("z")}.at(3).alive(1, "s"),
			},
			[]string{"1: a updated", "1: a#1.1 acquired by s", "2: a#1.1 released by s after 1s", "2: a updated"}, 1,
		},
		"to write a key that is held is an update": {
			[]sample{keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 3, 1).heldBy("s")}.at(3)},
			[]string{"1: a updated"}, 0,
		},
		"a key that is deleted and made again between two observations": {
			[]sample{keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(4, 4, 0)}.at(4)},
			[]string{"1: a deleted", "1: a created"}, 0,
		},
		"a key that is deleted and made again ends its hold": {
			[]sample{
				keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(4, 4, 1).heldBy("s")}.at(4).alive(1, "s"),
				keys{"a": free(5, 6, 3)}.at(6).alive(1, "s"),
			},
			[]string{
				"1: a#1.1 deleted by s after 1s before", "1: a deleted", "1: a created", "1: a#4.1 acquired by s",
				"2: a#4.1 deleted by s after 1s", "2: a deleted", "2: a created",
			}, 4,
		},
		"what comes and goes with the view is no news": {
			[]sample{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{}.at(2).rebased(),
				keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 5)}.at(2).rebased(), keys{"a": free(1, 3, 1), "b": free(1, 1, 5)}.at(3).alive(1, "s"),
			},
			[]string{"1: a#1.1 acquired by s", "4: a#1.1 released by s after 1s before"}, 1,
		},
		"what changes as the view does is news": {
			[]sample{keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2).rebased()},
			[]string{"1: a#1.1 acquired by s"}, 1,
		},
		"what a gap hid is reconciled": {
			[]sample{
				keys{"a": free(1, 1, 0), "b": free(1, 1, 0), "c": free(1, 1, 0)}.at(1), keys{"a": free(1, 4, 1).heldBy("s"), "b": free(1, 4, 0), "d": free(3, 3, 0)}.at(4).afterGap(),
				keys{"a": free(1, 5, 1), "b": free(1, 4, 0), "d": free(3, 3, 0)}.at(5).alive(1, "s"),
			},
			[]string{
				"1: gap 1-4", "1: a#1.1 acquired by s reconciled", "1: b updated reconciled", "1: c deleted reconciled", "1: d created reconciled",
				"2: a#1.1 released by s after 1s began late",
			}, 1,
		},
		"an end that a gap hid is reconciled": {
			[]sample{keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 4, 1)}.at(5).afterGap().alive(4)},
			[]string{"1: a#1.1 acquired by s", "2: gap 2-5", "2: a#1.1 invalidated by s after 1s reconciled"}, 1,
		},
		"nothing was hid when the index is the same": {
			[]sample{keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 2, 1).heldBy("s")}.at(2).afterGap()},
			nil, 0,
		},
		"a hold that Consul brings back is another one": {
			[]sample{
				keys{}.at(1), keys{"a": free(2, 2, 1).heldBy("s")}.at(2), keys{"a": free(2, 3, 1)}.at(3).alive(1, "s"),
				keys{"a": free(2, 2, 1).heldBy("s")}.at(2).afterGap(), keys{"a": free(2, 9, 1)}.at(9).alive(1, "s"), keys{"a": free(2, 10, 2).heldBy("s")}.at(10),
			},
			[]string{
				"1: a created", "1: a#2.1 acquired by s", "2: a#2.1 released by s after 1s",
				"3: gap 3-2", "3: a#2.1 of 1 acquired by s reconciled", "4: a#2.1 of 1 released by s after 1s began late", "5: a#2.2 of 1 acquired by s",
			}, 2,
		},
		"Consul went back to a snapshot": {
			[]sample{keys{"a": free(1, 9, 3).heldBy("s")}.at(9), keys{"a": free(1, 4, 1)}.at(4).afterGap().alive(1)},
			[]string{"1: gap 9-4", "1: a#1.3 unknown by s after 1s before reconciled"}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			assert.Equal(t, tc.want, keyed(&k, 0, tc.saw...))
			assert.Equal(t, tc.acquisitions, k.Acquisitions())
		})
	}
}

func TestAKeyThatIsMadeAgainIsAnotherOne(t *testing.T) {
	var k Keys
	k.Step(snapshottest.At(0), keys{"a": free(1, 1, 0)}.at(1).Observation, Evidence{})
	_, effects := k.Step(snapshottest.At(1), keys{"a": free(4, 5, 0)}.at(5).Observation, Evidence{})
	assert.Equal(t, []Effect{
		Changed{snapshot.Change[string, Key]{Change: diff.Change[string, Key]{Key: "a", Prev: free(1, 1, 0), Removed: true}}},
		Changed{snapshot.Change[string, Key]{Change: diff.Change[string, Key]{Key: "a", Next: free(4, 5, 0), Added: true}}},
	}, effects)
}

func TestTheBaselineOfKeysIsNewsIfItIsAskedFor(t *testing.T) {
	k := Keys{EmitInitial: true}
	assert.Equal(t, []string{
		"0: a created initial", "0: a#1.3 acquired by s before initial", "0: b created initial",
		"1: c created", "1: c#4.1 acquired by s",
	}, keyed(&k, 0,
		keys{"b": free(1, 1, 0), "a": free(1, 2, 3).heldBy("s")}.at(3),
		keys{"b": free(1, 1, 0), "a": free(1, 2, 3).heldBy("s"), "c": free(4, 4, 1).heldBy("s")}.at(4),
	))
	assert.Equal(t, int64(1), k.Acquisitions(), "what was there before did not happen")
}

func TestKeysAreCounted(t *testing.T) {
	var k Keys
	keyed(&k, 0, keys{"a": free(1, 1, 1).heldBy("s"), "b": free(1, 1, 1)}.at(1))
	keys, held := k.Count()
	assert.Equal(t, []int{2, 1}, []int{keys, held})
}

func TestNeeds(t *testing.T) {
	held := keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}
	lost := func(index uint64) Needs {
		return Needs{Sessions: []string{"s"}, Lost: map[string]uint64{"s": index}}
	}
	deleted := lost(0)
	deleted.Deleted = []string{"a"}
	for name, tc := range map[string]struct {
		next keys
		want Needs
	}{
		"nothing changes":        {held, Needs{}},
		"it is written":          {keys{"a": free(1, 3, 0).heldBy("s"), "b": free(1, 1, 0)}, Needs{}},
		"another key is taken":   {keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 3, 1).heldBy("s")}, Needs{}},
		"it is deleted":          {keys{"b": free(1, 1, 0)}, deleted},
		"it is given up":         {keys{"a": free(1, 3, 1)}, lost(3)},
		"another one holds it":   {keys{"a": free(1, 4, 2).heldBy("r")}, lost(4)},
		"the holder comes back":  {keys{"a": free(1, 4, 2).heldBy("s")}, Needs{}},
		"it was given up, twice": {keys{"a": free(1, 5, 2)}, lost(5)},
		"it was made again":      {keys{"a": free(4, 5, 0)}, lost(5)},
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			assert.Empty(t, k.Needs(tc.next), "nothing is held yet")
			keyed(&k, 0, held.at(2))
			assert.Equal(t, tc.want, k.Needs(tc.next))
		})
	}
}

func TestTheNextHoldIsKnownBeforehand(t *testing.T) {
	assert.Equal(t, HoldID{Key: "a", CreateIndex: 1, LockIndex: 4}, HoldID{Key: "a", CreateIndex: 1, LockIndex: 3}.Next())
}

// keysRestarted is what a new process makes of what the old one saved.
func keysRestarted(t *testing.T, old *Keys) *Keys {
	t.Helper()
	k := &Keys{EmitInitial: old.EmitInitial}
	saved := snapshottest.Stored(t, old.Save())
	require.Equal(t, old.Save(), saved)
	k.Restore(saved)
	require.Equal(t, saved, k.Save(), "what is restored can be saved before it is observed")
	return k
}

func TestKeysAfterARestart(t *testing.T) {
	start, held := keys{"a": free(1, 1, 0), "b": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}
	for name, tc := range map[string]struct {
		before, after []sample // of which the second begins after 10s
		want          []string
		acquisitions  int64
	}{
		"a hold goes on with its true start": {
			[]sample{start, held.at(2)},
			[]sample{held.at(2), keys{"a": free(1, 3, 1), "b": free(1, 1, 0)}.at(3).alive(1, "s")},
			[]string{"11: a#1.1 released by s after 10s"}, 0,
		},
		"a hold that goes on behind a gap keeps its true start": {
			[]sample{start, held.at(2)},
			[]sample{held.at(9), keys{"a": free(1, 10, 1), "b": free(1, 1, 0)}.at(10).alive(10)},
			[]string{"10: gap 2-9", "11: a#1.1 invalidated by s after 10s"}, 0,
		},
		"a hold goes on, and whether its key was written is not known": {
			[]sample{start, held.at(2)},
			[]sample{keys{"a": free(1, 8, 1).heldBy("s").containing("x")}.at(9), keys{"a": free(1, 10, 1).heldBy("s").containing("y")}.at(10)},
			[]string{"10: gap 2-9", "11: a updated"}, 0,
		},
		"a hold that ended while away is reconciled": {
			[]sample{start, held.at(2)},
			[]sample{keys{"a": free(1, 8, 1).containing("x"), "b": free(1, 1, 0)}.at(9).alive(8)},
			[]string{"10: gap 2-9", "10: a#1.1 invalidated by s after 9s reconciled"}, 0,
		},
		"another one held it while away": {
			[]sample{start, held.at(2)},
			[]sample{keys{"a": free(1, 8, 3), "b": free(1, 1, 0)}.at(9).alive(1, "s")},
			[]string{"10: gap 2-9", "10: a#1.1 released by s after 9s reconciled"}, 2,
		},
		"another one holds it since": {
			[]sample{start, held.at(2)},
			[]sample{keys{"a": free(1, 8, 2).heldBy("r"), "b": free(1, 1, 0)}.at(9).alive(1, "s", "r")},
			[]string{"10: gap 2-9", "10: a#1.1 released by s after 9s reconciled", "10: a#1.2 acquired by r reconciled"}, 1,
		},
		"a key that vanished while away": {
			[]sample{start, held.at(2)},
			[]sample{keys{"b": free(1, 1, 0)}.at(9).alive(1, "s")},
			[]string{"10: gap 2-9", "10: a#1.1 deleted by s after 9s reconciled", "10: a deleted reconciled"}, 0,
		},
		"a key that was made again while away": {
			[]sample{start, held.at(2)},
			[]sample{keys{"a": free(7, 8, 1).heldBy("s")}.at(9).alive(1, "s")},
			[]string{
				"10: gap 2-9", "10: a#1.1 deleted by s after 9s reconciled", "10: a deleted reconciled", "10: a created reconciled", "10: a#7.1 acquired by s reconciled",
			}, 1,
		},
		"a hold that was not saved began before": {
			[]sample{start, held.at(2)},
			[]sample{keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 8, 4).heldBy("r")}.at(9), keys{}.at(10).alive(1, "r", "s")},
			[]string{
				"10: gap 2-9",
				"11: a#1.1 deleted by s after 10s", "11: a deleted", "11: b#1.4 deleted by r after 1s before began late", "11: b deleted",
			}, 0,
		},
		"a hold that began before goes on as such": {
			[]sample{held.at(2)},
			[]sample{held.at(2), keys{"a": free(1, 3, 1), "b": free(1, 1, 0)}.at(3)},
			[]string{"11: a#1.1 unknown by s after 11s before"}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var old Keys
			keyed(&old, 0, tc.before...)
			k := keysRestarted(t, &old)
			assert.Equal(t, tc.want, keyed(k, 10, tc.after...))
			assert.Equal(t, tc.acquisitions, k.Acquisitions(), "of this process")
		})
	}
}

func TestAfterARestartOnlyKeysThatWereNotHeldAreInitial(t *testing.T) {
	old := Keys{EmitInitial: true}
	looks := keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}.at(2)
	keyed(&old, 0, looks)
	assert.Equal(t, []string{"10: b created initial"}, keyed(keysRestarted(t, &old), 10, looks))
}

func TestChangesOfKeysAreCounted(t *testing.T) {
	var k Keys
	key := Key{CreateIndex: 1, ModifyIndex: 1}
	for i, objects := range []map[string]Key{
		{"a": key},
		{"a": {CreateIndex: 1, ModifyIndex: 2}, "b": {CreateIndex: 2, ModifyIndex: 2}},
		{"a": {CreateIndex: 3, ModifyIndex: 3}}, // deleted and made again
	} {
		k.Step(snapshottest.At(i), snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: uint64(i)}, Objects: objects}, Evidence{})
	}
	assert.Equal(t, KeyChanges{Created: 2, Updated: 1, Deleted: 2}, k.Changes())
}

func TestACloneOfKeysGoesOnByItself(t *testing.T) {
	var k Keys
	at := time.Unix(1000, 0)
	held := func(index uint64, session string) snapshot.Observation[string, Key] {
		return snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: index}, Objects: map[string]Key{
			"lock": {Session: session, LockIndex: index, CreateIndex: 1, ModifyIndex: index},
		}}
	}
	k.Step(at, held(1, "s1"), Evidence{})
	clone, saved := k.Clone(), k.Save()
	_, effects := clone.Step(at.Add(time.Second), held(2, ""), Evidence{})
	assert.Len(t, effects, 1, "the hold ended")
	assert.Empty(t, clone.Save().Holds)
	assert.Equal(t, saved, k.Save())
	assert.Zero(t, k.Acquisitions())
	_, effects = k.Step(at.Add(2*time.Second), held(2, ""), Evidence{})
	assert.Len(t, effects, 1, "and ended here, too")
}
