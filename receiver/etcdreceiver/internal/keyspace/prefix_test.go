// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package keyspace

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/collect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/otelcol-infra/otelcol-infra/lab.forkLoop"))
}

// newTestCollector returns a Collector of the keys under /app/ and the locks under
// /locks/.
func newTestCollector(t *testing.T, endpoints []string) *Collector {
	t.Helper()
	settings := receivertest.NewNopSettings(metadata.Type)
	base, err := watch.NewBase(settings)
	require.NoError(t, err)
	own, err := collect.NewTelemetry(settings)
	require.NoError(t, err)
	env := &collect.Env{
		Settings: settings, Events: metadata.DefaultLogsBuilderConfig(), Condition: base.Condition, Delivery: base.Delivery(), Telemetry: own,
		API: etcdapi.New(t.Context(), etcdapi.Options{Timeout: etcdapi.DefaultTimeout, DialTimeout: etcdapi.DefaultTimeout}, endpoints...),
	}
	t.Cleanup(env.API.Close)
	config := Config{Watch: DefaultWatchConfig(), Leases: lease.DefaultConfig(), Locks: PrefixConfig{[]string{"/locks/"}}}
	config.Watch.Prefixes = []string{"/app/"}
	c, err := New(env, config)
	require.NoError(t, err)
	return c
}

// A watch that is opened on a member that lags has an older revision than is
// known: that is no reason for a gap, as one is for etcd having gone back.
func TestAWatchOnAMemberThatLags(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run without -short")
	}
	t.Parallel()
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	for i := range 10 {
		_, err := client.Put(t.Context(), "/app/key", strconv.Itoa(i))
		require.NoError(t, err)
	}
	w := newPrefixWatcher(newTestCollector(t, etcd.Endpoints), "/app/")
	listed, err := w.next(t.Context())
	require.NoError(t, err)
	require.True(t, listed.Listed)
	for name, test := range map[string]struct {
		known, opened int64
		list          bool
	}{
		"it lags":                 {listed.Revision, listed.Revision - 5, false},
		"it is ahead":             {listed.Revision, listed.Revision + 5, false},
		"etcd has gone back":      {listed.Revision + 5, listed.Revision, true},
		"as far as the member is": {listed.Revision, listed.Revision, false},
	} {
		w.fresh, w.lost, w.revision = false, false, test.known
		observed, err := w.opened(t.Context(), batch{opened: true, cluster: w.clusterID, revision: test.opened})
		require.NoError(t, err, name)
		assert.Equal(t, test.list, observed.Listed, name)
		assert.False(t, w.lost, name)
		if !test.list {
			assert.Equal(t, max(test.opened, listed.Revision), w.late, name)
			assert.Equal(t, test.known, w.revision, name)
		}
	}
	w.fresh = false
	observed, err := w.opened(t.Context(), batch{opened: true, cluster: w.clusterID + 1, revision: listed.Revision + 5})
	require.NoError(t, err)
	assert.True(t, observed.Listed, "it is another cluster")
}
