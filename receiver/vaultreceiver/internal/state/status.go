// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Status is what a server tells anybody of itself, to be measured.
type Status struct {
	Server
	Seal        Seal
	Replication Replication

	// LeaderAmong is the address of the active node among the servers; empty
	// when it is not known.
	LeaderAmong string
}

// Follows says whether what was answered in the name of a leader comes from the
// active node that the server knows of. Else there was an election just now, and
// it is not known yet who is to tell.
func (s Status) Follows(leader string) bool { return leader != "" && leader == s.LeaderAmong }

// Seal is how the server is kept sealed.
type Seal struct {
	Known     bool
	Type      string // such as shamir or awskms
	Storage   string // such as raft or consul; empty: not told
	Shares    int64  // that were made of the key
	Threshold int64  // shares that unseal the server
	Progress  int64  // shares that were given of those
}

// Raft says whether the storage is raft, as far as it is told.
func (s Seal) Raft() bool { return s.Storage == "raft" || s.Storage == "" }

// Replication is what the cluster is in either kind of replication, such as
// disabled, primary or secondary; empty when it is not known.
type Replication struct{ Performance, DR string }

// Node is a server as the active node knows it.
type Node struct {
	Address string // of its API
	Active  bool

	// ClockSkew is how far its clock is behind the active node's.
	ClockSkew time.Duration
}

// RaftPeers are the servers of the raft cluster.
type RaftPeers struct {
	Leader string          // address among the servers
	Peers  map[string]Peer // by the ID of the node
}

// Autopilot is how the active node finds the servers with raft storage.
type Autopilot struct {
	Leader           string // address among the servers
	Healthy          bool
	FailureTolerance int64 // servers that may be lost
	Servers          map[string]RaftServer
}

// RaftServer is one of them.
type RaftServer struct {
	Healthy     bool
	LastContact time.Duration // since the active node heard of it
	Lag         int64         // entries of the log that it does not have
	LagKnown    bool
}

// Health returns which servers are healthy, by their IDs.
func (a Autopilot) Health() map[string]bool {
	healthy := make(map[string]bool, len(a.Servers))
	for id, s := range a.Servers {
		healthy[id] = s.Healthy
	}
	return healthy
}
