// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"strconv"

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
