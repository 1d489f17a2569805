// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

// Package consul is the oracle of the Consul receiver.
package consul

import "time"

// Names of the events.
const (
	eventTransition          = "consul.check.transition"
	eventServiceRegistered   = "consul.service.registered"
	eventServiceDeregistered = "consul.service.deregistered"
	eventNodeRegistered      = "consul.node.registered"
	eventNodeDeregistered    = "consul.node.deregistered"
	eventSessionCreated      = "consul.session.created"
	eventSessionEnded        = "consul.session.ended"
	eventKeyCreated          = "consul.kv.created"
	eventKeyUpdated          = "consul.kv.updated"
	eventKeyDeleted          = "consul.kv.deleted"
	eventLockAcquired        = "consul.lock.acquired"
	eventLockReleased        = "consul.lock.released"
	eventLockInvalidated     = "consul.lock.invalidated"
	eventLockQueued          = "consul.lock.queued"
	eventLockAbandoned       = "consul.lock.abandoned"
	eventConfigChanged       = "consul.config_entry.changed"
	eventServiceMaintained   = "consul.service.maintenance.started"
	eventServiceServes       = "consul.service.maintenance.ended"
	eventNodeMaintained      = "consul.node.maintenance.started"
	eventNodeServes          = "consul.node.maintenance.ended"
	eventUserFired           = "consul.user_event.fired"
	eventGap                 = "consul.watch.gap"
)

// Names of the spans.
const (
	spanIncident   = "consul.service.incident"
	spanNodeOutage = "consul.node.outage"
	spanOutage     = "consul.check.outage"
	spanHold       = "consul.lock.hold"
	spanWait       = "consul.lock.wait"
)

// Names of the metrics.
const (
	metricChecks        = "consul.health.check.count"
	metricInstanceState = "consul.health.service.instance.state"
	metricNodeState     = "consul.health.node.state"
	metricInstances     = "consul.health.service.instance.count"
	metricTransitions   = "consul.health.check.transitions"
	metricNodes         = "consul.catalog.node.count"
	metricServices      = "consul.catalog.service.count"
	metricRegistered    = "consul.catalog.service.instance.count"
	metricSessions      = "consul.session.count"
	metricKeys          = "consul.kv.key.count"
	metricHeld          = "consul.kv.lock.held.count"
	metricLimit         = "consul.kv.semaphore.limit"
	metricHolders       = "consul.kv.semaphore.holder.count"
	metricWaiters       = "consul.kv.semaphore.waiter.count"
	metricMembers       = "consul.member.count"
	metricPeers         = "consul.raft.peer.count"
	metricVoters        = "consul.raft.voter.count"
	metricServerLeader  = "consul.server.leader"
	metricUp            = "consul.up"
)

// Names of the attributes.
const (
	attrDatacenter   = "consul.datacenter"
	attrNode         = "consul.node.name"
	attrService      = "consul.service.name"
	attrInstance     = "consul.service.id"
	attrCheck        = "consul.check.id"
	attrPeer         = "consul.peer.name"
	attrStatus       = "consul.check.status"
	attrStatusOld    = "consul.check.old_status"
	attrStatusNew    = "consul.check.new_status"
	attrIndex        = "consul.modify_index"
	attrSession      = "consul.session.id"
	attrSessionName  = "consul.session.name"
	attrKey          = "consul.kv.key.name"
	attrPrefix       = "consul.kv.prefix"
	attrCreateIndex  = "consul.kv.create_index"
	attrLockIndex    = "consul.kv.lock_index"
	attrLockEnd      = "consul.lock.end"
	attrLockType     = "consul.lock.type"
	attrConfigKind   = "consul.config_entry.kind"
	attrConfigName   = "consul.config_entry.name"
	attrConfigChange = "consul.config_entry.change"
	attrSemaphore    = "consul.semaphore.prefix"
	attrPool         = "consul.member.pool"
	attrMemberStatus = "consul.member.status"
	attrServer       = "consul.server.name"
	attrUserEvent    = "consul.user_event.id"
	attrReconciled   = "observation.reconciled"
	attrBeganBefore  = "observation.began_before"
)

// statusNone is the status of a check that is not there.
const statusNone = "none"

// Ends of a hold.
const (
	endReleased    = "released"
	endInvalidated = "invalidated"
	endDeleted     = "deleted"
	endUnknown     = "unknown"
)

// The receiver's promises.
const (
	// minTurn is how long a check must have a status to be reported, and a key, a lock or
	// a session be as it is. minCatalogTurn is how long a service, a node or a check that
	// passes must be there, or not.
	minTurn        = 400 * time.Millisecond
	minCatalogTurn = 1300 * time.Millisecond
	// within is how much later than the change its report may be dated.
	within = 5 * time.Second
	// configEvery is how often configuration entries are polled.
	configEvery = 5 * time.Second
	// unknownShare is the greatest share of holds, of those that ended while no fault
	// was on, whose end may be unknown, beside so many in any case.
	unknownShare  = 0.1
	unknownAnyway = 2
)
