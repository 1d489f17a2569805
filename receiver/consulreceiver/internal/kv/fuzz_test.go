// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package kv

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/internal/snapshot"
	"github.com/otelcol-infra/otelcol-infra/internal/snapshottest"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/sessionlist"
)

// reports is what a consumer knows, who gets nothing but effects.
type reports struct {
	t     *testing.T
	holds map[HoldID]Hold
	waits map[HoldID]Wait
	over  map[HoldID]bool
}

// take takes in the effects of a step, and returns the holds that ended. Silent
// says that some may have begun or ended without an effect.
func (r *reports) take(effects []Effect, k *Keys, silent bool) (over []Hold) {
	for _, e := range effects {
		switch e := e.(type) {
		case Queued:
			require.NotContains(r.t, r.waits, e.ID)
			r.waits[e.ID] = e.Wait
		case Waited:
			r.endWait(e.Wait, silent)
			require.Empty(r.t, e.How)
		case Abandoned:
			r.endWait(e.Wait, silent)
			require.NotEmpty(r.t, e.How)
		case Acquired:
			require.NotContains(r.t, r.holds, e.ID, "it began twice")
			require.NotContains(r.t, r.over, e.ID, "its ID was used before")
			for other := range r.holds {
				require.NotEqual(r.t, other.Key, e.ID.Key, "two holds of one key")
			}
			r.holds[e.ID] = e.Hold
		case Ended:
			begun, open := r.holds[e.ID]
			require.True(r.t, open || silent, "%v ended without being open", e.Hold)
			if open {
				require.Equal(r.t, []any{begun.Session, begun.Start, begun.BeganBefore}, []any{e.Session, e.Start, e.BeganBefore})
			}
			require.NotEmpty(r.t, e.How)
			require.False(r.t, e.End.Before(e.Start))
			delete(r.holds, e.ID)
			r.over[e.ID] = true
			over = append(over, e.Hold)
		}
	}
	saved := k.Save()
	holds, waits := map[HoldID]Hold{}, map[HoldID]Wait{}
	for _, hold := range saved.Holds {
		holds[hold.ID] = hold
	}
	for _, wait := range saved.Waits {
		waits[wait.ID] = wait
	}
	if !silent {
		require.Len(r.t, r.holds, len(holds), "what lasts was reported")
		require.Equal(r.t, waits, r.waits, "what lasts was reported")
	}
	r.holds, r.waits = holds, waits
	return over
}

func (r *reports) endWait(wait Wait, silent bool) {
	begun, open := r.waits[wait.ID]
	require.True(r.t, open || silent, "%v ended without being open", wait)
	if open {
		require.Equal(r.t, begun.Start, wait.Start)
	}
	delete(r.waits, wait.ID)
}

// Each two bytes do something. The first also says what follows: an observation,
// nothing yet, one after a gap, or one after a restart. The second says how much
// happens between an observation and the answers about what it ended.
func FuzzEveryHoldEndsOnceAndRightly(f *testing.F) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 17))
		script := make([]byte, 400)
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		playHistory(t, [2]string{"a", "b"}, script)
		playHistory(t, [2]string{"a", "ab"}, script) // The name of one begins with that of the other.
	})
}

// playHistory plays a history of two keys with these names. It returns how often a hold ended in each way.
func playHistory(t *testing.T, names [2]string, script []byte) map[End]int {
	k, consul := &Keys{}, newModel(names)
	r := &reports{t: t, holds: map[HoldID]Hold{}, waits: map[HoldID]Wait{}, over: map[HoldID]bool{}}
	counts := map[End]int{}
	now := 0
	lists := new(sessionlist.Lists)
	act := func(b byte) { consul.act(b&15, b>>4) }
	step := func(seen snapshot.Continuity, late []byte, silent bool) {
		now++
		seen.Index = consul.index
		o := snapshot.Observation[string, Key]{Continuity: seen, Objects: consul.snapshot()}
		held, happened, took := len(consul.holding), consul.ended, consul.took
		consul.ended, consul.took = map[string][]ended{}, 0
		needs := k.Needs(o.Objects)
		for i, b := range late {
			if act(b); i%2 == 0 {
				consul.list(lists) // The watch of sessions goes on meanwhile.
			}
		}
		evidence := consul.answer(needs)
		for i, b := range late {
			if act(b ^ 1); i%2 == 1 {
				consul.list(lists)
			}
		}
		if evidence.addEnds(lists, needs); evidence.needsList(needs) {
			for _, index := range consul.created {
				evidence.Created[index] = true
			}
			consul.list(lists)
			evidence.addEnds(lists, needs)
		}
		for _, key := range o.Objects {
			evidence.Newest = max(evidence.Newest, key.ModifyIndex)
		}
		_, effects := k.Step(snapshottest.At(now), o, evidence)
		for _, hold := range r.take(effects, k, silent) {
			requireRight(t, hold, happened[hold.ID.Key], took)
			counts[hold.How]++
		}
		keys, holds := k.Count()
		require.Equal(t, []int{len(o.Objects), held}, []int{keys, holds})
		require.Empty(t, k.Needs(o.Objects), "what ended needs nothing more")
		_, effects = k.Step(snapshottest.At(now), o, Evidence{})
		require.Empty(t, effects, "the same snapshot changes nothing")
	}
	step(snapshot.Continuity{}, nil, true)
	for len(script) >= 3 {
		what, then := script[0], script[1]
		late := script[2 : 2+min(int(then>>3&3), len(script)-2)]
		script = script[2+len(late):]
		act(what)
		if then&32 == 0 {
			consul.list(lists)
		}
		switch then & 7 {
		case 0, 1, 2, 3:
			step(snapshot.Continuity{}, late, false)
		case 4, 5:
		case 6:
			step(snapshot.Continuity{Gap: true}, late, false)
		case 7:
			saved := k.Save()
			k, lists = &Keys{}, new(sessionlist.Lists)
			k.Restore(snapshottest.Stored(t, saved))
			require.Equal(t, saved, k.Save(), "what is restored can be saved before it is observed")
			clear(r.over) // Of keys that nobody held, the LockIndex is not saved.
			step(snapshot.Continuity{}, late, true)
		}
	}
	return counts
}

// requireRight says that a hold ended as it did, or that it is not known how.
func requireRight(t *testing.T, hold Hold, happened []ended, took int) {
	t.Helper()
	if hold.How == Unknown {
		return
	}
	var truth []End // of its holds: there may have been others since
	again := false
	for _, e := range happened {
		if e.session == hold.Session {
			truth = append(truth, e.how)
			again = again || e.again
		}
	}
	switch {
	case slices.Contains(truth, hold.How):
	case hold.How == Deleted && slices.Contains(truth, Released):
		// The key was deleted behind the release, within one observation.
	case hold.How == Invalidated && len(happened) > len(truth):
		// Another session came and went behind it, within one observation.
	case hold.How == Invalidated && took > 0:
		// Another key was deleted at the end of a session, within one observation, and Consul does
		// not remember the deletion of this one, or that key's name begins with its name.
	case hold.How == Released && again:
		// Another pruned the slot, and the contender came back without one, within one observation.
	default:
		assert.Fail(t, "a wrong end", "%v, but it was %s", hold, truth)
	}
}

func TestMostEndsAreKnownIfEachChangeIsObserved(t *testing.T) {
	counts := map[End]int{}
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 18))
		script := make([]byte, 300)
		for i := range script {
			script[i] = byte(random.Uint32())
			if i%2 == 1 {
				script[i] = 0 // observed, and nothing happens until Consul answers
			}
		}
		for how, n := range playHistory(t, [2]string{"a", "b"}, script) {
			counts[how] += n
		}
	}
	t.Log(counts)
	assert.Zero(t, counts[Unknown])
	for _, how := range []End{Released, Invalidated, Deleted} {
		assert.Positive(t, counts[how], how)
	}
}
