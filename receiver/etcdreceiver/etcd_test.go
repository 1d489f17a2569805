// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/period"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/telemetry"
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

func TestThreeContendForALockInARealEtcd(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	lockers := []*locker{newLocker(t, client), newLocker(t, client), newLocker(t, client)}
	for _, l := range lockers {
		l.lock(t.Context())
		o.Eventually(t, "queued", o.HasEvent("etcd.lock.queued", "etcd.lock.key", l.key))
	}
	impatient, cancel := context.WithCancel(t.Context())
	quitter := newLocker(t, client)
	quitter.lock(impatient)
	o.Eventually(t, "the marker, while it waits", o.hasSpan(telemetry.SpanAttempt+".start", quitter.key))
	cancel()
	o.Eventually(t, "abandoned", o.HasEvent("etcd.lock.abandoned", "etcd.lock.key", quitter.key))
	require.ErrorIs(t, newLocker(t, client).mutex.TryLock(t.Context()), concurrency.ErrLocked)
	for _, l := range lockers {
		l.acquired(t)
		l.unlock(t)
	}

	var last ptrace.Span
	for i, l := range lockers {
		o.Eventually(t, "the whole attempt", o.hasSpan(telemetry.SpanAttempt, l.key))
		attempt, _ := o.span(telemetry.SpanAttempt, l.key)
		wait, waited := o.span(telemetry.SpanWait, l.key)
		hold, held := o.span(telemetry.SpanHold, l.key)
		require.True(t, waited && held)
		assert.Equal(t, strconv.Itoa(i), value(wait.Attributes(), "etcd.lock.queue.position"))
		assert.Equal(t, "/locks/deploy", value(attempt.Attributes(), "etcd.lock.name"))
		assert.Equal(t, ptrace.StatusCodeUnset, attempt.Status().Code())
		for _, part := range []ptrace.Span{wait, hold} {
			assert.Equal(t, attempt.TraceID(), part.TraceID())
			assert.Equal(t, attempt.SpanID(), part.ParentSpanID())
		}
		assert.Equal(t, attempt.StartTimestamp(), wait.StartTimestamp())
		if i == 0 { // The lock was free: the wait has the least length that a span can have.
			assert.Equal(t, wait.StartTimestamp()+1, wait.EndTimestamp())
			assert.Equal(t, wait.StartTimestamp(), hold.StartTimestamp())
		} else {
			assert.Equal(t, wait.EndTimestamp(), hold.StartTimestamp())
		}
		assert.Equal(t, hold.EndTimestamp(), attempt.EndTimestamp())
		if i > 0 {
			assert.Equal(t, last.EndTimestamp(), hold.StartTimestamp(), "the next one holds when the last one releases")
		}
		last = hold
		assert.Equal(t, []string{"etcd.lock.queued", "etcd.lock.acquired", "etcd.lock.released"}, o.told("etcd.lock.key", l.key))
	}
	given, _ := o.span(telemetry.SpanAttempt, quitter.key)
	assert.Equal(t, "abandoned while waiting", given.Status().Message())
	for _, event := range o.Events("") {
		if strings.HasPrefix(event.EventName(), "etcd.lock.") {
			assert.False(t, event.TraceID().IsEmpty())
			assert.Equal(t, event.EventName() == "etcd.lock.abandoned", event.SeverityNumber() == plog.SeverityNumberWarn)
		}
	}
}

func TestALockThatIsHeldBefore(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	holder, waiter := newLocker(t, client), newLocker(t, client)
	require.NoError(t, holder.mutex.Lock(t.Context()))
	waiter.lock(t.Context())
	require.Eventually(t, func() bool {
		answer, err := client.Get(t.Context(), "/locks/", clientv3.WithPrefix())
		return err == nil && len(answer.Kvs) == 2
	}, soon, 20*time.Millisecond)
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	assert.Empty(t, o.told("etcd.lock.name", "/locks/deploy"), "the baseline is not news")

	holder.unlock(t)
	waiter.acquired(t)
	waiter.unlock(t)
	o.Eventually(t, "the end of the attempt that waited", o.hasSpan(telemetry.SpanAttempt, waiter.key))
	for name, want := range map[string]string{telemetry.SpanAttempt: "true", telemetry.SpanWait: "true", telemetry.SpanHold: ""} {
		span, _ := o.span(name, waiter.key)
		assert.Equal(t, want, value(span.Attributes(), period.AttrBeganBeforeObservation), name)
	}
	held, _ := o.span(telemetry.SpanHold, holder.key)
	assert.Equal(t, "true", value(held.Attributes(), period.AttrBeganBeforeObservation))
	assert.False(t, o.hasSpan(telemetry.SpanWait, holder.key)(), "how long the holder waited is not known")
}

func TestEveryChangeIsToldInItsOrder(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	o := observe(t, configFor(etcd.Endpoints...))
	o.watching(t, client)
	const changes = 1500
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			key := fmt.Sprint("/app/", w)
			for i := range changes / 3 {
				if i%5 == 4 {
					remove(t, client, key)
				} else {
					set(t, client, key, "s3cret")
				}
				if i%7 == 0 {
					set(t, client, "/elsewhere", "s3cret")
				}
			}
		})
	}
	writers.Wait()
	of := func() (events []plog.LogRecord) {
		for _, event := range o.Events("") {
			if key := value(event.Attributes(), "etcd.key"); key != "" && key != "/app/ready" {
				events = append(events, event)
			}
		}
		return events
	}
	o.Eventually(t, "all of them", func() bool { return len(of()) >= changes })
	events := of()
	require.Len(t, events, changes)
	last := int64(0)
	for _, event := range events {
		revision, _ := event.Attributes().Get("etcd.revision")
		require.Greater(t, revision.Int(), last)
		last = revision.Int()
		assert.NotContains(t, fmt.Sprint(event.Attributes().AsRaw()), "s3cret")
		if event.EventName() == "etcd.key.put" {
			assert.Equal(t, "6", value(event.Attributes(), "etcd.value.size"))
		}
	}
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

func TestACompactionThatHidesHistory(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	l := newLink(t, etcd.Endpoints[0])
	o := observe(t, configFor(l.address))
	o.watching(t, client)
	holder, waiter := newLocker(t, client), newLocker(t, client)
	require.NoError(t, holder.mutex.Lock(t.Context()))
	waiter.lock(t.Context())
	o.Eventually(t, "the queue", o.HasEvent("etcd.lock.queued", "etcd.lock.key", waiter.key))
	set(t, client, "/app/removed", "")
	o.Eventually(t, "the last change before", o.HasEvent("etcd.key.put", "etcd.key", "/app/removed"))
	before, err := client.Get(t.Context(), "/app/removed")
	require.NoError(t, err)

	l.set(true)
	holder.unlock(t)
	waiter.acquired(t)
	remove(t, client, "/app/removed")
	for range 3 {
		set(t, client, "/app/created", "")
	}
	after, err := client.Put(t.Context(), "/elsewhere", "")
	require.NoError(t, err)
	_, err = client.Compact(t.Context(), after.Header.Revision)
	require.NoError(t, err)
	l.set(false)

	o.Eventually(t, "the gaps of both prefixes", func() bool {
		return o.HasEvent("etcd.watch.gap", "etcd.watch.prefix", "/app/")() && o.HasEvent("etcd.watch.gap", "etcd.watch.prefix", "/locks/")()
	})
	for _, event := range o.Events("") {
		if event.EventName() == "etcd.watch.gap" && value(event.Attributes(), "etcd.watch.prefix") == "/app/" {
			assert.Equal(t, strconv.FormatInt(before.Kvs[0].ModRevision+1, 10), value(event.Attributes(), "etcd.revision.first"))
			assert.Equal(t, strconv.FormatInt(after.Header.Revision, 10), value(event.Attributes(), "etcd.revision.last"))
			assert.Equal(t, plog.SeverityNumberWarn, event.SeverityNumber())
		}
	}
	assert.Equal(t, []string{"etcd.key.put", "etcd.key.delete"}, o.told("etcd.key", "/app/removed"))
	assert.Equal(t, []string{"etcd.key.put"}, o.told("etcd.key", "/app/created"), "three changes are told as one")
	assert.Equal(t, []string{"etcd.lock.queued", "etcd.lock.acquired", "etcd.lock.released"}, o.told("etcd.lock.key", holder.key))
	assert.Equal(t, []string{"etcd.lock.queued", "etcd.lock.acquired"}, o.told("etcd.lock.key", waiter.key))
	wait, _ := o.span(telemetry.SpanWait, waiter.key)
	assert.Equal(t, "true", value(wait.Attributes(), "observation.reconciled"))

	set(t, client, "/app/created", "")
	waiter.unlock(t)
	o.Eventually(t, "the watch goes on", func() bool {
		return len(o.told("etcd.key", "/app/created")) == 2 && o.hasSpan(telemetry.SpanHold, waiter.key)()
	})
}

func TestAnEtcdThatIsAbsentComesAndGoes(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	endpoint := etcd.Endpoints[0]
	require.NoError(t, etcd.Members[0].Kill())
	cfg := configFor(endpoint)
	cfg.Scrape.Timeout = 500 * time.Millisecond
	o := observe(t, cfg)
	o.Eventually(t, "up is 0", o.has("etcd.member.up", endpoint, 0))
	o.Eventually(t, "the watch says so", func() bool { return o.Warnings(watchOf+"/app/") == 1 })

	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	o.Eventually(t, "up is 1", o.has("etcd.member.up", endpoint, 1))
	o.watching(t, client)

	require.NoError(t, etcd.Members[0].Kill())
	o.Eventually(t, "up is 0 again", o.has("etcd.member.up", endpoint, 0))
	o.Eventually(t, "the watch says so again", func() bool { return o.Warnings(watchOf+"/app/") == 2 })
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	set(t, client, "/app/first", "")
	set(t, client, "/app/second", "")
	o.Eventually(t, "nothing is lost", func() bool {
		return o.HasEvent("etcd.key.put", "etcd.key", "/app/first")() && o.HasEvent("etcd.key.put", "etcd.key", "/app/second")()
	})
	o.Eventually(t, "observing again", func() bool {
		return o.Recoveries(watchOf+"/app/") == 2
	})
	assert.Empty(t, o.told("etcd.watch.prefix", "/app/"), "there was no gap")
	assert.Equal(t, 2, o.Warnings(statusOf+address.HostPort(endpoint)), "however often it tried")
}

func TestMetricsOfARealEtcd(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	endpoint := etcd.Endpoints[0]
	answer, err := client.Put(t.Context(), "/app/a", "")
	require.NoError(t, err)
	o := observe(t, configFor(endpoint))
	o.Eventually(t, "up", o.has("etcd.member.up", endpoint, 1))
	o.Eventually(t, "the revision", o.has("etcd.revision", endpoint, answer.Header.Revision))
	for name, least := range map[string]int64{
		"etcd.member.leader": 1, "etcd.member.learner": 0, "etcd.db.size": 1, "etcd.db.size_in_use": 1,
		"etcd.raft.term": 2, "etcd.raft.index": 1, "etcd.raft.applied_index": 1, "etcd.raft.apply.lag": 0, "etcd.db.quota": 1,
	} {
		got, ok := o.value(name, endpoint)
		assert.True(t, ok, name)
		assert.GreaterOrEqual(t, got, least, name)
	}
	status, err := client.Status(t.Context(), endpoint)
	require.NoError(t, err)
	resource := o.Metrics.AllMetrics()[0].ResourceMetrics().At(0).Resource().Attributes()
	assert.Equal(t, map[string]any{
		"service.name": "etcd", "service.instance.id": address.HostPort(endpoint),
		"etcd.cluster.id": hex(answer.Header.ClusterId), "etcd.member.id": hex(answer.Header.MemberId),
		"service.version": status.Version,
	}, resource.AsRaw())
}

func TestADeadMemberDegradesAlone(t *testing.T) {
	etcd, client := startEtcd(t, 3)
	o := observe(t, configFor(etcd.Endpoints...))
	for _, endpoint := range etcd.Endpoints {
		o.Eventually(t, "up", o.has("etcd.member.up", endpoint, 1))
	}
	o.watching(t, client)
	require.NoError(t, etcd.Members[1].Kill())
	o.Eventually(t, "the dead one", o.has("etcd.member.up", etcd.Endpoints[1], 0))
	o.Eventually(t, "one leader among the others", func() bool {
		first, _ := o.value("etcd.member.leader", etcd.Endpoints[0])
		third, _ := o.value("etcd.member.leader", etcd.Endpoints[2])
		return first+third == 1
	})
	_, ok := o.value("etcd.raft.term", etcd.Endpoints[1])
	assert.False(t, ok, "nothing is known of the dead one but that it is down")
	survivor := newTestClient(t, clientv3.Config{Endpoints: []string{etcd.Endpoints[0], etcd.Endpoints[2]}})
	set(t, survivor, "/app/after", "")
	o.Eventually(t, "the watch goes on", o.HasEvent("etcd.key.put", "etcd.key", "/app/after"))
	resources := map[string]bool{}
	for _, md := range o.Metrics.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			resources[fmt.Sprint(rm.Resource().Attributes().AsRaw())] = true
		}
	}
	assert.Len(t, resources, 3+1, "a member that dies keeps its identity, and the cluster has its own")
}

// withAuth turns authentication on. The user otel may read /app/ and /locks/.
func withAuth(t *testing.T, endpoint string, client *clientv3.Client) *clientv3.Client {
	t.Helper()
	ctx := t.Context()
	_, err := client.RoleAdd(ctx, "observer")
	require.NoError(t, err)
	for _, prefix := range []string{"/app/", "/locks/"} {
		_, err = client.RoleGrantPermission(ctx, "observer", prefix, clientv3.GetPrefixRangeEnd(prefix), clientv3.PermissionType(clientv3.PermRead))
		require.NoError(t, err)
	}
	for user, role := range map[string]string{"root": "root", "otel": "observer"} {
		_, err = client.UserAdd(ctx, user, "pa55word")
		require.NoError(t, err)
		_, err = client.UserGrantRole(ctx, user, role)
		require.NoError(t, err)
	}
	_, err = client.AuthEnable(ctx)
	require.NoError(t, err)
	return newTestClient(t, clientv3.Config{Endpoints: []string{endpoint}, Username: "root", Password: "pa55word"})
}

func TestAUserThatMayReadTwoPrefixes(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	endpoint := etcd.Endpoints[0]
	root := withAuth(t, endpoint, client)
	cfg := configFor(endpoint)
	cfg.Username, cfg.Password = "otel", "pa55word"
	cfg.Watch.Prefixes = append(cfg.Watch.Prefixes, "/secret/")
	o := observe(t, cfg)
	o.Eventually(t, "up is 1", o.has("etcd.member.up", endpoint, 1))
	o.watching(t, root)
	o.Eventually(t, "the denied prefix degrades alone", func() bool { return o.Warnings(watchOf+"/secret/") == 1 })
	assert.Zero(t, o.Warnings(watchOf+"/app/"))
	said := o.Log.FilterField(zap.String("endpoint", watchOf+"/secret/")).All()[0].ContextMap()["error"]
	assert.Equal(t, "etcdserver: permission denied: the user needs read of the whole prefix", said)

	wrong := configFor(endpoint)
	wrong.Username, wrong.Password = "otel", "wr0ng"
	o = observe(t, wrong)
	o.Eventually(t, "up is 0", o.has("etcd.member.up", endpoint, 0))
	o.Eventually(t, "the watch says so", func() bool { return o.Warnings(watchOf+"/app/") == 1 })
	for _, entry := range o.Log.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "wr0ng")
	}
}

func TestKeysBeyondTheLimitAreSaid(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	for i := range 5 {
		set(t, client, fmt.Sprint("/app/", i), "")
	}
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Limit = 3
	o := observe(t, cfg)
	o.Eventually(t, "it is said", func() bool { return o.Warnings(limitKeys) == 1 })
	said := o.Log.FilterField(zap.String("endpoint", limitKeys)).All()[0].ContextMap()["error"]
	assert.Equal(t, "2 keys are not remembered: raise watch::limit above 3", said)
	set(t, client, "/app/4", "")
	o.Eventually(t, "its changes are told", o.HasEvent("etcd.key.put", "etcd.key", "/app/4"))
}

func TestShutdownDoesNotWaitForAServerThatHangs(t *testing.T) {
	for name, user := range map[string]string{"without a login": "", "while it logs in": "otel"} {
		t.Run(name, func(t *testing.T) {
			cfg := configFor(observedtest.Hang(t))
			cfg.Scrape.Timeout, cfg.DialTimeout = time.Hour, time.Hour
			if user != "" {
				cfg.Username, cfg.Password = user, "pa55word"
			}
			o := observe(t, cfg)
			time.Sleep(100 * time.Millisecond) // so that requests are under way
			o.shutdown(t)
			assert.Zero(t, o.Log.FilterLevelExact(zap.WarnLevel).Len(), "what was cut off says nothing")
		})
	}
}

func TestWithoutPrefixesTheClusterIsObserved(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	cfg := defaultConfig()
	cfg.Endpoints = etcd.Endpoints
	o := observe(t, cfg)
	answer, err := client.Put(t.Context(), "/app/a", "")
	require.NoError(t, err)
	o.Eventually(t, "the revision", o.has("etcd.revision", etcd.Endpoints[0], answer.Header.Revision))
	_, err = client.Compact(t.Context(), answer.Header.Revision)
	require.NoError(t, err)
	o.Eventually(t, "the compaction", o.HasEvent("etcd.compaction"))
	assert.Len(t, o.Events(""), 1)
}

// etcd answers no request for progress before its revision has reached the
// start of the watch, so quiet is no failure, be etcd idle or busy elsewhere.
func TestAWatchMayBeQuiet(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	cfg := configFor(etcd.Endpoints...)
	cfg.Scrape.Timeout = 100 * time.Millisecond
	o := observe(t, cfg)
	failed := func() bool { return o.Warnings(watchOf+"/app/")+o.Warnings(watchOf+"/locks/") > 0 }
	require.Never(t, failed, 2*time.Second, 50*time.Millisecond, "idle")

	_, err := client.Put(t.Context(), "/elsewhere", "")
	require.NoError(t, err)
	require.Never(t, failed, 2*time.Second, 50*time.Millisecond, "busy elsewhere")

	_, err = client.Put(t.Context(), "/app/a", "")
	require.NoError(t, err)
	require.Eventually(t, o.HasEvent("etcd.key.put", "etcd.key", "/app/a"), soon, 20*time.Millisecond)
	require.False(t, failed())
}

// Two watches that begin at different revisions must not wait for each other.
func TestQuietWatchesDoNotWaitForEachOther(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	link := newLink(t, etcd.Endpoints[0])
	cfg := configFor("http://" + link.address)
	cfg.Scrape.Timeout = 300 * time.Millisecond
	o := observe(t, cfg)
	o.watching(t, client)
	set(t, client, "/app/last", "")
	o.Eventually(t, "the last change", o.HasEvent("etcd.key.put", "etcd.key", "/app/last"))

	link.set(true)
	o.Eventually(t, "the watches fail", func() bool { return o.Warnings(watchOf+"/app/") > 0 && o.Warnings(watchOf+"/locks/") > 0 })
	link.set(false)
	o.Eventually(t, "the watches recover", func() bool { return o.Recoveries(watchOf+"/app/") > 0 && o.Recoveries(watchOf+"/locks/") > 0 })
	before := o.Warnings(watchOf+"/app/") + o.Warnings(watchOf+"/locks/")
	require.Never(t, func() bool { return o.Warnings(watchOf+"/app/")+o.Warnings(watchOf+"/locks/") > before }, 3*time.Second, 50*time.Millisecond)
}

// An etcd that comes back empty, so soon that the watch resumes by itself, has
// an older history: what the keys are now is told as reconciled, after a gap.
func TestAnEtcdThatComesBackWithAnOlderHistory(t *testing.T) {
	etcd, client := startEtcd(t, 1)
	cfg := configFor(etcd.Endpoints...)
	cfg.Scrape.Timeout = 300 * time.Millisecond
	o := observe(t, cfg)
	o.watching(t, client)
	for i := range 50 {
		set(t, client, fmt.Sprint("/app/", i%5), "")
	}
	o.Eventually(t, "the changes", o.HasEvent("etcd.key.put", "etcd.key", "/app/4"))

	member := etcd.Members[0]
	require.NoError(t, member.Kill())
	require.NoError(t, os.RemoveAll(filepath.Join(filepath.Dir(member.Process().LogPath()), member.Name(), "data")))
	require.NoError(t, member.Restart(t.Context()))
	set(t, client, "/app/new", "")
	o.Eventually(t, "the gap", o.HasEvent("etcd.watch.gap"))
	o.Eventually(t, "what is there", o.HasEvent("etcd.key.put", "etcd.key", "/app/new"))
	o.Eventually(t, "what is gone", o.HasEvent("etcd.key.delete", "etcd.key", "/app/4", "observation.reconciled", "true"))
	set(t, client, "/app/newer", "")
	o.Eventually(t, "the watch goes on", o.HasEvent("etcd.key.put", "etcd.key", "/app/newer", "observation.reconciled", "false"))
}
