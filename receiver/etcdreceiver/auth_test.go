// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

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
	etcd, client := startEtcd(t, lab.ServerOptions{})
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
