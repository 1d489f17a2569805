// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaultreceiver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/audit"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/metadata"
)

// runningStream is an audit stream with a socket, of which only is counted what
// it tells, and a server if it is configured.
type runningStream struct {
	*auditStream
	address string
	server  *auditHTTP
	spans   countingSpans
}

func startStream(t *testing.T, set func(*AuditConfig)) *runningStream {
	t.Helper()
	cfg := only("http://127.0.0.1:1", "")
	cfg.Audit.Socket.GetOrInsertDefault().Endpoint = "127.0.0.1:0"
	set(&cfg.Audit)
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	s := &runningStream{auditStream: w.audit}
	w.Delivery().Traces = &s.spans
	ctx, cancel := context.WithCancel(context.Background())
	socket, err := s.listen(ctx)
	require.NoError(t, err)
	s.address = socket.listener.Addr().String()
	s.sources = append(s.sources, socket.run)
	if cfg.Audit.serves() {
		s.server, err = s.serve(ctx, componenttest.NewNopHost())
		require.NoError(t, err)
		s.sources = append(s.sources, s.server.run)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

// eventually waits until as much became of entries.
func (s *runningStream) eventually(t *testing.T, want int64, of ...outcome) {
	t.Helper()
	require.Eventually(t, func() bool { return s.sum(of...) >= want }, time.Minute, 5*time.Millisecond)
	require.Equal(t, want, s.sum(of...))
}

func (s *runningStream) sum(of ...outcome) (all int64) {
	for _, o := range of {
		all += s.outcomes[o].Load()
	}
	return all
}

func sendAll[T string | []byte](t *testing.T, conn net.Conn, what T) {
	t.Helper()
	_, err := conn.Write([]byte(what))
	assert.NoError(t, err)
}

func exchangesNamed(name string, many int) string {
	var all strings.Builder
	for i := range many {
		id := fmt.Sprint(name, "-", i)
		all.WriteString(entry(id, "request") + entry(id, "response"))
	}
	return all.String()
}

func TestAThousandConnections(t *testing.T) {
	const many, each = 1000, 10
	s := startStream(t, func(c *AuditConfig) { c.Socket.Get().Connections, c.Queue = many, 2*many*each })
	conns := make([]net.Conn, many)
	for i := range conns {
		conns[i] = dial(t, "tcp", s.address)
	}
	require.Eventually(t, func() bool { return s.connections.Load() == many }, time.Minute, time.Millisecond)
	_, err := dial(t, "tcp", s.address).Read(make([]byte, 1))
	require.Error(t, err, "one more is closed")
	var sending sync.WaitGroup
	for i, conn := range conns {
		sending.Go(func() { sendAll(t, conn, exchangesNamed(strconv.Itoa(i), each)) })
	}
	sending.Wait()
	s.eventually(t, 2*many*each, accepted)
	require.Eventually(t, func() bool { return s.spans.spans.Load() == many*each }, time.Minute, time.Millisecond)
	assert.Zero(t, s.sum(malformed, tooLong, cut, dropped, ownRequest))
}

// Connections that never end a line cost neither others their entries, nor more
// memory than there is for long lines.
func TestSlowConnections(t *testing.T) {
	const many, pairs, longest = 50, 2000, 1 << 20
	s := startStream(t, func(c *AuditConfig) { c.Queue, c.LongestLine = 4*pairs, longest })
	for range longAtOnce { // They take all the room for long lines.
		sendAll(t, dial(t, "tcp", s.address), strings.Repeat("x", longest))
	}
	stop := make(chan struct{})
	var trickling sync.WaitGroup
	for range many {
		conn := dial(t, "tcp", s.address)
		trickling.Go(func() {
			for {
				sendAll(t, conn, "{")
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	healthy := dial(t, "tcp", s.address)
	sendAll(t, healthy, exchangesNamed("a", pairs))
	s.eventually(t, 2*pairs, accepted)
	sendAll(t, healthy, strings.Repeat("x", longest)+"\n"+exchangesNamed("b", pairs))
	s.eventually(t, 4*pairs, accepted)
	s.eventually(t, 1, tooLong, malformed) // They may have left room for one.
	require.Eventually(t, func() bool { return s.spans.spans.Load() == 2*pairs }, time.Minute, time.Millisecond)
	close(stop)
	trickling.Wait()
}

// peakHeap returns how much more lived on the heap than at first while do ran, as
// the garbage collector found it, and how much larger it is after that. With its
// garbage it may be twice as large, or more where the collector has to wait.
func peakHeap(do func()) (peak, rest int64) {
	before := int64(heap())
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(live)
		peak = max(peak, int64(live[0].Value.Uint64())-before)
		select {
		case <-done:
			return peak, int64(heap()) - before
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Lines of 5 MB on fifty connections at once, with as many values as fit in them,
// or as deep as can be.
func TestBombsOnManyConnections(t *testing.T) {
	const many, size, longest = 50, 5 << 20, 6 << 20
	var bombs [][]byte // which are not copied to send them
	for _, value := range []string{"0,", "[0],", `{"":0},`, "{},"} {
		bombs = append(bombs, fmt.Appendf(nil, "{%q:[%s0],%s", "data", strings.Repeat(value, size/len(value)), entry("a", "request")[1:]))
	}
	bombs = append(bombs, fmt.Appendln(nil, strings.Repeat("[", size)), fmt.Appendln(nil, strings.Repeat(`{"request":`, size/11)),
		fmt.Appendln(nil, `{"type":"`+strings.Repeat(`\u0000`, size/6)+`"}`))
	s := startStream(t, func(c *AuditConfig) { c.LongestLine = longest })
	conns := make([]net.Conn, many)
	for i := range conns {
		conns[i] = dial(t, "tcp", s.address)
	}
	peak, rest := peakHeap(func() {
		var sending sync.WaitGroup
		for i, conn := range conns {
			sending.Go(func() { sendAll(t, conn, bombs[i%len(bombs)]) })
		}
		sending.Wait()
		s.eventually(t, many, accepted, malformed, tooLong)
	})
	t.Logf("%d MB more at most, %d MB at rest; accepted %d, malformed %d, no room for %d",
		peak>>20, rest>>20, s.sum(accepted), s.sum(malformed), s.sum(tooLong))
	// A line that grows is copied to memory a quarter larger than it. As much again
	// for what became garbage while the collector ran.
	assert.Less(t, peak, int64(2*9/4*longAtOnce*longest+many<<17), "of all lines there are 250 MB, and of their values gigabytes")
	assert.Less(t, rest, int64(many<<17+(16<<20)), "128 kB for each connection, and what the parsers keep")
	assert.Positive(t, s.sum(accepted, malformed))
	for i, conn := range conns {
		sendAll(t, conn, exchangesNamed(strconv.Itoa(i), 1))
	}
	require.Eventually(t, func() bool { return s.spans.spans.Load() >= many }, time.Minute, time.Millisecond, "each goes on")
	runtime.KeepAlive(bombs) // They were there at first.
}

// Whatever a connection sends, in whichever pieces: each line is counted once.
func FuzzAuditConnection(f *testing.F) {
	cfg := only("http://127.0.0.1:1", "")
	cfg.Audit.Socket.GetOrInsertDefault().Endpoint = "127.0.0.1:0"
	cfg.Audit.Queue, cfg.Audit.LongestLine = 3, 70<<10
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(f, err)
	f.Add([]byte(entry("a", "request")+entry("a", "response")+"\n{}\nhalf"), 7)
	f.Add([]byte(strings.Repeat(entry("a", "request"), 5)), 1000)
	f.Add([]byte(strings.Repeat("[", 20<<10)+"\n"+strings.Repeat("x", 80<<10)+"\n"+strings.Repeat("y", 68<<10)+"\n"+entry("a", "request")), 5000)
	f.Add([]byte("\x00\xff\n\n\n"+strings.Repeat("x", 80<<10)), 1)
	f.Fuzz(func(t *testing.T, sent []byte, piece int) {
		piece = max(1, piece%(32<<10))
		s := newAuditStream(w)
		socket := &auditSocket{stream: s, cfg: *cfg.Audit.Socket.Get(), room: audit.NewRoom(67 << 10), open: map[net.Conn]struct{}{}}
		here, there := net.Pipe()
		require.True(t, socket.admit(there))
		read := make(chan struct{})
		go func() { defer close(read); socket.read(there) }()
		for at := 0; at < len(sent); at += piece {
			_, err := here.Write(sent[at:min(at+piece, len(sent))])
			require.NoError(t, err)
		}
		require.NoError(t, here.Close())
		<-read
		var all int64
		for o := range s.outcomes {
			if outcome(o) != cut {
				all += s.outcomes[o].Load()
			}
		}
		require.EqualValues(t, bytes.Count(sent, []byte("\n")), all)
		require.Equal(t, len(sent) > 0 && sent[len(sent)-1] != '\n', s.outcomes[cut].Load() == 1)
		require.Len(t, s.queue, int(s.outcomes[accepted].Load()))
		require.Zero(t, s.connections.Load())
	})
}

// startServer returns a stream with an HTTP server, and a device that posts to it.
func startServer(t *testing.T, set func(*AuditConfig)) (*runningStream, device) {
	t.Helper()
	s := startStream(t, func(c *AuditConfig) {
		c.HTTP.GetOrInsertDefault().NetAddr.Endpoint = "127.0.0.1:0"
		set(c)
	})
	return s, newDevice(t, "http://"+s.server.Addr().String())
}

// Those who never end what they begin, at any place of it, hold a connection only
// until the timeouts; who waits behind them is served.
func TestSlowRequests(t *testing.T) {
	const many = 9
	s, d := startServer(t, func(c *AuditConfig) {
		server := c.HTTP.Get()
		server.Connections = many
		server.ReadHeaderTimeout, server.ReadTimeout = 2*time.Second, 2*time.Second
	})
	stop := make(chan struct{})
	var trickling sync.WaitGroup
	for i := range 3 * many {
		conn := dial(t, "tcp", s.server.Addr().String())
		trickling.Go(func() {
			_, err := conn.Write([]byte([]string{"", "POST / HTTP/1.1\r\nHost: a\r\nX: ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{"}[i%3]))
			for err == nil && i%3 > 0 {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
					_, err = conn.Write([]byte("x"))
				}
			}
		})
	}
	require.Eventually(t, func() bool { return s.connections.Load() == many }, time.Minute, time.Millisecond)
	d.require(t, http.StatusNoContent, entry("a", "request")+entry("a", "response"))
	assert.LessOrEqual(t, s.connections.Load(), int64(many))
	s.eventually(t, many, cut)
	s.eventually(t, 2, accepted)
	d.client.CloseIdleConnections()
	require.Eventually(t, func() bool { return s.connections.Load() == 0 && len(s.server.slots) == 1 }, time.Minute, time.Millisecond)
	close(stop)
	trickling.Wait()
}

// More than may be wait, which is said, and are not turned away.
func TestRequestsWaitForAConnection(t *testing.T) {
	const many, each = 50, 20
	s, _ := startServer(t, func(c *AuditConfig) { c.HTTP.Get().Connections, c.Queue = 3, 2*many*each })
	var held []net.Conn
	for range 3 {
		held = append(held, dial(t, "tcp", s.server.Addr().String()))
	}
	require.Eventually(t, func() bool { return s.connections.Load() == 3 }, time.Minute, time.Millisecond)
	host := &statusHost{}
	s.w.Condition.AddHost(host)
	var posting sync.WaitGroup
	for i := range many {
		d := newDevice(t, "http://"+s.server.Addr().String())
		d.client.Transport.(*http.Transport).DisableKeepAlives = true
		posting.Go(func() {
			for n := range each {
				id := fmt.Sprint(i, "-", n)
				status, _, err := d.post([]byte(entry(id, "request") + entry(id, "response")))
				if assert.NoError(t, err) {
					assert.Equal(t, http.StatusNoContent, status)
				}
			}
		})
	}
	require.Eventually(t, func() bool {
		return strings.Contains(host.said(), "all audit::http::connections, which is 3, are open")
	}, time.Minute, time.Millisecond)
	for _, conn := range held {
		require.NoError(t, conn.Close())
	}
	posting.Wait()
	assert.Equal(t, int64(2*many*each), s.sum(accepted))
	require.Eventually(t, func() bool { return s.spans.spans.Load() == many*each }, time.Minute, time.Millisecond)
}

// statusHost keeps what a component says of itself.
type statusHost struct {
	component.Host
	last atomic.Pointer[componentstatus.Event]
}

func (h *statusHost) Report(event *componentstatus.Event) { h.last.Store(event) }

func (h *statusHost) said() string {
	if event := h.last.Load(); event != nil && event.Err() != nil {
		return event.Err().Error()
	}
	return ""
}

// What the queue does not take is answered as what it takes, and counted.
func TestAFullQueueIsNoFailureOfTheDevice(t *testing.T) {
	cfg := only("http://127.0.0.1:1", "")
	cfg.Audit.HTTP.GetOrInsertDefault().NetAddr.Endpoint = "127.0.0.1:0"
	cfg.Audit.Queue = 3
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	server, err := w.audit.serve(t.Context(), componenttest.NewNopHost())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); server.run(ctx) }()
	d := newDevice(t, "http://"+server.Addr().String())
	for i := range 10 {
		d.require(t, http.StatusNoContent, entry(strconv.Itoa(i), "request"))
	}
	cancel()
	<-ended
	assert.EqualValues(t, 3, w.audit.outcomes[accepted].Load())
	assert.EqualValues(t, 7, w.audit.outcomes[dropped].Load())
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(entry("a", "request"))))
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code, "after the end nothing is taken in")
	assert.EqualValues(t, 3, w.audit.outcomes[accepted].Load())
}

// Bodies that become very long when they are decompressed, and such that are as
// long as may be, on fifty connections at once.
func TestCompressedBombs(t *testing.T) {
	const many, longest = 20, 3 << 20
	zeros := zipped(t, strings.Repeat("\x00", 30<<20))
	line := zipped(t, fmt.Sprintf(`{"data":[%s0],%s`, strings.Repeat("0,", 5<<18), entry("a", "request")[1:]))
	s, d := startServer(t, func(c *AuditConfig) { c.LongestLine = longest })
	d.headers.Set("Content-Encoding", "gzip")
	peak, rest := peakHeap(func() {
		var sending sync.WaitGroup
		for i := range many {
			sending.Go(func() {
				body, want := zeros, http.StatusRequestEntityTooLarge
				if i%2 == 0 {
					body, want = line, http.StatusNoContent
				}
				status, _, err := d.post([]byte(body))
				if assert.NoError(t, err) {
					assert.Equal(t, want, status)
				}
			})
		}
		sending.Wait()
		d.client.CloseIdleConnections()
	})
	t.Logf("%d MB more at most, %d MB at rest; accepted %d, no room for %d", peak>>20, rest>>20, s.sum(accepted), s.sum(tooLong))
	assert.EqualValues(t, many, s.sum(accepted, tooLong))
	assert.Positive(t, s.sum(accepted))
	assert.Less(t, peak, int64(2*9/4*longAtOnce*longest+many<<18), "decompressed they have 300 MB, and of their values more")
	runtime.KeepAlive(zeros)
	runtime.KeepAlive(line)
}

// Whatever a body holds: each line is counted once, and the answer says what
// became of them.
func FuzzAuditBody(f *testing.F) {
	cfg := only("http://127.0.0.1:1", "")
	cfg.Audit.HTTP.GetOrInsertDefault().NetAddr.Endpoint = "127.0.0.1:0"
	cfg.Audit.Queue, cfg.Audit.LongestLine = 3, 70<<10
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(f, err)
	f.Add([]byte(entry("a", "request")+entry("a", "response")+"\n{}\nhalf"), 100_000)
	f.Add([]byte(strings.Repeat(entry("a", "request"), 5)), 100)
	f.Add([]byte(strings.Repeat("[", 20<<10)+"\n"+strings.Repeat("x", 80<<10)+"\r\n"+entry("a", "request")), 1<<20)
	f.Fuzz(func(t *testing.T, sent []byte, most int) {
		s := newAuditStream(w)
		recorder := httptest.NewRecorder()
		status := newAuditHTTP(s, 1).receive(http.MaxBytesReader(recorder, io.NopCloser(bytes.NewReader(sent)), int64(max(0, most))))
		lines, long := 0, len(sent) > max(0, most)
		for line := range bytes.Lines(sent[:min(len(sent), max(0, most))]) {
			if len(bytes.TrimSpace(line)) > 0 || len(line) > cfg.Audit.LongestLine+1 {
				lines++
			}
		}
		var all int64
		for o := range s.outcomes {
			all += s.outcomes[o].Load()
		}
		taken := s.outcomes[accepted].Load() + s.outcomes[dropped].Load()
		if !long {
			require.EqualValues(t, lines, all)
		}
		switch {
		case long, s.outcomes[tooLong].Load() > 0:
			require.Equal(t, http.StatusRequestEntityTooLarge, status)
		case taken > 0:
			require.Equal(t, http.StatusNoContent, status)
		default:
			require.Equal(t, http.StatusBadRequest, status)
		}
		require.Zero(t, s.outcomes[cut].Load())
		require.Len(t, s.queue, int(s.outcomes[accepted].Load()))
	})
}

// Long lines that never end take the room of all. Who finds none is answered as if
// the queue were full; usual entries need no room.
func TestLongBodiesShareRoom(t *testing.T) {
	const longest = 1 << 20
	s, d := startServer(t, func(c *AuditConfig) { c.LongestLine, c.HTTP.Get().ReadTimeout = longest, time.Minute })
	hold := func() {
		sendAll(t, dial(t, "tcp", s.server.Addr().String()),
			fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", longest+1, strings.Repeat("x", longest)))
	}
	for range longAtOnce {
		hold()
	}
	long := fmt.Sprintf(`{"data":%q,%s`, strings.Repeat("x", longest/2), entry("a", "request")[1:])
	require.Eventually(t, func() bool {
		taken, turnedAway := s.sum(accepted), s.sum(tooLong)
		d.require(t, http.StatusNoContent, long)
		if s.sum(accepted) == taken && s.sum(tooLong) > turnedAway {
			return true
		}
		hold() // This one may have had the room that one of the others did not find.
		return false
	}, time.Minute, 50*time.Millisecond)
	before := s.sum(accepted)
	d.require(t, http.StatusNoContent, entry("b", "request"))
	s.eventually(t, before+1, accepted)
	d.require(t, http.StatusRequestEntityTooLarge, strings.Repeat("\n", longest+2))
}

// Streams of HTTP/2 are bounded for each connection, and who needs more of them
// opens another one.
func TestStreamsAreBounded(t *testing.T) {
	cfg, uri := posting(t, only("http://127.0.0.1:1", ""))
	cfg.Audit.HTTP.Get().ReadTimeout = time.Minute
	d, host := secured(t, cfg, uri)
	w, err := newWatcher(cfg, receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	server, err := w.audit.serve(t.Context(), host)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); server.run(ctx) }()
	defer func() { cancel(); <-ended }()
	var answers sync.WaitGroup
	var bodies []io.Closer
	for i := range 3 * streams {
		body, end := io.Pipe()
		bodies = append(bodies, end)
		request, err := http.NewRequest(http.MethodPost, d.uri, body)
		require.NoError(t, err)
		request.Header = d.headers.Clone()
		answers.Go(func() {
			response, err := d.client.Do(request)
			if assert.NoError(t, err) {
				assert.NoError(t, response.Body.Close())
				assert.Equal(t, http.StatusNoContent, response.StatusCode)
				assert.Equal(t, 2, response.ProtoMajor)
			}
		})
		_, err = io.WriteString(end, entry(strconv.Itoa(i), "request"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return w.audit.outcomes[accepted].Load() == int64(i+1) }, time.Minute, time.Millisecond)
	}
	assert.EqualValues(t, 3, w.audit.connections.Load())
	for _, body := range bodies {
		require.NoError(t, body.Close())
	}
	answers.Wait()
}
