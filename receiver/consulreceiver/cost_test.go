// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package consulreceiver

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/acltoken"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/configentry"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/leader"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/license"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/member"
	"github.com/otelcol-infra/otelcol-infra/receiver/consulreceiver/internal/metadata"
)

func TestTheCostDoesNotGrowWithTheServices(t *testing.T) {
	const (
		cycles      = 3
		mostInCycle = 8
		watches     = 9 // failing checks by status, and all, services, nodes, sessions, roots, user events, one prefix of keys
	)
	consul, client := startConsul(t, lab.ServerOptions{})
	proxy := startCountingProxy(t, consul.Addr)
	cfg := configFor(proxy.addr)
	cfg.KV.Prefixes = []string{"locks/"}
	cfg.Services.Limit = 10_000
	// What is polled beside the cycle: how often, and how many requests at a time.
	polls := map[string]struct {
		every    time.Duration
		requests int
	}{
		"/v1/" + endpointLeader:          {leader.Interval, 1},
		"/v1/" + endpointConfig + "mesh": {configentry.Interval, 1},
		"/v1/" + endpointMembers:         {cfg.Scrape.CollectionInterval, len(member.Endpoints)},
		"/v1/" + endpointPeerings:        {cfg.Scrape.CollectionInterval, 1},
		"/v1/" + endpointLicense:         {license.Interval, 1},
		"/v1/" + endpointToken:           {acltoken.Interval, 1},
	}
	r := drive(t, cfg, nil)

	var first map[string]int
	known := 0
	for _, services := range []int{10, 1_000, 5_000} {
		fill(t, client, known, services, 1)
		known = services
		r.Eventually(t, "it knows all services", func() bool {
			r.cycle(t)
			return r.HasValue(int64(services+1), "consul.catalog.service.count")() && // and Consul itself
				r.HasValue(int64(services+1), "consul.health.check.count", attrStatus, "passing")() &&
				r.scope().Up(endpointConfig) // It reads all kinds at first.
		})
		r.Eventually(t, "all watches wait", func() bool { return proxy.waiting() == watches })

		proxy.reset()
		begin := time.Now()
		for range cycles {
			r.cycle(t)
		}
		counted := proxy.counted()
		elapsed := time.Since(begin)
		for path, poll := range polls {
			assert.LessOrEqual(t, counted[path], poll.requests*(1+int(elapsed/poll.every)), "requests for %s in %s", path, elapsed)
			delete(counted, path)
		}
		t.Logf("%d services, %d cycles: %v", services, cycles, counted)
		for path, requests := range counted {
			assert.Equal(t, cycles, requests, "requests for %s in %d cycles", path, cycles)
		}
		assert.NotEmpty(t, counted)
		assert.LessOrEqual(t, len(counted), mostInCycle, "requests in a cycle: %v", counted)
		if first == nil {
			first = counted
		}
		assert.Equal(t, first, counted, "requests at %d services, and at 10", services)
	}
	assert.Equal(t, watches, proxy.mostWaiting(), "at any time")
	for _, path := range proxy.paths() {
		assert.NotContains(t, path, aService, "no request is for one service")
	}
}

// aService is in the name of each service that fill registers.
const aService = "shop-service-"

// fill registers services with some checks each, all passing, on 50 nodes
// that have no agent.
func fill(tb testing.TB, client *api.Client, from, to, checks int) {
	tb.Helper()
	const nodes, most = 50, 128 // operations in a transaction
	var ops api.TxnOps
	commit := func() {
		ok, response, _, err := client.Txn().Txn(ops, nil)
		require.NoError(tb, err)
		require.True(tb, ok, "%+v", response.Errors)
		ops = ops[:0]
	}
	for i := range nodes {
		ops = append(ops, &api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{
			Node: nodeOf(i), Address: fmt.Sprintf("10.0.0.%d", i),
		}}})
	}
	for i := from; i < to; i++ {
		if len(ops)+1+checks > most {
			commit()
		}
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: nodeOf(i), Service: api.AgentService{
			ID: serviceOf(i), Service: serviceOf(i), Port: 8080, Tags: []string{"v1"},
		}}})
		for c := range checks {
			check := checkOf(i, c, api.HealthPassing)
			ops = append(ops, &api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: *check}})
		}
	}
	commit()
}

func nodeOf(i int) string    { return fmt.Sprint("node-", i%50) }
func serviceOf(i int) string { return fmt.Sprint(aService, i) }

func checkOf(service, c int, status string) *api.HealthCheck {
	return &api.HealthCheck{
		Node: nodeOf(service), CheckID: fmt.Sprintf("service:%s:%d", serviceOf(service), c), Name: fmt.Sprint("Service check ", c),
		ServiceID: serviceOf(service), Status: status,
		Output: "HTTP GET http://127.0.0.1:8080/health: 200 OK Output: ok",
	}
}

// driven is a receiver in all three signals, whose cycles the test makes.
type driven struct {
	observedtest.Receiver
	*metricsScraper
}

// drive starts a receiver as the factory does, but without the controller that
// makes a cycle at each interval. Its events go to logs, if that is not nil.
func drive(tb testing.TB, cfg *Config, logs consumer.Logs) *driven {
	tb.Helper()
	settings := receivertest.NewNopSettings(metadata.Type)
	signals := watch.NewSignals(newWatcher)
	d := &driven{}
	if logs == nil {
		logs = &d.Logs
	}
	events, err := signals.CreateLogs(tb.Context(), settings, cfg, logs)
	require.NoError(tb, err)
	traces, err := signals.CreateTraces(tb.Context(), settings, cfg, &d.Traces)
	require.NoError(tb, err)
	shared, err := signals.Watcher(settings, cfg)
	require.NoError(tb, err)
	d.metricsScraper = newScraper(cfg, settings, shared)
	for _, c := range []component.Component{d.metricsScraper, events, traces} {
		require.NoError(tb, c.Start(tb.Context(), componenttest.NewNopHost()))
		tb.Cleanup(func() { require.NoError(tb, c.Shutdown(context.Background())) })
	}
	return d
}

// cycle collects the metrics once.
func (d *driven) cycle(tb testing.TB) {
	d.Metrics.Reset()
	assert.NoError(tb, d.Metrics.ConsumeMetrics(tb.Context(), d.Scrape(tb.Context())))
}

// scope returns the only one that is observed.
func (d *driven) scope() *scope { return d.Observer.observed()[0] }

// countingProxy counts the requests that go through it.
type countingProxy struct {
	addr string

	mu               sync.Mutex
	all, sinceReset  map[string]int // by path; the latter without those that wait for a change
	waitingNow, most int
}

func startCountingProxy(t *testing.T, addr string) *countingProxy {
	t.Helper()
	reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	reverse.Transport = transport
	reverse.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {} // The receiver ends what waits.
	p := &countingProxy{all: map[string]int{}, sinceReset: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer p.count(r)()
		reverse.ServeHTTP(w, r)
	}))
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(server.Close)
	p.addr = server.Listener.Addr().String()
	return p
}

// count takes in the begin of a request, and returns what takes in its end.
func (p *countingProxy) count(r *http.Request) (end func()) {
	waits := r.URL.Query().Has("index")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[r.URL.Path]++
	if !waits {
		p.sinceReset[r.URL.Path]++
		return func() {}
	}
	p.waitingNow++
	p.most = max(p.most, p.waitingNow)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.waitingNow--
	}
}

func (p *countingProxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.sinceReset)
}

func (p *countingProxy) counted() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.sinceReset)
}

// waiting returns how many blocking queries there are now.
func (p *countingProxy) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waitingNow
}

func (p *countingProxy) mostWaiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most
}

// paths returns those of all requests.
func (p *countingProxy) paths() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.all))
}
