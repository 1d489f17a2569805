// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// claim is one thing that the example promises, and how Jaeger and Prometheus show it.
type claim struct {
	what string
	show func(context.Context, *Environment, map[string]Report) (evidence string, err error)
}

// Result is a claim, and what shows it, or what is missing.
type Result struct {
	Claim, Evidence string
	Err             error
}

var claims = []claim{
	{"one order is one trace", oneTrace},
	{"spans of a Jaeger client are in the trace, over UDP and over HTTP", legacy},
	{"who waited for the lock names who held it", namesHolder},
	{"etcd's own record of the lock has the same holds, and links the waiter to what it waited for", linksHold},
	{"a declined order is undone", undone("declined")},
	{"an order without its secret is undone", undone("denied")},
	{"the denied secret is Vault's own span in the trace", denied},
	{"the outage of users is an incident in Consul", incident},
	{"the sealed period of Vault is a span", sealed},
	{"the worker's leased credentials are renewed", renewed},
	{"an order survives the death of its worker", survived},
	{"exemplars of metrics sent over OTLP lead to orders", exemplars("http_server_request_duration_seconds_bucket", "orders")},
	{"exemplars with the label traceID lead to orders", exemplars("orders_order_duration_seconds_bucket", "orders")},
	{"metrics of a legacy service lead to orders", exemplars("users_request_duration_seconds_bucket", "users")},
	{"metrics of Temporal's server and SDK are there", temporalMetrics},
	{"no secret is in a trace, an event or a log", noSecret},
}

// Check reads Jaeger and Prometheus until they show every claim, or for 90 seconds. The
// error names the claims that are not shown.
func (e *Environment) Check(ctx context.Context, reports map[string]Report) ([]Result, error) {
	results := make([]Result, len(claims))
	err := until(ctx, arrivalMax, "what the example promises", func() error {
		var errs []error
		for i, c := range claims {
			if results[i].Evidence != "" {
				continue
			}
			evidence, err := c.show(ctx, e, reports)
			if err != nil {
				err = fmt.Errorf("%s: %w", c.what, err)
			}
			results[i] = Result{Claim: c.what, Evidence: evidence, Err: err}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	return results, err
}

// trace gives the spans of an order's trace.
func (e *Environment) trace(ctx context.Context, placed Placed) ([]readback.Span, error) {
	spans, err := e.Jaeger.Trace(ctx, placed.TraceID)
	if err == nil && len(spans) == 0 {
		err = fmt.Errorf("jaeger has no trace %s of order %s", placed.TraceID, placed.ID)
	}
	return spans, err
}

func oneTrace(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	var n int
	for _, placed := range reports["orders"].Orders {
		spans, err := e.trace(ctx, placed)
		if err != nil {
			return "", err
		}
		if err := errors.Join(whole(spans), has(spans, Tree)); err != nil {
			return "", fmt.Errorf("order %s: %w", placed.ID, err)
		}
		n = len(spans)
	}
	return fmt.Sprintf("%d spans from the edge to Vault and Temporal: %s", n, e.link(reports["orders"].Orders[0].TraceID)), nil
}

// legacy finds in the traces of orders a span of each instance of users, below the
// worker's request. One of them sends over UDP, one over HTTP.
func legacy(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	parts := map[string]int{}
	for _, report := range reports {
		for _, placed := range report.Orders {
			spans, err := e.trace(ctx, placed)
			if err != nil {
				return "", err
			}
			for _, request := range named(spans, "worker", "GET /users/{id}") {
				for _, s := range named(spans, "users", "GET /users/{id}") {
					if s.ParentSpanID == request.SpanID && request.Kind == "Client" && s.Kind == "Server" {
						parts[s.Instance]++
					}
				}
			}
		}
	}
	var shown []string
	for _, instance := range usersInstances {
		if parts[instance] == 0 {
			return "", fmt.Errorf("no span of %s is below a request of the worker; there are %v", instance, parts)
		}
		shown = append(shown, fmt.Sprintf("%d of %s", parts[instance], instance))
	}
	return strings.Join(shown, ", "), nil
}

func undone(step string) func(context.Context, *Environment, map[string]Report) (string, error) {
	return func(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
		placed := reports[step].Orders[0]
		spans, err := e.trace(ctx, placed)
		if err != nil {
			return "", err
		}
		if err := whole(spans); err != nil {
			return "", err
		}
		// A step is taken back after those that followed it.
		var before readback.Span
		for _, name := range []string{"RunActivity:ChargeCard", "RunActivity:CancelOrder", "RunActivity:ReleaseInventory"} {
			attempts := named(spans, "worker", name)
			if len(attempts) == 0 {
				return "", fmt.Errorf("no span %s", name)
			}
			first := slices.MinFunc(attempts, func(a, b readback.Span) int { return a.Start.Compare(b.Start) })
			if first.Start.Before(before.Start) {
				return "", fmt.Errorf("%s began before %s", name, before.Name)
			}
			before = first
		}
		written, err := e.written(ctx, placed.ID)
		if err != nil {
			return "", err
		}
		now, err := e.stock(ctx)
		if err != nil {
			return "", err
		}
		if written || slices.Contains(now.open, placed.ID) {
			return "", fmt.Errorf("etcd still has order %s or its reservation", placed.ID)
		}
		if now.left+now.reserved != e.stocked {
			return "", fmt.Errorf("%s are not the %d of the beginning", now, e.stocked)
		}
		return fmt.Sprintf("CancelOrder, then ReleaseInventory; %s are the %d of the beginning: %s", now, e.stocked, e.link(placed.TraceID)), nil
	}
}

func denied(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	spans, err := e.trace(ctx, reports["denied"].Orders[0])
	if err != nil {
		return "", err
	}
	for _, s := range spans {
		if path, _ := s.Attributes["vault.request.path"].(string); s.Service == "vault" && path == "order-secrets/data/payment" {
			if reason, _ := s.Attributes["error.type"].(string); reason != "" {
				return fmt.Sprintf("%s, %s: %s", s.Name, reason, e.link(s.TraceID)), nil
			}
		}
	}
	return "", errors.New("no span of Vault with the path order-secrets/data/payment and an error.type")
}

func incident(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	spans, err := e.Jaeger.Spans(ctx, "consul", e.Since)
	if err != nil {
		return "", err
	}
	for _, s := range named(spans, "consul", "consul.service.incident") {
		if s.Attributes["consul.service.name"] != "users" || reports["outage"].covers(s) != nil {
			continue
		}
		for _, instance := range usersInstances {
			if !slices.ContainsFunc(named(spans, "consul", "consul.check.outage"), func(outage readback.Span) bool {
				return outage.ParentSpanID == s.SpanID && outage.Attributes["consul.service.id"] == instance &&
					reports["outage"].covers(outage) == nil
			}) {
				return "", fmt.Errorf("the incident of users has no span consul.check.outage of %s for as long as it was away", instance)
			}
		}
		return fmt.Sprintf("%s long, with an outage of %s: %s", s.Duration.Round(time.Millisecond),
			strings.Join(usersInstances, " and of "), e.link(s.TraceID)), nil
	}
	return "", errors.New("no span consul.service.incident of users for as long as it was away")
}

func sealed(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	spans, err := e.Jaeger.Spans(ctx, "vault", e.Since)
	if err != nil {
		return "", err
	}
	missing := errors.New("no span vault.sealed")
	for _, s := range named(spans, "vault", "vault.sealed") {
		if missing = reports["sealed"].covers(s); missing == nil {
			return fmt.Sprintf("%s long: %s", s.Duration.Round(time.Millisecond), e.link(s.TraceID)), nil
		}
	}
	return "", missing
}

// covers checks that a span begins when something went, and ends when it came back. It
// is observed up to two intervals later, and never earlier.
func (r Report) covers(s readback.Span) error {
	const late = 2 * interval
	end := s.Start.Add(s.Duration)
	for name, at := range map[string]struct{ earliest, is, latest time.Time }{
		"begins": {r.Begin, s.Start, r.Down.Add(late)},
		"ends":   {r.Up, end, r.End.Add(late)},
	} {
		if at.is.Before(at.earliest) || at.is.After(at.latest) {
			return fmt.Errorf("%s %s at %s, and not between %s and %s", s.Name, name, clock(at.is), clock(at.earliest), clock(at.latest))
		}
	}
	return nil
}

func renewed(ctx context.Context, e *Environment, _ map[string]Report) (string, error) {
	const query = `sum(vault_lease_renewals_total{vault_mount_path="order-credentials/"})`
	series, err := e.Prometheus.Query(ctx, query+" > 0")
	if err != nil {
		return "", err
	}
	if len(series) == 0 {
		return "", fmt.Errorf("%s is not above 0", query)
	}
	return fmt.Sprintf("%s = %.0f", query, series[0].Value), nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

func survived(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	const activity = "ReserveInventory"
	placed := reports["worker"].Orders[0]
	attempts, err := e.attempts(ctx, placed.ID)
	if err != nil {
		return "", err
	}
	if attempts[activity] < 2 {
		return "", fmt.Errorf("%s succeeded in attempt %d; it was killed in the first", activity, attempts[activity])
	}
	spans, err := e.trace(ctx, placed)
	if err != nil {
		return "", err
	}
	for name, want := range map[string]int{
		"RunWorkflow:Order":       1,
		"RunActivity:" + activity: attempts[activity] - 1, // The killed worker did not end its own.
		"RunActivity:ChargeCard":  attempts["ChargeCard"],
	} {
		if got := len(named(spans, "worker", name)); got != want {
			return "", fmt.Errorf("%d spans %s, and not %d", got, name, want)
		}
	}
	return fmt.Sprintf("%s succeeds in attempt %d: %s", activity, attempts[activity], e.link(placed.TraceID)), nil
}

// exemplars returns a claim: the exemplars of a metric lead to spans of orders that
// were placed, and there is one at least.
func exemplars(metric, job string) func(context.Context, *Environment, map[string]Report) (string, error) {
	return func(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
		found, err := e.Prometheus.Exemplars(ctx, fmt.Sprintf("%s{job=%q}", metric, job), e.Since)
		if err != nil {
			return "", err
		}
		if len(found) == 0 {
			return "", fmt.Errorf("%s has no exemplars", metric)
		}
		orders := map[string]bool{}
		for _, report := range reports {
			for _, placed := range report.Orders {
				orders[placed.TraceID] = true
			}
		}
		for i := range found {
			exemplar := found[len(found)-1-i] // the longest first
			if !orders[exemplar.TraceID] {
				continue
			}
			spans, err := e.Jaeger.Trace(ctx, exemplar.TraceID)
			if err != nil {
				return "", err
			}
			for _, s := range spans {
				if s.SpanID == exemplar.SpanID || exemplar.SpanID == "" && s.Service == job {
					return fmt.Sprintf("%.0f ms leads to %s: %s: %s", exemplar.Value*1000, s.Service, s.Name, e.link(s.TraceID)), nil
				}
			}
		}
		return "", fmt.Errorf("none of %d exemplars of %s leads to a span of an order", len(found), metric)
	}
}

// temporalMetrics compares with the orders that were placed. There were some before,
// which is why there may be more.
func temporalMetrics(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	created, failed := 0, 0
	for _, report := range reports {
		for _, placed := range report.Orders {
			if placed.Code == http.StatusCreated {
				created++
			} else {
				failed++
			}
		}
	}
	var shown []string
	for _, metric := range []struct {
		query string
		least int
	}{
		{`sum(up{job="temporal"})`, 1},
		{`sum(service_requests_total{job="temporal",operation="StartWorkflowExecution",service_name="frontend"})`, created + failed},
		{`sum(workflow_success_total{job="temporal",workflowType="Order"})`, created},
		{`sum(workflow_failed_total{job="temporal",workflowType="Order"})`, failed},
		{`sum(temporal_activity_execution_latency_seconds_count{job="worker"})`, 1}, // began anew with the worker
	} {
		series, err := e.Prometheus.Query(ctx, fmt.Sprintf("%s >= %d", metric.query, metric.least))
		if err != nil {
			return "", err
		}
		if len(series) == 0 {
			return "", fmt.Errorf("%s is not %d or more", metric.query, metric.least)
		}
		shown = append(shown, fmt.Sprintf("%s = %.0f", metric.query, series[0].Value))
	}
	return strings.Join(shown, ", "), nil
}
