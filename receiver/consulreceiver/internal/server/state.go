// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package server

import "time"

// Autopilot is the state of the servers as the leader knows it.
type Autopilot struct {
	Healthy          bool
	FailureTolerance int64
	Voters           int64
	Servers          []Server
}

// Server is one Consul server.
type Server struct {
	ID, Name    string
	Leader      bool
	Healthy     bool
	Voter       bool
	LastContact time.Duration // since it heard from the leader
	LastIndex   uint64        // of its raft log
	StableSince time.Time
}

// Lag returns how many entries the server's raft log is behind the longest one.
func (a Autopilot) Lag(s Server) int64 {
	var newest uint64
	for _, other := range a.Servers {
		newest = max(newest, other.LastIndex)
	}
	return int64(newest - s.LastIndex)
}
