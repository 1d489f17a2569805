// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/kv"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func attribute(t *testing.T, event plog.LogRecord, name string) string {
	t.Helper()
	value, ok := event.Attributes().Get(name)
	require.True(t, ok, name)
	return value.AsString()
}

// isUp reports whether the last use of an endpoint succeeded (1) or failed (0).
func isUp(t *testing.T, o *observedtest.Receiver, want int64, endpoint string) func() bool {
	t.Helper()
	return func() bool {
		return slices.Contains(o.OwnAttributes(t, "otelcol_consul_endpoint_up", "endpoint", want), endpoint)
	}
}

// watching waits until the watches have their baselines: what comes later is news.
func watching(t *testing.T, o *observedtest.Receiver, endpoints ...string) {
	t.Helper()
	for _, endpoint := range endpoints {
		o.Eventually(t, "the baseline of "+endpoint, isUp(t, o, 1, endpoint))
	}
}

func TestAnIncidentOfAServiceWithTwoChecks(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	require.NoError(t, client.Agent().CheckRegister(&api.AgentCheckRegistration{
		ID: "web-2", Name: "second", ServiceID: "web", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h", Status: api.HealthPassing},
	}))
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "the baseline", o.HasValue(3, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "an instance", o.HasValue(1, "consul.health.service.instance.count", "consul.service.name", "web", attrStatus, "passing"))

	set(t, client, "web", api.HealthWarning)
	o.Eventually(t, "the marker of the incident", o.HasSpan(health.SpanIncident+".start", "consul.service.name", "web"))
	set(t, client, "web-2", api.HealthCritical)
	o.Eventually(t, "a critical instance", o.HasValue(1, "consul.health.service.instance.count", "consul.service.name", "web", attrStatus, "critical"))
	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "the first outage", o.HasSpan(health.SpanOutage, attrCheck, "web"))
	assert.Empty(t, o.Spans(health.SpanIncident), "the other check fails still")
	set(t, client, "web-2", api.HealthPassing)
	o.Eventually(t, "the incident", o.HasSpan(health.SpanIncident, "consul.service.name", "web"))

	incident := o.Spans(health.SpanIncident)[0]
	assert.Equal(t, ptrace.StatusCodeError, incident.Status().Code())
	assert.True(t, incident.ParentSpanID().IsEmpty())
	assert.Equal(t, 4, incident.Events().Len(), "transitions")
	outages := o.Spans(health.SpanOutage)
	require.Len(t, outages, 2)
	for _, outage := range outages {
		assert.Equal(t, incident.TraceID(), outage.TraceID())
		assert.Equal(t, incident.SpanID(), outage.ParentSpanID())
	}
	o.Eventually(t, "the transitions as a metric", o.HasValue(1, "consul.health.check.transitions", "consul.service.name", "web", attrStatus, "critical"))
}

func TestServicesAndNodesComeAndGo(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	o := observe(t, configFor(consul.Addr))
	watching(t, o, endpointServices, endpointNodes)

	_, err := client.Catalog().Register(&api.CatalogRegistration{Node: "external", Address: "10.1.2.3", Service: &api.AgentService{Service: "billing"}}, nil)
	require.NoError(t, err)
	o.Eventually(t, "the service", o.HasEvent("consul.service.registered", "consul.service.name", "billing"))
	o.Eventually(t, "the node", o.HasEvent("consul.node.registered", "consul.node.name", "external", "consul.node.address", "10.1.2.3"))
	o.Eventually(t, "an instance without a check, which Consul counts every few seconds",
		o.HasValue(1, "consul.health.service.instance.count", "consul.service.name", "billing", attrStatus, "passing"))

	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "external"}, nil)
	require.NoError(t, err)
	o.Eventually(t, "the service is gone", o.HasEvent("consul.service.deregistered", "consul.service.name", "billing"))
	o.Eventually(t, "the node is gone", o.HasEvent("consul.node.deregistered", "consul.node.name", "external"))
	assert.Empty(t, o.Events("consul.service.registered", "consul.service.name", "consul"), "the baseline is not news")
}

const lockKey = "locks/job"

func configForKeys(endpoint string) *Config {
	cfg := configFor(endpoint)
	cfg.KV.Prefixes = []string{"locks/", "config/"}
	return cfg
}

func newSession(t *testing.T, client *api.Client, name string) string {
	t.Helper()
	id, _, err := client.Session().Create(&api.SessionEntry{Name: name, TTL: "1h", LockDelay: time.Millisecond}, nil)
	require.NoError(t, err)
	return id
}

func acquire(t *testing.T, client *api.Client, session string) {
	t.Helper()
	require.Eventually(t, func() bool { // after the lock delay
		got, _, err := client.KV().Acquire(&api.KVPair{Key: lockKey, Flags: api.LockFlagValue, Session: session, Value: []byte("the value")}, nil)
		return err == nil && got
	}, time.Minute, 10*time.Millisecond)
}

func TestHoldsOfALockAreLinked(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	o := observe(t, configForKeys(consul.Addr))
	watching(t, o, endpointKV+"locks/", endpointSessions)
	first, second, third := newSession(t, client, "first"), newSession(t, client, "second"), newSession(t, client, "third")
	o.Eventually(t, "sessions", o.HasValue(3, "consul.session.count"))

	acquire(t, client, first)
	o.Eventually(t, "the marker of the hold, while it lasts", o.HasSpan(kv.SpanHold+".start", "consul.session.id", first))
	o.Eventually(t, "a held lock", o.HasValue(1, "consul.kv.lock.held.count", "consul.kv.prefix", "locks/"))
	released, _, err := client.KV().Release(&api.KVPair{Key: lockKey, Flags: api.LockFlagValue, Session: first}, nil)
	require.NoError(t, err)
	require.True(t, released)
	o.Eventually(t, "the release", o.HasEvent("consul.lock.released", "consul.session.id", first, "consul.lock.end", "released"))
	_, err = client.Session().Destroy(first, nil)
	require.NoError(t, err)

	acquire(t, client, second)
	o.Eventually(t, "the second hold", o.HasEvent("consul.lock.acquired", "consul.session.id", second, "consul.lock.type", "lock"))
	_, err = client.Session().Destroy(second, nil)
	require.NoError(t, err)
	o.Eventually(t, "its invalidation", o.HasEvent("consul.lock.invalidated", "consul.session.id", second))
	o.Eventually(t, "the end of the session", o.HasEvent("consul.session.ended", "consul.session.id", second, "consul.session.name", "second"))

	acquire(t, client, third)
	o.Eventually(t, "the third hold", o.HasEvent("consul.lock.acquired", "consul.session.id", third))
	_, err = client.KV().Delete(lockKey, nil)
	require.NoError(t, err)
	o.Eventually(t, "the end with the key", o.HasEvent("consul.lock.released", "consul.session.id", third, "consul.lock.end", "deleted"))
	o.Eventually(t, "the acquisitions", o.HasValue(3, "consul.kv.lock.acquisitions", "consul.kv.prefix", "locks/"))

	o.Eventually(t, "their spans", func() bool { return len(o.Spans(kv.SpanHold)) == 3 })
	holds := map[string]ptrace.Span{}
	for _, span := range o.Spans(kv.SpanHold) {
		session, _ := span.Attributes().Get("consul.session.id")
		holds[session.Str()] = span
	}
	require.Len(t, holds, 3)
	assert.Equal(t, ptrace.StatusCodeUnset, holds[first].Status().Code())
	assert.Equal(t, ptrace.StatusCodeError, holds[second].Status().Code())
	assertLinked(t, holds[first], "next", holds[second])
	assertLinked(t, holds[second], "previous", holds[first])
	assertLinked(t, holds[second], "next", holds[third])
	assertLinked(t, holds[third], "previous", holds[second])
	assert.Equal(t, 1, holds[third].Links().Len(), "no hold follows in a key that is gone")
	o.RequireNotTold(t, "the value")
}

func assertLinked(t *testing.T, from ptrace.Span, what string, to ptrace.Span) {
	t.Helper()
	for _, link := range from.Links().All() {
		if kind, _ := link.Attributes().Get("consul.lock.link"); kind.Str() == what {
			assert.Equal(t, to.TraceID(), link.TraceID(), what)
			assert.Equal(t, to.SpanID(), link.SpanID(), what)
			return
		}
	}
	assert.Fail(t, "there is no link to the "+what+" hold")
}

func TestKeysAreToldWithoutTheirValues(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	cfg := configForKeys(consul.Addr)
	cfg.KV.Fingerprint = true
	cfg.KV.Exclude = []string{".*/hidden"}
	o := observe(t, cfg)
	watching(t, o, endpointKV+"config/")
	put := func(key, value string) {
		_, err := client.KV().Put(&api.KVPair{Key: key, Value: []byte(value), Flags: 42}, nil)
		require.NoError(t, err)
	}
	put("config/hidden", "a secret")
	put("elsewhere", "a secret")
	put("config/rate", "a secret")
	o.Eventually(t, "the key", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/rate", "consul.kv.flags", "0x2a"))
	created := o.Events("consul.kv.created")[0]
	assert.Equal(t, "8", attribute(t, created, "consul.kv.value.size"))
	// printf 'a secret' | sha256sum
	assert.Equal(t, "984ca5162200734c592148f1820b71057f098573d138666b48663e4e30cd8d3a", attribute(t, created, "consul.kv.value.sha256"))
	o.Eventually(t, "it counts", o.HasValue(1, "consul.kv.key.count", "consul.kv.prefix", "config/"))

	put("config/rate", "another secret")
	o.Eventually(t, "the update", o.HasEvent("consul.kv.updated", "consul.kv.key.name", "config/rate"))
	_, err := client.KV().Delete("config/rate", nil)
	require.NoError(t, err)
	o.Eventually(t, "the deletion", o.HasEvent("consul.kv.deleted", "consul.kv.key.name", "config/rate"))
	o.Eventually(t, "the change as a metric", o.HasValue(1, "consul.kv.changes", "consul.kv.prefix", "config/", "consul.kv.change", "updated"))
	o.RequireNotTold(t, "hidden", "elsewhere", "a secret", "another secret", "YSBzZWNyZXQ") // and not in base64
}

func TestWhatElseHappensInConsul(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	o := observe(t, configFor(consul.Addr))
	watching(t, o, endpointUserEvents, endpointConfig, endpointRoots)

	id, _, err := client.Event().Fire(&api.UserEvent{Name: "deploy", Payload: []byte("a secret")}, nil)
	require.NoError(t, err)
	o.Eventually(t, "the user event", o.HasEvent("consul.user_event.fired", "consul.user_event.id", id, "consul.user_event.name", "deploy", "consul.user_event.payload.size", "8"))

	entry := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "web", Protocol: "http"}
	for _, change := range []string{"created", "updated", "deleted"} {
		if change == "deleted" {
			_, err = client.ConfigEntries().Delete(api.ServiceDefaults, "web", nil)
		} else {
			entry.MaxInboundConnections++
			_, _, err = client.ConfigEntries().Set(entry, nil)
		}
		require.NoError(t, err)
		o.Eventually(t, "the entry is "+change, o.HasEvent("consul.config_entry.changed",
			"consul.config_entry.kind", "service-defaults", "consul.config_entry.name", "web", "consul.config_entry.change", change))
	}

	ca, _, err := client.Connect().CAGetConfig(nil)
	require.NoError(t, err)
	before, _, err := client.Connect().CARoots(nil)
	require.NoError(t, err)
	ca.Config["PrivateKeyType"], ca.Config["PrivateKeyBits"] = "rsa", 2048
	_, err = client.Connect().CASetConfig(ca, nil)
	require.NoError(t, err)
	o.Eventually(t, "the rotation", o.HasEvent("consul.ca.root.rotated", "consul.ca.root.old_id", before.ActiveRootID))
	o.RequireNotTold(t, "a secret")
}

func TestATokenThatIsAboutToExpire(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{Token: "6f7f8a9b-0c1d-4e2f-8a3b-4c5d6e7f8a9b"})
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{ExpirationTTL: time.Hour}, nil)
	require.NoError(t, err)
	cfg := configFor(consul.Addr)
	cfg.Token = "" // of the environment
	t.Setenv("CONSUL_HTTP_TOKEN", token.SecretID)
	o := observe(t, cfg)
	o.Eventually(t, "the warning", o.HasEvent("consul.acl.token.expiring", "consul.acl.token.accessor_id", token.AccessorID))
	o.Eventually(t, "the metric", func() bool {
		expiry, ok := o.Float("consul.acl.token.expiry_timestamp")
		return ok && math.Abs(expiry-float64(token.ExpirationTime.Unix())) <= 1
	})
	o.RequireNotTold(t, token.SecretID)
}

func TestAnIncidentSurvivesARestartOfTheCollector(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	registerService(t, client, "db")
	session := newSession(t, client, "holder")
	id, host := observedtest.FileStorage(t, t.TempDir())
	start := func() *observedtest.Receiver {
		cfg := configForKeys(consul.Addr)
		cfg.Storage = &id
		cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = 200*time.Millisecond, 0
		return observedtest.StartOn(t, host, NewFactory(), cfg)
	}
	o := start()
	watching(t, o, endpointChecks, endpointKV+"locks/")
	for _, service := range []string{"web", "db"} {
		set(t, client, service, api.HealthCritical)
		o.Eventually(t, "the marker", o.HasSpan(health.SpanOutage+".start", attrCheck, service))
	}
	acquire(t, client, session)
	o.Eventually(t, "the hold", o.HasSpan(kv.SpanHold+".start"))
	marker := o.Spans(health.SpanOutage+".start", attrCheck, "web")[0]
	hold := o.Spans(kv.SpanHold + ".start")[0]
	o.Shutdown(t)

	set(t, client, "db", api.HealthPassing) // while nobody looks
	again := start()
	again.Eventually(t, "what ended unseen", again.HasSpan(health.SpanIncident, "consul.service.name", "db", period.AttrReconciled, "true"))
	again.Eventually(t, "the gap is said", again.HasEvent("consul.watch.gap", "consul.endpoint", endpointChecks))
	set(t, client, "web", api.HealthPassing)
	_, _, err := client.KV().Release(&api.KVPair{Key: lockKey, Session: session}, nil)
	require.NoError(t, err)
	again.Eventually(t, "the end of the outage", again.HasSpan(health.SpanOutage, attrCheck, "web"))
	again.Eventually(t, "the end of the hold", again.HasSpan(kv.SpanHold))

	outage := again.Spans(health.SpanOutage, attrCheck, "web")[0]
	assert.Equal(t, marker.ParentSpanID(), outage.SpanID(), "the same span goes on")
	assert.Equal(t, marker.StartTimestamp(), outage.StartTimestamp())
	_, before := outage.Attributes().Get(period.AttrBeganBeforeObservation)
	assert.False(t, before, "its beginning was seen")
	assert.Equal(t, hold.StartTimestamp(), again.Spans(kv.SpanHold)[0].StartTimestamp())
}

func TestTheInitialStateIsToldIfAsked(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	registerService(t, client, "db")
	set(t, client, "web", api.HealthCritical)
	cfg := configFor(consul.Addr)
	cfg.EmitInitialState = true
	cfg.Services.Filter = pattern.Filter{Exclude: []string{"d.*"}}
	o := observe(t, cfg)
	o.Eventually(t, "the check", o.HasEvent(transition, attrCheck, "web", "observation.initial", "true", "consul.check.new_status", "critical"))
	o.Eventually(t, "the incident", o.HasSpan(health.SpanIncident+".start", "consul.service.name", "web", period.AttrBeganBeforeObservation, "true"))
	o.Eventually(t, "the service", o.HasEvent("consul.service.registered", "consul.service.name", "web", "observation.initial", "true"))
	o.Eventually(t, "the node", o.HasEvent("consul.node.registered", "observation.initial", "true"))
	o.Eventually(t, "the member", o.HasEvent("consul.member.joined", "consul.member.pool", "lan"))
	assert.Empty(t, o.Events("", "consul.service.name", "db"), "it is excluded")
	assert.Empty(t, o.Events("consul.watch.gap"))
}

// What a single server without ACLs cannot show is shown elsewhere.
func TestEveryMetricComes(t *testing.T) {
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	cfg := configForKeys(consul.Addr)
	cfg.Metrics.Metrics.ConsulHealthCheckState.Enabled = true
	cfg.Metrics.Metrics.ConsulHealthNodeState.Enabled = true
	cfg.Metrics.Metrics.ConsulMemberInfo.Enabled = true
	cfg.Metrics.Metrics.ConsulHealthServiceInstanceState.Enabled = true
	o := observe(t, cfg)
	watching(t, o, endpointChecks)
	set(t, client, "web", api.HealthWarning)
	semaphore, err := client.SemaphorePrefix("locks/semaphore", 2)
	require.NoError(t, err)
	_, err = semaphore.Acquire(nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = semaphore.Release() }) // It renews its session until then; Consul may have ended.
	var want []string
	for _, info := range metricNames() {
		switch info {
		case "consul.acl.token.expiry_timestamp", "consul.network.round_trip.min", "consul.network.round_trip.median",
			"consul.network.round_trip.p95", "consul.network.round_trip.max",
			"consul.license.expiry_timestamp", "consul.leaf_certificate.expiry_timestamp", "consul.peering.last_heartbeat_timestamp", "consul.peering.service.count", "consul.peering.state":
		default:
			want = append(want, info)
		}
	}
	for _, name := range want {
		o.Eventually(t, name, func() bool { return o.HasMetric(name) })
	}
	o.Eventually(t, "the state as a value", o.HasValue(1, "consul.health.check.state", attrCheck, "web"))
	for _, status := range healths {
		node, instance := int64(0), int64(0)
		if status == api.HealthPassing {
			node = 1
		}
		if status == api.HealthWarning {
			instance = 1
		}
		o.Eventually(t, "the node, "+status, o.HasValue(node, "consul.health.node.state", "consul.node.name", "lab", attrStatus, status))
		o.Eventually(t, "the instance, "+status, o.HasValue(instance, "consul.health.service.instance.state",
			"consul.service.name", "web", "consul.service.id", "web", "consul.node.name", "lab", attrStatus, status))
	}
}

func metricNames() (names []string) {
	info := reflect.ValueOf(metadata.MetricsInfo)
	for i := range info.NumField() {
		names = append(names, info.Field(i).FieldByName("Name").String())
	}
	return names
}
