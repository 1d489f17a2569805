// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelcol-infra/otelcol-infra/examples/order/etcd"
)

const soon = 30 * time.Second

var recorder = tracetest.NewSpanRecorder()

func TestMain(m *testing.M) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	os.Exit(m.Run())
}

// startEtcd runs a real etcd for a test, and sets ETCD_ENDPOINTS.
func startEtcd(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("LAB_ETCD"), "etcd"))
	if testing.Short() || err != nil {
		t.Skip("needs a real etcd: set LAB_ETCD to the path of its executable, or have it on PATH")
	}
	client, peer := "http://"+freeAddr(t), "http://"+freeAddr(t)
	command := exec.Command(path, "--data-dir", filepath.Join(t.TempDir(), "data"), "--log-level", "warn",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		require.NoError(t, command.Process.Signal(os.Interrupt))
		_ = command.Wait()
		if t.Failed() {
			t.Logf("etcd:\n%s", log.String())
		}
	})
	t.Setenv("ETCD_ENDPOINTS", client)
	require.Eventually(t, func() bool {
		response, err := http.Get(client + "/health")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, soon, 50*time.Millisecond)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// startStock is one instance of the service, without its server.
func startStock(t *testing.T, instance string) *stock {
	t.Helper()
	client, err := etcd.New()
	require.NoError(t, err)
	s := &stock{client: client, sessions: &sessions{client: client, instance: instance, addr: "127.0.0.1:1"}}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.sessions.run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
		assert.NoError(t, client.Close())
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
	}
	return s
}

func (s *stock) put(t *testing.T, key, value string) {
	t.Helper()
	_, err := s.client.Put(t.Context(), key, value)
	require.NoError(t, err)
}

// keys returns the values of keys with a prefix.
func (s *stock) keys(t require.TestingT, prefix string) map[string]string {
	got, err := s.client.Get(context.Background(), prefix, clientv3.WithPrefix())
	require.NoError(t, err)
	keys := map[string]string{}
	for _, kv := range got.Kvs {
		keys[strings.TrimPrefix(string(kv.Key), prefix)] = string(kv.Value)
	}
	return keys
}

// traced calls f in a trace of its own, and returns the span around the lock.
func traced(t *testing.T, f func(ctx context.Context) error) (sdktrace.ReadOnlySpan, error) {
	ctx, span := otel.Tracer("test").Start(context.Background(), t.Name())
	err := f(ctx)
	span.End()
	for _, ended := range recorder.Ended() {
		if ended.SpanContext().TraceID() == span.SpanContext().TraceID() && ended.Name() == "lock stock" {
			return ended, err
		}
	}
	return nil, err
}

func holder(span sdktrace.ReadOnlySpan) string {
	set := attribute.NewSet(span.Attributes()...)
	value, _ := set.Value("etcd.lock.holder")
	return value.AsString()
}

func TestTheOneThatWaitsNamesTheHolder(t *testing.T) {
	startEtcd(t)
	first, second := startStock(t, "stock-1"), startStock(t, "stock-2")
	first.put(t, counts+"pen", "9")
	first.hold.Store(int64(time.Second)) // time enough to wait for it, also on a busy machine

	type result struct {
		span sdktrace.ReadOnlySpan
		err  error
	}
	done := make(chan result, 2)
	reserve := func(s *stock, order string) {
		span, err := traced(t, func(ctx context.Context) error { return s.reserve(ctx, order, "pen", 1) })
		done <- result{span, err}
	}
	go reserve(first, "a")
	require.Eventually(t, func() bool { return len(first.keys(t, locks)) == 1 }, soon, 5*time.Millisecond)
	span, err := traced(t, func(ctx context.Context) error { return second.reserve(ctx, "b", "pen", 1) })
	require.NoError(t, err)
	assert.Equal(t, "stock-1", holder(span), "in etcd")
	held := <-done
	require.NoError(t, held.err)
	assert.Empty(t, holder(held.span), "it did not wait")

	// Another request of the same instance waits in the process.
	go reserve(first, "c")
	require.Eventually(t, func() bool { return len(first.keys(t, locks)) == 1 }, soon, 5*time.Millisecond)
	span, err = traced(t, func(ctx context.Context) error { return first.reserve(ctx, "d", "pen", 1) })
	require.NoError(t, err)
	assert.Equal(t, "stock-1", holder(span), "in the process")
	require.NoError(t, (<-done).err)

	assert.Equal(t, "5", first.keys(t, counts)["pen"])
	assert.Empty(t, first.keys(t, locks), "all gave the lock back")
}

func TestNoMoreIsReservedThanThereIs(t *testing.T) {
	startEtcd(t)
	instances := []*stock{startStock(t, "stock-1"), startStock(t, "stock-2")}
	instances[0].put(t, counts+"pen", "7")

	var wait sync.WaitGroup
	errs := make(chan error, 20)
	for i := range cap(errs) {
		wait.Go(func() { errs <- instances[i%2].reserve(t.Context(), "order-"+strconv.Itoa(i), "pen", 1) })
	}
	wait.Wait()
	close(errs)
	reserved := 0
	for err := range errs {
		if err == nil {
			reserved++
		} else {
			require.ErrorIs(t, err, errOutOfStock)
		}
	}
	assert.Equal(t, 7, reserved)
	assert.Equal(t, "0", instances[0].keys(t, counts)["pen"])
	assert.Len(t, instances[0].keys(t, reservations), 7)
}

func TestAnOrderReservesOnceAndGivesBackOnce(t *testing.T) {
	startEtcd(t)
	s := startStock(t, "stock-1")
	s.put(t, counts+"pen", "5")
	left := func() string { return s.keys(t, counts)["pen"] }

	for range 2 {
		require.NoError(t, s.reserve(t.Context(), "a", "pen", 2))
		assert.Equal(t, "3", left())
	}
	for range 2 {
		require.NoError(t, s.release(t.Context(), "a"))
		assert.Equal(t, "5", left())
	}
	require.ErrorIs(t, s.reserve(t.Context(), "a", "pen", 2), errReleased, "a try that was given up comes late")
	require.NoError(t, s.release(t.Context(), "never reserved"))
	require.ErrorIs(t, s.reserve(t.Context(), "never reserved", "pen", 1), errReleased)
	require.ErrorIs(t, s.reserve(t.Context(), "b", "ink", 1), errOutOfStock)
	assert.Equal(t, "5", left())
}

func TestALostSessionEndsTheRequestAndIsMadeAnew(t *testing.T) {
	startEtcd(t)
	s := startStock(t, "stock-1")
	s.put(t, counts+"pen", "5")
	s.hold.Store(int64(time.Minute))
	session, err := s.sessions.get()
	require.NoError(t, err)

	failed := make(chan error, 1)
	go func() { failed <- s.reserve(t.Context(), "a", "pen", 1) }()
	require.Eventually(t, func() bool { return len(s.keys(t, locks)) == 1 }, soon, 5*time.Millisecond)
	_, err = s.client.Revoke(t.Context(), session.Lease())
	require.NoError(t, err)
	require.ErrorIs(t, <-failed, errNoSession)
	assert.Equal(t, "5", s.keys(t, counts)["pen"])

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		renewed, err := s.sessions.get()
		require.NoError(c, err)
		assert.NotEqual(c, session.Lease(), renewed.Lease())
		assert.Contains(c, s.keys(c, instances), "stock-1")
	}, soon, 50*time.Millisecond)
	s.hold.Store(0)
	require.NoError(t, s.reserve(t.Context(), "a", "pen", 1))
}

// The transaction itself refuses what a holder writes who has lost the lock unaware.
func TestALostLockChangesNothing(t *testing.T) {
	startEtcd(t)
	s := startStock(t, "stock-1")
	s.put(t, counts+"pen", "5")
	s.hold.Store(int64(time.Second)) // time enough to act while it holds, also on a busy machine
	failed := make(chan error, 1)
	go func() { failed <- s.reserve(t.Context(), "a", "pen", 1) }()
	require.Eventually(t, func() bool { return len(s.keys(t, locks)) == 1 }, soon, 5*time.Millisecond)
	_, err := s.client.Delete(t.Context(), locks, clientv3.WithPrefix())
	require.NoError(t, err)
	require.ErrorContains(t, <-failed, "the lock was lost")
	assert.Equal(t, "5", s.keys(t, counts)["pen"])
	assert.Empty(t, s.keys(t, reservations))
}

func TestARequestThatIsGivenUpLeavesTheQueue(t *testing.T) {
	startEtcd(t)
	first, second := startStock(t, "stock-1"), startStock(t, "stock-2")
	first.put(t, counts+"pen", "5")
	first.hold.Store(int64(time.Minute))
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan error, 1)
	go func() { held <- first.reserve(ctx, "a", "pen", 1) }()
	require.Eventually(t, func() bool { return len(first.keys(t, locks)) == 1 }, soon, 5*time.Millisecond)

	waiting, stop := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() { waited <- second.reserve(waiting, "b", "pen", 1) }()
	require.Eventually(t, func() bool { return len(first.keys(t, locks)) == 2 }, soon, 5*time.Millisecond)
	stop()
	require.ErrorIs(t, <-waited, context.Canceled)
	assert.Len(t, first.keys(t, locks), 1)

	cancel()
	require.ErrorIs(t, <-held, context.Canceled)
	assert.Empty(t, first.keys(t, locks))
}

func TestTheHoldFollowsItsConfiguration(t *testing.T) {
	startEtcd(t)
	s := startStock(t, "stock-1")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.watchHold(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	becomes := func(want time.Duration) {
		t.Helper()
		require.Eventually(t, func() bool { return time.Duration(s.hold.Load()) == want }, soon, 10*time.Millisecond)
	}
	s.put(t, holdKey, "70ms")
	becomes(70 * time.Millisecond)
	s.put(t, holdKey, "long")
	s.put(t, holdKey, "80ms")
	becomes(80 * time.Millisecond)
	_, err := s.client.Delete(t.Context(), holdKey)
	require.NoError(t, err)
	becomes(defaultHold)
}

func TestTheAnswersOfTheService(t *testing.T) {
	startEtcd(t)
	s := startStock(t, "stock-1")
	s.put(t, counts+"pen", "2")
	before := len(recorder.Ended())
	server := httptest.NewServer(s.handler())
	defer server.Close()
	for _, request := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, "/reservations", `{"order":"a","item":"pen","quantity":2}`, http.StatusCreated},
		{http.MethodPost, "/reservations", `{"order":"a","item":"pen","quantity":2}`, http.StatusCreated},
		{http.MethodPost, "/reservations", `{"order":"b","item":"pen","quantity":1}`, http.StatusConflict},
		{http.MethodPost, "/reservations", `{"order":"b","item":"pen"}`, http.StatusBadRequest},
		{http.MethodPost, "/reservations", `{"order":"b","item":"../users","quantity":1}`, http.StatusBadRequest},
		{http.MethodDelete, "/reservations/a", "", http.StatusNoContent},
		{http.MethodDelete, "/reservations/a", "", http.StatusNoContent},
		{http.MethodPost, "/reservations", `{"order":"b","item":"pen","quantity":1}`, http.StatusCreated},
		{http.MethodGet, "/healthz", "", http.StatusOK},
	} {
		got, err := http.NewRequest(request.method, server.URL+request.path, strings.NewReader(request.body))
		require.NoError(t, err)
		response, err := server.Client().Do(got)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, request.want, response.StatusCode, "%s %s %s", request.method, request.path, request.body)
	}
	assert.Equal(t, "1", s.keys(t, counts)["pen"])

	spans := map[string]int{}
	for _, span := range recorder.Ended()[before:] {
		if span.SpanKind() == trace.SpanKindServer {
			set := attribute.NewSet(span.Attributes()...)
			route, _ := set.Value("http.route")
			spans[span.Name()+" "+route.AsString()]++
		}
	}
	assert.Equal(t, map[string]int{
		"POST /reservations /reservations": 6, "DELETE /reservations/{order} /reservations/{order}": 2,
	}, spans, "none of health checks")
}

func TestRequestsAreClientSpansAndStreamsAreNot(t *testing.T) {
	startEtcd(t)
	s := startStock(t, "stock-1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	before := len(recorder.Ended())
	s.put(t, counts+"pen", "2")
	for range s.client.Watch(ctx, counts, clientv3.WithPrefix()) {
	}
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
	var names []string
	for _, span := range recorder.Ended()[before:] {
		names = append(names, span.Name())
		assert.Contains(t, span.Attributes(), attribute.String("db.system.name", "etcd"))
	}
	assert.Equal(t, []string{"etcdserverpb.KV/Put"}, names)
}
