// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/otelcol-infra/otelcol-infra/internal/checkpoint"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdtest"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// neverDone is what clientv3's watches wait for that have no end. It is a channel from
// outside of the bubble, in which no time would pass while one waits for it; nil is the same.
//
//go:linkname neverDone go.etcd.io/etcd/client/v3.valCtxCh
var neverDone chan struct{}

// nonsense is a server that answers at once with whatever etcd would never answer in
// that order.
type nonsense struct {
	list, watch func(n *nonsense) []proto.Message // the answers to a request; then the stream ends
	end         func(n *nonsense) error           // how it ends; nil for any way

	mu       sync.Mutex
	random   *rand.Rand
	requests map[string]int
}

func (n *nonsense) intN(most int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.random.IntN(most)
}

func pick[T any](n *nonsense, from ...T) T { return from[n.intN(len(from))] }

func (n *nonsense) header() *etcdserverpb.ResponseHeader {
	return &etcdserverpb.ResponseHeader{ClusterId: uint64(pick(n, 1, 1, 1, 1, 2)), MemberId: 1, Revision: int64(n.intN(64)), RaftTerm: 2}
}

func (n *nonsense) kv() *mvccpb.KeyValue {
	revision := int64(1 + n.intN(64))
	return &mvccpb.KeyValue{Key: fmt.Appendf(nil, "/app/%d", n.intN(9)), CreateRevision: revision, ModRevision: revision, Version: 1}
}

func anyList(n *nonsense) []proto.Message {
	return []proto.Message{pick[proto.Message](n,
		&etcdserverpb.RangeResponse{Header: n.header()},
		&etcdserverpb.RangeResponse{Header: n.header(), Count: 1, Kvs: []*mvccpb.KeyValue{n.kv()}},
		&etcdserverpb.RangeResponse{Header: n.header(), Count: 100, More: true, Kvs: []*mvccpb.KeyValue{n.kv()}},
		&etcdserverpb.RangeResponse{Header: n.header(), Count: int64(n.intN(100))},
		&etcdserverpb.RangeResponse{},
	)}
}

func emptyList(*nonsense) []proto.Message {
	return []proto.Message{&etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1, MemberId: 1, Revision: 10}}}
}

func created(n *nonsense) *etcdserverpb.WatchResponse {
	return &etcdserverpb.WatchResponse{Header: n.header(), Created: true}
}

func anyWatch(n *nonsense) (answers []proto.Message) {
	if n.intN(8) > 0 {
		answers = append(answers, created(n))
	}
	for range n.intN(4) {
		answers = append(answers, pick(n,
			&etcdserverpb.WatchResponse{},
			&etcdserverpb.WatchResponse{Header: n.header()},
			&etcdserverpb.WatchResponse{Header: n.header(), WatchId: -1},
			&etcdserverpb.WatchResponse{Header: n.header(), Canceled: true},
			&etcdserverpb.WatchResponse{Header: n.header(), Canceled: true, CancelReason: rpctypes.ErrNoLeader.Error()},
			&etcdserverpb.WatchResponse{Header: n.header(), Canceled: true, CompactRevision: int64(1 + n.intN(64))},
			&etcdserverpb.WatchResponse{Header: n.header(), Created: true, Canceled: true, CancelReason: "whatever"},
			&etcdserverpb.WatchResponse{Header: n.header(), Events: []*mvccpb.Event{{Kv: n.kv()}, {Type: mvccpb.DELETE, Kv: n.kv()}}},
			&etcdserverpb.WatchResponse{Header: n.header(), Fragment: true, Events: []*mvccpb.Event{{Kv: n.kv()}}},
			created(n),
		))
	}
	return answers
}

func ended(n *nonsense) error {
	return pick(n, nil, rpctypes.ErrGRPCNoLeader, rpctypes.ErrGRPCCompacted, rpctypes.ErrGRPCFutureRev, rpctypes.ErrGRPCPermissionDenied,
		rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCLeaderChanged,
		status.Error(codes.Internal, "internal"), status.Error(codes.Unavailable, "unavailable"), status.Error(codes.Unknown, "unknown"))
}

func always(err error) func(*nonsense) error { return func(*nonsense) error { return err } }

func (n *nonsense) serve(stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	n.mu.Lock()
	n.requests[method]++
	n.mu.Unlock()
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	var answers []proto.Message
	switch method {
	case etcdserverpb.Watch_Watch_FullMethodName:
		answers = n.watch(n)
	case etcdserverpb.KV_Range_FullMethodName:
		if answers = n.list(n); n.end == nil && n.intN(3) == 0 {
			return ended(n)
		}
	default:
		return ended(n)
	}
	for _, answer := range answers {
		message, err := proto.Marshal(answer)
		if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
	if method == etcdserverpb.KV_Range_FullMethodName {
		return nil
	}
	if n.end != nil {
		return n.end(n)
	}
	if n.intN(4) == 0 {
		<-stream.Context().Done()
	}
	return ended(n)
}

// newEnv returns what a Collector needs to read from a server in memory.
func newEnv(t *testing.T, dial func(context.Context, string) (net.Conn, error)) *collect.Env {
	t.Helper()
	settings := receivertest.NewNopSettings(metadata.Type)
	base, err := watch.NewBase(settings)
	require.NoError(t, err)
	own, err := collect.NewTelemetry(settings)
	require.NoError(t, err)
	store, err := checkpoint.Open(t.Context(), componenttest.NewNopHost(), nil, component.KindReceiver, settings.ID, "")
	require.NoError(t, err)
	options := etcdapi.Options{
		DialTimeout: etcdapi.DefaultTimeout, KeepaliveTime: time.Minute, KeepaliveTimeout: time.Minute, Timeout: etcdapi.DefaultTimeout, Dial: dial,
	}
	return &collect.Env{
		Settings: settings, Events: metadata.DefaultLogsBuilderConfig(), Condition: base.Condition, Delivery: base.Delivery(), Telemetry: own,
		Interval: 10 * time.Second, Store: store, API: etcdapi.New(t.Context(), options, "passthrough.example:2379"),
	}
}

// Whatever a server answers, there is a pause: what it may be asked in a minute has a bound.
func TestRequestsAreBoundedWhateverTheServerAnswers(t *testing.T) {
	neverDone = nil
	const watches, requests = 20 + 60 + 1, 400 // at once, then one a second
	servers := map[string]*nonsense{
		"created, of another cluster each time": {list: emptyList, watch: func(n *nonsense) []proto.Message {
			answer := created(n)
			answer.Header.ClusterId = uint64(2 + n.intN(2))
			return []proto.Message{answer}
		}},
		"created and gone back": {list: emptyList, watch: func(n *nonsense) []proto.Message {
			answer := created(n)
			answer.Header.ClusterId, answer.Header.Revision = 1, 3
			return []proto.Message{answer}
		}},
		"compacted at once": {list: emptyList, watch: func(n *nonsense) []proto.Message {
			answer := created(n)
			answer.Header = &etcdserverpb.ResponseHeader{ClusterId: 1, MemberId: 1, Revision: 20}
			return []proto.Message{answer, &etcdserverpb.WatchResponse{Header: answer.Header, Canceled: true, CompactRevision: 15}}
		}},
		"created and canceled": {list: emptyList, watch: func(n *nonsense) []proto.Message {
			return []proto.Message{created(n), &etcdserverpb.WatchResponse{Header: n.header(), Canceled: true}}
		}},
		"created and without a leader":    {list: emptyList, watch: func(n *nonsense) []proto.Message { return []proto.Message{created(n)} }, end: always(rpctypes.ErrGRPCNoLeader)},
		"an internal error":               {list: emptyList, watch: func(*nonsense) []proto.Message { return nil }, end: always(status.Error(codes.Internal, ""))},
		"created and an internal error":   {list: emptyList, watch: func(n *nonsense) []proto.Message { return []proto.Message{created(n)} }, end: always(status.Error(codes.Internal, ""))},
		"created and not available":       {list: emptyList, watch: func(n *nonsense) []proto.Message { return []proto.Message{created(n)} }, end: always(status.Error(codes.Unavailable, ""))},
		"ended":                           {list: emptyList, watch: func(*nonsense) []proto.Message { return nil }, end: always(nil)},
		"empty responses without an end":  {list: emptyList, watch: func(*nonsense) []proto.Message { return []proto.Message{&etcdserverpb.WatchResponse{}} }, end: always(nil)},
		"everything is in another future": {list: func(*nonsense) []proto.Message { return nil }, watch: anyWatch, end: always(rpctypes.ErrGRPCFutureRev)},
	}
	for seed := range uint64(40) {
		servers[fmt.Sprintf("anything, seed %d", seed)] = &nonsense{list: anyList, watch: anyWatch, random: rand.New(rand.NewPCG(seed, 0))}
	}
	for name, server := range servers {
		t.Run(name, func(t *testing.T) {
			if server.random == nil {
				server.random = rand.New(rand.NewPCG(1, 2))
			}
			server.requests = map[string]int{}
			synctest.Test(t, func(t *testing.T) {
				dial, stop := etcdtest.ServeInMemory(server.serve)
				defer stop()
				env := newEnv(t, dial)
				defer env.API.Close()
				watch := DefaultWatchConfig()
				watch.Prefixes = []string{"/app/"}
				c, err := New(env, Config{Watch: watch, Leases: lease.Config{Mode: lease.ModeOff}})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.Run(ctx)
				}()
				time.Sleep(time.Minute)
				cancel()
				<-done
				server.mu.Lock()
				defer server.mu.Unlock()
				all := 0
				for _, number := range server.requests {
					all += number
				}
				assert.LessOrEqual(t, server.requests[etcdserverpb.Watch_Watch_FullMethodName], watches)
				assert.LessOrEqual(t, all, requests)
				assert.Positive(t, all)
			})
		})
	}
}
