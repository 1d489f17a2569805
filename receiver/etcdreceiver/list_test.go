// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
)

// slowKV is an etcd with keys whose values are so large that few can be read in time.
type slowKV struct {
	etcdserverpb.UnimplementedKVServer
	keys, fit int64
	reads     atomic.Int64
}

func (s *slowKV) Range(ctx context.Context, r *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	s.reads.Add(1)
	from := int64(0)
	if last := len(r.Key) - 1; r.Key[last] == 0 {
		from = int64(r.Key[last-1]) + 1
	}
	n := min(r.Limit, s.keys-from)
	if n > s.fit {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	answer := &etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{ClusterId: 1, Revision: 1}, Count: s.keys - from}
	for i := range n {
		answer.Kvs = append(answer.Kvs, &mvccpb.KeyValue{Key: []byte{'/', byte(from + i)}, CreateRevision: 1, ModRevision: 1, Version: 1})
	}
	return answer, nil
}

// A list whose pages take too long is read in the end, with ever fewer keys in one,
// and what is too much is not tried again for each page.
func TestAListThatTakesTooLongIsReadInSmallerPages(t *testing.T) {
	t.Parallel()
	for _, fit := range []int64{1, 3, 60} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		kv, server := &slowKV{keys: 100, fit: fit}, grpc.NewServer()
		etcdserverpb.RegisterKVServer(server, kv)
		go func() { _ = server.Serve(listener) }() // until Stop
		cfg := configFor("http://" + listener.Addr().String())
		cfg.Scrape.Timeout = 300 * time.Millisecond
		c := newClient(t.Context(), cfg, nil, newTestRequests(t), cfg.Endpoints...)
		require.Eventually(t, func() bool {
			observed, _, err := c.List(t.Context(), selection{limit: 1000}, "/", 0)
			return err == nil && len(observed.Keys) == 100
		}, soon, time.Millisecond, "%d fit", fit)
		assert.Less(t, kv.reads.Load(), 100/fit+50, "%d fit", fit)
		c.close()
		server.Stop()
	}
}
