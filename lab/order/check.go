// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"context"
	"errors"
	"fmt"
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
	{"who waited for the lock names who held it", namesHolder},
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
	return fmt.Sprintf("%d spans from the edge to Vault and Temporal: %s", n, e.Jaeger.TraceURL(reports["orders"].Orders[0].TraceID)), nil
}

func namesHolder(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	for _, placed := range reports["contention"].Orders {
		spans, err := e.trace(ctx, placed)
		if err != nil {
			return "", err
		}
		for _, s := range named(spans, "stock", "lock stock") {
			if holder, ok := s.Attributes["etcd.lock.holder"].(string); ok {
				return fmt.Sprintf("waited for %s: %s", holder, e.Jaeger.TraceURL(s.TraceID)), nil
			}
		}
	}
	return "", errors.New("no span lock stock has the attribute etcd.lock.holder")
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
		for _, name := range []string{"RunActivity:CancelOrder", "RunActivity:ReleaseInventory"} {
			if len(named(spans, "worker", name)) == 0 {
				return "", fmt.Errorf("no span %s", name)
			}
		}
		left, err := e.left(ctx, placed.ID)
		if err != nil {
			return "", err
		}
		if left != nil {
			return "", fmt.Errorf("etcd still has %q", left)
		}
		return "CancelOrder and ReleaseInventory: " + e.Jaeger.TraceURL(placed.TraceID), nil
	}
}

// left says what of an order is still in etcd: the order itself, or a reservation that
// is not released.
func (e *Environment) left(ctx context.Context, id string) (keys []string, err error) {
	client, err := e.etcd()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for _, key := range []string{"/order/orders/" + id, "/order/reservations/" + id} {
		answer, err := client.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		for _, kv := range answer.Kvs {
			if !strings.Contains(string(kv.Value), `"released":true`) {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

func denied(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	spans, err := e.trace(ctx, reports["denied"].Orders[0])
	if err != nil {
		return "", err
	}
	for _, s := range spans {
		if path, _ := s.Attributes["vault.request.path"].(string); s.Service == "vault" && path == "order-secrets/data/payment" {
			if reason, _ := s.Attributes["error.type"].(string); reason != "" {
				return fmt.Sprintf("%s, %s: %s", s.Name, reason, e.Jaeger.TraceURL(s.TraceID)), nil
			}
		}
	}
	return "", errors.New("no span of Vault with the path order-secrets/data/payment and an error.type")
}

func incident(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	report := reports["outage"]
	spans, err := e.Jaeger.Spans(ctx, "consul", e.Since)
	if err != nil {
		return "", err
	}
	for _, s := range named(spans, "consul", "consul.service.incident") {
		if s.Attributes["consul.service.name"] == "users" && within(s, report) {
			return fmt.Sprintf("%s long: %s", s.Duration.Round(time.Millisecond), e.Jaeger.TraceURL(s.TraceID)), nil
		}
	}
	return "", errors.New("no span consul.service.incident of users that began during the outage and lasted for at least half of it")
}

func sealed(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	report := reports["sealed"]
	spans, err := e.Jaeger.Spans(ctx, "vault", e.Since)
	if err != nil {
		return "", err
	}
	for _, s := range named(spans, "vault", "vault.sealed") {
		if within(s, report) {
			return fmt.Sprintf("%s long: %s", s.Duration.Round(time.Millisecond), e.Jaeger.TraceURL(s.TraceID)), nil
		}
	}
	return "", errors.New("no span vault.sealed that began while it was sealed")
}

// within says whether a span began during a fault, lasted for a while and ended with it.
// What is polled is observed up to two intervals late.
func within(s readback.Span, report Report) bool {
	const late = 2 * interval
	end := s.Start.Add(s.Duration)
	return s.Start.After(report.Begin) && end.Before(report.End.Add(late)) && s.Duration > time.Second
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

func survived(ctx context.Context, e *Environment, reports map[string]Report) (string, error) {
	placed := reports["worker"].Orders[0]
	spans, err := e.trace(ctx, placed)
	if err != nil {
		return "", err
	}
	if len(named(spans, "worker", "RunActivity:ChargeCard")) == 0 {
		return "", errors.New("no span RunActivity:ChargeCard")
	}
	return "ends with RunActivity:ChargeCard: " + e.Jaeger.TraceURL(placed.TraceID), nil
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
					return fmt.Sprintf("%.0f ms leads to %s: %s: %s", exemplar.Value*1000, s.Service, s.Name, e.Jaeger.TraceURL(s.TraceID)), nil
				}
			}
		}
		return "", fmt.Errorf("none of %d exemplars of %s leads to a span of an order", len(found), metric)
	}
}

func temporalMetrics(ctx context.Context, e *Environment, _ map[string]Report) (string, error) {
	var shown []string
	for _, query := range []string{
		`sum(service_requests_total{job="temporal"})`,
		`sum(temporal_activity_execution_latency_seconds_count{job="worker"})`,
	} {
		series, err := e.Prometheus.Query(ctx, query+" > 0")
		if err != nil {
			return "", err
		}
		if len(series) == 0 {
			return "", fmt.Errorf("%s is not above 0", query)
		}
		shown = append(shown, fmt.Sprintf("%s = %.0f", query, series[0].Value))
	}
	return strings.Join(shown, ", "), nil
}
