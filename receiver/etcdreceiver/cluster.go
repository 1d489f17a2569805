// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/alarm"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/compaction"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
)

// clusterParts are the kinds that are observed by asking the members in rounds.
type clusterParts struct {
	leader      *leader.Part
	members     *member.Part
	alarms      *alarm.Part
	compactions *compaction.Part
}

// savedCluster is what of them survives a restart.
type savedCluster struct {
	Cluster    uint64             // ID of the cluster that it is of
	Leaderless *leader.Leaderless // that lasts, or nil
	Peers      map[uint64]member.Peer
	Alarms     []alarm.Alarm
	Compacted  int64
}

// newCluster returns what observes the cluster. A new kind is a line in each function here.
func newCluster(e *collect.Env, cfg *Config) *collect.Cluster[savedCluster] {
	key := "/" // that is read to find out about compactions
	if covering := cfg.keyspace().Prefixes().Covering(); len(covering) > 0 {
		key = covering[0]
	}
	p := clusterParts{
		leader:      &leader.Part{},
		members:     member.New(e.Interval),
		alarms:      alarm.New(e.Interval),
		compactions: compaction.New(e.Interval, key),
	}
	return collect.NewCluster(e, cfg.Endpoints, p, p.leader, p.members, p.alarms, p.compactions)
}

// Begin implements collect.States.
func (p clusterParts) Begin(cluster uint64, saved savedCluster) {
	if saved.Cluster != cluster {
		saved = savedCluster{}
	}
	p.leader.Begin(saved.Leaderless)
	p.members.Begin(saved.Peers)
	p.alarms.Begin(saved.Alarms)
	p.compactions.Begin(saved.Compacted)
}

// Save implements collect.States.
func (p clusterParts) Save(cluster uint64) savedCluster {
	return savedCluster{
		Cluster: cluster, Leaderless: p.leader.Save(), Peers: p.members.Save(), Alarms: p.alarms.Save(), Compacted: p.compactions.Save(),
	}
}
