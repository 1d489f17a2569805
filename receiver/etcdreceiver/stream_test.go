// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/pattern"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

func responseAt(revision int64, key string) clientv3.WatchResponse {
	return clientv3.WatchResponse{
		Header: &etcdserverpb.ResponseHeader{Revision: revision},
		Events: []*clientv3.Event{{Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: revision}}},
	}
}

// The queue counts changes; what has none must not make it grow either.
func TestExcludedChangesDoNotFillMemory(t *testing.T) {
	names, err := pattern.Filter{Exclude: []string{"/app/busy/.*"}}.Compile()
	require.NoError(t, err)
	s := &stream{
		client: &client{report: newTestRequests(t)}, pick: selection{names: names},
		limit: 2, ready: make(chan struct{}, 1),
	}
	require.NoError(t, s.add(clientv3.WatchResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1}, Created: true}))
	for revision := range int64(1000) {
		require.NoError(t, s.add(responseAt(revision+2, "/app/busy/a")))
	}
	assert.Len(t, s.queue, 2)
	require.NoError(t, s.add(responseAt(2000, "/app/a")))
	require.NoError(t, s.add(responseAt(2001, "/app/busy/a")))
	opened, err := s.take(t.Context(), 0)
	require.NoError(t, err)
	assert.True(t, opened.opened)
	all, err := s.take(t.Context(), 0)
	require.NoError(t, err)
	assert.EqualValues(t, 2001, all.revision, "what was left out was read, too")
	assert.Len(t, all.changes, 1)
}

func newTestRequests(t *testing.T) *requests {
	t.Helper()
	own, err := newRequests(receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	return own
}
