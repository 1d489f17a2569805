// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
)

const soon = 20 * time.Second

// observed is a running receiver, and what it made.
type observed struct{ *observedtest.Receiver }

// observe starts a receiver, which ends with the test.
func observe(t *testing.T, cfg *Config) *observed {
	t.Helper()
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0
	return &observed{observedtest.Start(t, NewFactory(), cfg)}
}

// shutdown ends the receiver, and requires that it does so at once.
func (o *observed) shutdown(t *testing.T) {
	began := time.Now()
	o.Shutdown(t)
	require.Less(t, time.Since(began), time.Second)
}

func value(attrs pcommon.Map, name string) string {
	v, ok := attrs.Get(name)
	if !ok {
		return ""
	}
	return v.AsString()
}

// told returns the names of the events about an object, by the value of one of
// their attributes, in their order.
func (o *observed) told(attribute, object string) (names []string) {
	for _, event := range o.Events("", attribute, object) {
		names = append(names, event.EventName())
	}
	return names
}

// span returns the first span of that name for the key of an attempt.
func (o *observed) span(name, key string) (ptrace.Span, bool) {
	if spans := o.Spans(name, "etcd.lock.key", key); len(spans) > 0 {
		return spans[0], true
	}
	return ptrace.NewSpan(), false
}

func (o *observed) hasSpan(name, key string) func() bool {
	return o.HasSpan(name, "etcd.lock.key", key)
}

// value returns the newest value of a metric of a member.
func (o *observed) value(name, endpoint string) (int64, bool) {
	return o.Value(name, "service.instance.id", address.HostPort(endpoint))
}

func (o *observed) has(name, endpoint string, want int64) func() bool {
	return o.HasValue(want, name, "service.instance.id", address.HostPort(endpoint))
}

// watching waits until the watches of both prefixes are past their baselines.
func (o *observed) watching(t *testing.T, client *clientv3.Client) {
	t.Helper()
	lease, err := client.Grant(t.Context(), 60)
	require.NoError(t, err)
	key := fmt.Sprintf("/locks/ready/%x", lease.ID)
	o.Eventually(t, "the watches", func() bool {
		set(t, client, "/app/ready", "")
		set(t, client, key, "", clientv3.WithLease(lease.ID))
		remove(t, client, key)
		return o.HasEvent("etcd.key.put", "etcd.key", "/app/ready")() && o.HasEvent("etcd.lock.released", "etcd.lock.key", key)()
	})
}

// startEtcd returns a real etcd and a client of it.
func startEtcd(t *testing.T, members int) (*lab.Etcd, *clientv3.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real etcd; run without -short")
	}
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{Members: members})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	return etcd, newTestClient(t, clientv3.Config{Endpoints: etcd.Endpoints})
}

func newTestClient(t *testing.T, cfg clientv3.Config) *clientv3.Client {
	t.Helper()
	cfg.Logger = zap.NewNop()
	client, err := clientv3.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func set(t *testing.T, client *clientv3.Client, key, val string, opts ...clientv3.OpOption) {
	t.Helper()
	_, err := client.Put(t.Context(), key, val, opts...)
	require.NoError(t, err)
}

func remove(t *testing.T, client *clientv3.Client, key string) {
	t.Helper()
	_, err := client.Delete(t.Context(), key)
	require.NoError(t, err)
}

func configFor(endpoints ...string) *Config {
	cfg := defaultConfig()
	cfg.Endpoints = endpoints
	cfg.Watch.Prefixes = []string{"/app/"}
	cfg.Locks.Prefixes = []string{"/locks/"}
	return cfg
}

// locker is a client with a lease of its own that contends for a lock.
type locker struct {
	mutex *concurrency.Mutex
	key   string
	held  chan error
}

func newLocker(t *testing.T, client *clientv3.Client) *locker {
	session, err := concurrency.NewSession(client)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return &locker{
		mutex: concurrency.NewMutex(session, "/locks/deploy"),
		key:   fmt.Sprintf("/locks/deploy/%x", session.Lease()),
		held:  make(chan error, 1),
	}
}

// lock asks for the lock; held tells when it is held.
func (l *locker) lock(ctx context.Context) {
	go func() { l.held <- l.mutex.Lock(ctx) }()
}

func (l *locker) acquired(t *testing.T) {
	t.Helper()
	select {
	case err := <-l.held:
		require.NoError(t, err)
	case <-time.After(soon):
		t.Fatal("the lock was not acquired")
	}
}

func (l *locker) unlock(t *testing.T) {
	t.Helper()
	require.NoError(t, l.mutex.Unlock(t.Context()))
}

// link is a connection to a server that can be cut.
type link struct {
	address string
	target  string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newLink(t *testing.T, endpoint string) *link {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{address: listener.Addr().String(), target: address.HostPort(endpoint)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { l.serve(conn) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		l.set(true)
		serving.Wait()
	})
	return l
}

func (l *link) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	l.mu.Lock()
	cut := l.cut
	l.conns = append(l.conns, conn, server)
	l.mu.Unlock()
	if cut {
		_ = server.Close()
		return
	}
	go func() {
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	}()
	_, _ = io.Copy(conn, server)
}

// set cuts or mends the link.
func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for _, conn := range l.conns {
			_ = conn.Close()
		}
		l.conns = nil
	}
}
