// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"strings"
	"time"
)

// Status of a member of a gossip pool.
type Status string

// The statuses that serf knows.
const (
	Alive   Status = "alive"
	Leaving Status = "leaving"
	Left    Status = "left"
	Failed  Status = "failed"
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
	Status  Status
	Address string
	Role    Role
	Version string // of Consul
}

// Role of a member.
type Role string

// The roles: a server is a member of both pools, a client of the LAN only.
const (
	Server Role = "server"
	Client Role = "client"
)

// roleOf reads the role that an agent gives itself.
func roleOf(tag string) Role {
	if tag == "consul" {
		return Server
	}
	return Client
}

// versionOf reads the version from what an agent calls its build: a version, and a
// revision after a colon.
func versionOf(build string) string {
	version, _, _ := strings.Cut(build, ":")
	return version
}

// AliveByVersion returns the number of members that are alive by their version. A
// version of which all have left or failed is not there.
func AliveByVersion(members map[string]Member) map[string]int64 {
	counts := map[string]int64{}
	for _, m := range members {
		if m.Status == Alive {
			counts[m.Version]++
		}
	}
	return counts
}

// nodeName returns the name of a member's node. In the WAN pool the datacenter follows
// it; a name may have dots of its own.
func nodeName(pool Pool, name, datacenter string) string {
	if pool == WAN {
		return strings.TrimSuffix(name, "."+datacenter)
	}
	return name
}

// missingAfter is how long a member that was alive is absent before it counts as
// missing. One that leaves or fails stays listed with that status. An agent that
// could not join at its start tries again after 30 seconds.
const missingAfter = 45 * time.Second

// absence is that of a member that was alive.
type absence struct {
	Member
	since time.Time // zero: it is there
}

// keepAbsent adds to the members those that were alive, are absent now, and do not
// count as missing yet. When the token does not show all there are, it may hide them.
func keepAbsent(now time.Time, alive map[string]absence, members map[string]Member, filtered bool) {
	for name, m := range alive {
		_, there := members[name]
		switch {
		case there, filtered, !m.since.IsZero() && now.Sub(m.since) >= missingAfter:
			delete(alive, name)
			continue
		case m.since.IsZero():
			m.since = now
			alive[name] = m
		}
		members[name] = m.Member
	}
	for name, m := range members {
		if _, absent := alive[name]; !absent && m.Status == Alive {
			alive[name] = absence{Member: m}
		}
	}
}
