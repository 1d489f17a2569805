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

// kv is what is stored. Keys are written as in free(1, 4, 2): created at index
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

// look is an observation of keys, and the sessions that live then.
type look struct {
	snapshot.Observation[string, Key]
	sessions Sessions
}

// at is an observation at an index, after which no session is known to live.
func (k keys) at(index uint64) look {
	return look{Observation: snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: index}, Objects: k}}
}

// alive says which sessions live, and when one last came or went.
func (l look) alive(index uint64, sessions ...string) look {
	l.sessions = Sessions{Known: true, Alive: map[string]bool{}, Index: index}
	for _, s := range sessions {
		l.sessions.Alive[s] = true
	}
	return l
}

func (l look) afterGap() look {
	l.Observation = snapshottest.AfterGap(l.Observation)
	return l
}

func (l look) rebased() look {
	l.Observation = snapshottest.Rebased(l.Observation)
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
	case Ended:
		return fmt.Sprintf("%s %s by %s after %s", e.ID.name(), e.How, e.Session, e.End.Sub(e.Start)) +
			snapshottest.Words(map[string]bool{"reconciled": e.Reconciled, "before": e.BeganBefore})
	default:
		return fmt.Sprintf("%T", e)
	}
}

func (id HoldID) name() string { return fmt.Sprintf("%s#%d.%d", id.Key, id.CreateIndex, id.LockIndex) }

// keyed steps once a second and describes every effect. Like the receiver, it
// knows sessions only if a hold ends.
func keyed(k *Keys, from int, looks ...look) (told []string) {
	for i, l := range looks {
		if !k.Ending(l.Objects) {
			l.sessions = Sessions{}
		}
		gap, effects := k.Step(snapshottest.At(from+i), l.Observation, l.sessions)
		told = append(told, snapshottest.DescribeGap(from+i, gap)...)
		for _, e := range effects {
			told = append(told, fmt.Sprintf("%d: %s", from+i, describeKey(e)))
		}
	}
	return told
}

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		saw          []look
		want         []string
		acquisitions int64
	}{
		"keys are created, updated and deleted, in their order": {
			[]look{
				keys{}.at(1), keys{"b": free(2, 2, 0), "a": free(2, 2, 0), "c": free(2, 2, 0)}.at(2),
				keys{"c": free(2, 3, 0), "b": free(2, 2, 0), "d": free(3, 3, 0)}.at(3),
			},
			[]string{"1: a created", "1: b created", "1: c created", "2: a deleted", "2: c updated", "2: d created"}, 0,
		},
		"the baseline is not news": {
			[]look{keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}.at(2), keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}.at(2)},
			nil, 0,
		},
		"a hold is told when it begins and when it ends": {
			[]look{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 3, 1).heldBy("s")}.at(3),
				keys{"a": free(1, 4, 1)}.at(4).alive(2, "s"),
			},
			[]string{"1: a#1.1 acquired by s", "3: a#1.1 released by s after 2s"}, 1,
		},
		"a key that is created by acquiring it is created and acquired": {
			[]look{keys{}.at(1), keys{"a": free(2, 2, 1).heldBy("s")}.at(2)},
			[]string{"1: a created", "1: a#2.1 acquired by s"}, 1,
		},
		"a hold of the baseline began before": {
			[]look{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(2, "s")},
			[]string{"1: a#1.1 released by s after 1s before"}, 0,
		},
		"a key that is given up as its session ends is invalidated": {
			[]look{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(4, "other")},
			[]string{"1: a#1.1 invalidated by s after 1s before"}, 0,
		},
		"a key that is given up before its session ends is released": {
			[]look{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(5)},
			[]string{"1: a#1.1 released by s after 1s before"}, 0,
		},
		"a key that is given up by a session that lives is released, at whatever index": {
			[]look{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4).alive(4, "s")},
			[]string{"1: a#1.1 released by s after 1s before"}, 0,
		},
		"a key that was acquired again since was not given up at the last end of a session": {
			[]look{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 5, 2)}.at(5).alive(5)},
			[]string{"1: a#1.1 released by s after 1s before"}, 1,
		},
		"a hold that ends with its key is deleted, whatever is known of sessions": {
			[]look{
				keys{"a": free(1, 3, 1).heldBy("s"), "b": free(1, 3, 1).heldBy("s")}.at(3), keys{"b": free(1, 3, 1).heldBy("s")}.at(4).alive(4), keys{}.at(5),
			},
			[]string{"1: a#1.1 deleted by s after 1s before", "1: a deleted", "2: b#1.1 deleted by s after 2s before", "2: b deleted"}, 0,
		},
		"how a hold ended is unknown if the sessions are": {
			[]look{keys{"a": free(1, 3, 1).heldBy("s")}.at(3), keys{"a": free(1, 4, 1)}.at(4)},
			[]string{"1: a#1.1 unknown by s after 1s before"}, 0,
		},
		"one holder follows another": {
			[]look{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 4, 2).heldBy("r")}.at(4).alive(1, "r", "s"),
				keys{"a": free(1, 5, 2)}.at(5).alive(1, "r", "s"),
			},
			[]string{
				"1: a#1.1 acquired by s", "2: a#1.1 released by s after 1s", "2: a#1.2 acquired by r", "3: a#1.2 released by r after 1s",
			}, 2,
		},
		"a holder that comes back is another hold": {
			[]look{keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 4, 2).heldBy("s")}.at(4).alive(1, "s")},
			[]string{"1: a#1.1 released by s after 1s before", "1: a#1.2 acquired by s"}, 1,
		},
		"acquisitions that were not seen are counted": {
			[]look{keys{"a": free(1, 2, 1)}.at(2), keys{"a": free(1, 20, 7)}.at(20), keys{"a": free(1, 30, 9).heldBy("s")}.at(30), keys{"b": free(31, 40, 3)}.at(40)},
			[]string{"2: a#1.9 acquired by s", "3: a#1.9 deleted by s after 1s", "3: a deleted", "3: b created"}, 11,
		},
		"to acquire and release is no update": {
			[]look{
				keys{"a": free(1, 1, 0).containing("x")}.at(1), keys{"a": free(1, 2, 1).heldBy("s").containing("x")}.at(2),
				keys{"a": free(1, 3, 1).containing("x")}.at(3).alive(1, "s"),
			},
			[]string{"1: a#1.1 acquired by s", "2: a#1.1 released by s after 1s"}, 1,
		},
		"to acquire and release with another value is an update": {
			[]look{
				keys{"a": free(1, 1, 0).containing("x")}.at(1), keys{"a": free(1, 2, 1).heldBy("s").containing("y")}.at(2),
				keys{"a": free(1, 3, 1).containing("z")}.at(3).alive(1, "s"),
			},
			[]string{"1: a updated", "1: a#1.1 acquired by s", "2: a#1.1 released by s after 1s", "2: a updated"}, 1,
		},
		"to write a key that is held is an update": {
			[]look{keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 3, 1).heldBy("s")}.at(3)},
			[]string{"1: a updated"}, 0,
		},
		"a key that is deleted and made again between two observations": {
			[]look{keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(4, 4, 0)}.at(4)},
			[]string{"1: a deleted", "1: a created"}, 0,
		},
		"a key that is deleted and made again ends its hold": {
			[]look{
				keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(4, 4, 1).heldBy("s")}.at(4).alive(1, "s"),
				keys{"a": free(5, 6, 3)}.at(6).alive(1, "s"),
			},
			[]string{
				"1: a#1.1 deleted by s after 1s before", "1: a deleted", "1: a created", "1: a#4.1 acquired by s",
				"2: a#4.1 deleted by s after 1s", "2: a deleted", "2: a created",
			}, 4,
		},
		"what comes and goes with the view is no news": {
			[]look{
				keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{}.at(2).rebased(),
				keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 5)}.at(2).rebased(), keys{"a": free(1, 3, 1), "b": free(1, 1, 5)}.at(3).alive(1, "s"),
			},
			[]string{"1: a#1.1 acquired by s", "4: a#1.1 released by s after 1s before"}, 1,
		},
		"what changes as the view does is news": {
			[]look{keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2).rebased()},
			[]string{"1: a#1.1 acquired by s"}, 1,
		},
		"what a gap hid is reconciled": {
			[]look{
				keys{"a": free(1, 1, 0), "b": free(1, 1, 0), "c": free(1, 1, 0)}.at(1), keys{"a": free(1, 4, 1).heldBy("s"), "b": free(1, 4, 0), "d": free(3, 3, 0)}.at(4).afterGap(),
				keys{"a": free(1, 5, 1), "b": free(1, 4, 0), "d": free(3, 3, 0)}.at(5).alive(1, "s"),
			},
			[]string{
				"1: gap 1-4", "1: a#1.1 acquired by s reconciled", "1: b updated reconciled", "1: c deleted reconciled", "1: d created reconciled",
				"2: a#1.1 released by s after 1s reconciled",
			}, 1,
		},
		"an end that a gap hid is reconciled": {
			[]look{keys{"a": free(1, 1, 0)}.at(1), keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 4, 1)}.at(5).afterGap().alive(4)},
			[]string{"1: a#1.1 acquired by s", "2: gap 2-5", "2: a#1.1 invalidated by s after 1s reconciled"}, 1,
		},
		"nothing was hid when the index is the same": {
			[]look{keys{"a": free(1, 2, 1).heldBy("s")}.at(2), keys{"a": free(1, 2, 1).heldBy("s")}.at(2).afterGap()},
			nil, 0,
		},
		"Consul went back to a snapshot": {
			[]look{keys{"a": free(1, 9, 3).heldBy("s")}.at(9), keys{"a": free(1, 4, 1)}.at(4).afterGap().alive(1)},
			[]string{"1: gap 9-4", "1: a#1.3 released by s after 1s before reconciled"}, 0,
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
	k.Step(snapshottest.At(0), keys{"a": free(1, 1, 0)}.at(1).Observation, Sessions{})
	_, effects := k.Step(snapshottest.At(1), keys{"a": free(4, 5, 0)}.at(5).Observation, Sessions{})
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

func TestSessionsAreNeededWhenAHoldEndsButItsKeyStays(t *testing.T) {
	held := keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 1, 0)}
	for name, tc := range map[string]struct {
		next keys
		want bool
	}{
		"nothing changes":        {held, false},
		"it is written":          {keys{"a": free(1, 3, 1).heldBy("s"), "b": free(1, 1, 0)}, false},
		"another key is taken":   {keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 3, 1).heldBy("s")}, false},
		"it is deleted":          {keys{"b": free(1, 1, 0)}, false},
		"it is given up":         {keys{"a": free(1, 3, 1)}, true},
		"another one holds it":   {keys{"a": free(1, 4, 2).heldBy("r")}, true},
		"the holder comes back":  {keys{"a": free(1, 4, 2).heldBy("s")}, true},
		"it was given up, twice": {keys{"a": free(1, 5, 2)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			assert.False(t, k.Ending(tc.next), "nothing is held yet")
			keyed(&k, 0, held.at(2))
			assert.Equal(t, tc.want, k.Ending(tc.next))
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
		before, after []look // of which the second begins after 10s
		want          []string
		acquisitions  int64
	}{
		"a hold goes on with its true start": {
			[]look{start, held.at(2)},
			[]look{held.at(2), keys{"a": free(1, 3, 1), "b": free(1, 1, 0)}.at(3).alive(1, "s")},
			[]string{"11: a#1.1 released by s after 10s"}, 0,
		},
		"a hold that goes on behind a gap keeps its true start": {
			[]look{start, held.at(2)},
			[]look{held.at(9), keys{"a": free(1, 10, 1), "b": free(1, 1, 0)}.at(10).alive(10)},
			[]string{"10: gap 2-9", "11: a#1.1 invalidated by s after 10s"}, 0,
		},
		"a hold goes on, and whether its key was written is not known": {
			[]look{start, held.at(2)},
			[]look{keys{"a": free(1, 8, 1).heldBy("s").containing("x")}.at(9), keys{"a": free(1, 10, 1).heldBy("s").containing("y")}.at(10)},
			[]string{"10: gap 2-9", "11: a updated"}, 0,
		},
		"a hold that ended while away is reconciled": {
			[]look{start, held.at(2)},
			[]look{keys{"a": free(1, 8, 1).containing("x"), "b": free(1, 1, 0)}.at(9).alive(8)},
			[]string{"10: gap 2-9", "10: a#1.1 invalidated by s after 9s reconciled"}, 0,
		},
		"another one held it while away": {
			[]look{start, held.at(2)},
			[]look{keys{"a": free(1, 8, 3), "b": free(1, 1, 0)}.at(9).alive(1, "s")},
			[]string{"10: gap 2-9", "10: a#1.1 released by s after 9s reconciled"}, 2,
		},
		"another one holds it since": {
			[]look{start, held.at(2)},
			[]look{keys{"a": free(1, 8, 2).heldBy("r"), "b": free(1, 1, 0)}.at(9).alive(1, "s", "r")},
			[]string{"10: gap 2-9", "10: a#1.1 released by s after 9s reconciled", "10: a#1.2 acquired by r reconciled"}, 1,
		},
		"a key that vanished while away": {
			[]look{start, held.at(2)},
			[]look{keys{"b": free(1, 1, 0)}.at(9)},
			[]string{"10: gap 2-9", "10: a#1.1 deleted by s after 9s reconciled", "10: a deleted reconciled"}, 0,
		},
		"a key that was made again while away": {
			[]look{start, held.at(2)},
			[]look{keys{"a": free(7, 8, 1).heldBy("s")}.at(9)},
			[]string{
				"10: gap 2-9", "10: a#1.1 deleted by s after 9s reconciled", "10: a deleted reconciled", "10: a created reconciled", "10: a#7.1 acquired by s reconciled",
			}, 1,
		},
		"a hold that was not saved began before": {
			[]look{start, held.at(2)},
			[]look{keys{"a": free(1, 2, 1).heldBy("s"), "b": free(1, 8, 4).heldBy("r")}.at(9), keys{}.at(10)},
			[]string{
				"10: gap 2-9",
				"11: a#1.1 deleted by s after 10s", "11: a deleted", "11: b#1.4 deleted by r after 1s before reconciled", "11: b deleted",
			}, 0,
		},
		"a hold that began before goes on as such": {
			[]look{held.at(2)},
			[]look{held.at(2), keys{"a": free(1, 3, 1), "b": free(1, 1, 0)}.at(3)},
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

// store is a Consul with keys and sessions, as far as they matter here.
type store struct {
	index        uint64
	sessionIndex uint64
	keys         keys
	alive        map[string]bool
	acquired     int64  // in all
	ended        []Hold // since the last observation
}

func (s *store) end(name string, how End) {
	if key := s.keys[name]; key.Session != "" {
		s.ended = append(s.ended, Hold{ID: holdID(name, key), Session: key.Session, How: how})
	}
}

// act does something to a key, or to a session, if it is possible.
func (s *store) act(what, which byte) {
	name, session := []string{"a", "b", "c"}[which%3], []string{"q", "r", "s"}[which/3]
	key, there := s.keys[name]
	s.index++
	switch {
	case what == 0 && key.Session == "": // The session acquires the key, which may create both.
		if !s.alive[session] {
			s.alive[session], s.sessionIndex = true, s.index
			s.index++
		}
		if !there {
			key.CreateIndex = s.index
		}
		key.Session, key.ModifyIndex = session, s.index
		key.LockIndex++
		s.keys[name] = key
		s.acquired++
	case what == 1 && key.Session != "": // It is released.
		s.end(name, Released)
		key.Session, key.ModifyIndex = "", s.index
		s.keys[name] = key
	case what == 2: // It is deleted.
		s.end(name, Deleted)
		delete(s.keys, name)
	case what == 3: // It is written.
		if !there {
			key.CreateIndex = s.index
		}
		key.ModifyIndex = s.index
		s.keys[name] = key
	case what >= 4 && s.alive[session]: // The session ends, by which its keys are released or deleted.
		delete(s.alive, session)
		s.sessionIndex = s.index
		for name, key := range s.keys {
			if key.Session != session {
				continue
			}
			if what == 5 {
				s.end(name, Deleted)
				delete(s.keys, name)
				continue
			}
			s.end(name, Invalidated)
			key.Session, key.ModifyIndex = "", s.index
			s.keys[name] = key
		}
	}
}

// holding is what a listener knows, who hears nothing but effects.
type holding struct {
	open map[HoldID]Hold
	over map[HoldID]bool
}

// hear takes in the effects of a step. Silent says that some holds may have
// begun or ended unsaid, which ends with k.
func (h *holding) hear(t *testing.T, effects []Effect, k *Keys, silent bool) (ended []Hold) {
	for _, e := range effects {
		switch e := e.(type) {
		case Acquired:
			if _, open := h.open[e.ID]; open || h.over[e.ID] {
				t.Fatalf("%v began twice", e.Hold)
			}
			for other := range h.open {
				if other.Key == e.ID.Key {
					t.Fatalf("%v began during %v", e.ID, other)
				}
			}
			h.open[e.ID] = e.Hold
		case Ended:
			begun, open := h.open[e.ID]
			if h.over[e.ID] || !open && !silent {
				t.Fatalf("%v ended without being open", e.Hold)
			}
			asBegun := !open || begun.Session == e.Session && begun.Start.Equal(e.Start) && begun.BeganBefore == e.BeganBefore
			if !asBegun || e.How == "" || e.End.Before(e.Start) {
				t.Fatalf("%v ended as %v", begun, e.Hold)
			}
			delete(h.open, e.ID)
			h.over[e.ID] = true
			ended = append(ended, Hold{ID: e.ID, Session: e.Session, How: e.How})
		}
	}
	now := map[HoldID]Hold{}
	for _, hold := range k.Save().Holds {
		now[hold.ID] = hold
	}
	if !silent {
		assert.Equal(t, now, h.open, "what lasts was told")
	}
	h.open = now
	return ended
}

// Each byte does something, by its three lowest bits, to one of three keys or
// sessions, by the next three; the two highest tell what follows: an
// observation, nothing yet, one after a gap, or one that is in turn made after
// a restart and by another view.
func FuzzEveryHoldEndsOnce(f *testing.F) {
	f.Add(false, []byte{0x00, 0x01, 0x18, 0x03, 0x01})             // held and released, and held by another one
	f.Add(true, []byte{0x00, 0x08, 0x18, 0x02})                    // deleted
	f.Add(false, []byte{0x00, 0x08, 0x18, 0x04, 0x18, 0x1c, 0x1d}) // the session ends
	f.Add(true, []byte{0x00, 0x08, 0x05})                          // and its keys with it
	f.Add(false, []byte{0x00, 0x41, 0x04})                         // released before the session ends
	f.Add(false, []byte{0x03, 0x40, 0x41, 0x18, 0x41, 0x00, 0x81}) // acquisitions that are not seen
	f.Add(true, []byte{0x00, 0x08, 0xc3, 0xc3, 0x41, 0xd8, 0x04})  // a restart in the middle
	f.Add(false, []byte{0x00, 0xc3, 0x08, 0x42, 0xd0, 0x09, 0x11}) // keys that come and go with the view
	f.Add(false, []byte{0x40, 0x00, 0x42, 0x00, 0x42, 0x40, 0x81}) // deleted and made again
	f.Fuzz(func(t *testing.T, initial bool, script []byte) {
		k := &Keys{EmitInitial: initial}
		consul := store{index: 1, keys: keys{}, alive: map[string]bool{}}
		listener := holding{open: map[HoldID]Hold{}, over: map[HoldID]bool{}}
		step := func(seen snapshot.Continuity, silent bool) []Hold {
			seen.Index = consul.index
			o := snapshot.Observation[string, Key]{Continuity: seen, Objects: maps.Clone(consul.keys)}
			now, sessions := snapshottest.At(int(consul.index)), Sessions{}
			if k.Ending(o.Objects) {
				sessions = Sessions{Known: true, Alive: consul.alive, Index: consul.sessionIndex}
			}
			_, effects := k.Step(now, o, sessions)
			ended := listener.hear(t, effects, k, silent)
			held := 0
			for name, key := range consul.keys {
				if key.Session == "" {
					continue
				}
				held++
				if hold := listener.open[holdID(name, key)]; hold.Session != key.Session {
					t.Fatalf("%s is held by %s, not as in %v", name, key.Session, hold)
				}
			}
			if keys, holds := k.Count(); keys != len(consul.keys) || holds != held {
				t.Fatalf("%d keys and %d holds, want %d and %d", keys, holds, len(consul.keys), held)
			}
			if k.Ending(o.Objects) {
				t.Fatal("a hold ends that has ended")
			}
			for _, hold := range ended {
				if hold.How == Unknown {
					t.Fatalf("the sessions were not asked how %v ended", hold)
				}
			}
			if _, effects := k.Step(now, o, Sessions{}); len(effects) != 0 {
				t.Fatalf("the same snapshot is news: %v", effects)
			}
			return ended
		}
		step(snapshot.Continuity{}, true)
		single, restart := true, false
		for _, b := range script {
			acquired, counted := consul.acquired, k.Acquisitions()
			consul.ended = nil
			consul.act(b&7%6, b>>3&7)
			switch b >> 6 {
			case 0:
				ended := step(snapshot.Continuity{}, false)
				if single { // All that happens is seen.
					assert.ElementsMatch(t, consul.ended, ended)
					assert.Equal(t, consul.acquired-acquired, k.Acquisitions()-counted)
				}
			case 2:
				step(snapshot.Continuity{Gap: true}, false)
			case 3:
				if restart = !restart; restart {
					k = keysRestarted(t, k)
				}
				step(snapshot.Continuity{Rebased: !restart}, true)
			}
			single = b>>6 != 1
		}
		consul.index++
		consul.keys = keys{}
		step(snapshot.Continuity{}, false)
		if len(listener.open) != 0 {
			t.Fatalf("all keys are gone, and still held: %v", listener.open)
		}
	})
}

func TestChangesOfKeysAreCounted(t *testing.T) {
	var k Keys
	key := Key{CreateIndex: 1, ModifyIndex: 1}
	for i, objects := range []map[string]Key{
		{"a": key},
		{"a": {CreateIndex: 1, ModifyIndex: 2}, "b": {CreateIndex: 2, ModifyIndex: 2}},
		{"a": {CreateIndex: 3, ModifyIndex: 3}}, // deleted and made again
	} {
		k.Step(snapshottest.At(i), snapshot.Observation[string, Key]{Continuity: snapshot.Continuity{Index: uint64(i)}, Objects: objects}, Sessions{})
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
	k.Step(at, held(1, "s1"), Sessions{})
	clone, saved := k.Clone(), k.Save()
	_, effects := clone.Step(at.Add(time.Second), held(2, ""), Sessions{})
	assert.Len(t, effects, 1, "the hold ended")
	assert.Empty(t, clone.Save().Holds)
	assert.Equal(t, saved, k.Save())
	assert.Zero(t, k.Acquisitions())
	_, effects = k.Step(at.Add(2*time.Second), held(2, ""), Sessions{})
	assert.Len(t, effects, 1, "and ended here, too")
}
