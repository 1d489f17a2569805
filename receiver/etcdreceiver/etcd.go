// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// The names under which parts of the receiver report their condition. The
// first three are followed by what they are about.
const (
	statusOf    = "status of "
	watchOf     = "watch of "
	storageOf   = "storage of "
	limitKeys   = "watch::limit"
	limitLeases = "leases::limit"

	allEndpoints    = "endpoints"
	listMembers     = "list of members"
	listAlarms      = "alarms"
	findCompactions = "compactions"
	leasesAsked     = "leases"
	leasesList      = "list of leases"
)

// clusterResource identifies the cluster, which events and traces are of.
func clusterResource(rb *metadata.ResourceBuilder, cluster string) pcommon.Resource {
	rb.SetServiceName("etcd")
	rb.SetServiceInstanceID(cluster) // else Prometheus would take two clusters for one
	rb.SetEtcdClusterID(cluster)
	return rb.Emit()
}

// memberResource identifies a member, which metrics are of. One that has not
// answered yet has neither IDs nor a version.
func memberResource(rb *metadata.ResourceBuilder, endpoint string, m state.Member) pcommon.Resource {
	rb.SetServiceName("etcd")
	rb.SetServiceInstanceID(address.HostPort(endpoint))
	if m.ID != 0 {
		rb.SetEtcdClusterID(hex(m.Cluster))
		rb.SetEtcdMemberID(hex(m.ID))
		rb.SetServiceVersion(m.Version)
	}
	return rb.Emit()
}

func hex(id uint64) string { return strconv.FormatUint(id, 16) }
