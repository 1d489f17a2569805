// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const clusterID = 0xc

// one is what a single member says.
func one(leader, term uint64) []Member { return members(leader, term) }

// members say one after the other whom they follow, and in which term.
func members(leadersAndTerms ...uint64) (all []Member) {
	for i := 0; i < len(leadersAndTerms); i += 2 {
		all = append(all, Member{
			Cluster: clusterID, ID: uint64(i/2) + 1, LeaderID: leadersAndTerms[i], RaftTerm: leadersAndTerms[i+1], Revision: 1,
		})
	}
	return all
}

func at1(members []Member, revision int64) []Member {
	for i := range members {
		members[i].Revision = revision
	}
	return members
}

func observed(members []Member) ClusterObservation { return ClusterObservation{Members: members} }

// afterGap is an observation after one that failed.
func afterGap(o ClusterObservation) ClusterObservation {
	o.Gap, o.Peers.Gap, o.Alarms.Gap, o.Compact.Gap = true, true, true, true
	return o
}

func peers(listed map[uint64]Peer) ClusterObservation {
	o := observed(one(1, 2))
	o.Peers = Seen[map[uint64]Peer]{Value: listed, Known: true}
	return o
}

func alarms(raised ...Alarm) ClusterObservation {
	o := observed(one(1, 2))
	o.Alarms = Seen[map[Alarm]struct{}]{Value: map[Alarm]struct{}{}, Known: true}
	for _, a := range raised {
		o.Alarms.Value[a] = struct{}{}
	}
	return o
}

func compacted(revision int64) ClusterObservation {
	o := observed(one(1, 2))
	o.Compact = Seen[int64]{Value: revision, Known: true}
	return o
}

// qualities returns those of the words, each followed by whether it is so, that are so.
func qualities(said ...any) string {
	var line strings.Builder
	for i := 0; i < len(said); i += 2 {
		if said[i+1].(bool) {
			line.WriteString(" " + said[i].(string))
		}
	}
	return line.String()
}

func (l Leaderless) describe() string {
	line := fmt.Sprintf("last %x in %d from %d", l.Last, l.Term, l.Start.Unix())
	if !l.End.IsZero() {
		line += fmt.Sprintf(" to %d", l.End.Unix())
	}
	return line + qualities("before", l.BeganBefore, "reconciled", l.Reconciled)
}

func (m Membership) describe() string {
	return fmt.Sprintf("%x %q", m.ID, m.Name) + qualities("learner", m.Learner, "reconciled", m.Reconciled)
}

func (a Alarmed) describe() string {
	return fmt.Sprintf("%s of %x", a.Type, a.Member) + qualities("reconciled", a.Reconciled)
}

func describeEffect(effect ClusterEffect) string {
	switch e := effect.(type) {
	case LeaderLost:
		return "lost, " + e.describe()
	case LeaderElected:
		line := fmt.Sprintf("elected %x in %d", e.Leader, e.Term) + qualities("reconciled", e.Reconciled)
		if e.Ended != nil {
			line += ", " + e.Ended.describe()
		}
		return line
	case MemberAdded:
		return "added " + e.describe()
	case MemberRemoved:
		return "removed " + e.describe()
	case MemberPromoted:
		return "promoted " + e.describe()
	case AlarmRaised:
		return "raised " + e.describe()
	case AlarmCleared:
		return "cleared " + e.describe()
	case Compacted:
		return fmt.Sprint("compacted to ", e.Revision)
	default:
		return fmt.Sprintf("%T", e)
	}
}

// follow steps a cluster once a second and describes every effect.
func follow(c *Cluster, from int, observations ...ClusterObservation) (told []string) {
	for i, o := range observations {
		for _, e := range c.Step(at(from+i), o) {
			told = append(told, fmt.Sprintf("%d: %s", from+i, describeEffect(e)))
		}
	}
	return told
}

func TestWhoLeads(t *testing.T) {
	for name, tc := range map[string]struct {
		saw     []ClusterObservation
		want    []string
		changes int64
	}{
		"the baseline is not news": {
			saw: []ClusterObservation{observed(one(1, 2)), observed(one(1, 2))},
		},
		"a leader is lost and another one elected": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(0, 2)), observed(one(0, 2)), observed(one(2, 3)), observed(one(2, 3))},
			[]string{"1: lost, last 1 in 2 from 1", "3: elected 2 in 3, last 1 in 2 from 1 to 3"}, 1,
		},
		"a leader is replaced between two observations": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(2, 3))},
			[]string{"1: elected 2 in 3"}, 1,
		},
		"a leader is elected again": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(1, 4)), observed(one(1, 4))},
			[]string{"1: elected 1 in 4"}, 1,
		},
		"a leader is seen before its term": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(2, 2)), observed(one(2, 3)), observed(one(2, 4))},
			[]string{"1: elected 2 in 2", "3: elected 2 in 4"}, 2,
		},
		"a leader that ends a time without one is seen before its term": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(0, 2)), observed(one(2, 2)), observed(one(2, 3))},
			[]string{"1: lost, last 1 in 2 from 1", "2: elected 2 in 2, last 1 in 2 from 1 to 2"}, 1,
		},
		"a member that is behind with the term": {
			saw: []ClusterObservation{observed(one(1, 3)), observed(one(1, 2)), observed(one(1, 3))},
		},
		"a baseline without a leader began before": {
			[]ClusterObservation{observed(one(0, 2)), observed(one(0, 2)), observed(one(1, 3))},
			[]string{"2: elected 1 in 3, last 0 in 2 from 0 to 2 before"}, 1,
		},
		"a leader that was lost behind a gap": {
			[]ClusterObservation{observed(one(1, 2)), afterGap(observed(one(0, 2))), observed(one(2, 3))},
			[]string{"1: lost, last 1 in 2 from 1 reconciled", "2: elected 2 in 3, last 1 in 2 from 1 to 2 reconciled"}, 1,
		},
		"a leader that was elected behind a gap": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(0, 2)), afterGap(observed(one(2, 3)))},
			[]string{"1: lost, last 1 in 2 from 1", "2: elected 2 in 3 reconciled, last 1 in 2 from 1 to 2 reconciled"}, 1,
		},
		"a gap that hid nothing": {
			saw: []ClusterObservation{afterGap(observed(one(1, 2))), afterGap(observed(one(1, 2)))},
		},
		"no member answers": {
			saw: []ClusterObservation{{}, observed(one(1, 2)), {}, observed(one(1, 2))},
		},
		"a member is cut off": {
			saw: []ClusterObservation{observed(members(1, 2, 1, 2, 1, 2)), observed(members(1, 2, 1, 2, 0, 2)), observed(members(1, 2, 0, 2))},
		},
		"all that are left are cut off": {
			[]ClusterObservation{observed(members(1, 2, 1, 2)), observed(members(0, 2))},
			[]string{"1: lost, last 1 in 2 from 1"}, 0,
		},
		"a leader of before says that it still leads": {
			[]ClusterObservation{observed(members(1, 2, 1, 2, 1, 2)), observed(members(1, 2, 2, 3, 2, 3)), observed(members(1, 2, 0, 3))},
			[]string{"1: elected 2 in 3", "2: lost, last 2 in 3 from 2"}, 1,
		},
		"a leader is followed before its term is known": {
			[]ClusterObservation{observed(members(1, 2, 1, 2, 1, 2)), observed(members(1, 2, 2, 2)), observed(members(1, 2, 2, 2, 2, 2))},
			[]string{"2: elected 2 in 2"}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c Cluster
			assert.Equal(t, tc.want, follow(&c, 0, tc.saw...))
			assert.Equal(t, tc.changes, c.LeaderChanges())
			assert.EqualValues(t, clusterID, c.ID())
		})
	}
}

func TestHasLeader(t *testing.T) {
	for name, tc := range map[string]struct {
		members    []Member
		has, known bool
	}{
		"nobody answers":  {nil, false, false},
		"nobody leads":    {members(0, 2, 0, 2), false, true},
		"one is cut off":  {members(0, 2, 1, 2), true, true},
		"one was leading": {members(0, 3, 1, 2), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			has, known := HasLeader(tc.members)
			assert.Equal(t, tc.has, has)
			assert.Equal(t, tc.known, known)
		})
	}
	assert.True(t, Member{ID: 1, LeaderID: 1}.Leads())
	assert.False(t, Member{ID: 1, LeaderID: 2}.Leads())
}

func TestMembersAlarmsAndCompactions(t *testing.T) {
	a, b, l := Peer{Name: "a"}, Peer{Name: "b"}, Peer{Learner: true}
	full, corrupt := Alarm{1, NoSpace}, Alarm{2, Corrupt}
	for name, tc := range map[string]struct {
		saw  []ClusterObservation
		want []string
	}{
		"the baselines are not news": {
			[]ClusterObservation{peers(map[uint64]Peer{1: a}), alarms(full), compacted(7)}, nil,
		},
		"members come, are promoted and go": {
			[]ClusterObservation{
				peers(map[uint64]Peer{1: a}),
				peers(map[uint64]Peer{1: a, 3: l, 2: b}),
				peers(map[uint64]Peer{1: a, 2: b, 3: {Name: "c", Learner: true}}),
				peers(map[uint64]Peer{1: a, 2: b, 3: {Name: "c"}}),
				peers(map[uint64]Peer{1: a}),
			},
			[]string{`1: added 2 "b"`, `1: added 3 "" learner`, `3: promoted 3 "c"`, `4: removed 2 "b"`, `4: removed 3 "c"`},
		},
		"a list that could not be had says nothing": {
			[]ClusterObservation{
				peers(map[uint64]Peer{1: a}), observed(one(1, 2)), afterGap(peers(map[uint64]Peer{1: a, 2: b})), peers(map[uint64]Peer{2: b}),
			},
			[]string{`2: added 2 "b" reconciled`, `3: removed 1 "a"`},
		},
		"alarms are raised and cleared": {
			[]ClusterObservation{alarms(), alarms(corrupt, full), alarms(corrupt), observed(one(1, 2)), afterGap(alarms())},
			[]string{"1: raised nospace of 1", "1: raised corrupt of 2", "2: cleared nospace of 1", "4: cleared corrupt of 2 reconciled"},
		},
		"history is compacted": {
			[]ClusterObservation{compacted(1), compacted(1), observed(one(1, 2)), compacted(90)},
			[]string{"3: compacted to 90"},
		},
		"an older history is no compaction": {
			[]ClusterObservation{compacted(90), compacted(3), compacted(4)},
			[]string{"2: compacted to 4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c Cluster
			assert.Equal(t, tc.want, follow(&c, 0, tc.saw...))
		})
	}
}

func TestEffectsOfOneObservationAreSorted(t *testing.T) {
	var c Cluster
	before := ClusterObservation{
		Members: one(1, 2),
		Peers:   Seen[map[uint64]Peer]{Value: map[uint64]Peer{1: {}}, Known: true},
		Alarms:  Seen[map[Alarm]struct{}]{Known: true},
		Compact: Seen[int64]{Value: 1, Known: true},
	}
	after := ClusterObservation{
		Members: one(2, 3),
		Peers:   Seen[map[uint64]Peer]{Value: map[uint64]Peer{2: {}}, Known: true},
		Alarms:  Seen[map[Alarm]struct{}]{Value: map[Alarm]struct{}{{2, UnknownAlarm}: {}, {2, NoSpace}: {}}, Known: true},
		Compact: Seen[int64]{Value: 5, Known: true},
	}
	assert.Equal(t, []string{
		"1: elected 2 in 3", `1: removed 1 ""`, `1: added 2 ""`, "1: raised nospace of 2", "1: raised unknown of 2", "1: compacted to 5",
	}, follow(&c, 0, before, after))
}

func TestRevisions(t *testing.T) {
	for name, tc := range map[string]struct {
		saw  []ClusterObservation
		want int64
	}{
		"those before the first observation do not count": {
			[]ClusterObservation{observed(at1(one(1, 2), 100)), observed(at1(one(1, 2), 100))}, 0,
		},
		"they rise": {
			[]ClusterObservation{observed(at1(one(1, 2), 100)), observed(at1(one(1, 2), 107)), observed(at1(one(1, 3), 110))}, 10,
		},
		"the member that is furthest counts, also while it does not answer": {
			[]ClusterObservation{
				observed(append(at1(one(1, 2), 100), at1(one(1, 2), 95)...)), observed(at1(one(1, 2), 99)), observed(at1(one(1, 2), 103)),
			}, 3,
		},
		"a restored backup has an older history": {
			[]ClusterObservation{observed(at1(one(1, 9), 100)), observed(at1(one(1, 2), 40)), observed(at1(one(1, 2), 45))}, 5,
		},
		"a member that is cut off is no restored backup": {
			[]ClusterObservation{observed(at1(one(1, 9), 100)), observed(at1(one(0, 8), 40)), observed(at1(one(1, 9), 101))}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c Cluster
			follow(&c, 0, tc.saw...)
			assert.Equal(t, tc.want, c.Revisions())
		})
	}
}

func TestAnotherCluster(t *testing.T) {
	other := one(9, 5)
	other[0].Cluster = 0xd
	var c Cluster
	assert.Empty(t, follow(&c, 0, observed(append(one(1, 2), other...)), observed(other)))
	assert.EqualValues(t, 0xd, c.ID(), "the cluster is followed as long as a member of it answers")
	assert.Equal(t, []string{"2: elected 8 in 6"}, follow(&c, 2, observed([]Member{{Cluster: 0xd, LeaderID: 8, RaftTerm: 6}})))
	assert.Len(t, c.Of(append(one(1, 2), other...)), 1)
}

// stored is what comes back from the storage.
func stored(t *testing.T, state ClusterState) (loaded ClusterState) {
	t.Helper()
	encoded, err := json.Marshal(state)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &loaded))
	return loaded
}

func TestAClusterAfterARestart(t *testing.T) {
	a, b := Peer{Name: "a"}, Peer{Name: "b", Learner: true}
	full, corrupt := Alarm{1, NoSpace}, Alarm{1 << 63, Corrupt}
	elsewhere := func(o ClusterObservation) ClusterObservation {
		o.Members[0].Cluster = 0xd
		return o
	}
	for name, tc := range map[string]struct {
		before, after []ClusterObservation
		want          []string
	}{
		"nothing to go on from is a baseline": {
			nil, []ClusterObservation{observed(one(1, 2)), peers(map[uint64]Peer{1: a}), alarms(full), compacted(3)}, nil,
		},
		"who led is not remembered": {
			[]ClusterObservation{observed(one(1, 2))}, []ClusterObservation{observed(one(2, 3))}, nil,
		},
		"a time without a leader goes on with its true start": {
			[]ClusterObservation{observed(one(1, 2)), observed(one(0, 2))}, []ClusterObservation{observed(one(0, 2)), observed(one(2, 3))},
			[]string{"11: elected 2 in 3, last 1 in 2 from 1 to 11"},
		},
		"one that ended meanwhile is reconciled": {
			[]ClusterObservation{observed(one(0, 2))}, []ClusterObservation{observed(one(2, 3))},
			[]string{"10: elected 2 in 3 reconciled, last 0 in 2 from 0 to 10 before reconciled"},
		},
		"what changed meanwhile is reconciled": {
			[]ClusterObservation{peers(map[uint64]Peer{1: a, 1 << 63: b}), alarms(corrupt), compacted(3)},
			[]ClusterObservation{peers(map[uint64]Peer{1: a}), alarms(full), compacted(4), alarms()},
			[]string{
				`10: removed 8000000000000000 "b" learner reconciled`,
				"11: raised nospace of 1 reconciled", "11: cleared corrupt of 8000000000000000 reconciled", "12: compacted to 4",
				"13: cleared nospace of 1",
			},
		},
		"that there was no alarm is remembered": {
			[]ClusterObservation{alarms()}, []ClusterObservation{alarms(full)},
			[]string{"10: raised nospace of 1 reconciled"},
		},
		"another cluster is a baseline": {
			[]ClusterObservation{peers(map[uint64]Peer{1: a}), alarms(full), compacted(3), observed(one(0, 2))},
			[]ClusterObservation{elsewhere(peers(nil)), elsewhere(alarms()), elsewhere(compacted(4))}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after Cluster
			follow(&before, 0, tc.before...)
			saved := stored(t, before.Save())
			after.Restore(saved)
			assert.Equal(t, saved, stored(t, after.Save()), "it is kept until something is observed")
			assert.Equal(t, tc.want, follow(&after, 10, tc.after...))
		})
	}
}

// Whatever is observed: times without a leader begin and end in turns, and the
// effects add up to what was last seen.
func FuzzAClusterIsFollowed(f *testing.F) {
	f.Add([]byte("\x01\x11\x21\x00\x31\x41"))
	f.Add([]byte("\x00\x01\x82\x03\xff\x10\x20"))
	f.Fuzz(func(t *testing.T, script []byte) {
		var c Cluster
		told := map[uint64]Peer{}
		raised := map[Alarm]struct{}{}
		var begun, known bool
		lost := false
		var elections, revisions int64
		for i, step := range script {
			o := ClusterObservation{Gap: step&0x80 != 0}
			for id := uint64(1); id <= uint64(step&3); id++ {
				o.Members = append(o.Members, Member{
					Cluster: clusterID, ID: id, LeaderID: uint64(step >> 2 & 3), RaftTerm: uint64(step >> 4 & 7), Revision: int64(step),
				})
			}
			if step&4 != 0 && len(o.Members) > 0 {
				o.Peers = Seen[map[uint64]Peer]{Value: map[uint64]Peer{}, Known: true}
				o.Alarms = Seen[map[Alarm]struct{}]{Value: map[Alarm]struct{}{}, Known: true}
				for id := uint64(0); id < uint64(step>>4&7); id++ {
					o.Peers.Value[id] = Peer{Learner: step&8 != 0}
					o.Alarms.Value[Alarm{id, Corrupt}] = struct{}{}
				}
			}
			effects := c.Step(at(i), o)
			if o.Peers.Known && !known {
				told, raised, known = o.Peers.Value, o.Alarms.Value, true
			}
			for _, effect := range effects {
				switch e := effect.(type) {
				case LeaderLost:
					if lost {
						t.Fatal("lost twice")
					}
					lost = true
				case LeaderElected:
					if lost && e.Ended == nil || e.Ended != nil && e.Ended.End.Before(e.Ended.Start) {
						t.Fatal("a time without a leader does not end")
					}
					lost = false
					elections++
				case MemberAdded:
					told[e.ID] = e.Peer
				case MemberRemoved:
					delete(told, e.ID)
				case MemberPromoted:
					told[e.ID] = e.Peer
				case AlarmRaised:
					raised[e.Alarm] = struct{}{}
				case AlarmCleared:
					delete(raised, e.Alarm)
				}
			}
			if o.Peers.Known {
				for id := range told { // That a voter becomes a learner is nothing that etcd knows.
					if _, there := o.Peers.Value[id]; !there {
						t.Fatalf("%d is not there", id)
					}
				}
				if len(told) != len(o.Peers.Value) || len(raised) != len(o.Alarms.Value) {
					t.Fatal("the effects do not add up")
				}
			}
			if c.Revisions() < revisions {
				t.Fatal("revisions fell")
			}
			revisions = c.Revisions()
			begun = begun || len(o.Members) > 0
			if !begun && len(effects) > 0 {
				t.Fatal("nothing was seen, yet told")
			}
			if c.LeaderChanges() != elections {
				t.Fatal("elections are not counted")
			}
			if step == 0xff {
				var after Cluster
				after.Restore(stored(t, c.Save()))
				c, elections, revisions = after, 0, 0
			}
		}
	})
}

func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
