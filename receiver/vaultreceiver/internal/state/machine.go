// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"time"
)

// Observation is a snapshot and how it came about.
type Observation struct {
	Server Server

	// Gap says that something may have happened unseen since the last
	// observation, because polls failed in between.
	Gap bool

	// Several says that the answers are of several servers of the cluster, as
	// behind a load balancer: what they say of themselves is then no news.
	Several bool
}

// Machine follows a server from snapshot to snapshot. Its zero value knows
// nothing yet.
type Machine struct {
	begun       bool
	seen        time.Time // of the last observation; zero: by an earlier process
	unsure      bool      // something may have happened since the last snapshot
	gap         bool      // of the current step
	known       Server
	clusterID   string
	leader      string
	leaderKnown bool
	changes     int64

	sealed, leaderless *Period // nil when there is none

	raft raft
}

// Clone returns a copy that goes on by itself.
func (m *Machine) Clone() *Machine {
	c := *m
	for _, p := range []**Period{&c.sealed, &c.leaderless} {
		if *p != nil {
			open := **p
			*p = &open
		}
	}
	return &c
}

// LeaderChanges returns how often another node was seen to become active.
func (m *Machine) LeaderChanges() int64 { return m.changes }

// Step takes in the next observation, made at now, and returns its effects in
// the order of their causes. The first observation is the baseline: it opens
// periods whose start is unknown, and has no effects. So is the first one of
// another cluster.
func (m *Machine) Step(now time.Time, o Observation) []Effect {
	if m.clusterID != "" && o.Server.ClusterID != "" && o.Server.ClusterID != m.clusterID {
		*m = Machine{changes: m.changes}
	}
	if !o.Server.Initialized && !o.Several { // It is of no cluster any more, and will be of another one.
		m.clusterID, m.leader, m.leaderKnown, m.raft = "", "", false, raft{}
	}
	m.clusterID = cmp.Or(o.Server.ClusterID, m.clusterID)
	// Who leads was followed also while servers contradicted each other.
	followed := o.Several && !m.seen.IsZero()
	m.gap = o.Gap || m.unsure && !followed
	m.unsure = o.Several
	var effects []Effect
	if o.Gap && !m.seen.IsZero() {
		effects = append(effects, Effect{Event: WatchGap, At: now, Unseen: now.Sub(m.seen)})
	}
	m.seen = now
	for _, e := range m.compare(now, o) {
		e.At, e.Reconciled = now, m.gap
		effects = append(effects, e)
	}
	if o.Several {
		return effects
	}
	baseline := !m.begun
	m.begun, m.known = true, o.Server
	if baseline {
		for _, p := range []*Period{m.sealed, m.leaderless} {
			if p != nil {
				p.BeganBefore = true
			}
		}
		return nil
	}
	return effects
}

func (m *Machine) compare(now time.Time, o Observation) []Effect {
	s := o.Server
	if o.Several {
		return m.follow(s)
	}
	var effects []Effect
	if s.Initialized && !m.known.Initialized {
		effects = append(effects, Effect{Event: Initialized})
	}
	if s.Removed && !m.known.Removed {
		effects = append(effects, Effect{Event: Removed})
	}
	if s.Sealed {
		if m.leaderless != nil {
			effects = append(effects, m.shut(Effect{}, &m.leaderless, now))
		}
		if m.sealed == nil {
			effects = append(effects, open(Effect{Event: Sealed}, &m.sealed, m.period(SealedTime, now, s)))
		}
		return effects
	}
	if m.sealed != nil {
		effects = append(effects, m.shut(Effect{Event: Unsealed}, &m.sealed, now))
	}
	if m.steppedDown(s) {
		leader, _ := s.Leader()
		effects = append(effects, Effect{Event: SteppedDown, OldLeader: m.leader, NewLeader: leader})
	}
	if e, happened := m.lead(now, s); happened {
		effects = append(effects, e)
	}
	return effects
}

// follow takes in the active node, which all servers of a cluster name alike.
func (m *Machine) follow(s Server) []Effect {
	leader, known := s.Leader()
	if !known || leader == "" {
		return nil // One server may have lost it, and not the others.
	}
	before, beforeKnown := m.leader, m.leaderKnown
	m.leader, m.leaderKnown = leader, true
	if !beforeKnown || before == leader {
		return nil
	}
	m.changes++
	return []Effect{{Event: LeaderChanged, OldLeader: before, NewLeader: leader}}
}

// steppedDown says whether the server has given up being active while it runs.
// After a gap it may have been restarted, and an answer that names the same
// active node as before is of another server.
func (m *Machine) steppedDown(s Server) bool {
	leader, known := s.Leader()
	return m.known.Active() && m.known.HAEnabled && s.Standby && !m.gap && known && leader != m.leader
}

// lead compares the leaders of an unsealed server.
func (m *Machine) lead(now time.Time, s Server) (e Effect, happened bool) {
	leader, known := s.Leader()
	if known && m.leaderKnown && leader != m.leader {
		e.Event, e.OldLeader, e.NewLeader = LeaderChanged, m.leader, leader
		if leader != "" {
			m.changes++
		}
	}
	if s.Leaderless() && m.leaderless == nil {
		p := m.period(Leaderless, now, s)
		p.OldLeader = m.leader
		e = open(e, &m.leaderless, p)
	} else if !s.Leaderless() && m.leaderless != nil {
		m.leaderless.NewLeader = leader
		e = m.shut(e, &m.leaderless, now)
	}
	if known {
		m.leader, m.leaderKnown = leader, true
	}
	return e, e.Event != None || e.Opened || e.Closed
}

func (m *Machine) period(trouble Trouble, now time.Time, s Server) Period {
	return Period{Trouble: trouble, ClusterID: m.clusterID, Version: s.Version, Start: now, Reconciled: m.gap}
}

// open begins the period; the effect gets a copy of its own.
func open(e Effect, at **Period, p Period) Effect {
	kept := p
	*at = &kept
	e.Period, e.Opened = &p, true
	return e
}

// shut ends the period; nothing but the effect holds it afterwards.
func (m *Machine) shut(e Effect, at **Period, now time.Time) Effect {
	e.Period, e.Closed = *at, true
	e.Period.End = now
	e.Period.Reconciled = e.Period.Reconciled || m.gap
	*at = nil
	return e
}
