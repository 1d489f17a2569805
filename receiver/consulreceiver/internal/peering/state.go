// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package peering

import (
	"maps"
	"time"
)

// State of a peering.
type State string

// The states that Consul knows, apart from one that is undefined.
const (
	Pending      State = "pending"
	Establishing State = "establishing"
	Active       State = "active"
	Failing      State = "failing"
	Deleting     State = "deleting"
	Terminated   State = "terminated"
)

// Peering with another cluster, known by its name.
type Peering struct {
	ID    string
	State State

	// Connected says that the leader has been in contact with the peer since it leads.
	Connected bool
	// Heartbeat is the time of the last one from the peer; zero: there was none
	// since the connection was made.
	Heartbeat time.Time

	Imported, Exported int // services
}

// settleTime is how long a new leader may take to get in contact with a peer: the
// peer tries again after some seconds.
const settleTime = time.Minute

// settling gives peerings whose leader has not been in contact with the peer since
// it leads the state that they had before. Such a leader lists what was stored when
// the peering was made, which is pending, also of one that is active or failing.
type settling struct {
	before map[string]Peering
	since  map[string]time.Time // by name, of those that are not settled
}

// step replaces states in what was read at now.
func (s *settling) step(now time.Time, peerings map[string]Peering) {
	since := map[string]time.Time{}
	for name, p := range peerings {
		last, known := s.before[name]
		if p.Connected || !known || last.ID != p.ID || last.State != Active && last.State != Failing ||
			p.State == Deleting || p.State == Terminated {
			continue
		}
		began, waiting := s.since[name]
		if !waiting {
			began = now
		}
		if now.Sub(began) < settleTime {
			since[name], p.State = began, last.State
			peerings[name] = p
		}
	}
	s.before, s.since = maps.Clone(peerings), since
}
