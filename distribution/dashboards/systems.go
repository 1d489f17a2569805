// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package dashboards

// All returns the dashboards in the order in which they are shown.
func All() []Dashboard {
	return []Dashboard{consul(), etcd(), vault(), applications(), order()}
}

func consul() Dashboard {
	return Dashboard{
		Name: "consul", Title: "Consul", Description: "Health of services, leadership, sessions and locks.",
		Panels: []Panel{
			stat("Agents that answer", "How many of the observed agents answer.", WhenNone, "sum(consul_up)"),
			stat("Raft has a leader", "1 if the servers have a leader, 0 if not.", WhenNone, "min(consul_raft_has_leader)"),
			stat("Critical checks", "Checks whose status is critical now.", WhenAny, `sum(consul_health_check_count{consul_check_status="critical"})`),
			stat("Locks held", "Keys under the observed prefixes that a session holds.", Never, "sum(consul_kv_lock_held_count)"),
			series("Checks by status", "How many checks pass, warn or are critical.", Count,
				checks("passing"), checks("warning"), checks("critical")).in(good, warn, bad),
			series("Check transitions", "Turns of checks to a status. An exemplar leads to the outage.", Count,
				Query{increase("consul_health_check_transitions_total", "consul_service_name, consul_check_status"), "{{consul_service_name}} {{consul_check_status}}"}).
				with("consul_health_check_transitions_total"),
			series("Changes of keys", "Keys under the observed prefixes that were created, updated or deleted.", Count,
				Query{increase("consul_kv_changes_total", "consul_kv_change"), "{{consul_kv_change}}"}),
			series("Locks and sessions", "Acquisitions of locks, locks that are held, and sessions.", Count,
				Query{increase("consul_kv_lock_acquisitions_total", "job"), "acquisitions"},
				Query{"sum(consul_kv_lock_held_count)", "held"},
				Query{"sum(consul_session_count)", "sessions"}),
		},
	}
}

// checks is a query of its own for each status, as Perses gives a color to a query, not to a series.
func checks(status string) Query {
	return Query{`sum(consul_health_check_count{consul_check_status="` + status + `"})`, status}
}

func etcd() Dashboard {
	return Dashboard{
		Name: "etcd", Title: "etcd", Description: "Locks and who waits for them, leases, keys, members.",
		Panels: []Panel{
			stat("Members that answer", "How many of the members answer.", WhenNone, "sum(etcd_member_up)"),
			stat("Raft has a leader", "1 if the members that answer follow a leader, 0 if not.", WhenNone, "min(etcd_raft_has_leader)"),
			stat("Locks held", "Holders of locks under the observed prefixes.", Never, "sum(etcd_lock_holder_count)"),
			stat("Waiting for locks", "Who is enqueued and does not hold the lock yet.", Never, "sum(etcd_lock_waiter_count)"),
			series("Wait for locks, 95th percentile", "How long it takes to get a lock, or to give up. An exemplar leads to the wait and to who held the lock.", Seconds,
				Query{quantile("0.95", "etcd_lock_wait_duration_seconds", "etcd_watch_prefix, etcd_lock_wait_outcome"), "{{etcd_watch_prefix}} {{etcd_lock_wait_outcome}}"}).
				with("etcd_lock_wait_duration_seconds_bucket"),
			series("Hold of locks, 95th percentile", "How long locks are held. An exemplar leads to the hold.", Seconds,
				Query{quantile("0.95", "etcd_lock_hold_duration_seconds", "etcd_watch_prefix"), "{{etcd_watch_prefix}}"}).
				with("etcd_lock_hold_duration_seconds_bucket"),
			series("Holders and waiters of locks", "Attempts that hold a lock and that wait for one.", Count,
				Query{"sum(etcd_lock_holder_count)", "hold"}, Query{"sum(etcd_lock_waiter_count)", "wait"}),
			series("Ends of leases", "Leases that expired or were revoked. An exemplar leads to the life of the lease.", Count,
				Query{increase("etcd_lease_ends_total", "etcd_lease_end_cause"), "{{etcd_lease_end_cause}}"}).
				with("etcd_lease_ends_total"),
			series("Changes of keys", "Puts and deletes under the observed prefixes.", Count,
				Query{increase("etcd_key_changes_total", "etcd_watch_prefix, etcd_key_change"), "{{etcd_watch_prefix}} {{etcd_key_change}}"}),
			series("Database in use", "Bytes of the database that hold data, by member.", Bytes,
				Query{"etcd_db_size_in_use_bytes", "{{instance}}"}),
		},
	}
}

func vault() Dashboard {
	return Dashboard{
		Name: "vault", Title: "Vault", Description: "Seal, requests, leases and certificates.",
		Panels: []Panel{
			stat("Sealed servers", "How many servers are sealed now.", WhenAny, "sum(vault_sealed)"),
			stat("Active servers", "How many servers are active; a cluster has one.", WhenNone, "sum(vault_active)"),
			stat("Leases", "Leases that Vault has issued and that have not ended.", Never, "sum(vault_lease_count)"),
			stat("Requests in flight", "Requests that are being handled.", Never, "sum(vault_request_in_flight_count)"),
			series("Requests, 95th percentile", "How long requests take, from the audit device. An exemplar leads to the request in its caller's trace.", Seconds,
				Query{quantile("0.95", "vault_request_duration_seconds", "vault_mount_type, vault_request_operation"), "{{vault_mount_type}} {{vault_request_operation}}"}).
				with("vault_request_duration_seconds_bucket"),
			series("Requests by outcome", "Requests in a second that succeeded, were denied or failed.", PerSecond,
				Query{rate("vault_request_duration_seconds_count", "vault_request_outcome"), "{{vault_request_outcome}}"}),
			series("Leases created and ended", "Leases under the followed prefixes. An exemplar leads to the life of the lease.", Count,
				Query{increase("vault_lease_created_total", "vault_mount_path"), "created {{vault_mount_path}}"},
				Query{increase("vault_lease_ended_total", "vault_mount_path, vault_lease_end_cause"), "{{vault_lease_end_cause}} {{vault_mount_path}}"}).
				with("vault_lease_ended_total"),
			series("Seal", "1 while a server is sealed.", Count, Query{"vault_sealed", "{{instance}}"}),
			series("Time to the end of certificate authorities", "How long the issuers of PKI mounts are valid.", Seconds,
				Query{"vault_pki_ca_expiry_seconds", "{{vault_mount_path}} {{vault_issuer_name}}"}),
			series("Time to live of the collector's token", "How long the collector may ask Vault without another login.", Seconds,
				Query{"vault_own_token_ttl_seconds", "{{instance}}"}),
		},
	}
}

func applications() Dashboard {
	return Dashboard{
		Name: "applications", Title: "Applications", Description: "Requests that applications serve; exemplars come from the exemplar processor where the application gives none.",
		Panels: []Panel{
			series("Requests, 95th percentile", "How long HTTP servers take. An exemplar leads to the request.", Seconds,
				Query{quantile("0.95", "http_server_request_duration_seconds", "job, http_request_method, http_route"), "{{job}} {{http_request_method}} {{http_route}}"}).
				with("http_server_request_duration_seconds_bucket"),
			series("Requests by status", "Requests in a second.", PerSecond,
				Query{rate("http_server_request_duration_seconds_count", "job, http_response_status_code"), "{{job}} {{http_response_status_code}}"}),
		},
	}
}

func order() Dashboard {
	return Dashboard{
		Name: "order", Title: "Orders", Description: "The order example: orders, the legacy service users, and the Temporal worker.",
		Panels: []Panel{
			series("Orders, 95th percentile", "How long an order takes. An exemplar leads to its trace.", Seconds,
				Query{quantile("0.95", "orders_order_duration_seconds", "status"), "{{status}}"}).
				with("orders_order_duration_seconds_bucket"),
			series("Orders by status", "Orders in a second.", PerSecond,
				Query{rate("orders_order_duration_seconds_count", "status"), "{{status}}"}),
			series("Requests of users, 95th percentile", "How long the legacy service takes. It knows no exemplars: the exemplar processor adds them.", Seconds,
				Query{quantile("0.95", "users_request_duration_seconds", "method, route"), "{{method}} {{route}}"}).
				with("users_request_duration_seconds_bucket"),
			series("Workflows, 95th percentile", "How long Temporal workflows take, from their start to their end.", Seconds,
				Query{quantile("0.95", "temporal_workflow_endtoend_latency_seconds", "workflow_type"), "{{workflow_type}}"}),
			series("Tries of activities, 95th percentile", "How long one try of a Temporal activity takes.", Seconds,
				Query{quantile("0.95", "temporal_activity_execution_latency_seconds", "activity_type"), "{{activity_type}}"}),
			series("Workflows that ended", "Temporal workflows that completed or failed.", Count,
				Query{increase("temporal_workflow_completed_total", "workflow_type"), "completed {{workflow_type}}"},
				Query{increase("temporal_workflow_failed_total", "workflow_type"), "failed {{workflow_type}}"}),
			series("Failed activities", "Tries of Temporal activities that failed; they may be tried again.", Count,
				Query{increase("temporal_activity_execution_failed_total", "activity_type"), "{{activity_type}}"}),
		},
	}
}
