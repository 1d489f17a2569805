// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const (
	nowWithin    = 15 * time.Second
	openSince    = 24 * time.Hour // older periods that are still open are not found
	runningSince = time.Hour      // the same for workflows, whose end may never be recorded
	mostTraces   = 200            // of spans of one name; if there are more, the part says so
)

// The services that the collector reports on; all others are applications.
var systems = []string{"consul", "etcd", "vault"}

// Now is what is open at a time. Each part says for itself what kept it from being known.
type Now struct {
	At        time.Time
	Systems   part[State]
	Incidents part[Period]
	Locks     part[Period]
	Workflows part[Period]
}

type part[T any] struct {
	Items []T
	Error string `json:",omitempty"`
}

// State is the newest state of a system, from its metrics.
type State struct {
	System string
	Text   string
	Bad    bool
}

// Period is one that has begun and not ended.
type Period struct {
	Name    string // of its span
	Service string
	Subject string // such as the name of the lock
	Status  string // such as "waits"
	Holder  string // of a lock, its session or lease
	Since   time.Time
	TraceID string
	SpanID  string // of the period itself, not of its marker
}

func now(sources Sources) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), nowWithin)
		defer cancel()
		body, err := json.Marshal(query(ctx, readback.Jaeger(sources.Jaeger), readback.Prometheus(sources.Prometheus)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, body)
	})
}

func query(ctx context.Context, jaeger readback.Jaeger, prometheus readback.Prometheus) Now {
	n := Now{At: time.Now()}
	var ask errgroup.Group
	ask.Go(func() error {
		series, err := prometheus.Query(ctx, stateQuery)
		n.Systems = partOf(states(series), "Prometheus", nil, "", err)
		return nil
	})
	ask.Go(func() error {
		found, err := markers(ctx, jaeger, n.At)
		incidents, locks := openPeriods(found.spans)
		cutIncidents, cutLocks := found.cutOff(isIncident), found.cutOff(isLock)
		n.Incidents = partOf(incidents, "Jaeger", cutIncidents, moreOpen, err)
		n.Locks = partOf(locks, "Jaeger", cutLocks, moreOpen, err)
		return nil
	})
	ask.Go(func() error {
		found, err := workflows(ctx, jaeger, n.At)
		n.Workflows = partOf(running(found.spans), "Jaeger", found.cut, moreOpen, err)
		return nil
	})
	_ = ask.Wait() // Each part has its own error.
	return n
}

const moreOpen = "there may be more that are open"

// partOf says of searches that were cut off what may be missing.
func partOf[T any](items []T, source string, cut []string, missing string, err error) part[T] {
	if err != nil {
		return part[T]{Items: []T{}, Error: fmt.Sprintf("%s does not answer: %v", source, err)}
	}
	p := part[T]{Items: append([]T{}, items...)}
	if len(cut) > 0 {
		p.Error = fmt.Sprintf("of %s only the newest traces were read: %s", strings.Join(cut, ", "), missing)
	}
	return p
}

// traces are those of several searches.
type traces struct {
	spans []readback.Span
	cut   []string // names of spans or services of which there are more
}

// find searches for the spans of a service with a name, or for all of its spans.
func (t *traces) find(ctx context.Context, jaeger readback.Jaeger, service, name string, since time.Time, most int) error {
	spans, err := jaeger.Traces(ctx, service, name, since, most)
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	for _, s := range spans {
		ids[s.TraceID] = true
	}
	if len(ids) >= most {
		t.cut = append(t.cut, cmp.Or(name, service))
	}
	t.spans = append(t.spans, spans...)
	return nil
}

func (t *traces) cutOff(kind func(name string) bool) (names []string) {
	for _, name := range t.cut {
		if kind(name) {
			names = append(names, name)
		}
	}
	return names
}

// search returns the traces since a time with spans of the observed systems whose name is wanted.
func search(ctx context.Context, jaeger readback.Jaeger, since time.Time, wanted func(name string) bool) (traces, error) {
	var all traces
	for _, service := range systems {
		operations, err := jaeger.Operations(ctx, service)
		if err != nil {
			return traces{}, err
		}
		for _, name := range operations {
			if !wanted(name) {
				continue
			}
			if err := all.find(ctx, jaeger, service, name, since, mostTraces); err != nil {
				return traces{}, err
			}
		}
	}
	return all, nil
}

// markers returns the traces in which periods of the observed systems were announced.
func markers(ctx context.Context, jaeger readback.Jaeger, now time.Time) (traces, error) {
	return search(ctx, jaeger, now.Add(-openSince), func(name string) bool {
		return strings.HasSuffix(name, ".start") && (isIncident(name) || isLock(name))
	})
}

func isLock(name string) bool { return strings.Contains(name, ".lock.") }

func isIncident(name string) bool {
	name = strings.TrimSuffix(name, ".start")
	return slices.ContainsFunc([]string{".incident", ".outage", ".sealed", ".leaderless"}, func(kind string) bool {
		return strings.HasSuffix(name, kind)
	})
}

type spanKey struct{ trace, span string }

// openPeriods returns what was announced by a marker and has not ended, the oldest first. The outages of checks are
// left out where the incident that they belong to is there.
func openPeriods(spans []readback.Span) (incidents, locks []Period) {
	known, children := map[spanKey]bool{}, map[spanKey][]readback.Span{}
	for _, s := range spans {
		known[spanKey{s.TraceID, s.SpanID}] = true
		parent := spanKey{s.TraceID, s.ParentSpanID}
		children[parent] = append(children[parent], s)
	}
	handled := map[spanKey]bool{}
	inIncident := map[string]bool{}
	for _, s := range spans {
		name, marker := strings.CutSuffix(s.Name, ".start")
		key := spanKey{s.TraceID, s.ParentSpanID}
		if !marker || known[key] || handled[key] {
			continue
		}
		handled[key] = true
		p := Period{
			Name: name, Service: s.Service, Subject: subject(s), Since: s.Start, TraceID: s.TraceID, SpanID: s.ParentSpanID,
			Holder: firstOf(s, "consul.session.id", "etcd.lease.id"),
		}
		switch {
		case isLock(name):
			p.Status = "holds"
			if name == "etcd.lock.attempt" {
				p.Status = "waits"
				for _, child := range children[key] {
					if child.Name == "etcd.lock.wait" { // It ends when the lock is acquired.
						p.Status, p.Since = "holds", child.Start.Add(child.Duration)
					}
				}
			}
			locks = append(locks, p)
		case isIncident(name):
			p.Status = firstOf(s, "consul.check.status")
			inIncident[p.TraceID] = inIncident[p.TraceID] || strings.HasSuffix(name, ".incident")
			incidents = append(incidents, p)
		}
	}
	incidents = slices.DeleteFunc(incidents, func(p Period) bool {
		return p.Name == "consul.check.outage" && inIncident[p.TraceID]
	})
	slices.SortFunc(incidents, older)
	slices.SortFunc(locks, func(a, b Period) int {
		return cmp.Or(strings.Compare(a.Subject, b.Subject), strings.Compare(a.Status, b.Status), older(a, b))
	})
	return incidents, locks
}

func older(a, b Period) int {
	return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Subject, b.Subject), strings.Compare(a.SpanID, b.SpanID))
}

func subject(s readback.Span) string {
	return firstOf(s, "consul.service.name", "consul.node.name", "consul.kv.key.name", "etcd.lock.name", "vault.node.name")
}

func firstOf(s readback.Span, attributes ...string) string {
	for _, name := range attributes {
		if value, ok := s.Attributes[name]; ok && fmt.Sprint(value) != "" {
			return fmt.Sprint(value)
		}
	}
	return ""
}

// The names that Temporal's SDK gives to the span of a client that starts a workflow, and to the workflow's own, which
// is exported when the workflow has ended.
const startWorkflow, runWorkflow = "StartWorkflow:", "RunWorkflow:"

// workflows returns the traces in which workflows were started.
func workflows(ctx context.Context, jaeger readback.Jaeger, now time.Time) (traces, error) {
	services, err := jaeger.Services(ctx)
	if err != nil {
		return traces{}, err
	}
	var all traces
	for _, service := range services {
		if slices.Contains(systems, service) {
			continue
		}
		operations, err := jaeger.Operations(ctx, service)
		if err != nil {
			return traces{}, err
		}
		for _, name := range operations {
			if !strings.HasPrefix(name, startWorkflow) {
				continue
			}
			if err := all.find(ctx, jaeger, service, name, now.Add(-runningSince), mostTraces); err != nil {
				return traces{}, err
			}
		}
	}
	return all, nil
}

// running returns the workflows that were started and have no span of their own yet.
func running(spans []readback.Span) []Period {
	ended := map[spanKey]bool{} // by trace and parent
	for _, s := range spans {
		if strings.HasPrefix(s.Name, runWorkflow) {
			ended[spanKey{s.TraceID, s.ParentSpanID}] = true
		}
	}
	var open []Period
	handled := map[spanKey]bool{}
	for _, s := range spans {
		key := spanKey{s.TraceID, s.SpanID}
		if name, start := strings.CutPrefix(s.Name, startWorkflow); start && !s.Failed && !ended[key] && !handled[key] {
			handled[key] = true
			open = append(open, Period{
				Name: name, Service: s.Service, Subject: firstOf(s, "temporalWorkflowID"), Status: "runs",
				Since: s.Start, TraceID: s.TraceID, SpanID: s.SpanID,
			})
		}
	}
	slices.SortFunc(open, older)
	return open
}

const stateQuery = `{__name__=~"consul_up|consul_raft_has_leader|etcd_member_up|etcd_raft_has_leader|etcd_lock_holder_count|etcd_lock_waiter_count|` +
	`consul_kv_lock_held_count|consul_health_check_count|vault_up|vault_sealed|vault_has_leader"}`

// states sums the states of the systems up.
func states(series []readback.Series) []State {
	sum, count := map[string]float64{}, map[string]int{}
	var sealed []string
	critical := 0.0
	for _, s := range series {
		if s.Name == "consul_health_check_count" && s.Labels["consul_check_status"] == "critical" {
			critical += s.Value
		}
		sum[s.Name] += s.Value
		count[s.Name]++
		if s.Name == "vault_sealed" && s.Value == 1 {
			sealed = append(sealed, s.Labels["instance"])
		}
	}
	var all []State
	add := func(system string, bad bool, format string, args ...any) {
		all = append(all, State{system, fmt.Sprintf(format, args...), bad})
	}
	answers := func(system, metric, what string) bool {
		if count[metric] == 0 {
			add(system, true, "no metrics: the collector does not observe it, or Prometheus does not scrape the collector")
			return false
		}
		add(system, int(sum[metric]) < count[metric], "%.0f of %d %s answer", sum[metric], count[metric], what)
		return true
	}
	leader := func(system, metric string) {
		switch {
		case count[metric] == 0: // It is unknown while no server answers.
		case int(sum[metric]) < count[metric]:
			add(system, true, "no leader")
		default:
			add(system, false, "has a leader")
		}
	}
	if answers("consul", "consul_up", "agents") {
		leader("consul", "consul_raft_has_leader")
		if checks := "consul_health_check_count"; count[checks] > 0 {
			add("consul", critical > 0, "%.0f of %.0f checks critical", critical, sum[checks])
		}
		if count["consul_kv_lock_held_count"] > 0 {
			add("consul", false, "locks held: %.0f", sum["consul_kv_lock_held_count"])
		}
	}
	if answers("etcd", "etcd_member_up", "members") {
		leader("etcd", "etcd_raft_has_leader")
		if count["etcd_lock_holder_count"] > 0 {
			add("etcd", false, "locks held: %.0f, waiting: %.0f", sum["etcd_lock_holder_count"], sum["etcd_lock_waiter_count"])
		}
	}
	if answers("vault", "vault_up", "servers") {
		switch {
		case count["vault_sealed"] == 0: // It is unknown while no server answers.
		case len(sealed) > 0:
			add("vault", true, "sealed: %s", strings.Join(sealed, ", "))
		default:
			add("vault", false, "unsealed")
		}
		leader("vault", "vault_has_leader")
	}
	return all
}
