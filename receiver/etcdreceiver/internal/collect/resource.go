// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// ClusterResource identifies the cluster, which events and traces are of.
func ClusterResource(rb *metadata.ResourceBuilder, cluster string) pcommon.Resource {
	rb.SetServiceName("etcd")
	rb.SetServiceInstanceID(cluster) // else Prometheus would take two clusters for one
	rb.SetEtcdClusterID(cluster)
	return rb.Emit()
}

// Hex writes an ID as etcdctl does.
func Hex(id uint64) string { return strconv.FormatUint(id, 16) }

// MemberID writes the ID of a member as etcdctl does; empty when it is not known.
func MemberID(id uint64) string {
	if id == 0 {
		return ""
	}
	return Hex(id)
}

// Text makes a name fit for telemetry, which is UTF-8; that of a key can be any bytes.
func Text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
