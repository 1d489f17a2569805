// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import "strings"

// instrument is a metric that is made of Vault's own ones.
type instrument struct {
	name, unit  string
	kind        kind
	description string
	sources     []source
}

// kind is what an instrument is, in the words of the documentation.
type kind string

const (
	counter kind = "counter"
	upDown  kind = "up-down counter"
	gauge   kind = "gauge"
	summary kind = "summary"
)

// source is one of Vault's own metrics. Labels that are not named are summed over.
type source struct {
	// names are how Vault calls it, without the prefix. The first one that is
	// there counts.
	names []string

	// below is how the names of several begin, of which split says what the rest
	// tells, and whether it is one of them.
	below string
	split func(rest string) ([]attribute, bool)

	labels []label
	fixed  []attribute // what the name says, rather than a label

	// written is how the names are written in the documentation, if there are many.
	written string

	// divisor is of a metric that has another unit, such as milliseconds.
	divisor float64
}

// label becomes an attribute.
type label struct{ name, attribute string }

type attribute struct{ name, value string }

// The attributes of more than one instrument.
const (
	attrOperation = "vault.operation"
	attrMountPath = "vault.mount.path"
	attrMountType = "vault.mount.type"
	attrPeer      = "vault.raft.peer.id"
)

// attrStatusCode is a number, as the semantic conventions have it.
const attrStatusCode = "http.response.status_code"

func from(names ...string) []source { return []source{{names: names}} }

// timer is a summary of milliseconds.
func timer(names ...string) []source { return []source{{names: names, divisor: 1000}} }

// timed are the timers of operations, each of whose names ends with one of them.
func timed(prefix string, operations ...string) (sources []source) {
	for _, operation := range operations {
		sources = append(sources, source{
			names: []string{prefix + operation}, divisor: 1000, fixed: []attribute{{attrOperation, operation}},
		})
	}
	return sources
}

// stored is the timer of an operation, whose name begins with the storage's. Of
// these, raft is tested; the others are as Vault's source has them.
func stored(operation string) source {
	s := source{divisor: 1000, fixed: []attribute{{attrOperation, operation}}, written: "<storage>_" + operation}
	for _, storage := range []string{"raft_storage", "consul", "etcd", "postgres", "mysql", "dynamodb", "s3", "gcs", "azure"} {
		s.names = append(s.names, storage+"_"+operation)
	}
	return s
}

// operations are those that Vault routes to mounts.
var operations = []string{
	"alias_lookahead", "create", "delete", "header", "help", "list", "patch", "read", "recover",
	"renew", "resolve_role", "revoke", "rollback", "rotate", "update",
}

// routed takes the operation and the mount out of a name such as read_secret_.
func routed(rest string) ([]attribute, bool) {
	for _, operation := range operations {
		mount, ok := strings.CutPrefix(rest, operation)
		if ok && (mount == "" || mount[0] == '_') {
			return []attribute{{"vault.mount.name", strings.Trim(mount, "_")}, {attrOperation, operation}}, true
		}
	}
	return nil, false
}

// mounted leaves out the mount.
func mounted(rest string) ([]attribute, bool) { return nil, rest == "" || rest[0] == '_' }

// instruments are what alerts and dashboards of Vault need, and its API does not
// tell otherwise. They are sorted by name.
var instruments = []instrument{
	{
		name: "vault.server.acl_fetch.duration", unit: "s", kind: summary,
		description: "How long it took to find out what a token may do.",
		sources:     timer("core_fetch_acl_and_token"),
	},
	{
		name: "vault.server.audit.device.failures", unit: "{entry}", kind: counter,
		description: "Entries that an audit device could not write. Comes with the first one.",
		sources:     from("audit_sink_failure"),
	},
	{
		name: "vault.server.audit.duration", unit: "s", kind: summary,
		description: "How long it took until the audit devices had written an entry, for which every request waits twice.",
		sources: []source{
			{names: []string{"audit_log_request"}, divisor: 1000, fixed: []attribute{{"vault.audit.entry.type", "request"}}},
			{names: []string{"audit_log_response"}, divisor: 1000, fixed: []attribute{{"vault.audit.entry.type", "response"}}},
		},
	},
	{
		name: "vault.server.audit.failures", unit: "{entry}", kind: counter,
		description: "Entries that no audit device could write, so that the request was refused.",
		sources: []source{
			{names: []string{"audit_log_request_failure"}, fixed: []attribute{{"vault.audit.entry.type", "request"}}},
			{names: []string{"audit_log_response_failure"}, fixed: []attribute{{"vault.audit.entry.type", "response"}}},
		},
	},
	{
		name: "vault.server.barrier.duration", unit: "s", kind: summary,
		description: "How long operations on the encrypted storage took, encryption and cache included.",
		sources:     timed("barrier_", "delete", "get", "list", "put"),
	},
	{
		name: "vault.server.barrier.encryptions", unit: "{encryption}", kind: counter,
		description: "Estimated encryptions with the keys of the barrier, which Vault rotates in time.",
		sources:     from("barrier_estimated_encryptions"),
	},
	{
		name: "vault.server.barrier.rotations", unit: "{rotation}", kind: counter,
		description: "Rotations of the barrier's key that Vault made by itself. Comes with the first one.",
		sources:     from("barrier_auto_rotation"),
	},
	{
		name: "vault.server.cache.operations", unit: "{operation}", kind: counter,
		description: "Uses of the cache before the storage.",
		sources: []source{
			{names: []string{"cache_delete"}, fixed: []attribute{{attrOperation, "delete"}}},
			{names: []string{"cache_hit"}, fixed: []attribute{{attrOperation, "hit"}}},
			{names: []string{"cache_miss"}, fixed: []attribute{{attrOperation, "miss"}}},
			{names: []string{"cache_write"}, fixed: []attribute{{attrOperation, "write"}}},
		},
	},
	{
		name: "vault.server.identity.duration", unit: "s", kind: summary,
		description: "How long changes of entities and groups took, of which each login can make one.",
		sources: timed("identity_", "create_entity", "create_or_fetch_entity", "refresh_external_groups",
			"upsert_entity_txn", "upsert_group_txn"),
	},
	{
		name: "vault.server.in_flight_request.count", unit: "{request}", kind: upDown,
		description: "Requests that are being handled.",
		sources:     from("core_in_flight_requests"),
	},
	{
		name: "vault.server.kv.secret.count", unit: "{secret}", kind: upDown,
		description: "Secrets in mounts of the type kv. Vault counts them each `usage_gauge_period`, 10 minutes unless set otherwise.",
		sources:     []source{{names: []string{"secret_kv_count"}, labels: []label{{"mount_point", attrMountPath}}}},
	},
	{
		name: "vault.server.leadership.duration", unit: "s", kind: summary,
		description: "How long the server had been the active node, whenever it was that no more.",
		sources:     timer("core_leadership_lost"),
	},
	{
		name: "vault.server.leadership.setup_failure.duration", unit: "s", kind: summary,
		description: "How long it took the server to fail to become the active node.",
		sources:     timer("core_leadership_setup_failed"),
	},
	{
		name: "vault.server.lease.creations", unit: "{lease}", kind: counter,
		description: "Leases of secrets that were issued, by mount.",
		sources: []source{{
			names:  []string{"secret_lease_creation"},
			labels: []label{{"mount_point", attrMountPath}, {"secret_engine", attrMountType}},
		}},
	},
	{
		name: "vault.server.lease.duration", unit: "s", kind: summary,
		description: "How long operations on leases took. `revoke_common` is the revocation itself, however it came to be.",
		sources: timed("expire_", "fetch_lease_times", "fetch_lease_times_by_token", "lazy_revoke", "register", "register_auth",
			"renew", "renew_token", "revoke", "revoke_by_token", "revoke_common", "revoke_force", "revoke_prefix"),
	},
	{
		name: "vault.server.lease.expiration.errors", unit: "{error}", kind: counter,
		description: "Leases that have expired and could not be revoked, each attempt. Comes with the first one.",
		sources:     from("expire_lease_expiration_error"),
	},
	{
		name: "vault.server.lease.expiration.wait.duration", unit: "s", kind: summary,
		description: "How long leases that had expired waited for their revocation.",
		sources:     timer("expire_lease_expiration_time_in_queue"),
	},
	{
		name: "vault.server.lease.expirations", unit: "{lease}", kind: counter,
		description: "Leases that have expired and were to be revoked, each attempt.",
		sources:     from("expire_lease_expiration"),
	},
	{
		name: "vault.server.lease.revocation.queue", unit: "{lease}", kind: summary,
		description: "How many leases waited for their revocation, whenever one came or went.",
		sources:     from("expire_job_manager_total_jobs"),
	},
	{
		name: "vault.server.login.duration", unit: "s", kind: summary,
		description: "How long logins took.",
		sources:     timer("core_handle_login_request"),
	},
	{
		name: "vault.server.mount_table.size", unit: "By", kind: upDown,
		description: "Size of the mount tables in the storage, which limits how many mounts there can be.",
		sources:     []source{{names: []string{"core_mount_table_size"}, labels: []label{{"type", "vault.mount.table"}}}},
	},
	{
		name: "vault.server.policy.duration", unit: "s", kind: summary,
		description: "How long operations on ACL policies took.",
		sources:     timed("policy_", "delete_policy", "get_policy", "list_policies", "set_policy"),
	},
	{
		name: "vault.server.process.cpu.time", unit: "s", kind: counter,
		description: "CPU time of the process.",
		sources:     from("process_cpu_seconds_total"),
	},
	{
		name: "vault.server.process.gc.pause.duration", unit: "s", kind: summary,
		description: "How long collections of garbage stopped the process.",
		sources:     []source{{names: []string{"runtime_gc_pause_ns"}, divisor: 1e9}},
	},
	{
		name: "vault.server.process.gc.runs", unit: "{run}", kind: counter,
		description: "Collections of garbage.",
		sources:     from("runtime_total_gc_runs"),
	},
	{
		name: "vault.server.process.goroutine.count", unit: "{goroutine}", kind: upDown,
		description: "Goroutines of the process.",
		sources:     from("runtime_num_goroutines"),
	},
	{
		name: "vault.server.process.heap.object.count", unit: "{object}", kind: upDown,
		description: "Objects on the heap of the process.",
		sources:     from("runtime_heap_objects"),
	},
	{
		name: "vault.server.process.heap.usage", unit: "By", kind: upDown,
		description: "Memory that the process has allocated on its heap.",
		sources:     from("runtime_alloc_bytes"),
	},
	{
		name: "vault.server.process.memory.reserved", unit: "By", kind: upDown,
		description: "Memory that the Go runtime has of the operating system.",
		sources:     from("runtime_sys_bytes"),
	},
	{
		name: "vault.server.process.memory.usage", unit: "By", kind: upDown,
		description: "Physical memory of the process.",
		sources:     from("process_resident_memory_bytes"),
	},
	{
		name: "vault.server.process.open_file_descriptor.count", unit: "{file_descriptor}", kind: upDown,
		description: "File descriptors that the process has open.",
		sources:     from("process_open_fds"),
	},
	{
		name: "vault.server.process.open_file_descriptor.limit", unit: "{file_descriptor}", kind: upDown,
		description: "File descriptors that the process may have open. Left out when there is no limit.",
		sources:     from("process_max_fds"),
	},
	{
		name: "vault.server.raft.appended_logs", unit: "{log}", kind: counter,
		description: "Logs that the leader sent to the other servers.",
		sources: []source{{
			names: []string{"raft_replication_appendEntries_logs"}, labels: []label{{"peer_id", attrPeer}},
		}},
	},
	{
		name: "vault.server.raft.applies", unit: "{log}", kind: counter,
		description: "Logs that were given to raft, which are writes.",
		sources:     from("raft_apply"),
	},
	{
		name: "vault.server.raft.commit.duration", unit: "s", kind: summary,
		description: "How long logs took until a quorum had them, for which every write waits.",
		sources:     timer("raft_commitTime"),
	},
	{
		name: "vault.server.raft.fsm.apply.duration", unit: "s", kind: summary,
		description: "How long batches of logs took to be applied.",
		sources:     timer("raft_fsm_applyBatch", "raft_fsm_apply"),
	},
	{
		name: "vault.server.raft.heartbeat.duration", unit: "s", kind: summary,
		description: "How long the leader's heartbeats took to come back.",
		sources: []source{{
			names: []string{"raft_replication_heartbeat"}, divisor: 1000, labels: []label{{"peer_id", attrPeer}},
		}},
	},
	{
		name: "vault.server.raft.last_contact.duration", unit: "s", kind: summary,
		description: "How long ago the leader had heard of the others, whenever it looked.",
		sources:     timer("raft_leader_lastContact"),
	},
	{
		name: "vault.server.raft.log_dispatch.duration", unit: "s", kind: summary,
		description: "How long the leader's disk took to take logs.",
		sources:     timer("raft_leader_dispatchLog"),
	},
	{
		name: "vault.server.raft.oldest_log.age", unit: "s", kind: gauge,
		description: "Age of the oldest log. When it is less than a server needs to be restored from a snapshot, that server never catches up.",
		sources:     timer("raft_leader_oldestLogAge"),
	},
	{
		name: "vault.server.raft.pending_apply.count", unit: "{log}", kind: upDown,
		description: "Logs that wait to be applied.",
		sources:     from("raft_storage_stats_fsm_pending"),
	},
	{
		name: "vault.server.raft.replication.duration", unit: "s", kind: summary,
		description: "How long the other servers took to take logs.",
		sources: []source{{
			names: []string{"raft_replication_appendEntries_rpc"}, divisor: 1000, labels: []label{{"peer_id", attrPeer}},
		}},
	},
	{
		name: "vault.server.raft.transitions", unit: "{transition}", kind: counter,
		description: "How often the server became a candidate, a follower or the leader, which it does over and over when elections fail.",
		sources: []source{
			{names: []string{"raft_state_candidate"}, fixed: []attribute{{"vault.raft.state", "candidate"}}},
			{names: []string{"raft_state_follower"}, fixed: []attribute{{"vault.raft.state", "follower"}}},
			{names: []string{"raft_state_leader"}, fixed: []attribute{{"vault.raft.state", "leader"}}},
		},
	},
	{
		name: "vault.server.request.duration", unit: "s", kind: summary,
		description: "How long requests took, but for logins.",
		sources:     timer("core_handle_request"),
	},
	{
		name: "vault.server.responses", unit: "{response}", kind: counter,
		description: "Answers by their status, as far as Vault counts them, which is errors.",
		sources: []source{{
			names: []string{"core_response_status_code"}, labels: []label{{"code", attrStatusCode}},
		}},
	},
	{
		name: "vault.server.rollback.duration", unit: "s", kind: summary,
		description: "How long attempts to undo what was left half done took, one for each mount in a minute.",
		sources:     []source{{below: "rollback_attempt", split: mounted, written: "rollback_attempt<mount>", divisor: 1000}},
	},
	{
		name: "vault.server.rollback.queue", unit: "{rollback}", kind: upDown,
		description: "Such attempts that wait.",
		sources:     from("rollback_queued"),
	},
	{
		name: "vault.server.route.duration", unit: "s", kind: summary,
		description: "How long the mounts took to answer.",
		sources:     []source{{below: "route_", split: routed, written: "route_<operation>_<mount>", divisor: 1000}},
	},
	{
		name: "vault.server.seal.duration", unit: "s", kind: summary,
		description: "How long the seal took to encrypt and decrypt, which for some asks another system.",
		sources: []source{
			{
				names: []string{"seal_decrypt_time"}, divisor: 1000,
				fixed: []attribute{{attrOperation, "decrypt"}}, labels: []label{{"seal_wrapper_name", "vault.seal.name"}},
			},
			{
				names: []string{"seal_encrypt_time"}, divisor: 1000,
				fixed: []attribute{{attrOperation, "encrypt"}}, labels: []label{{"seal_wrapper_name", "vault.seal.name"}},
			},
		},
	},
	{
		name: "vault.server.seal.errors", unit: "{error}", kind: counter,
		description: "Encryptions and decryptions with the seal that failed. Comes with the first one.",
		sources: []source{
			{
				names: []string{"seal_decrypt_error"},
				fixed: []attribute{{attrOperation, "decrypt"}}, labels: []label{{"seal_wrapper_name", "vault.seal.name"}},
			},
			{
				names: []string{"seal_encrypt_error"},
				fixed: []attribute{{attrOperation, "encrypt"}}, labels: []label{{"seal_wrapper_name", "vault.seal.name"}},
			},
		},
	},
	{
		name: "vault.server.seal.unreachable.time", unit: "s", kind: gauge,
		description: "For how long an auto seal has not been reached; 0 when it is.",
		sources:     timer("seal_unreachable_time"),
	},
	{
		name: "vault.server.setup.duration", unit: "s", kind: summary,
		description: "How long the phases of becoming the active node, and of being it no more, took.",
		sources:     timed("core_", "post_unseal", "pre_seal"),
	},
	{
		name: "vault.server.step_down.duration", unit: "s", kind: summary,
		description: "How long it took to step down when it was told to.",
		sources:     timer("core_step_down"),
	},
	{
		name: "vault.server.storage.duration", unit: "s", kind: summary,
		description: "How long operations on the storage took.",
		sources:     []source{stored("delete"), stored("get"), stored("list"), stored("put")},
	},
	{
		name: "vault.server.token.creations", unit: "{token}", kind: counter,
		description: "Tokens that were issued, by the auth method.",
		sources: []source{{
			names:  []string{"token_creation"},
			labels: []label{{"mount_point", attrMountPath}, {"auth_method", attrMountType}, {"token_type", "vault.token.type"}},
		}},
	},
	{
		name: "vault.server.token.duration", unit: "s", kind: summary,
		description: "How long operations on tokens took.",
		sources:     timed("token_", "create", "lookup", "revoke", "revoke_tree"),
	},
	{
		name: "vault.server.token_check.duration", unit: "s", kind: summary,
		description: "How long it took to check the token of a request.",
		sources:     timer("core_check_token"),
	},
	{
		name: "vault.server.unseal.duration", unit: "s", kind: summary,
		description: "How long it took to unseal the server.",
		sources:     timer("core_unseal"),
	},
}
