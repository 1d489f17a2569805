// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

// observe starts a receiver, which ends with the test.
func observe(t *testing.T, cfg *Config) *observedtest.Receiver {
	t.Helper()
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0
	return observedtest.Start(t, NewFactory(), cfg)
}

const (
	transition = "consul.check.transition"
	attrCheck  = "consul.check.id"
	attrStatus = "consul.check.status"
)

// startConsul returns a real Consul and a client of it.
func startConsul(t *testing.T, opts lab.ServerOptions) (*lab.Consul, *api.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real Consul; run without -short")
	}
	consul, err := lab.StartConsul(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, consul.Stop(context.Background())) })
	client, err := api.NewClient(&api.Config{Address: consul.Addr, Token: consul.Token})
	require.NoError(t, err)
	return consul, client
}

// registerService registers a service with a TTL check that passes.
func registerService(t *testing.T, client *api.Client, service string) {
	t.Helper()
	untilInCatalog(t, client, service, api.HealthPassing, func() error {
		return client.Agent().ServiceRegister(&api.AgentServiceRegistration{
			Name:  service,
			Check: &api.AgentServiceCheck{CheckID: service, TTL: "1h", Status: api.HealthPassing},
		})
	})
}

func set(t *testing.T, client *api.Client, check, status string) {
	t.Helper()
	untilInCatalog(t, client, check, status, func() error {
		return client.Agent().UpdateTTL(check, "as the test says", status)
	})
}

// untilInCatalog registers a check with the agent until the catalog has it: an agent that
// cannot reach a leader agrees, and updates the catalog up to two minutes later.
func untilInCatalog(t *testing.T, client *api.Client, check, status string, report func() error) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.NoError(t, report())
		checks, _, err := client.Health().State(status, nil)
		require.NoError(t, err)
		assert.True(t, slices.ContainsFunc(checks, func(c *api.HealthCheck) bool { return c.CheckID == check }), "%s is not %s", check, status)
	}, 90*time.Second, 10*time.Millisecond)
}

// requireNothingGone requires that nothing was reported as ended, failed or gone.
func requireNothingGone(t *testing.T, o *observedtest.Receiver) {
	t.Helper()
	for _, name := range []string{
		"consul.service.deregistered", "consul.node.deregistered", "consul.session.ended",
		"consul.kv.deleted", "consul.lock.released", "consul.lock.invalidated",
		"consul.member.left", "consul.member.failed",
	} {
		require.Empty(t, o.Events(name), name)
	}
	require.Empty(t, o.Events(transition, "consul.check.new_status", "none"))
	require.Empty(t, o.Events("consul.config_entry.changed", "consul.config_entry.change", "deleted"))
}

func configFor(endpoint string) *Config {
	cfg := defaultConfig()
	cfg.HTTP.Endpoint = "http://" + endpoint
	return cfg
}

func TestAnOutageInARealConsul(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "the catalog", o.HasValue(2, "consul.catalog.service.count")) // consul and web

	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the marker of the outage, while it lasts", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))
	assert.Empty(t, o.Spans(health.SpanOutage, attrCheck, "web"), "it lasts")
	o.Eventually(t, "the critical check as a metric", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))

	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "the span of the outage", o.HasSpan(health.SpanOutage, attrCheck, "web"))
	span := o.Spans(health.SpanOutage, attrCheck, "web")[0]
	marker := o.Spans(health.SpanOutage+".start", attrCheck, "web")[0]
	assert.Equal(t, span.SpanID(), marker.ParentSpanID())
	assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
	assert.Equal(t, 2, span.Events().Len())

	o.Eventually(t, "both events", func() bool { return len(o.Events(transition, attrCheck, "web")) == 2 })
	for i, want := range []struct {
		status   string
		severity plog.SeverityNumber
	}{{"critical", plog.SeverityNumberError}, {"passing", plog.SeverityNumberInfo}} {
		event := o.Events(transition, attrCheck, "web")[i]
		got, _ := event.Attributes().Get("consul.check.new_status")
		assert.Equal(t, want.status, got.Str())
		assert.Equal(t, want.severity, event.SeverityNumber())
		assert.Equal(t, span.TraceID(), event.TraceID())
		assert.Equal(t, span.SpanID(), event.SpanID())
	}
}

func TestChecksBeyondTheLimitAreSaid(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	cfg := configFor(consul.Addr)
	cfg.Checks.Limit = 1
	o := observe(t, cfg)
	o.Eventually(t, "the first check only", o.HasValue(1, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "the rest is said", func() bool { return o.Warnings("checks::limit in "+endpointChecks) > 0 })
	said := o.Log.FilterField(zap.String("endpoint", "checks::limit in "+endpointChecks)).All()[0].ContextMap()["error"]
	assert.Equal(t, "1 of 2 are not observed: raise it above 1", said)
}

func TestAnOutageThatBeganBeforeTheReceiver(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	set(t, client, "web", api.HealthCritical)
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(1, "consul.health.check.count", attrStatus, "critical"))
	// The watch has its baseline too once it has reported a later change.
	registerService(t, client, "other")
	o.Eventually(t, "the watch", func() bool { return len(o.Events(transition, attrCheck, "other")) > 0 })
	assert.Empty(t, o.Events(transition, attrCheck, "web"), "the baseline is not news")

	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "its end", o.HasSpan(health.SpanOutage, attrCheck, "web"))
	span := o.Spans(health.SpanOutage, attrCheck, "web")[0]
	before, _ := span.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.True(t, before.Bool())
}
