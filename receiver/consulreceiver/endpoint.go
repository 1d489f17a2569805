// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

// The parts of the API that are used, under which the receiver reports its
// condition.
const (
	// agentCondition is that of the agent as a whole.
	agentCondition = "the Consul agent"

	endpointChecks      = "health/state/any"
	endpointServices    = "catalog/services"
	endpointNodes       = "catalog/nodes"
	endpointDatacenters = "catalog/datacenters"
	endpointUsage       = "operator/usage"
	endpointOverview    = "internal/ui/catalog-overview"
	endpointLeader      = "status/leader"
	endpointPeers       = "status/peers"
	endpointAutopilot   = "operator/autopilot/state"
	endpointMembers     = "agent/members"
	endpointMembersWAN  = "agent/members?wan=1"
	endpointCoordinates = "coordinate/nodes"
	endpointSessions    = "session/list"
	endpointKV          = "kv/" // and the prefix
	endpointUserEvents  = "event/list"
	endpointConfig      = "config/" // and the kind
	endpointRoots       = "connect/ca/roots"
	endpointToken       = "acl/token/self"
	endpointTelemetry   = "agent/metrics?format=prometheus"
)
