// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package etcd is the oracle of the etcd receiver.
package etcd

import "time"

// Names of the events.
const (
	eventPut       = "etcd.key.put"
	eventDelete    = "etcd.key.delete"
	eventQueued    = "etcd.lock.queued"
	eventAcquired  = "etcd.lock.acquired"
	eventReleased  = "etcd.lock.released"
	eventAbandoned = "etcd.lock.abandoned"
	eventElected   = "etcd.election.elected"
	eventResigned  = "etcd.election.resigned"
	eventLost      = "etcd.election.lost"
	eventGranted   = "etcd.lease.granted"
	eventEnded     = "etcd.lease.ended"
	eventGap       = "etcd.watch.gap"

	eventLeaderElected = "etcd.raft.leader.elected"
	eventLeaderLost    = "etcd.raft.leader.lost"
	eventMemberAdded   = "etcd.member.added"
	eventMemberPromote = "etcd.member.promoted"
	eventMemberRemoved = "etcd.member.removed"
	eventAlarmRaised   = "etcd.alarm.raised"
	eventAlarmCleared  = "etcd.alarm.cleared"
	eventCompaction    = "etcd.compaction"
)

// Names of the spans.
const (
	spanAttempt    = "etcd.lock.attempt"
	spanWait       = "etcd.lock.wait"
	spanHold       = "etcd.lock.hold"
	spanTerm       = "etcd.election.term"
	spanLease      = "etcd.lease"
	spanLeaderless = "etcd.leaderless"
)

// Names of the metrics.
const (
	metricKeys         = "etcd.key.count"
	metricKeySize      = "etcd.key.size"
	metricKeyChanges   = "etcd.key.changes"
	metricWaiters      = "etcd.lock.waiter.count"
	metricHolders      = "etcd.lock.holder.count"
	metricAcquisitions = "etcd.lock.acquisitions"
	metricAbandonments = "etcd.lock.abandonments"
	metricLeaders      = "etcd.election.leader.count"
	metricCandidates   = "etcd.election.candidate.count"
	metricElections    = "etcd.election.elections"
	metricLeases       = "etcd.lease.count"
	metricLeaseKeys    = "etcd.lease.key.count"
	metricLeaseGrants  = "etcd.lease.grants"
	metricLeaseEnds    = "etcd.lease.ends"
	metricUnobserved   = "etcd.unobserved.count"

	metricUp             = "etcd.member.up"
	metricLeader         = "etcd.member.leader"
	metricLearner        = "etcd.member.learner"
	metricRevision       = "etcd.revision"
	metricTerm           = "etcd.raft.term"
	metricQuota          = "etcd.db.quota"
	metricSize           = "etcd.db.size"
	metricHasLeader      = "etcd.raft.has_leader"
	metricLeaderChanges  = "etcd.raft.leader.changes"
	metricMembers        = "etcd.member.count"
	metricAlarms         = "etcd.alarm.count"
	metricCompacted      = "etcd.compact_revision"
	metricRequests       = "otelcol_etcd_requests"
	labelRequest         = "request"
	requestOfSingleLease = "lease"
)

// Names of the attributes.
const (
	attrKey           = "etcd.key.name"
	attrKeyCreated    = "etcd.key.created"
	attrKeyChange     = "etcd.key.change"
	attrRevision      = "etcd.revision"
	attrVersion       = "etcd.version"
	attrLease         = "etcd.lease.id"
	attrValueSize     = "etcd.value.size"
	attrLockName      = "etcd.lock.name"
	attrLockKey       = "etcd.lock.key"
	attrPosition      = "etcd.lock.queue.position"
	attrElectionName  = "etcd.election.name"
	attrElectionKey   = "etcd.election.key"
	attrEndCause      = "etcd.lock.end.cause"
	attrLeaseCause    = "etcd.lease.end.cause"
	attrLeaseSure     = "etcd.lease.end.confidence"
	attrLeaseTTL      = "etcd.lease.ttl"
	attrLeaseKeyCount = "etcd.lease.key.count"
	attrPrefix        = "etcd.watch.prefix"
	attrFirst         = "etcd.gap.first_revision"
	attrLast          = "etcd.gap.last_revision"
	attrGapReason     = "etcd.gap.reason"
	attrMember        = "etcd.member.subject.id"
	attrRole          = "etcd.member.role"
	attrAlarm         = "etcd.alarm.type"
	attrCompacted     = "etcd.compact_revision"
	attrObject        = "etcd.object"
	attrInstance      = "service.instance.id"
	attrCluster       = "etcd.cluster.id"
	attrUID           = "log.record.uid"
	attrReconciled    = "observation.reconciled"
	attrBeganBefore   = "observation.began_before"
)

// Values of the attributes.
const (
	causeReleased = "released"
	causeExpired  = "lease_expired"
	causeUnknown  = "unknown"

	leaseRevoked = "revoked"
	leaseExpired = "expired"

	sureCertain = "certain"
	sureLikely  = "likely"

	gapCompacted = "compacted"
	gapRestored  = "restored"
	gapAnother   = "another_cluster"

	changePut    = "put"
	changeDelete = "delete"

	roleVoter   = "voter"
	roleLearner = "learner"
)

// The receiver's promises.
const (
	// within is the greatest delay of an event's time. That of a cluster is known with
	// the next collection.
	within = 5 * time.Second
	// minCluster is how long a leader must lead, a member or an alarm be there, or a
	// compacted revision last, to be reported.
	minCluster = 3 * time.Second
	// unknownShare is the greatest share of ends, of those that came about while no fault
	// was on, whose cause may be unknown, beside so many in any case. That a lease expired is
	// known only of one that was queried in its last second.
	unknownShare  = 0.2
	unknownAnyway = 4
)

// budgets are how many requests of a kind a second the receiver may make on average, to
// one member and with four prefixes, over any five seconds.
var budgets = map[string]float64{
	"list": 8, "watch": 8, "progress": 8, requestOfSingleLease: 52, "leases": 3,
	"status": 4, "members": 3, "alarms": 3, "compaction": 3, "history": 8,
}
