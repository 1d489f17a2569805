// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

// instrument is a metric that is made of a member's own ones.
type instrument struct {
	name, unit  string
	kind        kind
	description string

	// lasting is of a counter that goes on when the member restarts: when it
	// began to count is not known.
	lasting bool

	sources []source
}

// kind is what an instrument is, in the words of the documentation.
type kind string

const (
	counter      kind = "counter"
	upDown       kind = "up-down counter"
	distribution kind = "histogram"
)

// source is one of a member's own metrics. Labels that are not named are
// summed over.
type source struct {
	// names are how releases of etcd call it. The first one that is there counts.
	names []string

	labels []label
	fixed  []attribute // what the name says, rather than a label

	// divisor is of a metric that has another unit, such as milliseconds.
	divisor float64
}

// label becomes an attribute, under values of its own if there are any.
type label struct {
	name, attribute string
	values          map[string]string
}

type attribute struct{ name, value string }

func from(names ...string) []source { return []source{{names: names}} }

func milliseconds(name string) []source { return []source{{names: []string{name}, divisor: 1000}} }

var (
	grpcType = label{name: "grpc_type", attribute: "etcd.grpc.type"}
	grpcCode = label{name: "grpc_code", attribute: "etcd.grpc.code"}
	to       = label{name: "To", attribute: "etcd.peer.id"}
	sender   = label{name: "From", attribute: "etcd.peer.id"}
	success  = label{name: "success", attribute: "outcome", values: map[string]string{"true": "success", "false": "failure"}}
	transmit = attribute{"network.io.direction", "transmit"}
	receive  = attribute{"network.io.direction", "receive"}
)

// operation is a source under its name since etcd 3.5, and before.
func operation(name string) source {
	return source{
		names: []string{"etcd_mvcc_" + name + "_total", "etcd_debugging_mvcc_" + name + "_total"},
		fixed: []attribute{{"etcd.operation", name}},
	}
}

// instruments are what alerts and dashboards of etcd need, and its gRPC API does
// not tell. They are sorted by name.
var instruments = []instrument{
	{
		name: "etcd.client.io", unit: "By", kind: counter,
		description: "Bytes that the member exchanged with gRPC clients.",
		sources: []source{
			{names: []string{"etcd_network_client_grpc_sent_bytes_total"}, fixed: []attribute{transmit}},
			{names: []string{"etcd_network_client_grpc_received_bytes_total"}, fixed: []attribute{receive}},
		},
	},
	{
		name: "etcd.db.commit.duration", unit: "s", kind: distribution,
		description: "How long commits of the database to the disk took.",
		sources:     from("etcd_disk_backend_commit_duration_seconds"),
	},
	{
		name: "etcd.db.compaction.duration", unit: "s", kind: distribution,
		description: "How long compactions of the history took.",
		sources:     milliseconds("etcd_debugging_mvcc_db_compaction_total_duration_milliseconds"),
	},
	{
		name: "etcd.db.compaction.keys", unit: "{key}", kind: counter,
		description: "Versions of keys that compactions removed.",
		sources:     from("etcd_debugging_mvcc_db_compaction_keys_total"),
	},
	{
		name: "etcd.db.compaction.pause.duration", unit: "s", kind: distribution,
		description: "How long each batch of a compaction kept writes waiting.",
		sources:     milliseconds("etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds"),
	},
	{
		name: "etcd.db.defragmentation.count", unit: "{defragmentation}", kind: upDown,
		description: "1 while the member defragments its database, during which it answers nobody, else 0.",
		sources:     from("etcd_disk_defrag_inflight"),
	},
	{
		name: "etcd.db.defragmentation.duration", unit: "s", kind: distribution,
		description: "How long defragmentations of the database took.",
		sources:     from("etcd_disk_backend_defrag_duration_seconds"),
	},
	{
		name: "etcd.db.snapshot.duration", unit: "s", kind: distribution,
		description: "How long snapshots of the whole database, for members or backups, took.",
		sources:     from("etcd_disk_backend_snapshot_duration_seconds"),
	},
	{
		name: "etcd.grpc.handled_requests", unit: "{request}", kind: counter,
		description: "gRPC requests that ended.",
		sources:     []source{{names: []string{"grpc_server_handled_total"}, labels: []label{grpcCode, grpcType}}},
	},
	{
		name: "etcd.grpc.request.duration", unit: "s", kind: distribution,
		description: "How long gRPC requests took. Only of an etcd that runs with `--metrics=extensive`.",
		sources:     []source{{names: []string{"grpc_server_handling_seconds"}, labels: []label{grpcType}}},
	},
	{
		name: "etcd.grpc.started_requests", unit: "{request}", kind: counter,
		description: "gRPC requests that began.",
		sources:     []source{{names: []string{"grpc_server_started_total"}, labels: []label{grpcType}}},
	},
	{
		name: "etcd.member.key.count", unit: "{key}", kind: upDown,
		description: "Keys that the member has, under whatever prefix.",
		sources:     from("etcd_debugging_mvcc_keys_total"),
	},
	{
		name: "etcd.member.lease.expirations", unit: "{lease}", kind: counter,
		description: "Leases that expired while the member was the leader.",
		sources:     from("etcd_debugging_server_lease_expired_total"),
	},
	{
		name: "etcd.member.lease.grants", unit: "{lease}", kind: counter,
		description: "Leases that were granted, as each member counts them.",
		sources:     from("etcd_debugging_lease_granted_total"),
	},
	{
		name: "etcd.member.lease.renewals", unit: "{renewal}", kind: counter,
		description: "Renewals of leases while the member was the leader.",
		sources:     from("etcd_debugging_lease_renewed_total"),
	},
	{
		name: "etcd.member.lease.revocations", unit: "{lease}", kind: counter,
		description: "Leases that were revoked, those that expired among them, as each member counts them.",
		sources:     from("etcd_debugging_lease_revoked_total"),
	},
	{
		name: "etcd.member.operations", unit: "{operation}", kind: counter,
		description: "Reads and writes of keys that the member made. `txn` is a transaction of more than one, each of which counts too.",
		sources:     []source{operation("delete"), operation("put"), operation("range"), operation("txn")},
	},
	{
		name: "etcd.peer.disconnects", unit: "{disconnect}", kind: counter,
		description: "Connections to other members that were lost.",
		sources: []source{{
			names:  []string{"etcd_network_disconnected_peers_total"},
			labels: []label{{name: "Remote", attribute: "etcd.peer.id"}},
		}},
	},
	{
		name: "etcd.peer.failures", unit: "{failure}", kind: counter,
		description: "Messages to and from other members that failed.",
		sources: []source{
			{names: []string{"etcd_network_peer_sent_failures_total"}, labels: []label{to}, fixed: []attribute{transmit}},
			{names: []string{"etcd_network_peer_received_failures_total"}, labels: []label{sender}, fixed: []attribute{receive}},
		},
	},
	{
		name: "etcd.peer.io", unit: "By", kind: counter,
		description: "Bytes that the member exchanged with other members. Those from the peer 0 came before it was known.",
		sources: []source{
			{names: []string{"etcd_network_peer_sent_bytes_total"}, labels: []label{to}, fixed: []attribute{transmit}},
			{names: []string{"etcd_network_peer_received_bytes_total"}, labels: []label{sender}, fixed: []attribute{receive}},
		},
	},
	{
		name: "etcd.peer.round_trip.duration", unit: "s", kind: distribution,
		description: "How long probes of other members took to come back.",
		sources:     []source{{names: []string{"etcd_network_peer_round_trip_time_seconds"}, labels: []label{to}}},
	},
	{
		name: "etcd.process.cpu.time", unit: "s", kind: counter,
		description: "CPU time of the process.",
		sources:     from("process_cpu_seconds_total"),
	},
	{
		name: "etcd.process.goroutine.count", unit: "{goroutine}", kind: upDown,
		description: "Goroutines of the process.",
		sources:     from("go_goroutines"),
	},
	{
		name: "etcd.process.memory.usage", unit: "By", kind: upDown,
		description: "Physical memory of the process.",
		sources:     from("process_resident_memory_bytes"),
	},
	{
		name: "etcd.process.open_file_descriptor.count", unit: "{file_descriptor}", kind: upDown,
		description: "File descriptors that the process has open.",
		sources:     from("process_open_fds", "os_fd_used"),
	},
	{
		name: "etcd.process.open_file_descriptor.limit", unit: "{file_descriptor}", kind: upDown,
		description: "File descriptors that the process may have open. Left out when there is no limit.",
		sources:     from("process_max_fds", "os_fd_limit"),
	},
	{
		name: "etcd.raft.applied_proposals", unit: "{proposal}", kind: counter, lasting: true,
		description: "Raft proposals that the member applied. It goes on when the member restarts.",
		sources:     from("etcd_server_proposals_applied_total"),
	},
	{
		name: "etcd.raft.apply.duration", unit: "s", kind: distribution,
		description: "How long requests took to be applied.",
		sources:     []source{{names: []string{"etcd_server_apply_duration_seconds"}, labels: []label{success}}},
	},
	{
		name: "etcd.raft.committed_proposals", unit: "{proposal}", kind: counter, lasting: true,
		description: "Raft proposals that the member committed. It goes on when the member restarts.",
		sources:     from("etcd_server_proposals_committed_total"),
	},
	{
		name: "etcd.raft.failed_heartbeats", unit: "{heartbeat}", kind: counter,
		description: "Heartbeats that the member sent too late as the leader, which is a sign of a slow disk.",
		sources:     from("etcd_server_heartbeat_send_failures_total"),
	},
	{
		name: "etcd.raft.failed_proposals", unit: "{proposal}", kind: counter,
		description: "Raft proposals that failed, as they do without a leader.",
		sources:     from("etcd_server_proposals_failed_total"),
	},
	{
		name: "etcd.raft.failed_read_indexes", unit: "{request}", kind: counter,
		description: "Questions to the leader how far it is, which every linearizable read asks, that failed.",
		sources:     from("etcd_server_read_indexes_failed_total"),
	},
	{
		name: "etcd.raft.pending_proposal.count", unit: "{proposal}", kind: upDown,
		description: "Raft proposals that are not committed yet.",
		sources:     from("etcd_server_proposals_pending"),
	},
	{
		name: "etcd.raft.slow_applies", unit: "{request}", kind: counter,
		description: "Requests that took long to be applied, which is a sign of a slow disk.",
		sources:     from("etcd_server_slow_apply_total"),
	},
	{
		name: "etcd.raft.slow_read_indexes", unit: "{request}", kind: counter,
		description: "Questions to the leader how far it is that took long.",
		sources:     from("etcd_server_slow_read_indexes_total"),
	},
	{
		name: "etcd.raft.snapshot.fsync.duration", unit: "s", kind: distribution,
		description: "How long the disk took to take a raft snapshot.",
		sources:     from("etcd_snap_fsync_duration_seconds"),
	},
	{
		name: "etcd.raft.snapshot.save.duration", unit: "s", kind: distribution,
		description: "How long saving a raft snapshot took.",
		sources:     from("etcd_debugging_snap_save_total_duration_seconds"),
	},
	{
		name: "etcd.wal.fsync.duration", unit: "s", kind: distribution,
		description: "How long the disk took to take the write-ahead log, for which every write waits.",
		sources:     from("etcd_disk_wal_fsync_duration_seconds"),
	},
	{
		name: "etcd.watch.events", unit: "{event}", kind: counter,
		description: "Events that the member sent to watchers.",
		sources:     from("etcd_debugging_mvcc_events_total"),
	},
	{
		name: "etcd.watch.pending_event.count", unit: "{event}", kind: upDown,
		description: "Events that wait to be sent.",
		sources:     from("etcd_debugging_mvcc_pending_events_total"),
	},
	{
		name: "etcd.watch.slow_watcher.count", unit: "{watcher}", kind: upDown,
		description: "Watchers that have not caught up.",
		sources:     from("etcd_debugging_mvcc_slow_watcher_total"),
	},
	{
		name: "etcd.watch.stream.count", unit: "{stream}", kind: upDown,
		description: "Streams of watchers that are open.",
		sources:     from("etcd_debugging_mvcc_watch_stream_total"),
	},
	{
		name: "etcd.watch.watcher.count", unit: "{watcher}", kind: upDown,
		description: "Watchers, of which a stream can have many.",
		sources:     from("etcd_debugging_mvcc_watcher_total"),
	},
}
