// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const secondCluster = `
receivers:
  etcd/second: {endpoints: [%s], collection_interval: 1s}
service:
  pipelines:
    metrics: {receivers: [etcd, etcd/second]}
`

// In Prometheus two clusters can be told apart by the label of each series.
func TestSeriesNameTheirCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("needs two real etcds and Prometheus; run make test")
	}
	var clusters, members []string
	var endpoints []string
	for range 2 {
		etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
		client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
		require.NoError(t, err)
		answer, err := client.MemberList(t.Context())
		require.NoError(t, err)
		require.NoError(t, client.Close())
		clusters = append(clusters, strconv.FormatUint(answer.Header.ClusterId, 16))
		members = append(members, strconv.FormatUint(answer.Header.MemberId, 16))
		endpoints = append(endpoints, etcd.Endpoints[0])
	}
	prometheus, err := lab.StartPrometheus(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prometheus.Stop(context.Background())) })
	second := filepath.Join(t.TempDir(), "second.yaml")
	require.NoError(t, os.WriteFile(second, fmt.Appendf(nil, secondCluster, endpoints[1]), 0o600))
	a := startConfigured(t, []string{second}, "ETCD_ENDPOINTS="+endpoints[0])
	require.NoError(t, prometheus.Scrape(a.metrics))

	counts := func(query string) map[string]float64 {
		series, err := readback.Prometheus(prometheus.URL).Query(t.Context(), query)
		if err != nil {
			return nil
		}
		found := map[string]float64{}
		for _, s := range series {
			found[s.Labels["etcd_cluster_id"]+" "+s.Labels["etcd_member_id"]] = s.Value
		}
		return found
	}
	want := map[string]float64{clusters[0] + " " + members[0]: 1, clusters[1] + " " + members[1]: 1}
	require.Eventually(t, func() bool {
		return assert.ObjectsAreEqual(want, counts(`count by (etcd_cluster_id, etcd_member_id) (etcd_member_leader == 1)`))
	}, soon, 500*time.Millisecond, "%v", want)
	// What is of the cluster and not of a member, too.
	assert.Len(t, counts(`count by (etcd_cluster_id) ({job="etcd",etcd_cluster_id!=""})`), 2)
	assert.Empty(t, counts(`count by (etcd_cluster_id) ({job="etcd",__name__!="target_info",etcd_cluster_id=""})`), "series without a cluster")
	assert.Empty(t, counts(`count({job="etcd",service_version!="",__name__!="target_info"})`), "other attributes are no labels")
	assert.Empty(t, counts(`count({otel_scope_name!=""})`), "the scope is no label")
	assert.Len(t, counts(`group by (etcd_cluster_id, etcd_member_id) (target_info{job="etcd",etcd_member_id!=""})`), 2)
}
