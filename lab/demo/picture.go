// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/story"
)

// System is one of the systems that are observed.
type System struct {
	Name string // service.name, which Prometheus calls job

	// What the story must leave behind, at least: series by name, spans and
	// events by name and number.
	Series []string
	Spans  map[string]int
	Events map[string]int
}

// Systems are what a picture shows.
var Systems = []System{
	{
		Name: "consul",
		Series: []string{
			"consul_up", "consul_health_check_count", "consul_health_service_instance_count", "consul_health_check_transitions_total",
			"consul_catalog_service_count", "consul_catalog_service_instance_count", "consul_catalog_node_count",
			"consul_raft_has_leader", "consul_server_healthy", "consul_member_count", "consul_session_count",
			"consul_kv_key_count", "consul_kv_changes_total", "consul_kv_lock_acquisitions_total", "consul_ca_root_time_to_expiry_seconds",
		},
		Spans: map[string]int{
			"consul.service.incident.start": 1, "consul.service.incident": 1,
			"consul.check.outage.start": 1, "consul.check.outage": 1,
			"consul.lock.hold.start": story.Holders, "consul.lock.hold": story.Holders,
		},
		Events: map[string]int{
			"consul.check.transition": 2,
			"consul.lock.acquired":    story.Holders, "consul.lock.released": story.Holders,
			"consul.kv.created": 1, "consul.kv.updated": 1, "consul.kv.deleted": 1,
			"consul.session.created": story.Holders, "consul.session.ended": story.Holders,
		},
	},
	{
		Name:   "etcd",
		Series: []string{"etcd_member_up", "etcd_member_leader", "etcd_db_size_bytes"},
		Spans: map[string]int{
			"etcd.lock.attempt.start": story.Contenders, "etcd.lock.attempt": story.Contenders,
			"etcd.lock.wait": story.Contenders, "etcd.lock.hold": story.Contenders,
		},
		Events: map[string]int{
			"etcd.key.put": 2, "etcd.key.delete": 1,
			"etcd.lock.queued": story.Contenders, "etcd.lock.acquired": story.Contenders, "etcd.lock.released": story.Contenders,
		},
	},
	{
		Name:   "vault",
		Series: []string{"vault_up", "vault_initialized", "vault_sealed", "vault_active", "vault_lease_count"},
		Spans:  map[string]int{"vault.sealed.start": 1, "vault.sealed": 1},
		Events: map[string]int{"vault.sealed": 1, "vault.unsealed": 1},
	},
}

// Picture is what can be read of a scene.
type Picture struct {
	Series map[string][]readback.Series // by system
	Spans  map[string][]readback.Span
	Events map[string][]readback.Event
}

// Look reads the picture from Jaeger, Prometheus and the file of events.
func (s *Scene) Look(ctx context.Context) (Picture, error) {
	p := Picture{
		Series: map[string][]readback.Series{},
		Spans:  map[string][]readback.Span{},
		Events: map[string][]readback.Event{},
	}
	for _, system := range Systems {
		series, err := s.Prometheus.Query(ctx, fmt.Sprintf(`{job=%q,__name__!="target_info"}`, system.Name))
		if err != nil {
			return p, err
		}
		spans, err := s.Jaeger.Spans(ctx, system.Name, s.Since)
		if err != nil {
			return p, err
		}
		p.Series[system.Name], p.Spans[system.Name] = series, spans
	}
	events, err := s.Events.Read()
	for _, e := range events {
		p.Events[e.Service] = append(p.Events[e.Service], e)
	}
	return p, err
}

// Missing says what the story has left behind that the picture does not show.
func (p Picture) Missing() []string {
	var missing []string
	for _, system := range Systems {
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
	}
	return missing
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
