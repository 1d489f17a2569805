// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"cmp"
	"strings"
	"time"
)

const (
	// maxTransitions bounds what an outage or incident remembers of its course.
	maxTransitions = 64
	// maxAffected bounds the incidents that the outage of a node's check is
	// linked to, and the outages that an incident is.
	maxAffected = 128
)

// Subject is what an incident is about: a service, or a node.
type Subject struct {
	Name string
	Node bool // the name is a node's
}

// key returns the subject with the name of a node in lower case: Consul does not
// distinguish the spellings.
func (s Subject) key() Subject {
	if s.Node {
		s.Name = strings.ToLower(s.Name)
	}
	return s
}

// IncidentID identifies an incident: its subject, and the check that began it.
type IncidentID struct {
	Subject Subject
	First   CheckID
	Index   uint64 // ModifyIndex of that check

	// Restores is how often Consul had gone back to a snapshot: indexes come again.
	Restores uint64 `json:",omitempty"`
}

// OutageID identifies an outage.
type OutageID struct {
	Check    CheckID
	Index    uint64     // ModifyIndex of the check at the outage's start
	Restores uint64     `json:",omitempty"` // as in the incident
	Incident IncidentID // that it is a part of
}

// Transition is a change of a check's status.
type Transition struct {
	ID       CheckID
	Check    Check // as it is after the transition, or as it last was
	Old, New Status
	At       time.Time
	Initial  bool // it was so when the check was first observed

	// Reconciled says that the true time is unknown: the transition happened
	// while Consul could not be observed, or while its history was lost.
	Reconciled bool
}

// shown returns the ID of the check as it is shown, which is part of the IDs of spans.
func (t Transition) shown() CheckID {
	return CheckID{Node: cmp.Or(t.Check.Node, t.ID.Node), Check: cmp.Or(t.Check.ID, t.ID.Check)}
}

// Lifecycle is how a trouble went.
type Lifecycle struct {
	BeganBefore bool   // it had begun when it was first observed
	Reconciled  bool   // it began or ended at an unknown time
	Status      Status // the last status observed
	Worst       Status // the worst one
	Start, End  time.Time
	Transitions []Transition // the first 64
	Dropped     int          // transitions beyond these
}

func (c *Lifecycle) take(t Transition) {
	c.Status, c.Worst = t.New, worse(c.Worst, t.New)
	if len(c.Transitions) < maxTransitions {
		c.Transitions = append(c.Transitions, t)
	} else {
		c.Dropped++
	}
}

func (c *Lifecycle) close(t Transition) {
	c.End = t.At
	c.Reconciled = c.Reconciled || t.Reconciled
}

// Outage is the time from a check's leaving passing until its return, or
// until the check is deregistered.
type Outage struct {
	Lifecycle
	ID    OutageID
	Check Check // as it was when the outage began

	// Affects are the incidents of the services on the node of a node's check:
	// of the first 128 in the order of their names. Unlinked is how many more
	// services there are.
	Affects  []IncidentID
	Unlinked int
}

// Incident is the time from the first check of a service, or of a node, that
// leaves passing until all of them pass. A check of a node counts for every
// service on it.
type Incident struct {
	Lifecycle
	ID IncidentID

	// Causes are the outages of checks of nodes that the service is on, the
	// first 128; Unlinked is how many more there were.
	Causes   []OutageID
	Unlinked int

	failing map[CheckID]bool
}

func (i *Incident) link(cause OutageID) {
	if len(i.Causes) < maxAffected {
		i.Causes = append(i.Causes, cause)
	} else {
		i.Unlinked++
	}
}

// Opened says that an incident began.
type Opened struct{ Incident Incident }

// Closed says that an incident ended.
type Closed struct{ Incident Incident }

// Transitioned is one transition, and what it did to the outage of its check.
type Transitioned struct {
	Transition
	Outage *Outage // nil when the check has none
	Opened bool    // Outage began with this transition
	Closed bool    // Outage ended with it
}

// Maintained is the begin or the end of the maintenance of a node or an instance.
type Maintained struct {
	Transition
	Ended bool
}

// Effect is something that happened: Opened, Closed, Transitioned or Maintained.
type Effect interface{ effect() }

func (Opened) effect()       {}
func (Closed) effect()       {}
func (Transitioned) effect() {}

func (Maintained) effect() {}
