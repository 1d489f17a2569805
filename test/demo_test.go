// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab/demo"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
	"github.com/otelcol-infra/otelcol-infra/lab/workload"
)

// play starts a scene; when the test has failed, the logs of everything follow.
func play(t *testing.T) *demo.Environment {
	t.Helper()
	s, err := demo.Start(t.Context(), demo.Options{Binary: binary(t), Config: config, Policy: policy, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("collector:\n%s\nservers:\n%s", s.LogTail(100), s.Lab.Logs(20))
		}
		require.NoError(t, s.Stop())
	})
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, s.AwaitBaseline(ctx))
	return s
}

// look waits until the snapshot satisfies the condition.
func look(t *testing.T, s *demo.Environment, what string, satisfied func(demo.Snapshot) bool) demo.Snapshot {
	t.Helper()
	var p demo.Snapshot
	require.Eventually(t, func() bool {
		var err error
		p, err = s.Collect(t.Context())
		return err == nil && satisfied(p)
	}, soon, 200*time.Millisecond, what)
	return p
}

func spans(p demo.Snapshot, system, name string) []readback.Span {
	var found []readback.Span
	for _, span := range p.Spans[system] {
		if span.Name == name {
			found = append(found, span)
		}
	}
	return found
}

func value(p demo.Snapshot, system, name string, labels ...string) (float64, bool) {
series:
	for _, s := range p.Series[system] {
		if s.Name != name {
			continue
		}
		for i := 0; i < len(labels); i += 2 {
			if s.Labels[labels[i]] != labels[i+1] {
				continue series
			}
		}
		return s.Value, true
	}
	return 0, false
}

func has(p demo.Snapshot, want float64, system, name string, labels ...string) bool {
	got, ok := value(p, system, name, labels...)
	return ok && got == want
}

func TestTheDemoArrives(t *testing.T) {
	s := play(t)
	const pace = 3 * demo.Interval
	require.NoError(t, (&workload.Workload{Lab: s.Lab, OTLP: s.OTLP, Audit: s.Audit, Shop: s.Shop, Pace: pace, Progress: func(line string) { t.Log(line) }}).Run(t.Context()))
	var missing []string
	defer func() {
		if len(missing) > 0 {
			t.Logf("missing: %q", missing)
		}
	}()
	p := look(t, s, "everything that the workload leaves behind", func(p demo.Snapshot) bool {
		missing = p.Missing()
		return len(missing) == 0
	})

	t.Run("an outage is as long as it was", func(t *testing.T) {
		outage := spans(p, "consul", "consul.check.outage")[0]
		assertLasted(t, pace, outage.Duration)
		assert.True(t, outage.Failed)
		assert.Equal(t, workload.Service, outage.Attributes["consul.service.name"])
		assert.True(t, has(p, 2, "consul", "consul_health_check_count", "consul_check_status", "passing"))
		assert.True(t, has(p, 0, "consul", "consul_health_check_count", "consul_check_status", "critical"))
	})

	t.Run("a lock has one holder at a time, and waits add up", func(t *testing.T) {
		attempts, waits, holds := spans(p, "etcd", "etcd.lock.attempt"), spans(p, "etcd", "etcd.lock.wait"), spans(p, "etcd", "etcd.lock.hold")
		require.Len(t, attempts, workload.Contenders)
		require.Len(t, waits, workload.Contenders)
		require.Len(t, holds, workload.Contenders)
		for _, attempt := range attempts {
			wait, hold := childOf(t, attempt, waits), childOf(t, attempt, holds)
			assert.InDelta(t, attempt.Duration, wait.Duration+hold.Duration, float64(time.Microsecond))
			assert.WithinDuration(t, wait.Start.Add(wait.Duration), hold.Start, time.Microsecond)
			assert.False(t, attempt.Failed)
			assert.Equal(t, workload.Lock, attempt.Attributes["etcd.lock.name"])
		}
		for i, hold := range holds {
			for _, other := range holds[i+1:] {
				apart := !hold.Start.Add(hold.Duration).After(other.Start) || !other.Start.Add(other.Duration).After(hold.Start)
				assert.True(t, apart, "two hold the lock at once: %v, %v", hold, other)
			}
		}
	})

	t.Run("who waits for a lock is linked to who held it before", func(t *testing.T) {
		attempts, waits, holds := spans(p, "etcd", "etcd.lock.attempt"), spans(p, "etcd", "etcd.lock.wait"), spans(p, "etcd", "etcd.lock.hold")
		linked := 0
		for _, attempt := range attempts {
			wait := childOf(t, attempt, waits)
			if len(attempt.Links) == 0 {
				assert.Less(t, wait.Duration, pace/workload.Contenders/2, "nobody was before it")
				continue
			}
			linked++
			before := target(t, attempt.Links, holds)
			assert.NotEqual(t, attempt.TraceID, before.TraceID)
			assert.Equal(t, workload.Lock, before.Attributes["etcd.lock.name"])
			assert.WithinDuration(t, before.Start.Add(before.Duration), childOf(t, attempt, holds).Start, time.Microsecond)
			assert.Greater(t, wait.Duration, pace/workload.Contenders/2)
		}
		assert.Equal(t, workload.Contenders-1, linked)
	})

	t.Run("a long wait is found from its histogram", func(t *testing.T) {
		const histogram = "etcd_lock_wait_duration_seconds"
		assert.True(t, has(p, workload.Contenders, "etcd", histogram+"_count", "etcd_watch_prefix", workload.LockPrefix, "etcd_lock_wait_outcome", "acquired"))
		waited := 0
		for _, exemplar := range p.Exemplars["etcd"] {
			if exemplar.Series.Name != histogram+"_bucket" {
				continue
			}
			trace, err := s.Jaeger.Trace(t.Context(), exemplar.TraceID)
			require.NoError(t, err)
			wait := target(t, []readback.Link{{TraceID: exemplar.TraceID, SpanID: exemplar.SpanID}}, trace)
			assert.Equal(t, "etcd.lock.wait", wait.Name)
			assert.InDelta(t, wait.Duration.Seconds(), exemplar.Value, 1e-6)
			if wait.Duration > pace/workload.Contenders/2 {
				waited++
			}
		}
		assert.Positive(t, waited, "the bucket of the long waits leads to one")
	})

	t.Run("an election is handed over", func(t *testing.T) {
		terms := spans(p, "etcd", "etcd.election.term")
		require.Len(t, terms, workload.Candidates)
		slices.SortFunc(terms, func(a, b readback.Span) int { return a.Start.Compare(b.Start) })
		assert.Empty(t, terms[0].Links)
		assert.Equal(t, terms[0].SpanID, target(t, terms[1].Links, terms).SpanID)
		for _, term := range terms {
			assertLasted(t, pace/workload.Candidates, term.Duration)
			assert.Equal(t, workload.Election, term.Attributes["etcd.election.name"])
			assert.False(t, term.Failed)
		}
		assert.WithinDuration(t, terms[0].Start.Add(terms[0].Duration), terms[1].Start, time.Microsecond)
	})

	t.Run("a lease expires with its key", func(t *testing.T) {
		assert.True(t, has(p, 1, "etcd", "etcd_lease_ends_total", "etcd_lease_end_cause", "expired"))
		assert.True(t, has(p, workload.Contenders+workload.Candidates, "etcd", "etcd_lease_ends_total", "etcd_lease_end_cause", "revoked"))
		ended := slices.IndexFunc(p.Events["etcd"], func(e readback.Event) bool {
			return e.Name == "etcd.lease.ended" && e.Attributes["etcd.lease.end.cause"] == "expired"
		})
		require.NotEqual(t, -1, ended)
		deleted := slices.IndexFunc(p.Events["etcd"], func(e readback.Event) bool {
			return e.Name == "etcd.key.delete" && e.Attributes["etcd.key.name"] == workload.LeasedKey
		})
		require.NotEqual(t, -1, deleted)
		lease, key := p.Events["etcd"][ended], p.Events["etcd"][deleted]
		assert.Equal(t, lease.Attributes["etcd.lease.id"], key.Attributes["etcd.lease.id"])
		assert.WithinDuration(t, key.Time, lease.Time, 10*time.Second)
		span := target(t, []readback.Link{{TraceID: lease.TraceID, SpanID: lease.SpanID}}, p.Spans["etcd"])
		assert.Equal(t, "etcd.lease", span.Name)
		assert.Equal(t, []any{workload.LeasedKey}, span.Attributes["etcd.lease.keys"])
	})

	t.Run("leases of Vault live from their issue to their end", func(t *testing.T) {
		leases := spans(p, "vault", "vault.lease")
		require.Len(t, leases, workload.VaultLeases)
		for _, lease := range leases {
			assert.False(t, lease.Failed)
			assert.NotContains(t, lease.Attributes, "vault.lease.id", "the ID itself is not reported")
			switch prefix := lease.Attributes["vault.lease.prefix"]; prefix {
			case workload.CertificateLeases + "/" + workload.PKIRole:
				assert.Equal(t, "expired", lease.Attributes["vault.lease.end.cause"])
				assert.Equal(t, workload.PKIRole, lease.Attributes["vault.lease.role"])
				assert.InDelta(t, 2*pace.Seconds(), lease.Duration.Seconds(), 1)
			case workload.LoginLeases + "/login/" + workload.User:
				assert.Equal(t, "revoked", lease.Attributes["vault.lease.end.cause"])
				assertLasted(t, 2*pace, lease.Duration)
			default:
				assert.Fail(t, "another lease", prefix)
			}
		}
		assert.True(t, has(p, 1, "vault", "vault_lease_renewals_total", "vault_mount_path", "auth/userpass/"))
		led := 0
		for _, exemplar := range p.Exemplars["vault"] {
			if exemplar.Series.Name != "vault_lease_lifetime_seconds_bucket" {
				continue
			}
			lease := target(t, []readback.Link{{TraceID: exemplar.TraceID, SpanID: exemplar.SpanID}}, leases)
			assert.InDelta(t, lease.Duration.Seconds(), exemplar.Value, 1e-3)
			led++
		}
		assert.Positive(t, led, "the histogram of lifetimes leads to a lease")
	})

	t.Run("a request to Vault is within its caller's trace", func(t *testing.T) {
		application, err := s.Jaeger.Spans(t.Context(), workload.Application, s.Since)
		require.NoError(t, err)
		for _, name := range []string{"create " + workload.Secrets + "/", "read " + workload.Secrets + "/"} {
			request := spans(p, "vault", name)
			require.Len(t, request, 1, name)
			caller := target(t, []readback.Link{{TraceID: request[0].TraceID, SpanID: request[0].ParentSpanID}}, application)
			assert.Equal(t, workload.Application, caller.Service)
			assert.False(t, request[0].Start.Before(caller.Start), "both clocks are one")
			assert.LessOrEqual(t, request[0].Duration, caller.Duration)
			root := target(t, []readback.Link{{TraceID: caller.TraceID, SpanID: caller.ParentSpanID}}, application)
			assert.Equal(t, workload.Order, root.Name)
		}
		led := false
		for _, exemplar := range p.Exemplars["vault"] {
			led = led || exemplar.TraceID == spans(p, "vault", "create "+workload.Secrets+"/")[0].TraceID
		}
		assert.True(t, led, "the histogram of durations leads to it")
	})

	t.Run("an application that is scraped leads to its requests", func(t *testing.T) {
		exemplars := p.Exemplars[shop.Service]
		require.NotEmpty(t, exemplars)
		for _, exemplar := range exemplars {
			request := target(t, []readback.Link{{TraceID: exemplar.TraceID, SpanID: exemplar.SpanID}}, p.Spans[shop.Service])
			assert.Equal(t, exemplar.Series.Labels["http_request_method"]+" "+exemplar.Series.Labels["http_route"], request.Name)
			assert.InDelta(t, request.Duration.Seconds(), exemplar.Value, 1e-9)
		}
	})

	t.Run("what is counted leads to one that was", func(t *testing.T) {
		ends := map[string]string{
			"consul_health_check_transitions_total": "consul.check.outage.start", "etcd_lease_grants_total": "etcd.lease.start", "etcd_lease_ends_total": "etcd.lease",
			"vault_lease_created_total": "vault.lease.start", "vault_lease_ended_total": "vault.lease",
		}
		for system, exemplars := range p.Exemplars {
			for _, exemplar := range exemplars {
				name, counter := ends[exemplar.Series.Name]
				if !counter {
					continue
				}
				counted := target(t, []readback.Link{{TraceID: exemplar.TraceID, SpanID: exemplar.SpanID}}, p.Spans[system])
				assert.Equal(t, name, counted.Name)
				for label, attribute := range map[string]string{
					"consul_service_name": "consul.service.name", "etcd_lease_end_cause": "etcd.lease.end.cause",
					"vault_lease_end_cause": "vault.lease.end.cause", "vault_mount_path": "vault.mount.path",
				} {
					if value, ok := exemplar.Series.Labels[label]; ok {
						assert.Equal(t, value, counted.Attributes[attribute], "%s of %s", label, exemplar.Series.Name)
					}
				}
			}
		}
	})

	t.Run("certificates of Vault are counted down", func(t *testing.T) {
		expiry, ok := value(p, "vault", "vault_pki_ca_expiry_seconds", "vault_mount_path", workload.PKIMount+"/")
		assert.True(t, ok)
		assert.InDelta(t, (720 * time.Hour).Seconds(), expiry, 120)
		_, ok = value(p, "vault", "vault_pki_certificate_count", "vault_mount_path", workload.PKIMount+"/", "vault_pki_role", workload.PKIRole)
		assert.True(t, ok)
	})

	t.Run("a sealed time is as long as it was", func(t *testing.T) {
		sealed := spans(p, "vault", "vault.sealed")[0]
		assertLasted(t, pace, sealed.Duration)
		assert.True(t, sealed.Failed)
		look(t, s, "Vault is unsealed and active again, last of all", func(p demo.Snapshot) bool {
			return has(p, 0, "vault", "vault_sealed") && has(p, 1, "vault", "vault_active")
		})
	})

	t.Run("each series names its cluster", func(t *testing.T) {
		labels := map[string]string{"consul": "consul_datacenter", "etcd": "etcd_cluster_id", "vault": "vault_cluster_id"}
		look(t, s, "no series of the time before the cluster was known", func(p demo.Snapshot) bool {
			for system, label := range labels {
				if slices.ContainsFunc(p.Series[system], func(s readback.Series) bool { return s.Labels[label] == "" }) {
					return false
				}
			}
			return true
		})
	})

	t.Run("events lead to their spans", func(t *testing.T) {
		for system, events := range p.Events {
			led := 0
			for _, event := range events {
				if event.TraceID == "" {
					continue
				}
				trace, err := s.Jaeger.Trace(t.Context(), event.TraceID)
				require.NoError(t, err)
				assert.Contains(t, ids(trace), event.SpanID, "%s of %s", event.Name, system)
				led++
			}
			assert.Positive(t, led, system)
		}
	})

	t.Run("no secret has left", func(t *testing.T) {
		events, err := os.ReadFile(string(s.Events))
		require.NoError(t, err)
		reported := fmt.Sprint(string(events), s.LogTail(100_000), p.Spans, p.Series)
		for _, secret := range append(s.Lab.Vault.UnsealKeys, s.Lab.Vault.RootToken, s.Token) {
			assert.NotContains(t, reported, secret)
		}
	})
}

// assertLasted asserts that a state was observed for as long as the workload held it: an
// interval and a half less at most, and more where the machine did not get round to it.
func assertLasted(t *testing.T, held, observed time.Duration) {
	t.Helper()
	assert.Greater(t, observed, held-3*demo.Interval/2)
	assert.Less(t, observed, held+15*time.Second)
}

func childOf(t *testing.T, parent readback.Span, spans []readback.Span) readback.Span {
	t.Helper()
	for _, span := range spans {
		if span.TraceID == parent.TraceID && span.ParentSpanID == parent.SpanID {
			return span
		}
	}
	require.Fail(t, "no child span", "%v in %v", parent, spans)
	return readback.Span{}
}

// target returns the one span that links lead to.
func target(t *testing.T, links []readback.Link, spans []readback.Span) readback.Span {
	t.Helper()
	require.Len(t, links, 1)
	for _, span := range spans {
		if span.TraceID == links[0].TraceID && span.SpanID == links[0].SpanID {
			return span
		}
	}
	require.Fail(t, "a link that leads nowhere", "%v in %v", links, spans)
	return readback.Span{}
}

func ids(spans []readback.Span) []string {
	var all []string
	for _, span := range spans {
		all = append(all, span.SpanID)
	}
	return all
}

// What is done by hand shows while it lasts: the marker of the open period in
// Jaeger, and the state in Prometheus.
func TestWhatLastsShowsWhileItLasts(t *testing.T) {
	s := play(t)
	client, err := api.NewClient(&api.Config{Address: s.Lab.Consul.Addr})
	require.NoError(t, err)

	begin := time.Now()
	require.NoError(t, client.Agent().FailTTL(workload.Service, "by hand"))
	look(t, s, "a check that fails", func(p demo.Snapshot) bool {
		return has(p, 1, "consul", "consul_health_check_count", "consul_check_status", "critical") &&
			len(spans(p, "consul", "consul.check.outage.start")) == 1
	})
	t.Logf("a failed check showed after %s, at an interval of %s", time.Since(begin).Round(time.Millisecond), demo.Interval)

	begin = time.Now()
	require.NoError(t, s.Lab.Vault.Seal(t.Context()))
	look(t, s, "a sealed Vault", func(p demo.Snapshot) bool {
		return has(p, 1, "vault", "vault_sealed") && len(spans(p, "vault", "vault.sealed.start")) == 1
	})
	t.Logf("a sealed Vault showed after %s, at an interval of %s", time.Since(begin).Round(time.Millisecond), demo.Interval)

	p, err := s.Collect(t.Context())
	require.NoError(t, err)
	assert.Empty(t, spans(p, "consul", "consul.check.outage"), "it lasts")
	assert.Empty(t, spans(p, "vault", "vault.sealed"), "it lasts")
}

// The demo's command, as a person runs it.
func TestDemoCheck(t *testing.T) {
	var out strings.Builder
	err := demo.Run(t.Context(), demo.Options{Binary: binary(t), Config: config, Policy: policy, Progress: os.Stderr}, &out, func(s *demo.Environment) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Page, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		assert.Equal(t, http.StatusOK, response.StatusCode)
		return nil
	})
	require.NoError(t, err, out.String())
	for _, want := range []string{
		"CONSUL", "ETCD", "VAULT", "SHOP", "look at ", "consul_health_check_count ", "vault.sealed", "create shop/ (of vault, shop/payment)", "/api/v3/traces/",
		"etcd.lock.wait", "linked to etcd.lock.hold of ", "etcd_lock_wait_duration_seconds{", "linked to etcd.election.term of ",
		" in a browser: ", "http_server_request_duration_seconds{", "vault_request_duration_seconds{", "etcd_lease_ends_total{",
	} {
		assert.Contains(t, out.String(), want)
	}
}
