// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
)

// tellCluster renders a course of observations, one every ten seconds.
func tellCluster(observations ...state.ClusterObservation) (ptrace.Traces, plog.Logs) {
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	var machine state.Cluster
	for i, o := range observations {
		now := time.Unix(1_000_000, 0).Add(time.Duration(i) * 10 * time.Second)
		told := story.RenderCluster(now, cluster, clusterResource(), machine.Step(now, o))
		told.Traces.ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
		told.Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return traces, logs
}

func led(leader, term uint64) state.ClusterObservation {
	return state.ClusterObservation{Members: []state.Member{{Cluster: 0xcdf818194e3a8c32, ID: 0x8e9e05c52164694d, LeaderID: leader, RaftTerm: term}}}
}

func with(peers map[uint64]state.Peer, compact int64, alarms ...state.Alarm) state.ClusterObservation {
	o := led(0x8e9e05c52164694d, 2)
	raised := map[state.Alarm]struct{}{}
	for _, a := range alarms {
		raised[a] = struct{}{}
	}
	o.Peers = state.Seen[map[uint64]state.Peer]{Value: peers, Known: true}
	o.Alarms = state.Seen[map[state.Alarm]struct{}]{Value: raised, Known: true}
	o.Compact = state.Seen[int64]{Value: compact, Known: true}
	return o
}

func TestALeaderThatIsLost(t *testing.T) {
	found := led(0xfd422379fda50e48, 3)
	found.Gap = true
	traces, logs := tellCluster(led(0x8e9e05c52164694d, 2), led(0, 2), found, led(0x8e9e05c52164694d, 4))
	goldentest.Traces(t, "a leader is lost and another one elected", traces)
	goldentest.Logs(t, "a leader is lost and another one elected", logs)
}

func TestAClusterThatHadNoLeaderBefore(t *testing.T) {
	traces, logs := tellCluster(led(0, 2), led(0xfd422379fda50e48, 3))
	goldentest.Traces(t, "a cluster had no leader before", traces)
	goldentest.Logs(t, "a cluster had no leader before", logs)
}

func TestMembersAlarmsAndCompactions(t *testing.T) {
	old := state.Peer{Name: "etcd-1"}
	full := state.Alarm{Member: 0x8e9e05c52164694d, Type: state.NoSpace}
	changed := with(map[uint64]state.Peer{1: old, 3: {Name: "etcd-3"}}, 90)
	changed.Peers.Gap = true
	traces, logs := tellCluster(
		with(map[uint64]state.Peer{1: old, 2: {Name: "etcd-2"}}, 1),
		with(map[uint64]state.Peer{1: old, 3: {Learner: true}}, 1, full, state.Alarm{Member: 2, Type: state.Corrupt}, state.Alarm{Type: state.UnknownAlarm}),
		changed,
	)
	assert.Zero(t, traces.SpanCount())
	goldentest.Logs(t, "members, alarms and compactions", logs)
}

func TestAnEventThatNobodyDescribes(t *testing.T) {
	event := plog.NewLogRecord()
	event.SetEventName("etcd.new")
	severity, line := describeCluster(event)
	assert.Equal(t, plog.SeverityNumberInfo, severity)
	assert.Equal(t, "etcd.new", line)
}
