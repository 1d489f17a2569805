// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/acltoken"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/ca"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/catalog"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/configentry"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leaf"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/license"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/network"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/peering"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/server"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/userevent"
)

// The parts of the API that are read.
const (
	agentCondition = "the Consul agent"

	spanLeaderless = leader.SpanLeaderless

	endpointChecks      = health.Endpoint
	endpointServices    = catalog.EndpointServices
	endpointNodes       = catalog.EndpointNodes
	endpointOverview    = catalog.EndpointOverview
	endpointDatacenters = consulapi.EndpointDatacenters
	endpointUsage       = consulapi.EndpointUsage
	endpointLeader      = consulapi.EndpointLeader
	endpointPeers       = consulapi.EndpointPeers
	endpointSessions    = consulapi.EndpointSessions
	endpointAutopilot   = server.Endpoint
	endpointCoordinates = network.Endpoint
	endpointKV          = kv.Endpoint
	endpointUserEvents  = userevent.Endpoint
	endpointConfig      = configentry.Endpoint
	endpointRoots       = ca.Endpoint
	endpointToken       = acltoken.Endpoint
	endpointLicense     = license.Endpoint
	endpointPeerings    = peering.Endpoint
	endpointLeaf        = leaf.Endpoint
)

var (
	endpointMembers    = member.Endpoints[member.LAN]
	endpointMembersWAN = member.Endpoints[member.WAN]
)
