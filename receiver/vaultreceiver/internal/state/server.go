// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package state holds what the receiver knows of a Vault server, and turns
// successive snapshots into what happened. It does no I/O and reads no clock.
package state

// Connection is that of a standby to the active node.
type Connection int

// The states of a connection. It is Unknown for a server that is active, has
// not connected yet, or is too old to tell.
const (
	Unknown Connection = iota
	Healthy
	Broken
)

// Server is a snapshot of one Vault server. What a sealed server does not tell
// is zero.
type Server struct {
	Initialized        bool
	Sealed             bool
	Removed            bool // from the raft cluster, which seals it for good
	Standby            bool // of any kind
	PerformanceStandby bool
	DRSecondary        bool // its cluster is a disaster recovery replica
	HAEnabled          bool

	// Connection and LeaderAddress are both needed: with integrated storage
	// Vault tells the address of the last active node forever, and its
	// listener may redact the address.
	Connection    Connection
	LeaderAddress string

	Version     string
	ClusterID   string
	ClusterName string
}

// Active says whether the server is the active node of its cluster.
func (s Server) Active() bool { return s.Initialized && !s.Sealed && !s.Standby }

// AcceptsTokens says whether the server itself answers requests that need a
// token. A standby passes them on, a replica for disaster recovery refuses.
func (s Server) AcceptsTokens() bool { return s.Active() && !s.DRSecondary }

// PassesTokens says whether such requests are answered, be it that a standby
// passes them on to the active node.
func (s Server) PassesTokens() bool {
	connected := s.Connection == Healthy || s.Connection == Unknown && s.LeaderAddress != ""
	return s.AcceptsTokens() || s.Initialized && !s.Sealed && !s.DRSecondary && connected
}

// Led says whether the server stands by for a node that leads, as far as it knows.
// A server that leads again soon may name itself.
func (s Server) Led() bool {
	return s.Initialized && !s.Sealed && s.Standby && s.Connection != Broken && (s.LeaderAddress != "" || s.Connection == Healthy)
}

// Leaderless says whether the server, itself unsealed, sees no active node in
// its cluster.
func (s Server) Leaderless() bool {
	if !s.Initialized || s.Sealed || !s.HAEnabled || !s.Standby {
		return false
	}
	return s.Connection == Broken || (s.LeaderAddress == "" && s.Connection != Healthy)
}

// HasLeader says whether the server sees an active node, itself included. It is
// not known of a sealed server.
func (s Server) HasLeader() (has, known bool) {
	return !s.Leaderless(), s.Initialized && !s.Sealed
}

// Leader returns the address of the active node, empty when there is none. It
// is not known of a sealed server, without high availability, and when the
// address is redacted.
func (s Server) Leader() (address string, known bool) {
	if s.Leaderless() {
		return "", true
	}
	return s.LeaderAddress, s.LeaderAddress != ""
}
