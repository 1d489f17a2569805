// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
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

// memberResource identifies a member, which metrics are of. One that has not
// answered yet has neither IDs nor a version.
func memberResource(rb *metadata.ResourceBuilder, endpoint string, m state.Member) pcommon.Resource {
	rb.SetServiceName("etcd")
	rb.SetServiceInstanceID(address.HostPort(endpoint))
	if m.ID != 0 {
		rb.SetEtcdClusterID(collect.Hex(m.Cluster))
		rb.SetEtcdMemberID(collect.Hex(m.ID))
		rb.SetServiceVersion(m.Version)
	}
	return rb.Emit()
}
