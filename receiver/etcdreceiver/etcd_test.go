// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
)

const soon = time.Minute

// observed is a running receiver, and what it made.
type observed struct{ *observedtest.Receiver }

// observe starts a receiver, which ends with the test.
func observe(t *testing.T, cfg *Config) *observed {
	t.Helper()
	return observeOn(t, componenttest.NewNopHost(), cfg)
}

// observeOn starts it on a host that has extensions.
func observeOn(t *testing.T, host component.Host, cfg *Config) *observed {
	t.Helper()
	cfg.Scrape.CollectionInterval = 200 * time.Millisecond
	cfg.Scrape.InitialDelay = 0
	return &observed{observedtest.StartOn(t, host, NewFactory(), cfg)}
}

func value(attrs pcommon.Map, name string) string {
	v, ok := attrs.Get(name)
	if !ok {
		return ""
	}
	return v.AsString()
}

// reported returns the names of the events about an object, by the value of one of
// their attributes, in their order.
func (o *observed) reported(attribute, object string) (names []string) {
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
// It returns a revision from which on all is reported.
func (o *observed) watching(t *testing.T, client *clientv3.Client) (since int64) {
	t.Helper()
	lease, err := client.Grant(t.Context(), 600) // longer than it can take
	require.NoError(t, err)
	key := fmt.Sprintf("/locks/ready/%x", lease.ID)
	o.Eventually(t, "the watches", func() bool {
		set(t, client, "/app/ready", "")
		set(t, client, key, "", clientv3.WithLease(lease.ID))
		since = remove(t, client, key)
		return o.HasEvent("etcd.key.put", "etcd.key.name", "/app/ready")() && o.HasEvent("etcd.lock.released", "etcd.lock.key", key)()
	})
	return since + 1
}

// startEtcd returns a real etcd and a client of it.
func startEtcd(t *testing.T, opts lab.ServerOptions) (*lab.Etcd, *clientv3.Client) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real etcd; run without -short")
	}
	etcd, err := lab.StartEtcd(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	cfg := clientv3.Config{Endpoints: etcd.Endpoints}
	if opts.TLS != nil {
		cfg.TLS, err = (&configtls.ClientConfig{Config: configtls.Config{CAFile: etcd.TLS.CA, CertFile: etcd.TLS.Cert, KeyFile: etcd.TLS.Key}}).LoadTLSConfig(t.Context())
		require.NoError(t, err)
	}
	return etcd, newTestClient(t, cfg)
}

func newTestClient(t *testing.T, cfg clientv3.Config) *clientv3.Client {
	t.Helper()
	cfg.Logger = zap.NewNop()
	client, err := clientv3.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func set(t *testing.T, client *clientv3.Client, key, val string, opts ...clientv3.OpOption) (revision int64) {
	t.Helper()
	answer := led(t, func() (*clientv3.PutResponse, error) { return client.Put(t.Context(), key, val, opts...) })
	return answer.Header.Revision
}

func remove(t *testing.T, client *clientv3.Client, key string) (revision int64) {
	t.Helper()
	answer := led(t, func() (*clientv3.DeleteResponse, error) { return client.Delete(t.Context(), key) })
	return answer.Header.Revision
}

// led does what takes a leader. Members that do not get to run elect another one,
// and then it is done again, and may be done twice.
func led[A any](t *testing.T, do func() (A, error)) A {
	t.Helper()
	for began := time.Now(); ; {
		answer, err := do()
		elects := slices.ContainsFunc([]error{rpctypes.ErrLeaderChanged, rpctypes.ErrNoLeader, rpctypes.ErrTimeoutDueToLeaderFail, rpctypes.ErrTimeout},
			func(sign error) bool { return errors.Is(err, sign) })
		if !elects || time.Since(began) > soon {
			require.NoError(t, err)
			return answer
		}
	}
}

func newest(t *testing.T, client *clientv3.Client) int64 {
	t.Helper()
	answer, err := client.Get(t.Context(), "/", clientv3.WithCountOnly())
	require.NoError(t, err)
	return answer.Header.Revision
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
	session *concurrency.Session
	mutex   *concurrency.Mutex
	key     string
	held    chan error
}

func newLocker(t *testing.T, client *clientv3.Client) *locker {
	t.Helper()
	return newLockerOf(t, client, "/locks/deploy", 60)
}

// newLockerOf also names the lock, and how many seconds the lease has.
func newLockerOf(t *testing.T, client *clientv3.Client, name string, ttl int) *locker {
	t.Helper()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(ttl))
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return &locker{
		session: session,
		mutex:   concurrency.NewMutex(session, name),
		key:     fmt.Sprintf("%s/%x", name, session.Lease()),
		held:    make(chan error, 1),
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

// take waits for the lock, whoever leads etcd.
func (l *locker) take(t *testing.T) {
	t.Helper()
	led(t, func() (struct{}, error) { return struct{}{}, l.mutex.Lock(t.Context()) })
}

func (l *locker) unlock(t *testing.T) {
	t.Helper()
	led(t, func() (struct{}, error) { return struct{}{}, l.mutex.Unlock(t.Context()) })
}

// change is what was done with a key, or came of it for a lock.
type change struct {
	What     string // such as etcd.key.put
	Key      string
	Revision int64
}

// history returns what etcd itself has of the keys under a prefix, from a
// revision until now.
func history(t *testing.T, client *clientv3.Client, prefix string, from int64) (changes []change) {
	t.Helper()
	until := newest(t, client)
	if from > until {
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	for response := range client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(from)) {
		require.NoError(t, response.Err())
		for _, event := range response.Events {
			if event.Kv.ModRevision > until {
				return changes
			}
			what := map[bool]string{true: "etcd.key.put", false: "etcd.key.delete"}[event.Type == clientv3.EventTypePut]
			if strings.HasPrefix(string(event.Kv.Key), prefix) {
				changes = append(changes, change{what, string(event.Kv.Key), event.Kv.ModRevision})
			}
		}
		if last := len(response.Events) - 1; last >= 0 && response.Events[last].Kv.ModRevision == until {
			return changes // Each revision is of a change.
		}
	}
	t.Fatal("etcd does not tell its history")
	return nil
}

// story tells what the changes of keys come to for the locks that they are of:
// the first in a queue holds the lock. What has one revision happened at once.
func story(changes []change) (reported []change) {
	queues, holders := map[string][]string{}, map[string]string{}
	for i, c := range changes {
		lock := path.Dir(c.Key)
		queue := queues[lock]
		switch at := slices.Index(queue, c.Key); {
		case c.What == "etcd.key.put" && at < 0:
			reported = append(reported, change{"etcd.lock.queued", c.Key, c.Revision})
			queues[lock] = append(queue, c.Key)
		case c.What == "etcd.key.put":
		case holders[lock] == c.Key:
			reported = append(reported, change{"etcd.lock.released", c.Key, c.Revision})
			queues[lock] = slices.Delete(queue, at, at+1)
			delete(holders, lock)
		default:
			reported = append(reported, change{"etcd.lock.abandoned", c.Key, c.Revision})
			queues[lock] = slices.Delete(queue, at, at+1)
		}
		if i+1 < len(changes) && changes[i+1].Revision == c.Revision {
			continue
		}
		for _, lock := range slices.Sorted(maps.Keys(queues)) {
			if queue := queues[lock]; len(queue) > 0 && holders[lock] == "" {
				holders[lock] = queue[0]
				reported = append(reported, change{"etcd.lock.acquired", queue[0], c.Revision})
			}
		}
	}
	return reported
}

// changes returns what was reported since a revision of keys under a prefix: of
// etcd.key.name or of etcd.lock.key.
func (o *observed) changes(attribute, prefix string, since int64) (reported []change) {
	for _, event := range o.Events("") {
		key := value(event.Attributes(), attribute)
		revision, _ := event.Attributes().Get("etcd.revision")
		if strings.HasPrefix(key, prefix) && revision.Int() >= since {
			reported = append(reported, change{event.EventName(), key, revision.Int()})
		}
	}
	return reported
}

func since(changes []change, revision int64) []change {
	return slices.DeleteFunc(changes, func(c change) bool { return c.Revision < revision })
}

// probed waits until quiet watches were probed so many times in a row, and none
// was opened again. One is when etcd is slow to answer, which it may be; one that
// waits for an answer that does not come is after each probe.
func (o *observed) probed(t *testing.T, times int64) {
	t.Helper()
	count := func(request string) int64 {
		return o.Own(t, "otelcol_etcd_requests", "request", request, "outcome", "success")
	}
	before, opened := count("progress"), count("watch")
	o.Eventually(t, "the watches are probed, and stay", func() bool {
		if n := count("watch"); n > opened {
			before, opened = count("progress"), n
		}
		return count("progress") >= before+times
	})
}

// requireTruth requires that the receiver tells of /app/ and /locks/ what
// etcd's history has since a revision, each change once and in its order.
func (o *observed) requireTruth(t *testing.T, client *clientv3.Client, from int64) {
	t.Helper()
	o.requireAll(t, "etcd.key.name", "/app/", from, func() []change { return history(t, client, "/app/", from) })
	o.requireAll(t, "etcd.lock.key", "/locks/", from, func() []change { return since(story(history(t, client, "/locks/", 1)), from) })
	require.Empty(t, o.Events("etcd.watch.gap"))
}

// requireAll requires that all of a history is reported. What a client no longer waits
// for may be done late, so the history is read again after what was reported of it.
func (o *observed) requireAll(t *testing.T, attribute, prefix string, from int64, history func() []change) {
	t.Helper()
	for want := history(); ; {
		o.Eventually(t, "all that happened under "+prefix, func() bool { return len(o.changes(attribute, prefix, from)) >= len(want) })
		reported := o.changes(attribute, prefix, from)
		if want = history(); len(reported) >= len(want) {
			require.Equal(t, append([]change{}, want...), append([]change{}, reported...))
			return
		}
	}
}

func (o *observed) requireReported(t *testing.T, attribute, prefix string, from int64, want []change) {
	t.Helper()
	o.Eventually(t, "all that happened under "+prefix, func() bool {
		reported := o.changes(attribute, prefix, from)
		return len(reported) >= len(want)
	})
	require.Equal(t, append([]change{}, want...), append([]change{}, o.changes(attribute, prefix, from)...))
}

// requireGap waits for a gap under a prefix, which there may be one of, and
// requires that it is of these revisions.
func (o *observed) requireGap(t *testing.T, prefix string, first, last int64) {
	t.Helper()
	o.Eventually(t, "the gap under "+prefix, o.HasEvent("etcd.watch.gap", "etcd.watch.prefix", prefix))
	gaps := o.Events("etcd.watch.gap", "etcd.watch.prefix", prefix)
	require.Len(t, gaps, 1)
	require.Equal(t, plog.SeverityNumberWarn, gaps[0].SeverityNumber())
	for name, want := range map[string]int64{"etcd.gap.first_revision": first, "etcd.gap.last_revision": last} {
		got, _ := gaps[0].Attributes().Get(name)
		require.Equal(t, want, got.Int(), name)
	}
}

// link is a connection to a server that can be cut.
type link struct {
	address string

	mu     sync.Mutex
	target string
	cut    bool
	conns  []net.Conn
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
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	l.mu.Lock()
	cut := l.cut || l.target != target // It may have changed meanwhile.
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

// redirect has new connections lead to another server.
func (l *link) redirect(endpoint string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = address.HostPort(endpoint)
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
