// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package state holds what the receiver knows of the cluster. It does no I/O and reads
// no clock.
package state

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Peer is a member as the list of members has it.
type Peer struct {
	Name    string // empty until it has started once
	Learner bool
}

// AlarmType is what an alarm is about.
type AlarmType string

// The alarms that there are. While there is one of NoSpace, etcd takes no writes.
const (
	NoSpace      AlarmType = "nospace"
	Corrupt      AlarmType = "corrupt"
	UnknownAlarm AlarmType = "unknown"
)

// Alarm is one that is raised.
type Alarm struct {
	Member uint64 // ID of the member that raised it
	Type   AlarmType
}

func (a Alarm) compare(b Alarm) int {
	return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Type, b.Type))
}

// ClusterObservation is what was seen of a cluster at one time.
type ClusterObservation struct {
	Members []Member // those that answered
	Gap     bool     // the observation before failed: no member answered

	Peers   Seen[map[uint64]Peer]
	Alarms  Seen[map[Alarm]struct{}]
	Compact Seen[int64] // the oldest revision that can be read
}

// Cluster follows the members of a cluster, and what they agree on: who leads
// them, who they are, their alarms, and how much history they keep. Its zero
// value knows nothing yet.
type Cluster struct {
	id    uint64 // 0: nothing was observed yet
	saved ClusterState

	leader    leadership
	history   history
	peers     roster[uint64, Peer]
	alarms    roster[Alarm, struct{}]
	compacted int64 // the oldest revision that can be read; 0: not known
}

// ID returns the ID of the cluster; 0 before the first observation.
func (c *Cluster) ID() uint64 { return c.id }

// LeaderChanges returns how often a leader was elected since the first
// observation.
func (c *Cluster) LeaderChanges() int64 { return c.leader.changes }

// Revisions returns how many revisions were made since the first observation.
func (c *Cluster) Revisions() int64 { return c.history.made }

// Of returns those of the members that are of the cluster.
func (c *Cluster) Of(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Cluster != c.id })
}

// Step takes in the next observation, made at now, and returns its effects. The
// first one of each part is a baseline, not news. Where no member answered,
// nothing is known.
func (c *Cluster) Step(now time.Time, o ClusterObservation) []ClusterEffect {
	members := c.Of(o.Members)
	if len(members) == 0 {
		if len(o.Members) == 0 {
			return nil
		}
		c.begin(o.Members[0].Cluster)
		members = c.Of(o.Members)
	}
	led := ledBy(members, c.leader.led.Leader)
	effects := c.leader.step(now, led, o.Gap)
	c.history.step(members, led)
	return slices.Concat(effects, c.stepPeers(now, o.Peers), c.stepAlarms(now, o.Alarms), c.stepCompact(now, o.Compact))
}

// begin forgets what was known, and goes on from what was saved of the cluster.
func (c *Cluster) begin(id uint64) {
	saved := c.saved
	*c = Cluster{id: id}
	if saved.Cluster != id {
		return
	}
	c.leader.open, c.compacted = saved.Leaderless, saved.Compacted
	if saved.Peers != nil {
		c.peers.restore(saved.Peers)
	}
	if saved.Alarms != nil {
		raised := make(map[Alarm]struct{}, len(saved.Alarms))
		for _, a := range saved.Alarms {
			raised[a] = struct{}{}
		}
		c.alarms.restore(raised)
	}
}

func (c *Cluster) stepPeers(now time.Time, seen Seen[map[uint64]Peer]) (effects []ClusterEffect) {
	changes, reconciled := c.peers.step(seen, cmp.Compare[uint64])
	for _, change := range changes {
		m := Membership{ID: change.Key, Peer: change.Next, At: now, Reconciled: reconciled}
		switch {
		case change.Removed:
			m.Peer = change.Prev
			effects = append(effects, MemberRemoved{m})
		case change.Added:
			effects = append(effects, MemberAdded{m})
		case change.Prev.Learner && !change.Next.Learner: // else its name became known
			effects = append(effects, MemberPromoted{m})
		}
	}
	return effects
}

func (c *Cluster) stepAlarms(now time.Time, seen Seen[map[Alarm]struct{}]) (effects []ClusterEffect) {
	changes, reconciled := c.alarms.step(seen, Alarm.compare)
	for _, change := range changes {
		a := Alarmed{Alarm: change.Key, At: now, Reconciled: reconciled}
		if change.Added {
			effects = append(effects, AlarmRaised{a})
		} else {
			effects = append(effects, AlarmCleared{a})
		}
	}
	return effects
}

// stepCompact takes in the oldest revision. It goes back with a restored backup
// only, which is no compaction.
func (c *Cluster) stepCompact(now time.Time, seen Seen[int64]) (effects []ClusterEffect) {
	if !seen.Known {
		return nil
	}
	if c.compacted != 0 && seen.Value > c.compacted {
		effects = append(effects, Compacted{Revision: seen.Value, At: now})
	}
	c.compacted = seen.Value
	return effects
}

// ClusterState is what of a Cluster survives a restart.
type ClusterState struct {
	Cluster    uint64          // ID of the cluster that it is of
	Leaderless *Leaderless     // that lasts, or nil
	Peers      map[uint64]Peer // nil: not known
	Alarms     []Alarm         // sorted; nil: not known
	Compacted  int64           // 0: not known
}

// Save returns what has to survive a restart.
func (c *Cluster) Save() ClusterState {
	if c.id == 0 {
		return c.saved
	}
	s := ClusterState{Cluster: c.id, Leaderless: c.leader.open, Compacted: c.compacted}
	if c.peers.begun {
		s.Peers = maps.Clone(c.peers.known)
	}
	if c.alarms.begun {
		s.Alarms = append([]Alarm{}, slices.SortedFunc(maps.Keys(c.alarms.known), Alarm.compare)...)
	}
	return s
}

// Restore goes on from what an earlier process saved, before the first Step. It
// counts only if the first Step is of the same cluster.
func (c *Cluster) Restore(s ClusterState) { c.saved = s }
