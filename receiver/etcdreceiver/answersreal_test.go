// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lock"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/member"
)

// A real etcd that has nothing says so completely.
func TestWhatEtcdAnswersWhenThereIsNothing(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	c := etcdapi.New(t.Context(), configFor(etcd.Endpoints...).apiOptions(nil), etcd.Endpoints...)
	defer c.Close()

	listed, err := c.List(t.Context(), "/none/", 0, func(key etcdapi.Key) bool {
		assert.Empty(t, key)
		return true
	})
	require.NoError(t, err)
	assert.NotZero(t, listed.Cluster)
	leases, err := c.Leases(t.Context())
	require.NoError(t, err)
	assert.Empty(t, leases.IDs)
	alarms, err := c.Alarms(t.Context())
	require.NoError(t, err)
	assert.Empty(t, alarms)
	gone, _, err := c.Lease(t.Context(), 7)
	require.NoError(t, err)
	assert.Negative(t, gone.Remaining)
	assert.Zero(t, gone.TTL)

	lease, err := client.Grant(t.Context(), 600)
	require.NoError(t, err)
	there, _, err := c.Lease(t.Context(), int64(lease.ID))
	require.NoError(t, err)
	assert.EqualValues(t, 600, there.TTL)
	set(t, client, "/app/a", "")
	remove(t, client, "/app/a")
	w, err := c.Watch(t.Context(), "/app/", 1, false)
	require.NoError(t, err)
	defer w.Close()
	for changes := 0; changes < 2; {
		response, err := w.Next()
		require.NoError(t, err)
		changes += response.Count
	}
}

// A grpc-proxy has one watch for several clients that watch the same. To the second one
// it sends neither the ID of the cluster nor its revision, and to none its progress.
func TestAWatchThatAProxyShares(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	path, err := lab.Binary(t.Context(), "etcd", io.Discard)
	require.NoError(t, err)
	ports, err := lab.FreePorts(1)
	require.NoError(t, err)
	through := fmt.Sprintf("127.0.0.1:%d", ports[0])
	dir := t.TempDir()
	proxy, err := lab.StartProcess(lab.Command{
		Name: "proxy", Path: path, Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir},
		Args: []string{"grpc-proxy", "start", "--endpoints=" + address.HostPort(etcd.Endpoints[0]), "--listen-addr=" + through, "--data-dir=" + dir + "/data"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Stop(context.Background())) })

	other := newTestClient(t, clientv3.Config{Endpoints: []string{through}})
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := other.Get(ctx, "/app/")
		return err == nil
	}, soon, 50*time.Millisecond, "%s", proxy.LogTail(20))
	shared := other.Watch(t.Context(), "/app/", clientv3.WithPrefix(), clientv3.WithRev(newest(t, client)+1), clientv3.WithCreatedNotify())
	<-shared

	cfg := configFor(through)
	cfg.Scrape.Timeout = time.Second
	o := observe(t, cfg)
	requests := func(request string) int64 { return o.Own(t, "otelcol_etcd_requests", "request", request) }
	o.Eventually(t, "the watches", func() bool {
		return o.Own(t, "otelcol_etcd_requests", "request", "watch", "outcome", "success") == 2
	})
	o.Eventually(t, "the answer to the one that is shared", func() bool { return requests("progress") > 0 })
	o.Eventually(t, "a key", func() bool { set(t, client, "/app/a", ""); return len(o.reported("etcd.key.name", "/app/a")) > 0 })
	for range 20 {
		set(t, client, "/app/b", "")
	}
	o.Eventually(t, "all changes", func() bool { return len(o.reported("etcd.key.name", "/app/b")) == 20 })

	// The quiet watch of /locks/ gets no answer to requests for its progress.
	before := requests("progress")
	o.Eventually(t, "what the quiet watch missed is nothing", func() bool { set(t, client, "/app/a", ""); return requests("progress") >= before+2 })
	_, err = client.Compact(t.Context(), newest(t, client))
	require.NoError(t, err)
	before = requests("progress")
	o.Eventually(t, "it is checked again", func() bool { set(t, client, "/app/a", ""); return requests("progress") > before })
	l := newLocker(t, client)
	require.NoError(t, l.mutex.Lock(t.Context()))
	o.Eventually(t, "its change", o.HasEvent("etcd.lock.acquired", "etcd.lock.key", l.key))
	assert.EqualValues(t, 2, requests("list"), "one of each prefix")
	assert.EqualValues(t, 2, requests("watch"), "one of each prefix")
	assert.Empty(t, o.Events("etcd.watch.gap"))
	assert.NotContains(t, o.Trouble(), "watch of ")
	assert.Contains(t, o.Trouble(), member.Condition, "a proxy names itself instead of the members")
}

// emptier is a proxy of gRPC before an etcd. While it is on, each answer that is on its
// way loses its data.
type emptier struct {
	endpoint string
	on       atomic.Bool
	emptied  sync.Map // methods of which an answer was
}

func newEmptier(t *testing.T, etcd string) *emptier {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address.HostPort(etcd), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	e := &emptier{}
	e.endpoint = etcdtest.Serve(t, func(client grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(client)
		headers, _ := metadata.FromIncomingContext(client.Context())
		ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(client.Context(), headers))
		defer cancel()
		server, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodec(etcdtest.Wire{}))
		if err != nil {
			return err
		}
		go func() {
			var message []byte
			for client.RecvMsg(&message) == nil {
				if server.SendMsg(&message) != nil {
					return
				}
			}
			_ = server.CloseSend()
		}()
		for {
			var message []byte
			if err := server.RecvMsg(&message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if e.on.Load() {
				message = nil
				e.emptied.Store(method, true)
			}
			if err := client.SendMsg(&message); err != nil {
				return err
			}
		}
	})
	return e
}

func TestAnEtcdWhoseAnswersAreEmptyForAWhile(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	e := newEmptier(t, etcd.Endpoints[0])
	id, host := observedtest.FileStorage(t, t.TempDir())
	start := func() *observed {
		cfg := configFor(e.endpoint)
		cfg.Storage = &id
		cfg.Leases.Mode = lease.ModeAll
		cfg.Leases.RequestsPerSecond = 100
		cfg.Scrape.Timeout = time.Second
		return observeOn(t, host, cfg)
	}
	first := start()
	first.watching(t, client)
	holder := newLocker(t, client)
	require.NoError(t, holder.mutex.Lock(t.Context()))
	set(t, client, "/app/kept", "")
	first.Eventually(t, "the lock", first.HasEvent("etcd.lock.acquired", "etcd.lock.key", holder.key))
	first.Eventually(t, "the key", first.HasEvent("etcd.key.put", "etcd.key.name", "/app/kept"))
	first.Eventually(t, "the member", first.has("etcd.member.up", e.endpoint, 1))
	gauges := []string{"etcd.member.count", "etcd.key.count", "etcd.lease.count"}
	up := func(o *observed) {
		for _, gauge := range gauges {
			o.Eventually(t, gauge, func() bool { return o.HasMetric(gauge) })
		}
		o.Eventually(t, "the status is well", func() bool { return o.Trouble() == "" })
	}
	up(first)
	before := len(first.Events(""))
	for _, o := range []*observed{first, nil} {
		e.on.Store(true)
		e.emptied.Clear()
		if o == nil {
			first.Shutdown(t)
			o, before = start(), 0 // It knows what is stored.
		}
		methods := []string{etcdserverpb.Maintenance_Status_FullMethodName}
		if o == first {
			methods = append(methods, etcdserverpb.Lease_LeaseLeases_FullMethodName, etcdserverpb.Watch_Watch_FullMethodName)
			set(t, client, "/app/emptied", "") // which ends the watch
		} else {
			methods = append(methods, etcdserverpb.KV_Range_FullMethodName)
		}
		for _, method := range methods {
			o.Eventually(t, method+" is emptied", func() bool { _, ok := e.emptied.Load(method); return ok })
		}
		o.Eventually(t, "the member is down", o.has("etcd.member.up", e.endpoint, 0))
		o.Eventually(t, "the status says why", func() bool {
			return strings.Contains(o.Trouble(), "the answer is not etcd's, check endpoints: it lacks ")
		})
		for _, gauge := range gauges {
			o.Eventually(t, gauge+" is not known", func() bool { return !o.HasMetric(gauge) })
		}
		e.on.Store(false)
		up(o)
		o.Eventually(t, "the watch goes on", func() bool {
			set(t, client, "/app/later", "")
			return len(o.reported("etcd.key.name", "/app/later")) > 0
		})
		for _, event := range o.Events("")[before:] {
			assert.Contains(t, []string{"/app/emptied", "/app/later"}, value(event.Attributes(), "etcd.key.name"), event.EventName())
		}
		assert.False(t, o.hasSpan(lock.SpanHold, holder.key)(), "it lasts")
	}
}
