// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package consulreceiver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// The large catalog has 20,000 checks, beside Consul's own.
const (
	manyServices     = 5_000
	checksPerService = 4
)

// What metrics cost, beside the requests of the peers to the same Consul.
// docs/benchmarks.md describes the figures.
func BenchmarkCycle(b *testing.B) {
	w := newWorld(b, manyServices)
	m := &meter{server: w.consul}
	var peer usage
	b.Run("peer", func(b *testing.B) {
		transport := m.transport()
		defer transport.CloseIdleConnections()
		client, err := api.NewClient(&api.Config{Address: w.consul.Addr, HttpClient: &http.Client{Transport: transport}})
		require.NoError(b, err)
		peer = m.measure(b, func() { onePerService(b, client) })
	})
	r := w.observe(b, m, nil)
	run := func(name string, op func(*testing.B)) {
		b.Run(name, func(b *testing.B) {
			own := m.measure(b, func() { op(b) })
			if peer != (usage{}) { // It may have been left out.
				b.ReportMetric(own.cpu/peer.cpu, "cpu/peer")
				b.ReportMetric(own.serverCPU/peer.serverCPU, "server-cpu/peer")
			}
		})
	}
	run("receiver", func(b *testing.B) { r.cycle(b) })
	// The cycle lives off the watches, so here is a whole interval of all.
	run("receiver-10s-at-rest", func(b *testing.B) {
		over := time.After(10 * time.Second)
		r.cycle(b)
		<-over
	})
	run("receiver-10s-a-change-a-second", func(b *testing.B) {
		r.cycle(b)
		for i := range 10 {
			over := time.After(time.Second)
			w.turn(b, i)
			<-over
		}
	})
}

// onePerService asks what consul_exporter asks in a scrape, in its order; for
// one service after the other, as Datadog does. It makes no metrics.
func onePerService(b *testing.B, client *api.Client) {
	b.Helper()
	stale := (&api.QueryOptions{AllowStale: true}).WithContext(b.Context())
	_, err := client.Status().PeersWithQueryOptions(stale)
	require.NoError(b, err)
	_, err = client.Status().LeaderWithQueryOptions(stale)
	require.NoError(b, err)
	_, _, err = client.Catalog().Nodes(stale)
	require.NoError(b, err)
	for _, wan := range []bool{false, true} {
		_, err = client.Agent().Members(wan)
		require.NoError(b, err)
	}
	services, _, err := client.Catalog().Services(stale)
	require.NoError(b, err)
	for name := range services {
		_, _, err := client.Health().Service(name, "", false, stale)
		require.NoError(b, err)
	}
	checks, _, err := client.Health().State(api.HealthAny, stale)
	require.NoError(b, err)
	require.Len(b, checks, manyServices*checksPerService+1)
}

// The time from the request that turns a check until the event is with the next
// consumer.
func BenchmarkLatency(b *testing.B) {
	for _, services := range []int{10, manyServices} {
		b.Run(fmt.Sprint("services=", services), func(b *testing.B) {
			w := newWorld(b, services)
			arrived := make(arrivals, 1_000)
			r := w.observe(b, &meter{server: w.consul}, arrived)
			// The cycles go on meanwhile.
			stop := cycleEvery(b, r, 10*time.Second)
			defer stop()
			// Seldom enough for the watch, which asks once a second at most.
			b.Run("every=1050ms", func(b *testing.B) { w.latency(b, arrived, 100, 1050*time.Millisecond) })
			if burst := 200; services >= burst { // A check that turns twice between two looks has not turned.
				b.Run("every=50ms", func(b *testing.B) { w.latency(b, arrived, burst, 50*time.Millisecond) })
			}
		})
	}
}

func cycleEvery(b *testing.B, r *driven, every time.Duration) (stop func()) {
	b.Helper()
	ticker, done, stopped := time.NewTicker(every), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ticker.C:
				r.cycle(b)
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-stopped
	}
}

// latency reports percentiles of some changes.
func (w *world) latency(b *testing.B, arrived arrivals, changes int, every time.Duration) {
	var took []time.Duration
	for b.Loop() {
		took = took[:0]
		turned := make([]chan time.Time, w.services) // when, by service
		for i := range turned {
			turned[i] = make(chan time.Time, changes/w.services+1)
		}
		go func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := range changes {
				turned[i%w.services] <- time.Now()
				w.turn(b, i)
				<-tick.C
			}
		}()
		deadline := time.After(time.Duration(changes)*every + time.Minute)
		for len(took) < changes {
			select {
			case a := <-arrived:
				took = append(took, a.at.Sub(<-turned[a.service]))
			case <-deadline:
				b.Fatalf("%d of %d changes became events", len(took), changes)
			}
		}
	}
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[(len(took)*p-1)/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(0, "ns/op") // It is the time of all changes.
}

// arrivals are the events that tell that a check has turned.
type arrivals chan arrival

type arrival struct {
	service int
	at      time.Time
}

func (a arrivals) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (a arrivals) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	now := time.Now()
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, event := range sl.LogRecords().All() {
				if event.EventName() != transition {
					continue
				}
				check, _ := event.Attributes().Get(attrCheck)
				var service int
				if _, err := fmt.Sscanf(check.Str(), "service:"+aService+"%d:", &service); err != nil {
					return err
				}
				a <- arrival{service, now}
			}
		}
	}
	return nil
}

// world is a Consul with services.
type world struct {
	consul   *lab.Consul
	client   *api.Client
	services int
	critical []bool // by service: whether its first check is
}

func newWorld(b *testing.B, services int) *world {
	b.Helper()
	consul, err := lab.StartConsul(b.Context(), lab.ServerOptions{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, consul.Stop(context.Background())) })
	client, err := api.NewClient(&api.Config{Address: consul.Addr})
	require.NoError(b, err)
	fill(b, client, 0, services, checksPerService)
	return &world{consul: consul, client: client, services: services, critical: make([]bool, services)}
}

// observe starts a receiver and waits until its watches know everything.
func (w *world) observe(b *testing.B, m *meter, logs consumer.Logs) *driven {
	b.Helper()
	cfg := configFor(w.consul.Addr)
	cfg.Services.Limit = 10_000
	var r *driven
	m.meterReceivers(func() { r = drive(b, cfg, logs) })
	require.Eventually(b, func() bool {
		r.cycle(b)
		return r.HasValue(int64(w.services*checksPerService+1), "consul.health.check.count", attrStatus, "passing")()
	}, time.Minute, 100*time.Millisecond)
	time.Sleep(3 * time.Second) // What came while it was registered has been told.
	return r
}

// turn turns the first check of a service, which i counts through.
func (w *world) turn(b *testing.B, i int) {
	b.Helper()
	i %= w.services
	w.critical[i] = !w.critical[i]
	status := api.HealthPassing
	if w.critical[i] {
		status = api.HealthCritical
	}
	op := api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: *checkOf(i, 0, status)}}
	ok, response, _, err := w.client.Txn().Txn(api.TxnOps{&op}, nil)
	if err != nil || !ok {
		b.Errorf("turn a check: %v: %+v", err, response)
	}
}

// meter measures what requests cost here and at the server.
type meter struct {
	server             *lab.Consul
	requests, received atomic.Int64
}

// usage is what was used: seconds of CPU, requests, and bytes on the wire.
type usage struct{ cpu, serverCPU, requests, received float64 }

// measure runs the operation in b's loop, and reports and returns what one used.
func (m *meter) measure(b *testing.B, op func()) usage {
	b.ReportAllocs()
	begin, n := m.read(b), 0
	for b.Loop() {
		op()
		n++
	}
	end, ops := m.read(b), float64(n)
	used := usage{
		cpu:       (end.cpu - begin.cpu) / ops,
		serverCPU: (end.serverCPU - begin.serverCPU) / ops,
		requests:  (end.requests - begin.requests) / ops,
		received:  (end.received - begin.received) / ops,
	}
	b.ReportMetric(used.cpu, "cpu-s/op")
	b.ReportMetric(used.serverCPU, "server-cpu-s/op")
	b.ReportMetric(used.requests, "requests/op")
	b.ReportMetric(used.received, "B-received/op")
	return used
}

func (m *meter) read(b *testing.B) usage {
	b.Helper()
	var own syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.server.Process().PID()))
	require.NoError(b, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third on
	user, err := strconv.ParseFloat(fields[11], 64)
	require.NoError(b, err)
	system, err := strconv.ParseFloat(fields[12], 64)
	require.NoError(b, err)
	const hertz = 100 // of the clock that /proc counts in
	return usage{
		cpu:       time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds(),
		serverCPU: (user + system) / hertz,
		requests:  float64(m.requests.Load()),
		received:  float64(m.received.Load()),
	}
}

// transport returns a transport whose requests are measured.
func (m *meter) transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = func(*http.Request) (*url.URL, error) { // It is asked for each request.
		m.requests.Add(1)
		return nil, nil
	}
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return meteredConn{conn, &m.received}, err
	}
	return t
}

// meterReceivers measures the receivers that are started in start: the
// collector's HTTP clients begin as copies of the default one.
func (m *meter) meterReceivers(start func()) {
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	http.DefaultTransport = m.transport()
	start()
}

type meteredConn struct {
	net.Conn
	received *atomic.Int64
}

func (c meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}
