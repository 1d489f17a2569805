// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type peers map[uint64]Peer

// list is a list of members, that was read after a failure if gap is set.
type list struct {
	peers
	gap bool
}

func (c Change) describe() string {
	line := map[Kind]string{Added: "added", Promoted: "promoted", Removed: "removed"}[c.Kind] + fmt.Sprintf(" %x %q", c.ID, c.Name)
	if c.Learner {
		line += " learner"
	}
	if c.Reconciled {
		line += " reconciled"
	}
	return line
}

// follow steps a tracker once a second and describes every change.
func follow(t *Tracker, from int, lists ...list) (lines []string) {
	for i, l := range lists {
		for _, c := range t.Step(time.Unix(int64(from+i), 0), l.peers, l.gap) {
			lines = append(lines, fmt.Sprintf("%d: %s", from+i, c.describe()))
		}
	}
	return lines
}

func TestMembership(t *testing.T) {
	a, b, learner := Peer{Name: "a"}, Peer{Name: "b"}, Peer{Learner: true}
	for name, tc := range map[string]struct {
		lists []list
		want  []string
	}{
		"the baseline is not news":               {[]list{{peers: peers{1: a}}}, nil},
		"a baseline after a failure is not news": {[]list{{peers{1: a}, true}}, nil},
		"members come, are promoted and go": {
			[]list{
				{peers: peers{1: a}},
				{peers: peers{1: a, 3: learner, 2: b}},
				{peers: peers{1: a, 2: b, 3: {Name: "c", Learner: true}}},
				{peers: peers{1: a, 2: b, 3: {Name: "c"}}},
				{peers: peers{1: a}},
			},
			[]string{`1: added 2 "b"`, `1: added 3 "" learner`, `3: promoted 3 "c"`, `4: removed 2 "b"`, `4: removed 3 "c"`},
		},
		"what a failure hid has no known time": {
			[]list{{peers: peers{1: a}}, {peers{1: a, 2: b}, true}, {peers: peers{2: b}}},
			[]string{`1: added 2 "b" reconciled`, `2: removed 1 "a"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, follow(&Tracker{}, 0, tc.lists...))
		})
	}
}

// stored is what comes back from the storage.
func stored(t *testing.T, saved map[uint64]Peer) (loaded map[uint64]Peer) {
	t.Helper()
	encoded, err := json.Marshal(saved)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &loaded))
	return loaded
}

func TestMembersAfterARestart(t *testing.T) {
	a, b := Peer{Name: "a"}, Peer{Name: "b", Learner: true}
	for name, tc := range map[string]struct {
		before, after []list
		want          []string
	}{
		"nothing to go on from is a baseline": {nil, []list{{peers: peers{1: a}}}, nil},
		"what changed meanwhile is reconciled": {
			[]list{{peers: peers{1: a, 1 << 63: b}}}, []list{{peers: peers{1: a, 2: b}}, {peers: peers{1: a}}},
			[]string{`10: added 2 "b" learner reconciled`, `10: removed 8000000000000000 "b" learner reconciled`, `11: removed 2 "b" learner`},
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

// Whatever is observed: the changes add up to what was last observed.
func FuzzMembersAreFollowed(f *testing.F) {
	f.Add([]byte("\x01\x11\x21\x00\x31\x41"))
	f.Add([]byte("\x00\x01\x82\x03\xff\x10\x20"))
	f.Fuzz(func(t *testing.T, script []byte) {
		var tracker Tracker
		known := map[uint64]bool{}
		for i, step := range script {
			listed := peers{}
			for id := range uint64(step & 7) {
				listed[id] = Peer{Learner: step&8 != 0}
			}
			changes := tracker.Step(time.Unix(int64(i), 0), listed, step&0x80 != 0)
			if i == 0 {
				for id := range listed {
					known[id] = true
				}
			}
			for _, c := range changes {
				if known[c.ID] != (c.Kind != Added) {
					t.Fatalf("%s, though it is known: %t", c.describe(), known[c.ID])
				}
				if known[c.ID] = true; c.Kind == Removed {
					delete(known, c.ID)
				}
			}
			if len(known) != len(listed) {
				t.Fatal("the changes do not add up")
			}
			if step == 0xff {
				saved := stored(t, tracker.Save())
				tracker = Tracker{}
				tracker.Restore(saved)
			}
		}
	})
}
