// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package consulreceiver

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"golang.org/x/sync/errgroup"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// The large catalog has 20,000 checks, beside Consul's own.
const (
	manyServices     = 5_000
	checksPerService = 4
)

// The cost of an interval of ten seconds, beside that of consul_exporter, which is
// scraped once in it. docs/benchmarks.md describes the rows.
func BenchmarkInterval(b *testing.B) {
	w := newWorld(b, manyServices)
	m := &meter{server: w.consul}
	intervals := []struct {
		name    string
		changes bool
	}{{"at-rest", false}, {"a-change-a-second", true}}
	interval := func(b *testing.B, changes bool, collect func()) {
		over := time.After(10 * time.Second)
		var turning sync.WaitGroup
		if changes {
			turning.Go(func() { w.turnEachSecond(b, 10) })
		}
		collect()
		turning.Wait()
		<-over
	}
	// What the driver and Consul use by themselves is neither's.
	alone := map[string]usage{}
	for _, i := range intervals {
		b.Run("nobody/"+i.name, func(b *testing.B) {
			alone[i.name] = m.measure(b, func() { interval(b, i.changes, func() {}) })
		})
	}
	peer := map[string]usage{}
	exporter := startExporter(b, w.consul.Addr)
	for _, i := range intervals {
		b.Run("consul_exporter/"+i.name, func(b *testing.B) {
			peer[i.name] = (&meter{server: w.consul, process: exporter.pid}).measure(b, func() {
				interval(b, i.changes, func() { exporter.scrape(b, manyServices*checksPerService+1) })
			})
		})
	}
	exporter.stop()
	r := w.observe(b, m, nil)
	for _, i := range intervals {
		b.Run("receiver/"+i.name, func(b *testing.B) {
			own := m.measure(b, func() { interval(b, i.changes, func() { r.cycle(b) }) })
			if p, measured := peer[i.name]; measured { // It may have been left out.
				b.ReportMetric((own.cpu-alone[i.name].cpu)/p.cpu, "cpu/peer")
				b.ReportMetric((own.serverCPU-alone[i.name].serverCPU)/(p.serverCPU-alone[i.name].serverCPU), "server-cpu/peer")
			}
		})
	}
	b.Run("receiver/cycle", func(b *testing.B) { m.measure(b, func() { r.cycle(b) }) })
}

// How many of thirty turns of one check within thirty seconds become events.
func BenchmarkTurns(b *testing.B) {
	w := newWorld(b, manyServices)
	arrived := make(arrivals, 1_000)
	w.observe(b, &meter{server: w.consul}, arrived)
	const turns = 30
	reported := 0
	for b.Loop() {
		for range turns {
			over := time.After(time.Second)
			w.turn(b, 0)
			<-over
		}
		reported += arrived.within(5 * time.Second)
	}
	b.ReportMetric(float64(reported)/float64(b.N), fmt.Sprintf("of-%d", turns))
	b.ReportMetric(0, "ns/op") // It is mostly waiting.
}

// The time until 10,000 checks that turn critical at once are reported, from the
// last write of them, and the memory meanwhile.
func BenchmarkOutage(b *testing.B) {
	const failing = 10_000
	w := newWorld(b, manyServices)
	arrived := make(arrivals, 2*failing)
	w.observe(b, &meter{server: w.consul}, arrived)
	var fromFirst, fromLast time.Duration
	for b.Loop() {
		for _, status := range []string{api.HealthCritical, api.HealthPassing} {
			peak := watchHeap(b)
			begin := time.Now()
			w.setMany(b, failing, status)
			written := time.Now()
			last := arrived.await(b, failing, time.Minute)
			fromFirst, fromLast = last.Sub(begin), last.Sub(written)
			b.ReportMetric(float64(written.Sub(begin).Milliseconds()), status+"-writing-ms")
			b.ReportMetric(float64(fromFirst.Milliseconds()), status+"-from-first-ms")
			b.ReportMetric(float64(fromLast.Milliseconds()), status+"-from-last-ms")
			b.ReportMetric(float64(peak())/(1<<20), status+"-heap-MB")
		}
	}
	b.ReportMetric(0, "ns/op") // It is mostly writing.
}

// watchHeap samples the heap until the returned function is called, which gives the
// largest size.
func watchHeap(b *testing.B) (stop func() uint64) {
	b.Helper()
	runtime.GC()
	done, peak := make(chan struct{}), make(chan uint64, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		var most uint64
		for {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapAlloc)
			select {
			case <-tick.C:
			case <-done:
				peak <- most
				return
			}
		}
	}()
	return func() uint64 {
		close(done)
		return <-peak
	}
}

// exporter is a running consul_exporter.
type exporter struct {
	url  string
	pid  int
	stop func()
}

// startExporter builds and starts consul_exporter. Its requests have the time that a
// large catalog takes them, and are 50 at most at once: a Consul takes 200 connections
// from one address.
func startExporter(b *testing.B, consul string) *exporter {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "consul_exporter")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", binary, "github.com/prometheus/consul_exporter/cmd/consul_exporter")
	build.Dir = filepath.Join("..", "..", "lab", "peers", "consul_exporter")
	output, err := build.CombinedOutput()
	require.NoError(b, err, "%s", output)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	address := listener.Addr().String()
	require.NoError(b, listener.Close())
	run := exec.CommandContext(b.Context(), binary, "--consul.server=http://"+consul, "--web.listen-address="+address,
		"--consul.timeout=10s", "--consul.request-limit=50", "--log.level=error")
	run.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(b, run.Start())
	stop := sync.OnceFunc(func() {
		_ = run.Process.Kill()
		_ = run.Wait() // It was killed.
	})
	b.Cleanup(stop)
	e := &exporter{url: "http://" + address + "/metrics", pid: run.Process.Pid, stop: stop}
	require.Eventually(b, func() bool {
		response, err := http.Get("http://" + address + "/")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
	return e
}

// scrape scrapes once, and requires that the exporter read all checks.
func (e *exporter) scrape(b *testing.B, checks int) {
	b.Helper()
	response, err := http.Get(e.url)
	require.NoError(b, err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	found := 0
	for lines.Scan() {
		if line := lines.Text(); (strings.HasPrefix(line, "consul_health_service_status{") || strings.HasPrefix(line, "consul_health_node_status{")) && strings.HasSuffix(line, " 1") {
			found++
		}
	}
	require.NoError(b, lines.Err())
	require.Equal(b, checks, found)
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

// setMany sets the first two checks of each service, as fast as Consul takes them.
func (w *world) setMany(b *testing.B, checks int, status string) {
	const together, most = 4, 64 // transactions at once, and operations in one
	var writers errgroup.Group
	writers.SetLimit(together)
	for from := 0; from < checks; from += most {
		writers.Go(func() error {
			var ops api.TxnOps
			for i := from; i < min(checks, from+most); i++ {
				ops = append(ops, &api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: *checkOf(i/2, i%2, status)}})
			}
			ok, response, _, err := w.client.Txn().Txn(ops, nil)
			if err == nil && !ok {
				err = fmt.Errorf("%+v", response.Errors)
			}
			return err
		})
	}
	require.NoError(b, writers.Wait())
}

// turnEachSecond turns a check of another service at the begin of each second.
func (w *world) turnEachSecond(b *testing.B, times int) {
	for i := range times {
		over := time.After(time.Second)
		w.turn(b, i)
		<-over
	}
}

// arrivals are the events that report that a check has turned.
type arrivals chan arrival

type arrival struct {
	service int
	at      time.Time
}

// within counts the events that arrive until none has come for some time.
func (a arrivals) within(quiet time.Duration) (events int) {
	for {
		select {
		case <-a:
			events++
		case <-time.After(quiet):
			return events
		}
	}
}

// await returns when the last of so many events arrived.
func (a arrivals) await(b *testing.B, events int, most time.Duration) (last time.Time) {
	b.Helper()
	deadline := time.After(most)
	for n := range events {
		select {
		case arrived := <-a:
			last = arrived.at
		case <-deadline:
			b.Fatalf("%d of %d changes became events", n, events)
		}
	}
	return last
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
		passing := int64(w.services*checksPerService + 1 - w.failing())
		return r.HasValue(passing, "consul.health.check.count", attrStatus, "passing")()
	}, time.Minute, 100*time.Millisecond)
	time.Sleep(3 * time.Second) // What came while it was registered has been reported.
	return r
}

// failing is how many checks were turned and not turned back.
func (w *world) failing() (checks int) {
	for _, critical := range w.critical {
		if critical {
			checks++
		}
	}
	return checks
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
	process            int // whose CPU is measured; 0: this one
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
	cpu := time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds()
	if m.process != 0 {
		cpu = cpuOf(b, m.process)
	}
	return usage{
		cpu:       cpu,
		serverCPU: cpuOf(b, m.server.Process().PID()),
		requests:  float64(m.requests.Load()),
		received:  float64(m.received.Load()),
	}
}

// cpuOf returns the seconds of CPU that another process has used.
func cpuOf(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // from the third on
	user, err := strconv.ParseFloat(fields[11], 64)
	require.NoError(b, err)
	system, err := strconv.ParseFloat(fields[12], 64)
	require.NoError(b, err)
	const hertz = 100 // of the clock that /proc counts in
	return (user + system) / hertz
}

// transport returns a transport whose requests are measured.
func (m *meter) transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = func(*http.Request) (*url.URL, error) { // It is requested each request.
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
