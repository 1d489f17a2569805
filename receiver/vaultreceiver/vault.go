// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"cmp"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

// The parts of the API that are used, which are also the names under which they
// report their condition.
const (
	endpointHealth    = "sys/health"
	endpointSeal      = "sys/seal-status"
	endpointLeader    = "sys/leader"
	endpointMetrics   = "sys/metrics"
	endpointLeases    = "sys/leases/count"
	endpointNodes     = "sys/ha-status"
	endpointPeers     = "sys/storage/raft/configuration"
	endpointAutopilot = "sys/storage/raft/autopilot/state"
)

// Other names under which parts of the receiver report their condition.
const (
	severalServers = "endpoint"
	storageState   = "storage"
)

// identity is what is known of the server's cluster. A sealed server does not
// tell it, and its series should not become others for that: it is remembered.
type identity struct {
	clusterID, clusterName string
}

func (i *identity) learn(s state.Server) {
	i.clusterID = cmp.Or(s.ClusterID, i.clusterID)
	i.clusterName = cmp.Or(s.ClusterName, i.clusterName)
}

// resource identifies the Vault server that is observed. What is not known of
// its cluster is left out.
func resource(rb *metadata.ResourceBuilder, endpoint string, cluster identity) pcommon.Resource {
	rb.SetServiceName("vault")
	rb.SetServiceInstanceID(address.HostPort(endpoint))
	if cluster.clusterID != "" {
		rb.SetVaultClusterID(cluster.clusterID)
	}
	if cluster.clusterName != "" {
		rb.SetVaultClusterName(cluster.clusterName)
	}
	return rb.Emit()
}
