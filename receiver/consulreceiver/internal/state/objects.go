// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Service is a service of the catalog, known by its name.
type Service struct{}

// Node is a node of the catalog, known by its name.
type Node struct {
	Address string
}

// Session is a session, known by its ID.
type Session struct {
	Name     string
	Node     string
	Behavior string // what becomes of its locks at its end: "release" or "delete"
	TTL      string // empty: it ends with its checks only
}

// MemberStatus of a member of the gossip pool.
type MemberStatus string

// The statuses that serf knows.
const (
	Alive   MemberStatus = "alive"
	Leaving MemberStatus = "leaving"
	Left    MemberStatus = "left"
	Failed  MemberStatus = "failed"
)

// Pool of gossip.
type Pool string

// LAN is the pool of one datacenter, WAN that of the servers of all.
const (
	LAN Pool = "lan"
	WAN Pool = "wan"
)

// Member is a member of a gossip pool, known by its name.
type Member struct {
	Pool    Pool
	Status  MemberStatus
	Address string
}

// ConfigEntry is a configuration entry, known by kind/name.
type ConfigEntry struct {
	Kind, Name string
	Index      uint64 // ModifyIndex
}

// Root is the active root certificate of the service mesh.
type Root struct {
	ID       string
	NotAfter time.Time
}

// UserEvent is a user event, known by its Lamport time and ID.
type UserEvent struct {
	ID   string
	Name string
	Size int // of the payload
}

// Usage is the size of the catalog of one datacenter.
type Usage struct {
	Datacenter string
	Nodes      int64
	Services   int64
	Instances  int64

	// LastContact is how long ago the server that answered heard the leader;
	// negative: it is not known.
	LastContact time.Duration
}

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
	LastContact time.Duration // since it heard the leader
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

// Token is the receiver's own ACL token.
type Token struct {
	Accessor string
	Expires  time.Time // zero: never
}

// Expiring says that the receiver's own token is about to expire.
type Expiring struct {
	Token
	Left time.Duration
}

func (Expiring) effect() {}

// Expiry tells once of each token that it is about to expire.
type Expiry struct{ told Token }

// Step takes in the token at now; before is how long before the expiry it is told.
func (e *Expiry) Step(now time.Time, token Token, before time.Duration) []Effect {
	left := token.Expires.Sub(now)
	// Times are the same in whatever zone: == does not know.
	told := token.Accessor == e.told.Accessor && token.Expires.Equal(e.told.Expires)
	if token.Expires.IsZero() || left > before || told {
		return nil
	}
	e.told = token
	return []Effect{Expiring{Token: token, Left: left}}
}
