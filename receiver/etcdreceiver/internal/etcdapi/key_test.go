// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdapi

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
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
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
		c := newTestClient(t, 300*time.Millisecond, "http://"+listener.Addr().String())
		require.Eventually(t, func() bool {
			keys := 0
			_, err := c.List(t.Context(), "/", 0, func(Key) bool {
				keys++
				return true
			})
			return err == nil && keys == 100
		}, time.Minute, time.Millisecond, "%d fit", fit)
		assert.Less(t, kv.reads.Load(), 100/fit+50, "%d fit", fit)
		c.Close()
		server.Stop()
	}
}

func TestTheOldestRevisionIsFound(t *testing.T) {
	for name, tc := range map[string]struct{ before, compacted, newest, want int64 }{
		"nothing was compacted":           {0, 0, 50, 1},
		"a new cluster":                   {0, 0, 1, 1},
		"nothing since":                   {7, 7, 50, 7},
		"something since":                 {7, 8, 50, 8},
		"all":                             {7, 50, 50, 50},
		"all but one":                     {0, 49, 50, 49},
		"a restored backup":               {90, 7, 50, 7},
		"a restored backup with its past": {90, 0, 50, 1},
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			got, err := oldestRevision(tc.before, func(revision int64) (int64, error) {
				reads++
				switch {
				case revision > tc.newest:
					return 0, rpctypes.ErrFutureRev
				case revision != 0 && revision < tc.compacted:
					return 0, rpctypes.ErrCompacted
				}
				return tc.newest, nil
			})
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
			assert.LessOrEqual(t, reads, 11)
		})
	}
}

// etcd compacts while the oldest revision is searched for.
func TestTheOldestRevisionIsFoundWhileItMoves(t *testing.T) {
	oldest, newest := int64(10), int64(100)
	got, err := oldestRevision(1, func(revision int64) (int64, error) {
		defer func() { oldest, newest = min(oldest+7, 300), newest+1 }()
		if revision != 0 && revision < oldest {
			return 0, rpctypes.ErrCompacted
		}
		return max(newest, oldest), nil
	})
	require.NoError(t, err)
	assert.EqualValues(t, 300, got)

	for failing := range 3 { // whichever read fails
		reads := 0
		_, err := oldestRevision(1, func(revision int64) (int64, error) {
			if reads++; reads > failing {
				return 0, rpctypes.ErrTimeout
			}
			if revision != 0 && revision < 60 {
				return 0, rpctypes.ErrCompacted
			}
			return 100, nil
		})
		require.ErrorIs(t, err, rpctypes.ErrTimeout)
	}
}
