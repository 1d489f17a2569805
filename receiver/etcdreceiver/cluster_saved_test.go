// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/alarm"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/compaction"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
)

// clusterOfV01 is what version 0.1 saved under the key "cluster": a cluster without a
// leader, with a learner and an alarm.
const clusterOfV01 = `{"Cluster":14841639068965178418,` +
	`"Leaderless":{"Last":10276657743932975437,"Term":2,"BeganBefore":false,"Reconciled":true,"Start":"2026-01-02T03:04:05.000000006Z","End":"0001-01-01T00:00:00Z"},` +
	`"Peers":{"10276657743932975437":{"Name":"etcd-1","Learner":false},"3":{"Name":"","Learner":true}},` +
	`"Alarms":[{"Member":10276657743932975437,"Type":"nospace"}],"Compacted":90}`

func newClusterParts() clusterParts {
	return clusterParts{
		leader: &leader.Part{}, members: member.New(time.Second), alarms: alarm.New(time.Second), compactions: compaction.New(time.Second, "/"),
	}
}

func TestTheCheckpointOfAnEarlierVersionIsLoaded(t *testing.T) {
	var saved savedCluster
	require.NoError(t, json.Unmarshal([]byte(clusterOfV01), &saved))
	p := newClusterParts()
	p.Begin(saved.Cluster, saved)
	assert.Equal(t, saved, p.Save(saved.Cluster))
	encoded, err := json.Marshal(p.Save(saved.Cluster))
	require.NoError(t, err)
	assert.JSONEq(t, clusterOfV01, string(encoded), "an earlier version can load it, too")

	p.Begin(1, saved)
	assert.Equal(t, savedCluster{Cluster: 1}, p.Save(1), "it is of another cluster")
	p.Begin(0, savedCluster{})
	assert.Equal(t, savedCluster{}, p.Save(0))
}

// A cluster whose leader is not known yet has nothing to save of it.
func TestNothingIsSavedBeforeItIsKnown(t *testing.T) {
	p := newClusterParts()
	p.Begin(1, savedCluster{})
	p.leader.Step(time.Unix(1, 0), collect.Round{})
	encoded, err := json.Marshal(p.Save(1))
	require.NoError(t, err)
	assert.Contains(t, string(encoded), `"Peers":null,"Alarms":null,"Compacted":0`)
}
