// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// A watch that is opened on a member that lags tells an older revision than is
// known: that is no reason for a gap, as one is for etcd having gone back.
func TestAWatchOnAMemberThatLags(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	for i := range 10 {
		set(t, client, "/app/key", strconv.Itoa(i))
	}
	w, err := newWatcher(configFor(etcd.Endpoints...), receivertest.NewNopSettings(metadata.Type))
	require.NoError(t, err)
	w.env.API = etcdapi.New(t.Context(), w.apiOptions(nil), etcd.Endpoints...)
	defer w.env.API.Close()
	f := newFollower(w, "/app/")
	listed, err := f.next(t.Context())
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
		f.fresh, f.lost, f.revision = false, false, test.known
		observed, err := f.opened(t.Context(), batch{opened: true, cluster: f.clusterID, revision: test.opened})
		require.NoError(t, err, name)
		assert.Equal(t, test.list, observed.Listed, name)
		assert.False(t, f.lost, name)
		if !test.list {
			assert.Equal(t, max(test.opened, listed.Revision), f.late, name)
			assert.Equal(t, test.known, f.revision, name)
		}
	}
	f.fresh = false
	observed, err := f.opened(t.Context(), batch{opened: true, cluster: f.clusterID + 1, revision: listed.Revision + 5})
	require.NoError(t, err)
	assert.True(t, observed.Listed, "it is another cluster")
}
