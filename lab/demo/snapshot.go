// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
	"github.com/otelcol-infra/otelcol-infra/lab/workload"
)

// System is one of the systems that are observed.
type System struct {
	Name string // service.name, which Prometheus calls job

	// Highlight says what to open first, and Documented where its metrics are explained.
	Highlight, Documented string

	// What the workload must leave behind, at least: series by name, those that
	// say most first; spans and events by name and number.
	Series []string
	Spans  map[string]int
	Events map[string]int

	// Exemplars are series of which one value at least leads to its span.
	Exemplars []string

	// Links are the names of spans, and how many links from them lead to others.
	Links map[string]int

	// Own is where in Vault the demo's own requests go, which set up the workload and
	// ask how far it is.
	Own string
}

// leases are those of the sessions that contend and campaign, and the one that
// expires.
const leases = workload.Contenders + workload.Candidates + 1

// Systems are what a snapshot shows.
var Systems = []System{
	{
		Name: "consul",
		Highlight: "the trace consul.service.incident, as long as service " + workload.Service + " was critical;" +
			" the exemplar of consul_health_check_transitions_total leads to it",
		Documented: "receiver/consulreceiver/documentation.md",
		Series: []string{
			"consul_health_check_transitions_total", "consul_health_check_count", "consul_kv_lock_acquisitions_total", "consul_kv_changes_total",
			"consul_catalog_service_instance_count", "consul_raft_has_leader", "consul_ca_root_expiry_timestamp_seconds", "consul_up",
			"consul_health_service_instance_count", "consul_catalog_service_count", "consul_catalog_node_count",
			"consul_server_healthy", "consul_member_count", "consul_session_count", "consul_kv_key_count",
		},
		Exemplars: []string{"consul_health_check_transitions_total"},
		Spans: map[string]int{
			"consul.service.incident.start": 1, "consul.service.incident": 1,
			"consul.check.outage.start": 1, "consul.check.outage": 1,
			"consul.lock.hold.start": workload.Holders, "consul.lock.hold": workload.Holders,
		},
		Events: map[string]int{
			"consul.check.transition": 2,
			"consul.lock.acquired":    workload.Holders, "consul.lock.released": workload.Holders,
			"consul.kv.created": 1, "consul.kv.updated": 1, "consul.kv.deleted": 1,
			"consul.session.created": workload.Holders, "consul.session.ended": workload.Holders,
		},
	},
	{
		Name: "etcd",
		Highlight: "the traces etcd.lock.attempt, each linked to the hold that it waited for;" +
			" the exemplar of etcd_lock_wait_duration_seconds leads to the longest wait",
		Documented: "receiver/etcdreceiver/documentation.md",
		Series: []string{
			"etcd_lock_acquisitions_total", "etcd_lock_wait_duration_seconds_count", "etcd_election_elections_total", "etcd_lease_ends_total",
			"etcd_key_changes_total", "etcd_raft_has_leader", "etcd_db_size_bytes", "etcd_member_up",
			"etcd_member_leader", "etcd_member_count", "etcd_writes_total", "etcd_key_count", "etcd_lease_count",
			"etcd_lock_hold_duration_seconds_count", "etcd_election_term_duration_seconds_count",
		},
		Exemplars: []string{
			"etcd_lock_wait_duration_seconds_bucket", "etcd_lock_hold_duration_seconds_bucket", "etcd_election_term_duration_seconds_bucket",
			"etcd_lease_grants_total", "etcd_lease_ends_total",
		},
		Spans: map[string]int{
			"etcd.lock.attempt.start": workload.Contenders, "etcd.lock.attempt": workload.Contenders,
			"etcd.lock.wait": workload.Contenders, "etcd.lock.hold": workload.Contenders,
			"etcd.election.term.start": workload.Candidates, "etcd.election.term": workload.Candidates,
			"etcd.lease.start": leases, "etcd.lease": leases,
		},
		Links: map[string]int{"etcd.lock.attempt": workload.Contenders - 1, "etcd.election.term": workload.Candidates - 1},
		Events: map[string]int{
			"etcd.key.put": 3, "etcd.key.delete": 2,
			"etcd.lock.queued": workload.Contenders, "etcd.lock.acquired": workload.Contenders, "etcd.lock.released": workload.Contenders,
			"etcd.election.elected": workload.Candidates, "etcd.election.resigned": workload.Candidates,
			"etcd.lease.granted": leases, "etcd.lease.ended": leases,
		},
	},
	{
		Name: "vault",
		Highlight: "the span create " + workload.Secrets + "/ in the application's trace " + workload.Order + ", of its audit log;" +
			" the exemplar of vault_request_duration_seconds{kv, create, ok} leads to it",
		Documented: "receiver/vaultreceiver/documentation.md",
		Own:        "sys/",
		Series: []string{
			"vault_request_duration_seconds_count", "vault_lease_created_total", "vault_lease_renewals_total", "vault_lease_ended_total",
			"vault_sealed", "vault_active", "vault_pki_ca_expiry_seconds", "vault_up",
			"vault_initialized", "vault_lease_count", "vault_lease_followed_count",
			"vault_lease_lifetime_seconds_count", "vault_lease_ttl_issued_seconds_count", "vault_lease_ttl_remaining_seconds_count",
			"vault_pki_certificate_count", "vault_pki_crl_expiry_seconds",
			"vault_mount_count", "vault_policy_count", "vault_token_count", "vault_own_token_ttl_seconds",
			"vault_audit_entries_total",
		},
		Exemplars: []string{
			"vault_lease_lifetime_seconds_bucket", "vault_request_duration_seconds_bucket",
			"vault_lease_created_total", "vault_lease_ended_total",
		},
		Spans: map[string]int{
			"create " + workload.Secrets + "/": 1, "read " + workload.Secrets + "/": 1,
			"vault.sealed.start": 1, "vault.sealed": 1,
			"vault.lease.start": workload.VaultLeases, "vault.lease": workload.VaultLeases,
		},
		Events: map[string]int{
			"vault.audit.request": 2, "vault.audit.response": 2,
			"vault.sealed": 1, "vault.unsealed": 1,
			"vault.lease.created": workload.VaultLeases, "vault.lease.renewed": 1, "vault.lease.expiring": 1, "vault.lease.ended": workload.VaultLeases,
		},
	},
	{
		Name: shop.Service,
		Highlight: "the exemplar of " + shop.Durations + "{GET, 200, /items}:" +
			" it leads to the trace GET /items, of which the metrics knew nothing",
		Series:    []string{shop.Durations + "_count", shop.Requests},
		Exemplars: []string{shop.Durations + "_bucket"},
		Spans:     map[string]int{workload.Order: 1, "GET /items": workload.Customers, "GET /items/{id}": workload.Customers, "POST /orders": workload.Customers},
	},
}

// Snapshot is what can be read of a scene.
type Snapshot struct {
	Series map[string][]readback.Series // by system
	Spans  map[string][]readback.Span
	Events map[string][]readback.Event

	Exemplars map[string][]readback.Exemplar // of System.Exemplars

	systems []System // nil: all
}

func (p Snapshot) shown() []System {
	if p.systems == nil {
		return Systems
	}
	return p.systems
}

// Collect reads the snapshot from Jaeger, if it is there, Prometheus and the file of events.
func (s *Environment) Collect(ctx context.Context) (Snapshot, error) {
	p := Snapshot{
		Series: map[string][]readback.Series{},
		Spans:  map[string][]readback.Span{},
		Events: map[string][]readback.Event{},

		Exemplars: map[string][]readback.Exemplar{},
		systems:   s.systems,
	}
	for _, system := range s.systems {
		series, err := s.Prometheus.Query(ctx, fmt.Sprintf(`{job=%q,__name__!="target_info"}`, system.Name))
		if err != nil {
			return p, err
		}
		p.Series[system.Name] = series
		if s.Jaeger != "" {
			if p.Spans[system.Name], err = s.Jaeger.Spans(ctx, system.Name, s.Since); err != nil {
				return p, err
			}
		}
		if len(system.Exemplars) == 0 {
			continue
		}
		named := fmt.Sprintf(`{job=%q,__name__=~%q}`, system.Name, strings.Join(system.Exemplars, "|"))
		if p.Exemplars[system.Name], err = s.Prometheus.Exemplars(ctx, named, s.Since); err != nil {
			return p, err
		}
	}
	events, err := s.Events.Read()
	for _, e := range events {
		p.Events[e.Service] = append(p.Events[e.Service], e)
	}
	return p, err
}

// Missing says what the workload has left behind that the snapshot does not show.
func (p Snapshot) Missing() []string {
	var missing []string
	for _, system := range p.shown() {
		series, spans, events := map[string]int{}, map[string]int{}, map[string]int{}
		for _, s := range p.Series[system.Name] {
			series[s.Name]++
		}
		for _, s := range p.Spans[system.Name] {
			spans[s.Name]++
		}
		for _, e := range p.Events[system.Name] {
			events[e.Name]++
		}
		want := map[string]int{}
		for _, name := range system.Series {
			want[name] = 1
		}
		missing = append(missing, lacking("prometheus", want, series)...)
		missing = append(missing, lacking("jaeger", system.Spans, spans)...)
		missing = append(missing, lacking("events", system.Events, events)...)
		missing = append(missing, p.leadNowhere(system)...)
	}
	return missing
}

// leadNowhere says which exemplars and links do not lead to a span.
func (p Snapshot) leadNowhere(system System) []string {
	exemplars, links := map[string]int{}, map[string]int{}
	for _, e := range p.Exemplars[system.Name] {
		if _, found := p.span(system, e.TraceID, e.SpanID); found {
			exemplars[e.Series.Name]++
		}
	}
	for _, s := range p.Spans[system.Name] {
		for _, l := range s.Links {
			if _, found := p.span(system, l.TraceID, l.SpanID); found {
				links[s.Name]++
			}
		}
	}
	want := map[string]int{}
	for _, name := range system.Exemplars {
		want[name] = 1
	}
	return append(lacking("prometheus (exemplars)", want, exemplars), lacking("jaeger (links)", system.Links, links)...)
}

func (p Snapshot) span(system System, traceID, spanID string) (readback.Span, bool) {
	i := slices.IndexFunc(p.Spans[system.Name], func(s readback.Span) bool { return s.TraceID == traceID && s.SpanID == spanID })
	if i < 0 {
		return readback.Span{}, false
	}
	return p.Spans[system.Name][i], true
}

func lacking(where string, want, got map[string]int) []string {
	var missing []string
	for name, n := range want {
		if got[name] < n {
			missing = append(missing, fmt.Sprintf("%s has %d of %d %s", where, got[name], n, name))
		}
	}
	return missing
}
