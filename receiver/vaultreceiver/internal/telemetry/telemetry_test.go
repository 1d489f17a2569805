// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/goldentest"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

const (
	instance  = "127.0.0.1:8200"
	clusterID = "4918743f-55df-2a47-44e8-9cf7ea6fe779"
	here      = "http://127.0.0.1:8200"
	there     = "http://127.0.0.1:8300"
)

var (
	active = state.Server{
		Initialized: true, HAEnabled: true, LeaderAddress: here,
		Version: "1.19.5", ClusterID: clusterID, ClusterName: "vault-cluster-f7fd1fec",
	}
	sealed = state.Server{Initialized: true, Sealed: true, Standby: true, Version: "1.19.5"}
)

func standby(leader string, connection state.Connection) state.Observation {
	s := active
	s.Standby, s.LeaderAddress, s.Connection = true, leader, connection
	return state.Observation{Server: s}
}

func resource() pcommon.Resource {
	rb := metadata.NewResourceBuilder(metadata.DefaultResourceAttributesConfig())
	rb.SetServiceName("vault")
	rb.SetServiceInstanceID(instance)
	rb.SetVaultClusterID(clusterID)
	rb.SetVaultClusterName("vault-cluster-f7fd1fec")
	return rb.Emit()
}

// tell renders a course of observations, one every ten seconds.
func tell(config metadata.LogsBuilderConfig, observations ...state.Observation) (ptrace.Traces, plog.Logs) {
	story := NewStory(config, receivertest.NewNopSettings(metadata.Type))
	var machine state.Machine
	traces, logs := ptrace.NewTraces(), plog.NewLogs()
	for i, o := range observations {
		now := time.Unix(1_000_000, 0).Add(time.Duration(i) * 10 * time.Second)
		told := story.Render(now, instance, resource(), machine.Step(now, o))
		told.Traces.ResourceSpans().MoveAndAppendTo(traces.ResourceSpans())
		told.Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return traces, logs
}

func TestASealedTime(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		state.Observation{Server: active},
		state.Observation{Server: sealed},
		state.Observation{Server: active, Gap: true},
	)
	goldentest.Traces(t, "a server is sealed and unsealed", traces)
	goldentest.Logs(t, "a server is sealed and unsealed", logs)
}

func TestASealedTimeThatBeganBefore(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		state.Observation{Server: state.Server{Sealed: true, Standby: true}},
		state.Observation{Server: sealed},
		state.Observation{Server: active},
	)
	goldentest.Traces(t, "a server is initialized and unsealed", traces)
	goldentest.Logs(t, "a server is initialized and unsealed", logs)
}

func TestALeaderThatIsReplaced(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		standby(there, state.Healthy),
		state.Observation{Server: active},
		standby(there, state.Unknown),
	)
	require.Zero(t, traces.SpanCount())
	goldentest.Logs(t, "a leader is replaced at once", logs)
}

func TestALeaderThatIsLost(t *testing.T) {
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(),
		standby(there, state.Healthy),
		standby(there, state.Broken),
		state.Observation{Server: active},
	)
	goldentest.Traces(t, "a leader is lost and another one follows", traces)
	goldentest.Logs(t, "a leader is lost and another one follows", logs)
}

func TestADisabledEventLeavesTheSpans(t *testing.T) {
	config := metadata.DefaultLogsBuilderConfig()
	config.Events.VaultSealed.Enabled = false
	traces, logs := tell(config, state.Observation{Server: active}, state.Observation{Server: sealed})
	require.Equal(t, 1, traces.SpanCount())
	require.Zero(t, logs.LogRecordCount())
}

// tellPeers renders what happens to the peers.
func tellPeers(observations ...state.RaftObservation) plog.Logs {
	story := NewStory(metadata.DefaultLogsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	var machine state.Machine
	logs := plog.NewLogs()
	for i, o := range observations {
		now := time.Unix(1_000_000, 0).Add(time.Duration(i) * 10 * time.Second)
		story.Render(now, instance, resource(), machine.StepRaft(now, o)).Logs.ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return logs
}

func TestPeersOfTheRaftCluster(t *testing.T) {
	one, two := state.Peer{Address: "127.0.0.1:8201", Voter: true}, state.Peer{Address: "127.0.0.1:8301"}
	goldentest.Logs(t, "peers come, ail and go", tellPeers(
		state.RaftObservation{Tell: true, Peers: map[string]state.Peer{"one": one}, Healthy: map[string]bool{"one": true}},
		state.RaftObservation{Tell: true, Peers: map[string]state.Peer{"one": one, "two": two}, Healthy: map[string]bool{"one": true, "two": false}},
		state.RaftObservation{Tell: true, Healthy: map[string]bool{"one": false, "two": true}, PeersGap: true},
		state.RaftObservation{Tell: true, Peers: map[string]state.Peer{"two": two}, Healthy: map[string]bool{"two": true}, PeersGap: true},
	))
}

func TestAServerThatIsRemoved(t *testing.T) {
	removed := sealed
	removed.Removed = true
	traces, logs := tell(metadata.DefaultLogsBuilderConfig(), state.Observation{Server: active}, state.Observation{Server: removed})
	require.Equal(t, 1, traces.SpanCount(), "it is sealed, too")
	goldentest.Logs(t, "a server is removed", logs)
}

func metrics(record func(*metadata.MetricsBuilder, pcommon.Timestamp)) pmetric.Metrics {
	mb := metadata.NewMetricsBuilder(metadata.NewDefaultMetricsBuilderConfig(), receivertest.NewNopSettings(metadata.Type))
	record(mb, pcommon.NewTimestampFromTime(time.Unix(1_000_000, 0)))
	return mb.Emit(metadata.WithResource(resource()))
}

func TestMetricsOfAnActiveServer(t *testing.T) {
	goldentest.Metrics(t, "metrics of an active server", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, true)
		RecordEndpoints(mb, now, map[string]bool{"sys/health": true, "sys/ha-status": false})
		RecordStatus(mb, now, state.Status{
			Server:      active,
			Seal:        state.Seal{Known: true, Type: "shamir", Storage: "raft", Shares: 5, Threshold: 3},
			Replication: state.Replication{Performance: "disabled", DR: "primary"},
		})
		RecordHasLeader(mb, now, active)
		RecordLeaderChanges(mb, now, 2)
		RecordNodes(mb, now, []state.Node{{Address: here, Active: true}, {Address: there, ClockSkew: -20 * time.Millisecond}})
		RecordPeers(mb, now, map[string]state.Peer{"one": {Voter: true}, "two": {}})
		RecordAutopilot(mb, now, state.Autopilot{Healthy: false, FailureTolerance: 0, Servers: map[string]state.RaftServer{
			"one": {Healthy: true, LagKnown: true}, "two": {LastContact: 12 * time.Second}, "three": {Lag: 7, LagKnown: true},
		}})
		RecordLeases(mb, now, 3)
		RecordIrrevocableLeases(mb, now, 1)
	}))
}

func TestMetricsOfASealedServer(t *testing.T) {
	goldentest.Metrics(t, "metrics of a sealed server", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, true)
		RecordStatus(mb, now, state.Status{Server: sealed, Seal: state.Seal{Known: true, Type: "shamir", Shares: 5, Threshold: 3, Progress: 1}})
		RecordHasLeader(mb, now, sealed)
	}))
}

func TestMetricsOfAServerThatIsAbsent(t *testing.T) {
	goldentest.Metrics(t, "metrics of a server that is absent", metrics(func(mb *metadata.MetricsBuilder, now pcommon.Timestamp) {
		RecordUp(mb, now, false)
	}))
}
