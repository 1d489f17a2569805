// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"cmp"
	"time"
)

// Event is what happened to a server.
type Event string

// The events. None is for a period that ends because it can no longer be seen.
const (
	None          Event = ""
	Initialized   Event = "initialized"
	Sealed        Event = "sealed"
	Unsealed      Event = "unsealed"
	LeaderChanged Event = "leader changed"
	WatchGap      Event = "gap"
)

// Trouble is what a period is full of.
type Trouble string

// The troubles. A server is never in both: a sealed one sees no leader anyway.
const (
	SealedTime Trouble = "sealed"
	Leaderless Trouble = "leaderless"
)

// Period is a time of trouble.
type Period struct {
	Trouble     Trouble
	ClusterID   string // as it was known when the period began, may be empty
	Version     string // as it was when the period began
	BeganBefore bool   // it was there when the server was first observed
	Reconciled  bool   // it began or ended at an unknown time
	Start, End  time.Time

	// The active nodes before and after a leaderless time, as far as known.
	OldLeader, NewLeader string
}

// Effect is one event and the period that it belongs to.
type Effect struct {
	Event Event
	At    time.Time

	Unseen time.Duration // of WatchGap: since the last observation

	// The active nodes of LeaderChanged.
	OldLeader, NewLeader string

	// Reconciled says that the true time is unknown: it happened while the
	// server could not be observed.
	Reconciled bool

	Period *Period // nil when the event has none
	Opened bool    // Period began with this effect
	Closed bool    // Period ended with it
}

// Observation is a snapshot and how it came about.
type Observation struct {
	Server Server

	// Gap says that something may have happened unseen since the last
	// observation, because polls failed in between.
	Gap bool
}

// Machine follows a server from snapshot to snapshot.
type Machine struct {
	begun       bool
	seen        time.Time // of the last observation
	gap         bool      // of the current step
	known       Server
	clusterID   string
	leader      string
	leaderKnown bool

	sealed, leaderless *Period // nil when there is none
}

// Step takes in the next observation, made at now, and returns its effects in
// the order of their causes. The first observation is the baseline: it opens
// periods whose start is unknown, and has no effects.
func (m *Machine) Step(now time.Time, o Observation) []Effect {
	m.clusterID = cmp.Or(o.Server.ClusterID, m.clusterID)
	m.gap = o.Gap
	var effects []Effect
	if o.Gap {
		effects = append(effects, Effect{Event: WatchGap, At: now, Unseen: now.Sub(m.seen)})
	}
	m.seen = now
	for _, e := range m.compare(now, o.Server) {
		e.At, e.Reconciled = now, o.Gap
		effects = append(effects, e)
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

func (m *Machine) compare(now time.Time, s Server) []Effect {
	var effects []Effect
	if s.Initialized && !m.known.Initialized {
		effects = append(effects, Effect{Event: Initialized})
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
	if e, happened := m.lead(now, s); happened {
		effects = append(effects, e)
	}
	return effects
}

// lead compares the leaders of an unsealed server.
func (m *Machine) lead(now time.Time, s Server) (e Effect, happened bool) {
	leader, known := s.Leader()
	if known && m.leaderKnown && leader != m.leader {
		e.Event, e.OldLeader, e.NewLeader = LeaderChanged, m.leader, leader
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
