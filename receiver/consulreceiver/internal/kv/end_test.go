// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

// A deletion proves that a hold ended with its session only if it is that of its key.
func TestADeletionProvesAnEndOnlyIfItIsThatOfTheKey(t *testing.T) {
	for name, tc := range map[string]struct {
		deletedAt uint64
		others    []string // keys
		newest    uint64
		want      End
	}{
		"between two observations":               {9, []string{"locks/y"}, 7, Invalidated},
		"before the last observation":            {7, nil, 0, Unknown},
		"after the observation":                  {12, nil, 0, Unknown}, // of another key: Consul remembers no deletion of this one
		"while another key begins with its name": {9, []string{"locks/x0"}, 7, Unknown},
		"at the index of a key that is there":    {9, []string{"locks/y"}, 9, Unknown}, // of that key: Consul remembers no deletion of this one
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			before, after := keys{"locks/x": free(1, 3, 1).heldBy("s")}, keys{}
			for _, other := range tc.others {
				before[other], after[other] = free(1, 1, 0), free(1, 1, 0)
			}
			k.Step(snapshottest.At(0), before.at(8).Observation, Evidence{})
			_, effects := k.Step(snapshottest.At(1), after.at(10).Observation, Evidence{
				Sessions:  map[string]SessionState{"s": {Index: tc.deletedAt}},
				DeletedAt: map[string]uint64{"locks/x": tc.deletedAt},
				Newest:    tc.newest,
			})
			assert.Equal(t, tc.want, effects[0].(Ended).How)
		})
	}
}

// Consul remembers the deletion of locks/b only: the index of locks/a is that of locks/b.
func TestADeletionIsOfTheKeysOfOneSession(t *testing.T) {
	for other, want := range map[string]End{"s": Invalidated, "r": Unknown} {
		var k Keys
		before := keys{"locks/a": free(1, 3, 1).heldBy("s"), "locks/b": free(1, 4, 1).heldBy(other)}
		k.Step(snapshottest.At(0), before.at(8).Observation, Evidence{})
		_, effects := k.Step(snapshottest.At(1), keys{}.at(10).Observation, Evidence{
			Sessions:  map[string]SessionState{"s": {Index: 9}, "r": {Index: 9}},
			DeletedAt: map[string]uint64{"locks/a": 9, "locks/b": 9},
		})
		assert.Equal(t, want, effects[0].(Ended).How, other)
	}
}

// The lists of sessions before and after a key was given up prove that its holder outlived
// it, if nothing unobserved can have happened to other sessions.
func TestListsOfSessionsProveAReleaseOnlyIfNoOtherSessionCanHaveEnded(t *testing.T) {
	end := sessionlist.End{Lived: 6, Gone: 10, Alone: true}
	for name, tc := range map[string]struct {
		change func(*sessionlist.End)
		read   uint64 // index of the sessions when the holder was read
		others []uint64
		want   End
	}{
		"each index is explained":               {func(*sessionlist.End) {}, 10, []uint64{8}, Released},
		"the holder was read later":             {func(*sessionlist.End) {}, 15, []uint64{8}, Released},
		"it was in a list after that":           {func(e *sessionlist.End) { e.Lived, e.Gone, e.Alone = 9, 99, false }, 99, nil, Released},
		"a session was created before":          {func(e *sessionlist.End) { e.Created = []uint64{8} }, 10, nil, Released},
		"an index is not explained":             {func(*sessionlist.End) {}, 10, nil, Unknown}, // A session may have come at 8 and gone at 10.
		"another session ended, too":            {func(e *sessionlist.End) { e.Alone = false }, 10, []uint64{8}, Unknown},
		"a session was created last":            {func(e *sessionlist.End) { e.Created = []uint64{10} }, 10, []uint64{8}, Invalidated},
		"the holder was gone before the list":   {func(e *sessionlist.End) { e.Gone = 12 }, 10, []uint64{8}, Unknown}, // One that came at 10 may have gone at 12.
		"it was in no list":                     {func(e *sessionlist.End) { e.Lived = 0 }, 10, []uint64{8}, Unknown},
		"it was not in a list of before either": {func(e *sessionlist.End) { e.Gone = 8 }, 12, []uint64{8}, Unknown}, // Another held the key since.
	} {
		t.Run(name, func(t *testing.T) {
			var k Keys
			before, after := keys{"a": free(1, 7, 1).heldBy("s")}, keys{"a": free(1, 9, 1)}
			for _, index := range tc.others {
				after["b"] = free(index, index, 0)
			}
			k.Step(snapshottest.At(0), before.at(7).Observation, Evidence{})
			shown := end
			tc.change(&shown)
			evidence := Evidence{Sessions: map[string]SessionState{"s": SessionState{Index: tc.read}.endedWithin(shown)}, Created: map[uint64]bool{}}
			for _, index := range shown.Created {
				evidence.Created[index] = true
			}
			_, effects := k.Step(snapshottest.At(1), after.at(9).Observation, evidence)
			assert.Equal(t, tc.want, effects[0].(Ended).How)
		})
	}
}

// The end of a session gives up all of its keys at once.
func TestASessionThatHoldsAnotherKeyStillIsAlive(t *testing.T) {
	var k Keys
	held := free(1, 4, 1).heldBy("s")
	k.Step(snapshottest.At(0), keys{"a": held, "b": held}.at(4).Observation, Evidence{})
	_, effects := k.Step(snapshottest.At(1), keys{"a": free(1, 5, 1), "b": held}.at(5).Observation, Evidence{
		Sessions: map[string]SessionState{"s": {Index: 6}}, // It ended before it was read.
	})
	assert.Equal(t, Released, effects[0].(Ended).How)
}

// Beyond a gap, lists of sessions and keys may be of different times.
func TestListsOfSessionsProveNothingBeyondAGap(t *testing.T) {
	var k Keys
	k.Step(snapshottest.At(0), keys{"a": free(1, 7, 1).heldBy("s")}.at(7).Observation, Evidence{})
	_, effects := k.Step(snapshottest.At(1), snapshottest.AfterGap(keys{"a": free(1, 8, 1)}.at(8).Observation), Evidence{
		Sessions: map[string]SessionState{"s": {Index: 9, Lived: 8, Alone: true}},
	})
	assert.Equal(t, Unknown, effects[0].(Ended).How)
}

// A contender whose session keeps its key at its end may have left the slot before.
func TestASlotThatWasLeftBeforeTheSessionEndedWasReleased(t *testing.T) {
	for slots, want := range map[Slots]End{{Limit: 2}: Released, {Limit: 2, Holders: "s "}: Invalidated} {
		var k Keys
		coordinator := Key{Flags: semaphoreFlags, CreateIndex: 1, ModifyIndex: 3, Role: Coordinator, Slots: Slots{Limit: 2, Holders: "s "}}
		contender := Key{Flags: semaphoreFlags, CreateIndex: 2, ModifyIndex: 2, LockIndex: 1, Session: "s", Role: Holder}
		k.Step(snapshottest.At(0), keys{"sem/.lock": coordinator, "sem/s": contender}.at(3).Observation, Evidence{})
		coordinator.Slots, coordinator.ModifyIndex = slots, 4
		contender.Session, contender.ModifyIndex, contender.Role = "", 5, NoRole
		_, effects := k.Step(snapshottest.At(1), keys{"sem/.lock": coordinator, "sem/s": contender}.at(5).Observation, Evidence{
			Sessions: map[string]SessionState{"s": {Index: 5}},
		})
		ended, ok := effects[len(effects)-1].(Ended)
		assert.True(t, ok, effects)
		assert.Equal(t, want, ended.How)
	}
}
