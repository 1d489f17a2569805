// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

const tracingGuide = "../docs/guides/etcd-tracing.md"

var flag = regexp.MustCompile(`(?m)^  (--[a-z-]+\S*)`)

// tracingFlags are those that the guide gives, with another address.
func tracingFlags(t *testing.T, address string) []string {
	t.Helper()
	guide, err := os.ReadFile(tracingGuide)
	require.NoError(t, err)
	var flags []string
	for _, match := range flag.FindAllStringSubmatch(string(guide), -1) {
		flags = append(flags, strings.ReplaceAll(match[1], "127.0.0.1:14317", address))
	}
	require.Len(t, flags, 5)
	return flags
}

// The spans that etcd itself sends, as the guide turns them on, arrive in
// Jaeger: without the names of keys from the service that the guide names, and
// with them from another one.
func TestTheTracesOfEtcdItself(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd and Jaeger; run make test")
	}
	since := time.Now()
	snippets := snippetsOf(t, tracingGuide)
	require.Len(t, snippets, 1)
	servers, err := lab.Start(t.Context(), lab.Options{Servers: []string{"jaeger"}, Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Stop()) })
	a := startConfigured(t, snippets, "JAEGER_OTLP_ENDPOINT="+servers.Jaeger.OTLPGRPC)
	flags := tracingFlags(t, a.otlp)
	askTraced(t, flags)
	askTraced(t, append(flags, "--distributed-tracing-service-name=etcd-plain"))

	names := []string{
		"etcdserverpb.KV/Put", "put", "etcdserverpb.KV/Range", "range", "etcdserverpb.KV/Txn", "txn",
		"etcdserverpb.KV/DeleteRange", "delete_range", "etcdserverpb.Lease/LeaseGrant", "lease_grant",
		"etcdserverpb.Lease/LeaseKeepAlive", "lease_renew", "etcdserverpb.Lease/LeaseRevoke", "lease_revoke",
		"etcdserverpb.Watch/Watch", "watch", "etcdserverpb.KV/Compact", "compact",
	}
	keys := map[string]string{
		"put.key": "/secret/put", "range.range_begin": "/secret/range", "range.range_end": "/secret/s",
		"txn.compare_first_key": "/secret/compare", "txn.success_first_key": "/secret/txn",
		"delete_range.range_begin": "/secret/delete", "delete_range.range_end": "/secret/f",
		"watch.key": "/secret/put",
	}
	for _, service := range []string{"etcd-server", "etcd-plain"} {
		t.Run(service, func(t *testing.T) {
			var spans []readback.Span
			named := map[string]readback.Span{}
			require.Eventually(t, func() (complete bool) {
				var err error
				spans, err = readback.Jaeger(servers.Jaeger.QueryURL).Spans(t.Context(), service, since)
				for _, s := range spans {
					named[s.Name] = s
				}
				return err == nil && !slices.ContainsFunc(names, func(name string) bool { return named[name].SpanID == "" })
			}, soon, 200*time.Millisecond, "all of %v", names)
			assert.Equal(t, named["etcdserverpb.KV/Put"].SpanID, named["put"].ParentSpanID)
			assert.Equal(t, "60", fmt.Sprint(named["lease_grant"].Attributes["ttl"]))
			assert.Equal(t, named["lease_grant"].Attributes["id"], named["txn"].Attributes["success_first_lease"])

			told := map[string]string{}
			for _, s := range spans {
				for attribute, value := range s.Attributes {
					text := fmt.Sprint(value)
					assert.NotContains(t, text, "a value", "%s of %s", attribute, s.Name)
					if strings.Contains(text, "/secret/") {
						told[s.Name+"."+attribute] = text
					}
				}
			}
			if service == "etcd-server" {
				assert.Empty(t, told)
			} else {
				assert.Equal(t, keys, told)
			}
		})
	}
}

// askTraced asks an etcd with these flags for something of every kind.
func askTraced(t *testing.T, flags []string) {
	t.Helper()
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{ExtraArgs: flags})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()

	put, err := client.Put(ctx, "/secret/put", "a value")
	require.NoError(t, err)
	changes := client.Watch(ctx, "/secret/put", clientv3.WithRev(put.Header.Revision))
	require.Len(t, (<-changes).Events, 1)
	_, err = client.Get(ctx, "/secret/range", clientv3.WithRange("/secret/s"))
	require.NoError(t, err)
	lease, err := client.Grant(ctx, 60)
	require.NoError(t, err)
	_, err = client.KeepAliveOnce(ctx, lease.ID)
	require.NoError(t, err)
	txn, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("/secret/compare"), "=", 0)).
		Then(clientv3.OpPut("/secret/txn", "a value", clientv3.WithLease(lease.ID))).Commit()
	require.NoError(t, err)
	require.True(t, txn.Succeeded)
	_, err = client.Delete(ctx, "/secret/delete", clientv3.WithRange("/secret/f"))
	require.NoError(t, err)
	_, err = client.Revoke(ctx, lease.ID)
	require.NoError(t, err)
	_, err = client.Compact(ctx, put.Header.Revision)
	require.NoError(t, err)
	require.NoError(t, client.Close()) // A watch is told when its stream ends.
}
