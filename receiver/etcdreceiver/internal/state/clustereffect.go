// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// ClusterEffect is something that happened to a cluster: one of the types below.
type ClusterEffect interface{ clusterEffect() }

// LeaderLost says that no member that answers follows a leader any more.
type LeaderLost struct{ Leaderless }

// LeaderElected says that there is a leader again, another one than before, or
// the same one after another election.
type LeaderElected struct {
	Led
	At         time.Time
	Reconciled bool        // it was elected at an unknown time
	Ended      *Leaderless // nil when the cluster was never seen without a leader
}

// MemberAdded says that a member was added to the cluster.
type MemberAdded struct{ Membership }

// MemberRemoved says that a member was removed from the cluster.
type MemberRemoved struct{ Membership }

// MemberPromoted says that a learner became a voter.
type MemberPromoted struct{ Membership }

// Membership is the place of a member in the cluster when it changed: what it
// is now, or, when it was removed, what it last was.
type Membership struct {
	ID uint64
	Peer
	At         time.Time
	Reconciled bool // it changed at an unknown time
}

// AlarmRaised says that a member raised an alarm.
type AlarmRaised struct{ Alarmed }

// AlarmCleared says that an alarm is over.
type AlarmCleared struct{ Alarmed }

// Alarmed is an alarm when it was raised or cleared.
type Alarmed struct {
	Alarm
	At         time.Time
	Reconciled bool // it was raised or cleared at an unknown time
}

// Compacted says that etcd compacted its history: Revision is the oldest one
// that can still be read.
type Compacted struct {
	Revision int64
	At       time.Time
}

func (LeaderLost) clusterEffect()     {}
func (LeaderElected) clusterEffect()  {}
func (MemberAdded) clusterEffect()    {}
func (MemberRemoved) clusterEffect()  {}
func (MemberPromoted) clusterEffect() {}
func (AlarmRaised) clusterEffect()    {}
func (AlarmCleared) clusterEffect()   {}
func (Compacted) clusterEffect()      {}
