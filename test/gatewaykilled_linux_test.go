// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	vault "github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
)

const (
	decisionWait = 2 * time.Second
	// spread is how long after its first spans the last ones of a trace are sent, at most.
	spread = 500 * time.Millisecond
	// onTheWay is how long spans take from an application to a gateway's sampling and to the
	// decision behind decisionWait, at most.
	onTheWay       = 3 * time.Second
	gatewayService = "otelcol-gateway"
)

// Two agents and two gateways, of which one is killed, and the other hangs and is restarted, while
// applications send the spans of each trace to both agents, and while real servers are
// observed. Jaeger then has every trace whole, but those of which a gateway that was
// killed had spans that it had not decided on.
func TestAGatewayIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers and the built collector; run make test")
	}
	certs := guideCertificates(t, "IP:127.0.0.1,IP:127.0.0.2,DNS:"+gatewayService+".service.consul")
	dns, err := lab.FreePorts(1)
	require.NoError(t, err)
	l, err := lab.Start(t.Context(), lab.Options{
		Servers:   []string{"consul", "etcd", "vault", "jaeger", "prometheus"},
		ConsulHCL: fmt.Sprintf("ports { dns = %d }", dns[0]),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Stop()) })
	begin, jaeger := time.Now(), readback.Jaeger(l.Jaeger.QueryURL)

	gateways := startGateways(t, 2, certs, nil, "JAEGER_OTLP_ENDPOINT="+l.Jaeger.OTLPGRPC, "DECISION_WAIT="+decisionWait.String(), "METRIC_EXPIRATION=5s")
	require.NoError(t, l.Prometheus.Scrape(gateways[0].metrics, gateways[1].metrics, gateways[0].applications, gateways[1].applications))
	registerGateways(t, l.Consul.Addr, gateways)
	auditFile := auditToFile(t, l)
	toGateway := append(l.Env(), "COLLECTION_INTERVAL=1s",
		fmt.Sprintf("GATEWAY_ENDPOINT=dns://127.0.0.1:%d/%s.service.consul:%d", dns[0], gatewayService, gateways[0].grpc))
	agents := []*agent{
		startAgent(t, "agent-1", certs, []string{"agent-consul", "agent-etcd", "agent-scrape"}, append(toGateway, "ETCD_LOCK_PREFIXES=/locks/")...),
		startAgent(t, "agent-2", certs, []string{"agent-vault", "agent-vault-audit"}, append(toGateway, "VAULT_AUDIT_FILES="+auditFile, "VAULT_INSTANCE=vault-1")...),
	}
	store, err := shop.Open(t.Context(), "http://"+agents[1].otlp)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	writeFile(t, agents[0].targets, store.Targets())

	work := startTraffic(t, agents)
	customers, leave := context.WithCancel(t.Context())
	visits := make(chan int)
	go func() {
		n, err := store.Serve(customers, 2)
		assert.NoError(t, err)
		visits <- n
	}()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: l.Etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Close()) })
	awaitSpan(t, jaeger, begin, "etcd", "etcd.lock.hold", holdOf("/locks/baseline"), func() { lockOnce(t, etcd, "/locks/baseline") })
	lockOnce(t, etcd, "/locks/before")

	session, err := concurrency.NewSession(etcd)
	require.NoError(t, err)
	mutex := concurrency.NewMutex(session, "/locks/deploy")
	require.NoError(t, mutex.Lock(t.Context()))
	locked := time.Now()

	time.Sleep(2*decisionWait + onTheWay) // Traces are under way, and others are decided on.
	killed := time.Now()
	require.NoError(t, gateways[0].Kill())
	order := requestInATrace(t, l, agents[0].otlp)
	lockOnce(t, etcd, "/locks/meanwhile")
	time.Sleep(5 * time.Second) // The others go on without it.
	require.NoError(t, gateways[0].Restart(t.Context()))
	back := time.Now()
	// One that hangs is noticed too.
	require.NoError(t, gateways[1].Process().Suspend())
	lockOnce(t, etcd, "/locks/hanging")
	awaitSpan(t, jaeger, begin, "etcd", "etcd.lock.hold", holdOf("/locks/hanging"), nil)
	t.Logf("spans go around a gateway that hangs after %s", time.Since(back).Round(100*time.Millisecond))
	require.NoError(t, gateways[1].Process().Resume())
	time.Sleep(onTheWay + decisionWait)
	terminated := time.Now()
	require.NoError(t, gateways[1].Restart(t.Context()), "SIGTERM must end it")
	t.Logf("SIGTERM and start took %s", time.Since(terminated).Round(100*time.Millisecond))
	time.Sleep(onTheWay)
	held := time.Since(locked)
	require.NoError(t, mutex.Unlock(t.Context()))
	for _, a := range agents {
		t.Logf("%s has %d MiB", a.Name(), memoryOf(t, a.Collector, "VmRSS")>>10)
	}
	traces := work.stop()
	leave()
	served := <-visits

	// A trace may lack what the gateway had not decided on when it was killed.
	undecided := func(x sentTrace) bool {
		return x.until.After(killed.Add(-decisionWait-onTheWay)) && x.from.Before(killed.Add(onTheWay))
	}
	t.Run("every trace is whole", func(t *testing.T) {
		missing := map[string]string{}
		require.Eventually(t, func() bool {
			clear(missing)
			for _, x := range traces {
				if undecided(x) {
					continue
				}
				if got := x.arrived(t, jaeger); got < len(x.spans) {
					missing[x.id] = fmt.Sprintf("%d of %d spans, sent from %s to %s after the kill", got, len(x.spans), x.from.Sub(killed), x.until.Sub(killed))
				}
			}
			return len(missing) == 0
		}, soon, time.Second, "%v", missing)
		lost, partial, within := 0, 0, 0
		for _, x := range traces {
			if !undecided(x) {
				continue
			}
			within++
			switch got := x.arrived(t, jaeger); {
			case got == 0:
				lost++
			case got < len(x.spans):
				partial++
			}
		}
		t.Logf("%d traces; of %d in the time of the kill %d are lost and %d in part", len(traces), within, lost, partial)
		assert.NotZero(t, lost+partial, "the gateway held nothing when it was killed, so this shows nothing")
		require.Greater(t, len(traces)-within, 100)
		sent := 0
		for _, x := range traces {
			if x.from.After(killed) && x.until.Before(back) {
				sent++
			}
		}
		require.Greater(t, sent, 10, "traces were sent while the gateway was away")
	})

	t.Run("what real servers did arrives", func(t *testing.T) {
		for _, name := range []string{"/locks/before", "/locks/meanwhile", "/locks/deploy"} {
			hold := awaitSpan(t, jaeger, begin, "etcd", "etcd.lock.hold", holdOf(name), nil)
			if name == "/locks/deploy" {
				assert.InDelta(t, held.Seconds(), hold.Duration.Seconds(), 1, "it was held over both restarts")
			}
		}
		awaitSpan(t, jaeger, begin, "consul", "consul.service.incident", func(span readback.Span) bool {
			return span.Attributes["consul.service.name"] == gatewayService && span.Start.Sub(killed).Abs() < 5*time.Second
		}, nil) // Consul itself reports that a gateway was away.
		requireEvents(t, gateways, "etcd.lock.acquired", "consul.check.transition")
	})

	t.Run("a request to Vault is in its caller's trace", func(t *testing.T) {
		var request readback.Span
		require.Eventually(t, func() bool {
			spans, err := jaeger.Trace(t.Context(), order.TraceID)
			for _, span := range spans {
				if span.Service == "vault" && span.Kind == "Server" {
					request = span
				}
			}
			return err == nil && request.SpanID != ""
		}, soon, 500*time.Millisecond)
		assert.NotEmpty(t, request.ParentSpanID)
	})

	t.Run("metrics are there once, and lead to traces", func(t *testing.T) {
		prometheus := readback.Prometheus(l.Prometheus.URL)
		require.Eventually(t, func() bool {
			series, err := prometheus.Query(t.Context(), shop.Requests)
			total := 0.0
			for _, s := range series {
				total += s.Value
			}
			return err == nil && total == float64(served)
		}, soon, 500*time.Millisecond, "the shop counted %d requests", served)
		for query, want := range map[string]float64{
			`count(etcd_member_up == 1)`: 1, `count(vault_sealed{instance="vault-1"} == 0)`: 1, `count(vault_sealed)`: 1, `count(consul_raft_has_leader == 1)`: 1,
			`count(count by (job) (target_info{job=~"etcd|consul|vault|shop"}))`: 4,
		} {
			require.Eventually(t, func() bool {
				series, err := prometheus.Query(t.Context(), query)
				return err == nil && len(series) == 1 && series[0].Value == want
			}, soon, 500*time.Millisecond, query)
		}
		for _, histogram := range []string{shop.Durations, "etcd_lock_hold_duration_seconds"} {
			exemplars, err := prometheus.Exemplars(t.Context(), histogram+"_bucket", begin)
			require.NoError(t, err)
			require.NotEmpty(t, exemplars, histogram)
			for _, e := range exemplars {
				spans, err := jaeger.Trace(t.Context(), e.TraceID)
				require.NoError(t, err)
				require.NotEmpty(t, spans, "%s leads to a trace that Jaeger does not have", histogram)
			}
			t.Logf("%d exemplars of %s", len(exemplars), histogram)
		}
	})
}

// registerGateways has Consul observe the gateways and name them in its DNS while they are healthy.
func registerGateways(t *testing.T, address string, gateways []*gateway) {
	t.Helper()
	client, err := consul.NewClient(&consul.Config{Address: address})
	require.NoError(t, err)
	for i, g := range gateways {
		require.NoError(t, client.Agent().ServiceRegister(&consul.AgentServiceRegistration{
			ID: fmt.Sprintf("%s-%d", gatewayService, 1+i), Name: gatewayService, Address: g.address, Port: g.grpc,
			Check: &consul.AgentServiceCheck{HTTP: "http://" + g.at(g.health), Interval: "1s", Timeout: "1s"},
		}))
	}
	require.Eventually(t, func() bool {
		healthy, _, err := client.Health().Service(gatewayService, "", true, nil)
		return err == nil && len(healthy) == len(gateways)
	}, soon, 100*time.Millisecond)
}

// auditToFile has Vault write to an audit file, with the headers of traces, and mounts an engine.
func auditToFile(t *testing.T, l *lab.Lab) string {
	t.Helper()
	file := filepath.Join(l.Dir, "audit.log")
	require.NoError(t, l.Vault.Audit(t.Context(), "file", "file", map[string]string{"file_path": file}))
	require.NoError(t, l.Vault.AuditHeader(t.Context(), "traceparent"))
	client, err := l.Vault.Client(0)
	require.NoError(t, err)
	require.NoError(t, client.Sys().MountWithContext(t.Context(), "shop", &vault.MountInput{Type: "kv"}))
	return file
}

// requestInATrace writes a secret to Vault within a trace of an application, and returns the span around it.
func requestInATrace(t *testing.T, l *lab.Lab, otlp string) readback.Span {
	t.Helper()
	provider, err := shop.Provider(t.Context(), "http://"+otlp)
	require.NoError(t, err)
	defer func() { require.NoError(t, provider.Shutdown(context.Background())) }()
	client, err := l.Vault.Client(0)
	require.NoError(t, err)
	config := client.CloneConfig()
	config.HttpClient.Transport = otelhttp.NewTransport(config.HttpClient.Transport,
		otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{}))
	traced, err := vault.NewClient(config)
	require.NoError(t, err)
	traced.SetToken(client.Token())
	ctx, span := provider.Tracer("test").Start(t.Context(), "order")
	defer span.End()
	_, err = traced.Logical().WriteWithContext(ctx, "shop/payment", map[string]any{"card": "secret"})
	require.NoError(t, err)
	return readback.Span{TraceID: span.SpanContext().TraceID().String(), SpanID: span.SpanContext().SpanID().String()}
}

func lockOnce(t *testing.T, client *clientv3.Client, name string) {
	t.Helper()
	session, err := concurrency.NewSession(client)
	require.NoError(t, err)
	mutex := concurrency.NewMutex(session, name)
	require.NoError(t, mutex.Lock(t.Context()))
	require.NoError(t, mutex.Unlock(t.Context()))
	require.NoError(t, session.Close())
}

// awaitSpan waits for a span of a service. Before each try it calls cause, if there is one.
func awaitSpan(t *testing.T, jaeger readback.Jaeger, since time.Time, service, name string, is func(readback.Span) bool, cause func()) (found readback.Span) {
	t.Helper()
	require.Eventually(t, func() bool {
		if cause != nil {
			cause()
		}
		spans, err := jaeger.Traces(t.Context(), service, name, since, 1000)
		for _, span := range spans {
			if span.Name == name && is(span) {
				found = span
			}
		}
		return err == nil && found.SpanID != ""
	}, soon, 500*time.Millisecond, name)
	return found
}

// holdOf selects the hold of a lock.
func holdOf(lock string) func(readback.Span) bool {
	return func(span readback.Span) bool { return span.Attributes["etcd.lock.name"] == lock }
}

// requireEvents requires that the gateways' files have such events between them. A line of
// one that was killed may be cut off.
func requireEvents(t *testing.T, gateways []*gateway, names ...string) {
	t.Helper()
	for _, name := range names {
		require.Eventually(t, func() bool {
			return slices.ContainsFunc(gateways, func(g *gateway) bool {
				return strings.Contains(readFile("", g.events), `"eventName":"`+name+`"`)
			})
		}, soon, 200*time.Millisecond, name)
	}
}

// sentTrace is a trace of which the agents have accepted all spans.
type sentTrace struct {
	id          string
	spans       []string
	from, until time.Time // when its spans were sent
}

// arrived is how many of its spans Jaeger has.
func (x sentTrace) arrived(t *testing.T, jaeger readback.Jaeger) int {
	t.Helper()
	spans, err := jaeger.Trace(t.Context(), x.id)
	require.NoError(t, err)
	found := map[string]bool{}
	for _, span := range spans {
		found[span.SpanID] = true
	}
	return len(found)
}

// traffic sends traces until it is stopped.
type traffic struct {
	end     context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	sent    []sentTrace
}

// startTraffic sends 20 traces a second, four at a time: the first half of the spans of
// each to one agent, and the other half, up to spread later, to the other.
func startTraffic(t *testing.T, agents []*agent) *traffic {
	ctx, cancel := context.WithCancel(t.Context())
	w := &traffic{end: cancel}
	t.Cleanup(func() { cancel(); w.running.Wait() })
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	w.running.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			first := n % 2
			w.running.Go(func() {
				sent, err := sendSpread(client, agents[first].otlp, agents[1-first].otlp)
				if assert.NoError(t, err) {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.sent = append(w.sent, sent...)
				}
			})
		}
	})
	return w
}

// stop ends it, and returns what was sent.
func (w *traffic) stop() []sentTrace {
	w.end()
	w.running.Wait()
	return w.sent
}

// sendSpread sends a part of each trace to each agent.
func sendSpread(client *http.Client, agents ...string) ([]sentTrace, error) {
	var ids []pcommon.TraceID
	sent := make([]sentTrace, 4)
	for i := range sent {
		ids = append(ids, randomTraceID())
		sent[i] = sentTrace{id: ids[i].String(), from: time.Now()}
	}
	for i, otlp := range agents {
		if i > 0 {
			time.Sleep(rand.N(spread))
		}
		traces := ptrace.NewTraces()
		rs := traces.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "checkout")
		scope := rs.ScopeSpans().AppendEmpty()
		for j, id := range ids {
			for range 3 {
				sent[j].spans = append(sent[j].spans, fill(scope.Spans().AppendEmpty(), id))
			}
		}
		body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
		if err != nil {
			return nil, err
		}
		if status := (&pusher{url: "http://" + otlp, client: client}).post(context.Background(), body); status != http.StatusOK {
			return nil, fmt.Errorf("the agent at %s answered %d", otlp, status)
		}
	}
	for i := range sent {
		sent[i].until = time.Now()
	}
	return sent, nil
}

// fill makes it a span of a trace, and returns its ID.
func fill(span ptrace.Span, trace pcommon.TraceID) string {
	now := time.Now()
	span.SetTraceID(trace)
	span.SetSpanID(randomSpanID())
	span.SetName("work")
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Millisecond)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
	return span.SpanID().String()
}

func randomTraceID() (id pcommon.TraceID) {
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	return id
}

func randomSpanID() (id pcommon.SpanID) {
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	return id
}
