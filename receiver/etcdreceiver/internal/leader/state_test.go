// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observation is what members report at one time.
type observation struct {
	members []Member
	gap     bool
}

// members report one after the other whom they follow, and in which term.
func members(leadersAndTerms ...uint64) (o observation) {
	for i := 0; i < len(leadersAndTerms); i += 2 {
		o.members = append(o.members, Member{LeaderID: leadersAndTerms[i], Term: leadersAndTerms[i+1]})
	}
	return o
}

// afterGap is an observation after one that failed.
func afterGap(o observation) observation {
	o.gap = true
	return o
}

func (l Leaderless) describe() string {
	line := fmt.Sprintf("last %x in %d from %d", l.Last, l.Term, l.Start.Unix())
	if !l.End.IsZero() {
		line += fmt.Sprintf(" to %d", l.End.Unix())
	}
	if l.BeganBefore {
		line += " before"
	}
	if l.Reconciled {
		line += " reconciled"
	}
	return line
}

func (c Change) describe() string {
	if c.Lost() {
		return "lost, " + c.Leaderless.describe()
	}
	line := fmt.Sprintf("elected %x in %d", c.Leader, c.Term)
	if c.Reconciled {
		line += " reconciled"
	}
	if c.Leaderless != nil {
		line += ", " + c.Leaderless.describe()
	}
	return line
}

// follow steps a tracker once a second and describes every change.
func follow(t *Tracker, from int, observations ...observation) (lines []string) {
	for i, o := range observations {
		if c := t.Step(time.Unix(int64(from+i), 0), o.members, o.gap); c != nil {
			lines = append(lines, fmt.Sprintf("%d: %s", from+i, c.describe()))
		}
	}
	return lines
}

func TestWhoLeads(t *testing.T) {
	for name, tc := range map[string]struct {
		observed []observation
		want     []string
		changes  int64
	}{
		"the baseline is not news": {
			observed: []observation{members(1, 2), members(1, 2)},
		},
		"a leader is lost and another one elected": {
			[]observation{members(1, 2), members(0, 2), members(0, 2), members(2, 3), members(2, 3)},
			[]string{"1: lost, last 1 in 2 from 1", "3: elected 2 in 3, last 1 in 2 from 1 to 3"}, 1,
		},
		"a leader is replaced between two observations": {
			[]observation{members(1, 2), members(2, 3)},
			[]string{"1: elected 2 in 3"}, 1,
		},
		"a leader is elected again": {
			[]observation{members(1, 2), members(1, 4), members(1, 4)},
			[]string{"1: elected 1 in 4"}, 1,
		},
		"a leader is observed before its term": {
			[]observation{members(1, 2), members(2, 2), members(2, 3), members(2, 4)},
			[]string{"1: elected 2 in 2", "3: elected 2 in 4"}, 2,
		},
		"a leader that ends a time without one is observed before its term": {
			[]observation{members(1, 2), members(0, 2), members(2, 2), members(2, 3)},
			[]string{"1: lost, last 1 in 2 from 1", "2: elected 2 in 2, last 1 in 2 from 1 to 2"}, 1,
		},
		"a leader whose term was known late is lost": {
			[]observation{members(1, 2), members(2, 2), members(2, 3), members(0, 3), members(2, 4)},
			[]string{"1: elected 2 in 2", "3: lost, last 2 in 3 from 3", "4: elected 2 in 4, last 2 in 3 from 3 to 4"}, 2,
		},
		"a member that is behind with the term": {
			observed: []observation{members(1, 3), members(1, 2), members(1, 3)},
		},
		"a baseline without a leader began before": {
			[]observation{members(0, 2), members(0, 2), members(1, 3)},
			[]string{"2: elected 1 in 3, last 0 in 2 from 0 to 2 before"}, 1,
		},
		"a leader that was lost behind a gap": {
			[]observation{members(1, 2), afterGap(members(0, 2)), members(2, 3)},
			[]string{"1: lost, last 1 in 2 from 1 reconciled", "2: elected 2 in 3, last 1 in 2 from 1 to 2 reconciled"}, 1,
		},
		"a leader that was elected behind a gap": {
			[]observation{members(1, 2), members(0, 2), afterGap(members(2, 3))},
			[]string{"1: lost, last 1 in 2 from 1", "2: elected 2 in 3 reconciled, last 1 in 2 from 1 to 2 reconciled"}, 1,
		},
		"a gap that hid nothing": {
			observed: []observation{afterGap(members(1, 2)), afterGap(members(1, 2))},
		},
		"a member is cut off": {
			observed: []observation{members(1, 2, 1, 2, 1, 2), members(1, 2, 1, 2, 0, 2), members(1, 2, 0, 2)},
		},
		"all that are left are cut off": {
			[]observation{members(1, 2, 1, 2), members(0, 2)},
			[]string{"1: lost, last 1 in 2 from 1"}, 0,
		},
		"a leader of before reports that it still leads": {
			[]observation{members(1, 2, 1, 2, 1, 2), members(1, 2, 2, 3, 2, 3), members(1, 2, 0, 3)},
			[]string{"1: elected 2 in 3", "2: lost, last 2 in 3 from 2"}, 1,
		},
		"a leader is followed before its term is known": {
			[]observation{members(1, 2, 1, 2, 1, 2), members(1, 2, 2, 2), members(1, 2, 2, 2, 2, 2)},
			[]string{"2: elected 2 in 2"}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tracker Tracker
			assert.Equal(t, tc.want, follow(&tracker, 0, tc.observed...))
			assert.Equal(t, tc.changes, tracker.Changes())
		})
	}
}

func TestHasLeader(t *testing.T) {
	for name, tc := range map[string]struct {
		observed   observation
		has, known bool
	}{
		"nobody answers":  {members(), false, false},
		"nobody leads":    {members(0, 2, 0, 2), false, true},
		"one is cut off":  {members(0, 2, 1, 2), true, true},
		"one was leading": {members(0, 3, 1, 2), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			has, known := HasLeader(tc.observed.members)
			assert.Equal(t, tc.has, has)
			assert.Equal(t, tc.known, known)
		})
	}
}

// stored is what comes back from the storage.
func stored(t *testing.T, saved *Leaderless) (loaded *Leaderless) {
	t.Helper()
	encoded, err := json.Marshal(saved)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &loaded))
	return loaded
}

func TestTheLeaderAfterARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after []observation
		want          []string
	}{
		"nothing to go on from is a baseline": {nil, []observation{members(1, 2)}, nil},
		"who led is not remembered":           {[]observation{members(1, 2)}, []observation{members(2, 3)}, nil},
		"a time without a leader goes on with its true start": {
			[]observation{members(1, 2), members(0, 2)}, []observation{members(0, 2), members(2, 3)},
			[]string{"11: elected 2 in 3, last 1 in 2 from 1 to 11"},
		},
		"one that ended meanwhile is reconciled": {
			[]observation{members(0, 2)}, []observation{members(2, 3)},
			[]string{"10: elected 2 in 3 reconciled, last 0 in 2 from 0 to 10 before reconciled"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after Tracker
			follow(&before, 0, tc.before...)
			saved := stored(t, before.Save())
			after.Restore(saved)
			assert.Equal(t, saved, stored(t, after.Save()), "it is kept until something is observed")
			assert.Equal(t, tc.want, follow(&after, 10, tc.after...))
		})
	}
}

// Whatever is observed: times without a leader begin and end in turns, and all elections
// are counted.
func FuzzTheLeaderIsFollowed(f *testing.F) {
	f.Add([]byte("\x01\x11\x21\x00\x31\x41"))
	f.Add([]byte("\x00\x01\x82\x03\xff\x10\x20"))
	f.Fuzz(func(t *testing.T, script []byte) {
		var tracker Tracker
		lost := false
		var elections int64
		for i, step := range script {
			o := observation{gap: step&0x80 != 0}
			for range step&3 + 1 {
				o.members = append(o.members, Member{LeaderID: uint64(step >> 2 & 3), Term: uint64(step >> 4 & 7)})
			}
			switch c := tracker.Step(time.Unix(int64(i), 0), o.members, o.gap); {
			case c == nil:
			case c.Lost() && (lost || c.Leaderless == nil):
				t.Fatal("lost twice, or without a time that began")
			case c.Lost():
				lost = true
			case lost && c.Leaderless == nil, c.Leaderless != nil && c.Leaderless.End.Before(c.Leaderless.Start):
				t.Fatal("a time without a leader does not end")
			default:
				lost = false
				elections++
			}
			if tracker.Changes() != elections {
				t.Fatal("elections are not counted")
			}
			if step == 0xff {
				saved := stored(t, tracker.Save())
				tracker, elections = Tracker{}, 0
				tracker.Restore(saved)
			}
		}
	})
}
