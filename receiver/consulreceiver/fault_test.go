// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/consulapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/health"
)

const gap = "consul.watch.gap"

// watched are the endpoints that are followed by blocking queries.
var watched = []string{endpointChecks, endpointServices, endpointNodes, endpointSessions, endpointUserEvents, endpointRoots}

// proxy stands before a real Consul, and can fail in its place.
type proxy struct {
	server *httptest.Server
	fault  atomic.Pointer[fault]
}

// fault answers a request in place of Consul, or returns false.
type fault func(http.ResponseWriter, *http.Request) bool

func startProxy(t *testing.T, consul string) *proxy {
	t.Helper()
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: consul})
	through.ErrorLog = log.New(io.Discard, "", 0)
	transport := &http.Transport{}
	through.Transport = transport
	p := &proxy{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := p.fault.Load(); f == nil || !(*f)(w, r) {
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *proxy) addr() string { return p.server.Listener.Addr().String() }

// fail has all requests meet the fault, also those that wait for an answer.
func (p *proxy) fail(f fault) {
	p.fault.Store(&f)
	p.server.CloseClientConnections()
}

func (p *proxy) heal() { p.fault.Store(nil) }

// refuse answers every request with a status.
func refuse(status int, body string) fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

// hang accepts requests and never answers.
func hang(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

// only is a fault of one part of the API.
func only(endpoint string, f fault) fault {
	return func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == "/v1/"+endpoint && f(w, r) }
}

func put(t *testing.T, client *api.Client, key string, value []byte) {
	t.Helper()
	_, err := client.KV().Put(&api.KVPair{Key: key, Value: value}, nil)
	require.NoError(t, err)
}

// requireBounded requires that each warning is short, and that no endpoint was
// warned of more often than it began to fail, and once a minute while that lasts.
func requireBounded(t *testing.T, o *observedtest.Receiver, times int) {
	t.Helper()
	began := map[string]map[time.Time]int{} // by endpoint
	for _, entry := range o.Log.FilterLevelExact(zap.WarnLevel).All() {
		fields := entry.ContextMap()
		endpoint := fmt.Sprint(fields["endpoint"])
		if began[endpoint] == nil {
			began[endpoint] = map[time.Time]int{}
		}
		since, _ := fields["since"].(time.Time)
		again := began[endpoint][since]
		require.GreaterOrEqual(t, entry.Time.Sub(since), time.Duration(again)*time.Minute, "%s: what lasts is said again after a minute", endpoint)
		began[endpoint][since]++
		require.Less(t, len(fmt.Sprint(entry.Message, fields)), 1024)
	}
	for endpoint, since := range began {
		require.LessOrEqual(t, len(since), times, endpoint)
	}
}

func TestAConsulThatIsAbsentComesAndGoes(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	require.NoError(t, consul.Kill())
	o := observe(t, configFor(consul.Addr))
	o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
	for _, endpoint := range watched {
		o.Eventually(t, endpoint+" is down", isUp(t, o, 0, endpoint))
	}
	assert.Equal(t, 1, o.Log.FilterLevelExact(zap.WarnLevel).Len(), "one line for all endpoints")

	require.NoError(t, consul.Restart(t.Context()))
	o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))
	set(t, client, "web", api.HealthPassing) // a TTL check starts critical
	o.Eventually(t, "the metrics", o.HasValue(2, "consul.health.check.count", attrStatus, "passing"))
	o.Eventually(t, "the baseline of the watch", isUp(t, o, 1, endpointChecks))
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the watch goes on", func() bool { return len(o.Events(transition, attrCheck, "web")) > 0 })
	requireBounded(t, o, 1)
}

func TestARestartOfConsulDuringAnOutage(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	for _, service := range []string{"web", "db"} {
		registerService(t, client, service)
		set(t, client, service, api.HealthPassing) // The agent keeps what it was reported.
	}
	acquire(t, client, newSession(t, client, "holder"))
	_, _, err := client.Event().Fire(&api.UserEvent{Name: "before"}, nil)
	require.NoError(t, err)
	o := observe(t, configForKeys(consul.Addr))
	watching(t, o, append([]string{endpointAutopilot, endpointConfig, endpointMembers, endpointMembersWAN, endpointKV + "locks/"}, watched...)...)
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the marker", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))

	require.NoError(t, consul.Process().Stop(t.Context()))
	o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
	o.Eventually(t, "the status says it", func() bool { return strings.Contains(o.Trouble(), agentCondition) })
	o.Eventually(t, "nothing is up", isUp(t, o, 0, endpointAutopilot))
	require.NoError(t, consul.Restart(t.Context()))
	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "the change right after", o.HasSpan(health.SpanOutage, attrCheck, "web"))
	for _, endpoint := range watched {
		o.Eventually(t, endpoint+" is observed again", isUp(t, o, 1, endpoint))
	}
	o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))
	o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
	set(t, client, "db", api.HealthWarning)
	o.Eventually(t, "the watch goes on", o.HasEvent(transition, attrCheck, "db"))

	assert.Equal(t, o.Spans(health.SpanOutage + ".start")[0].ParentSpanID(), o.Spans(health.SpanOutage)[0].SpanID())
	assert.Len(t, o.Events(transition), 3)
	assert.Empty(t, o.Events("consul.user_event.fired"))
	requireNothingGone(t, o)
	requireBounded(t, o, 1)
}

func TestAConsulThatRefusesForAWhile(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	acquire(t, client, newSession(t, client, "holder"))
	for _, test := range []struct {
		status int
		body   string
		says   string
		change string // of the check meanwhile
	}{
		{http.StatusTooManyRequests, "Your IP is issuing too many concurrent connections", "consul is busy", api.HealthCritical},
		{http.StatusServiceUnavailable, "upstream connect error", "consul is busy", ""},
		{http.StatusNotFound, strings.Repeat("<p>not found</p>\n", 64<<10), "Unexpected response code: 404", api.HealthPassing},
		{http.StatusOK, "<html>welcome</html>", "the answer is not Consul's, check endpoint", ""},
	} {
		t.Run(strconv.Itoa(test.status), func(t *testing.T) {
			p := startProxy(t, consul.Addr)
			o := observe(t, configForKeys(p.addr()))
			some := append([]string{endpointMembers, endpointKV + "locks/"}, watched...)
			watching(t, o, append(some, endpointLeader, endpointConfig)...)
			o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))

			p.fail(refuse(test.status, test.body))
			o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
			for _, endpoint := range some {
				o.Eventually(t, endpoint+" is down", isUp(t, o, 0, endpoint))
			}
			o.Eventually(t, "the status says why", func() bool { return strings.Contains(o.Trouble(), test.says) })
			if test.change != "" {
				set(t, client, "web", test.change)
			}
			p.heal()
			o.Eventually(t, "up is 1 again", o.HasValue(1, "consul.up"))
			o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })

			if test.change != "" {
				o.Eventually(t, "what changed meanwhile", o.HasEvent(transition, attrCheck, "web",
					"consul.check.new_status", test.change, "observation.reconciled", "true"))
				assert.Len(t, o.Events(gap, "consul.endpoint", endpointChecks), 1)
			}
			for _, event := range o.Events(gap) {
				before, _ := event.Attributes().Get("consul.gap.old_index")
				after, _ := event.Attributes().Get("consul.gap.new_index")
				assert.Less(t, before.Int(), after.Int())
				assert.NotEmpty(t, test.change, "nothing moved in %s", attribute(t, event, "consul.endpoint"))
			}
			requireNothingGone(t, o)
			requireBounded(t, o, 1)
		})
	}
}

func TestTracesMeetWhoeverObservesAndWhenever(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	p := startProxy(t, consul.Addr)
	p.fail(refuse(http.StatusServiceUnavailable, ""))
	cfg := configFor(p.addr())
	cfg.Scrape.CollectionInterval, cfg.Scrape.InitialDelay = time.Hour, 0 // which would learn the datacenter
	late := observedtest.Start(t, NewFactory(), cfg)
	late.Eventually(t, "it is refused", func() bool { return late.Warnings(endpointChecks) == 1 })
	early := observe(t, configFor(consul.Addr))
	watching(t, early, endpointChecks)
	p.heal()
	late.Eventually(t, "it is not", func() bool { return late.Recoveries(endpointChecks) == 1 })
	some := configFor(consul.Addr)
	some.Catalog.Enabled, some.Sessions.Enabled, some.Certificates.Enabled, some.UserEvents.Enabled = false, false, false, false
	only := observe(t, some)
	watching(t, only, endpointChecks)

	set(t, client, "web", api.HealthCritical)
	for _, o := range []*observedtest.Receiver{late, early, only} {
		o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start"))
	}
	of := func(o *observedtest.Receiver) pcommon.TraceID {
		return o.Spans(health.SpanOutage + ".start")[0].TraceID()
	}
	assert.Equal(t, of(early), of(late))
	assert.Equal(t, of(early), of(only), "checks alone are observed")
}

func TestOneEndpointThatFailsLeavesTheOthersWorking(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	for name, f := range map[string]fault{"with an error": refuse(http.StatusInternalServerError, "rpc error"), "by hanging": hang} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, consul.Addr)
			cfg := configForKeys(p.addr())
			cfg.HTTP.Timeout = 3 * time.Second
			p.fail(only(endpointSessions, f))
			o := observe(t, cfg)
			others := []string{
				endpointChecks, endpointServices, endpointNodes, endpointUserEvents, endpointRoots, endpointLeader, endpointPeers,
				endpointConfig, endpointMembers, endpointMembersWAN, endpointKV + "locks/", endpointToken,
				endpointUsage, endpointOverview, endpointAutopilot, endpointCoordinates,
			}
			watching(t, o, others...)
			o.Eventually(t, "it is down", isUp(t, o, 0, endpointSessions))
			o.Eventually(t, "the status says so", func() bool { return strings.Contains(o.Trouble(), endpointSessions) })
			o.Eventually(t, "and nothing else", func() bool { return len(strings.Split(o.Trouble(), "\n")) == 1 })
			assert.False(t, o.HasMetric("consul.session.count"), "it is not known")
			put(t, client, "config/"+name, nil)
			o.Eventually(t, "the others work", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/"+name))

			p.heal()
			o.Eventually(t, "the sessions", o.HasValue(0, "consul.session.count"))
			newSession(t, client, name)
			o.Eventually(t, "a new one", o.HasEvent("consul.session.created", "consul.session.name", name))
			for _, id := range sessions(t, client) {
				_, err := client.Session().Destroy(id, nil)
				require.NoError(t, err)
			}
			requireBounded(t, o, 1)
		})
	}
}

func TestADatacenterWithoutANameIsObserved(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	p := startProxy(t, consul.Addr)
	p.fail(func(w http.ResponseWriter, r *http.Request) bool {
		return only(endpointDatacenters, hang)(w, r) || only(endpointUsage, hang)(w, r)
	})
	cfg := configFor(p.addr())
	cfg.HTTP.Timeout = time.Second
	o := observe(t, cfg)
	watching(t, o, endpointChecks)
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", "service.instance.id", p.addr()))
	assert.Empty(t, o.Spans(health.SpanOutage+".start", attrDatacenter, "dc1"))
	p.heal()
	set(t, client, "web", api.HealthPassing)
	o.Eventually(t, "its end", o.HasSpan(health.SpanOutage))
	assert.Equal(t, o.Spans(health.SpanOutage + ".start")[0].ParentSpanID(), o.Spans(health.SpanOutage)[0].SpanID(), "the name came too late")
}

func sessions(t *testing.T, client *api.Client) (ids []string) {
	t.Helper()
	entries, _, err := client.Session().List(nil)
	require.NoError(t, err)
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestAConsulThatHangs(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	cfg := configForKeys(consul.Addr)
	cfg.HTTP.Timeout = 2 * time.Second
	o := observe(t, cfg)
	watching(t, o, append([]string{endpointKV + "locks/"}, watched...)...)
	o.Eventually(t, "up is 1", o.HasValue(1, "consul.up"))

	require.NoError(t, consul.Process().Suspend())
	t.Cleanup(func() { _ = consul.Process().Resume() })
	begin := time.Now()
	o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
	assert.Less(t, time.Since(begin), consulapi.Wait, "it is not asked what Consul holds back")
	assert.False(t, o.HasMetric("consul.health.check.count"), "what was known may be outdated")
	require.NoError(t, consul.Process().Resume())
	o.Eventually(t, "up is 1 again", o.HasValue(1, "consul.up"))
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the watch goes on", o.HasEvent(transition, attrCheck, "web"))
	requireNothingGone(t, o)
	requireBounded(t, o, 1)
}

// external registers a service with a check on a node that has no agent.
func external(t *testing.T, client *api.Client, service, status, output string) {
	t.Helper()
	_, err := client.Catalog().Register(&api.CatalogRegistration{
		Node: "external", Address: "10.1.2.3",
		Service: &api.AgentService{ID: service, Service: service},
		Checks:  api.HealthChecks{{Node: "external", CheckID: service, ServiceID: service, Name: service, Status: status, Output: output}},
	}, nil)
	require.NoError(t, err)
}

func TestASnapshotThatIsRestored(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	external(t, client, "web", api.HealthPassing, "")
	external(t, client, "ill", api.HealthCritical, "")
	put(t, client, "config/old", []byte("1"))
	old := newSession(t, client, "old")
	o := observe(t, configForKeys(consul.Addr))
	watching(t, o, append([]string{endpointConfig, endpointKV + "config/"}, watched...)...)
	snapshot, _, err := client.Snapshot().Save(nil)
	require.NoError(t, err)
	saved, err := io.ReadAll(snapshot)
	require.NoError(t, err)
	require.NoError(t, snapshot.Close())

	external(t, client, "web", api.HealthCritical, "")
	external(t, client, "ill", api.HealthPassing, "")
	external(t, client, "new", api.HealthPassing, "")
	put(t, client, "config/old", []byte("2"))
	put(t, client, "config/new", []byte("1"))
	gone := newSession(t, client, "new")
	o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))
	o.Eventually(t, "the end of the other", o.HasSpan(health.SpanOutage, attrCheck, "ill"))
	o.Eventually(t, "the service", o.HasEvent("consul.service.registered", "consul.service.name", "new"))
	o.Eventually(t, "the key", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/new"))
	o.Eventually(t, "the session", o.HasEvent("consul.session.created", "consul.session.id", gone))
	assert.Empty(t, o.Events(gap))

	require.NoError(t, client.Snapshot().Restore(nil, bytes.NewReader(saved)))
	const reconciled = "observation.reconciled"
	o.Eventually(t, "the outage is undone", o.HasSpan(health.SpanOutage, attrCheck, "web", period.AttrReconciled, "true"))
	o.Eventually(t, "the incident too", o.HasSpan(health.SpanIncident, "consul.service.name", "web", period.AttrReconciled, "true"))
	o.Eventually(t, "the other is back", o.HasEvent(transition, attrCheck, "ill", "consul.check.new_status", "critical", reconciled, "true"))
	o.Eventually(t, "the service is gone", o.HasEvent("consul.service.deregistered", "consul.service.name", "new", reconciled, "true"))
	o.Eventually(t, "the key is gone", o.HasEvent("consul.kv.deleted", "consul.kv.key.name", "config/new", reconciled, "true"))
	o.Eventually(t, "the key is the old one", o.HasEvent("consul.kv.updated", "consul.kv.key.name", "config/old", reconciled, "true"))
	o.Eventually(t, "the session is gone", o.HasEvent("consul.session.ended", "consul.session.id", gone, reconciled, "true"))
	for _, endpoint := range []string{endpointChecks, endpointServices, endpointSessions, endpointKV + "config/"} {
		o.Eventually(t, "the gap in "+endpoint, o.HasEvent(gap, "consul.endpoint", endpoint))
		event := o.Events(gap, "consul.endpoint", endpoint)[0]
		before, _ := event.Attributes().Get("consul.gap.old_index")
		after, _ := event.Attributes().Get("consul.gap.new_index")
		assert.Greater(t, before.Int(), after.Int(), endpoint)
	}
	assert.Empty(t, o.Events("consul.session.ended", "consul.session.id", old))

	external(t, client, "web", api.HealthWarning, "")
	put(t, client, "config/later", nil)
	o.Eventually(t, "the watch goes on", o.HasEvent(transition, attrCheck, "web", "consul.check.new_status", "warning", reconciled, "false"))
	o.Eventually(t, "that of the keys too", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/later", reconciled, "false"))
	for _, event := range o.Events(gap) {
		assert.Len(t, o.Events(gap, "consul.endpoint", attribute(t, event, "consul.endpoint")), 1)
	}
}

// A leader that has just started answers before it has read its log, unless it is
// requested a consistent answer.
func TestALeaderThatHasNotReadItsLogYet(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	for _, consistency := range []consulapi.Consistency{consulapi.Stale, consulapi.DefaultConsistent} {
		t.Run(string(consistency), func(t *testing.T) {
			newSession(t, client, "before")
			p := startProxy(t, consul.Addr)
			cfg := configForKeys(p.addr())
			cfg.Consistency = consistency
			o := observe(t, cfg)
			watching(t, o, endpointSessions)
			var answered atomic.Int32
			p.fail(only(endpointSessions, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("consistent") {
					return false
				}
				w.Header().Set("X-Consul-Index", "1")
				_, _ = io.WriteString(w, "[]")
				answered.Add(1)
				return true
			}))
			o.Eventually(t, "an older answer", func() bool { return answered.Load() > 2 })
			p.heal()
			after := newSession(t, client, "after")
			o.Eventually(t, "the next session", o.HasEvent("consul.session.created", "consul.session.id", after))
			assert.Len(t, o.Events("consul.session.created"), 1)
			requireNothingGone(t, o)
		})
	}
}

// A real Consul does so a quarter of an hour after the last key was deleted.
func TestAnIndexThatFallsWithoutAChangeIsNoGap(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	put(t, client, "config/old", nil)
	p := startProxy(t, consul.Addr)
	o := observe(t, configForKeys(p.addr()))
	watching(t, o, endpointKV+"config/")
	var answered atomic.Int32
	f := only(endpointKV+"config/", func(w http.ResponseWriter, r *http.Request) bool {
		response, err := http.Get("http://" + consul.Addr + r.URL.Path + "?recurse")
		if !assert.NoError(t, err) {
			return false
		}
		defer response.Body.Close()
		keys, err := io.ReadAll(response.Body)
		assert.NoError(t, err)
		known := r.URL.Query().Get("index") == response.Header.Get("X-Consul-Index") && bytes.Contains(keys, []byte("config/new"))
		if answered.Load() == 0 && !known {
			return false // When the index falls, the keys are to be what they were.
		}
		w.Header().Set("X-Consul-Index", "1")
		_, _ = w.Write(keys)
		answered.Add(1)
		return true
	})
	p.fault.Store(&f)
	put(t, client, "config/new", nil)
	o.Eventually(t, "the key", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/new"))
	o.Eventually(t, "a lower index", func() bool { return answered.Load() > 2 })
	p.heal()
	put(t, client, "config/later", nil)
	o.Eventually(t, "the next key", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/later", "observation.reconciled", "false"))
	assert.Empty(t, o.Events(gap, "consul.endpoint", endpointKV+"config/"))
	for _, event := range o.Events(gap) { // What waited was asked again, and may have missed what moved its index.
		before, _ := event.Attributes().Get("consul.gap.old_index")
		after, _ := event.Attributes().Get("consul.gap.new_index")
		assert.Less(t, before.Int(), after.Int(), attribute(t, event, "consul.endpoint"))
	}
	requireNothingGone(t, o)
}

func TestWhatACheckSaysIsToldUpToItsLimit(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	external(t, client, "web", api.HealthPassing, "")
	cfg := configFor(consul.Addr)
	cfg.Checks.OutputLimit = 64
	said, silent := observe(t, cfg), observe(t, configFor(consul.Addr))
	watching(t, said, endpointChecks)
	watching(t, silent, endpointChecks)

	// The limit is in the middle of a character, and before it is none.
	external(t, client, "web", api.HealthCritical, "\xff\xfe!"+strings.Repeat("é", 512<<10))
	for _, o := range []*observedtest.Receiver{said, silent} {
		o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))
	}
	output := attribute(t, said.Events(transition)[0], "consul.check.output")
	assert.LessOrEqual(t, len(output), 64)
	assert.Greater(t, len(output), 60)
	assert.True(t, utf8.ValidString(output))
	_, reported := silent.Events(transition)[0].Attributes().Get("consul.check.output")
	assert.False(t, reported)
	silent.RequireNotTold(t, "éé")
	said.RequireNotTold(t, strings.Repeat("é", 32))
}

func TestKeysAndValuesThatAreNotText(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	cfg := configForKeys(consul.Addr)
	cfg.KV.Fingerprint = true
	o := observe(t, cfg)
	watching(t, o, endpointKV+"config/")
	value := append([]byte("hidden\xff\xfe\x00"), bytes.Repeat([]byte{0x80}, 1000)...)
	put(t, client, "config/binary", value)
	put(t, client, "config/\xff-name", value)

	o.Eventually(t, "the binary value", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/binary"))
	o.Eventually(t, "the binary name", o.HasEvent("consul.kv.created", "consul.kv.key.name", "config/\uFFFD-name"))
	sum := sha256.Sum256(value)
	for _, event := range o.Events("consul.kv.created") {
		assert.Equal(t, hex.EncodeToString(sum[:]), attribute(t, event, "consul.kv.value.sha256"))
		assert.Equal(t, strconv.Itoa(len(value)), attribute(t, event, "consul.kv.value.size"))
		event.Attributes().Range(func(name string, value pcommon.Value) bool {
			return assert.True(t, utf8.ValidString(value.AsString()), name)
		})
	}
	o.RequireNotTold(t, "hidden", "\xff", base64.StdEncoding.EncodeToString(value)[:8])

	_, err := client.KV().Delete("config/\xff-name", nil)
	require.NoError(t, err)
	o.Eventually(t, "its end", o.HasEvent("consul.kv.deleted", "consul.kv.key.name", "config/\uFFFD-name"))
}

// A proxy or a cache may not know blocking queries, and answer them at once.
func TestAProxyThatAnswersBlockingQueriesAtOnce(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "web")
	p := startProxy(t, consul.Addr)
	var requests atomic.Int64
	p.fail(func(_ http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		query.Del("index")
		query.Del("wait")
		r.URL.RawQuery = query.Encode()
		if strings.HasPrefix(r.URL.Path, "/v1/health/") {
			requests.Add(1)
		}
		return false
	})
	o := observe(t, configFor(p.addr()))
	watching(t, o, endpointChecks)
	before := requests.Load()
	time.Sleep(3 * time.Second)
	assert.Less(t, requests.Load()-before, int64(100), "there is a pause between them")
	set(t, client, "web", api.HealthCritical)
	o.Eventually(t, "the outage", o.HasSpan(health.SpanOutage+".start", attrCheck, "web"))
}

func TestShutdownDoesNotWaitForAServerThatHangs(t *testing.T) {
	cfg := configFor(observedtest.Hang(t))
	cfg.HTTP.Timeout = time.Hour
	o := observe(t, cfg)
	time.Sleep(500 * time.Millisecond) // the watch and the scrape wait for an answer
	o.Shutdown(t)                      // It is waited for some time, which is less than an hour.
}

func TestShutdownDoesNotWaitForBlockingQueries(t *testing.T) {
	consul, _ := startConsul(t, lab.ServerOptions{})
	o := observe(t, configForKeys(consul.Addr))
	watching(t, o, append([]string{endpointKV + "locks/", endpointKV + "config/", endpointConfig, endpointMembers}, watched...)...)
	time.Sleep(time.Second) // Consul holds the queries that follow the baselines.
	begin := time.Now()
	o.Shutdown(t)
	took := time.Since(begin)
	t.Logf("it took %s", took)
	assert.Less(t, took, consulapi.Wait/2)
	assert.Empty(t, o.Log.FilterLevelExact(zap.WarnLevel).All())
}

func TestAnEndpointThatIsNotConsul(t *testing.T) {
	for name, test := range map[string]struct {
		answer fault
		says   string
	}{
		"a page":     {refuse(http.StatusOK, "<html>welcome</html>"), "status/peers: the answer is not Consul's, check endpoint"},
		"no page":    {refuse(http.StatusNotFound, strings.Repeat("<p>not found</p>\n", 64<<10)), "status/peers: Unexpected response code: 404 (<p>not found</p>"},
		"other JSON": {refuse(http.StatusOK, `{"cluster": {"name": "another"}}`), "status/peers: the answer is not Consul's, check endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { test.answer(w, r) }))
			t.Cleanup(server.Close)
			o := observe(t, configForKeys(server.Listener.Addr().String()))
			for _, endpoint := range []string{endpointChecks, endpointServices, endpointKV + "locks/", endpointMembers} {
				o.Eventually(t, endpoint+" is down", isUp(t, o, 0, endpoint))
			}
			o.Eventually(t, "up is 0", o.HasValue(0, "consul.up"))
			said := o.Log.FilterField(zap.String("endpoint", endpointPeers)).All()[0].ContextMap()["error"]
			assert.Contains(t, said, test.says)
			assert.Empty(t, o.Events(""))
			requireBounded(t, o, 1)
		})
	}
}

// Each outage during a refusal is reported, with its own times.
func TestOutagesWhileAConsumerRefuses(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	for _, name := range []string{"flaps", "other"} {
		registerService(t, client, name)
	}
	o := observe(t, configFor(consul.Addr))
	watching(t, o, endpointChecks)

	o.Refuse(true)
	const outages = 3
	type window struct{ from, until time.Time } // in which a transition was observed
	var want []window
	turn := func(status string) {
		w := window{from: time.Now()}
		set(t, client, "flaps", status)
		critical := int64(0)
		if status == api.HealthCritical {
			critical = 1
		}
		o.Eventually(t, "the metrics go on", o.HasValue(critical, "consul.health.check.count", attrStatus, api.HealthCritical))
		w.until = time.Now()
		want = append(want, w)
	}
	for range outages {
		turn(api.HealthCritical)
		turn(api.HealthPassing)
	}
	assert.Contains(t, o.Trouble(), "delivery of logs: refused")
	assert.Contains(t, o.Trouble(), "delivery of traces: refused")
	assert.Empty(t, o.Events(""))
	assert.True(t, o.HasMetric("consul.session.count"))
	assert.EqualValues(t, 2*outages, o.Own(t, "otelcol_watch_queue_size", "signal", "logs"))

	o.Refuse(false)
	o.Eventually(t, "all events", func() bool { return len(o.Events(transition)) == 2*outages })
	o.Eventually(t, "all spans", func() bool { return len(o.Spans(health.SpanOutage)) == outages })
	o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
	assert.Zero(t, o.Own(t, "otelcol_watch_queue_size", "signal", "logs"))
	for i, event := range o.Events(transition) {
		for _, at := range []time.Time{event.Timestamp().AsTime(), event.ObservedTimestamp().AsTime()} {
			assert.WithinRange(t, at, want[i].from, want[i].until, "transition %d", i)
		}
		assert.Equal(t, "false", attribute(t, event, "observation.reconciled"))
	}
	for i, span := range o.Spans(health.SpanOutage) {
		assert.WithinRange(t, span.StartTimestamp().AsTime(), want[2*i].from, want[2*i].until)
		assert.WithinRange(t, span.EndTimestamp().AsTime(), want[2*i+1].from, want[2*i+1].until)
	}
	assert.Empty(t, o.Events("consul.watch.gap"))

	set(t, client, "other", api.HealthCritical)
	o.Eventually(t, "the watch goes on", o.HasEvent(transition, attrCheck, "other"))
	assert.Equal(t, 2, o.Log.FilterLevelExact(zap.WarnLevel).Len(), "one line for each signal")
	assert.Equal(t, 2, o.Log.FilterMessageSnippet("the next consumer accepts").Len())
}

// Events that are refused hold up neither spans nor metrics.
func TestSpansGoOnWhileEventsAreRefused(t *testing.T) {
	t.Parallel()
	consul, client := startConsul(t, lab.ServerOptions{})
	registerService(t, client, "api")
	o := observe(t, configFor(consul.Addr))
	watching(t, o, endpointChecks)

	o.RefuseLogs(true)
	for n := range 3 {
		set(t, client, "api", api.HealthCritical)
		o.Eventually(t, "it begins", func() bool { return len(o.Spans(health.SpanOutage+".start")) == n+1 })
		set(t, client, "api", api.HealthPassing)
		o.Eventually(t, "it ends", func() bool { return len(o.Spans(health.SpanOutage)) == n+1 })
	}
	assert.Empty(t, o.Events(transition))
	o.RefuseLogs(false)
	o.Eventually(t, "all events", func() bool { return len(o.Events(transition)) == 6 })
}
