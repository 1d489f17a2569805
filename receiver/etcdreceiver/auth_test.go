// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.uber.org/zap"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/keyspace"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/lease"
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

// said returns what was last said of an endpoint that fails.
func (o *observed) said(endpoint string) string {
	entries := o.Log.FilterLevelExact(zap.WarnLevel).FilterField(zap.String("endpoint", endpoint)).All()
	if len(entries) == 0 {
		return ""
	}
	return fmt.Sprint(entries[len(entries)-1].ContextMap()["error"])
}

func TestAUserThatMayReadTwoPrefixes(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	endpoint := etcd.Endpoints[0]
	root := withAuth(t, endpoint, client)
	cfg := configFor(endpoint)
	cfg.Username, cfg.Password = "otel", "pa55word"
	cfg.Watch.Prefixes = append(cfg.Watch.Prefixes, "/secret/")
	o := observe(t, cfg)
	o.Eventually(t, "up is 1", o.has("etcd.member.up", endpoint, 1))
	from := o.watching(t, root)
	o.Eventually(t, "the denied prefix degrades alone", func() bool { return o.Warnings(keyspace.WatchOf+"/secret/") == 1 })
	assert.Equal(t, "etcdserver: permission denied: the user needs read of the whole prefix", o.said(keyspace.WatchOf+"/secret/"))
	o.Eventually(t, "the status says it", func() bool {
		return o.Trouble() == "watch of /secret/: etcdserver: permission denied: the user needs read of the whole prefix"
	})
	set(t, root, "/secret/key", "hidden")
	set(t, root, "/app/key", "hidden")
	l := newLocker(t, root)
	require.NoError(t, l.mutex.Lock(t.Context()))
	l.unlock(t)
	o.requireTruth(t, root, from)
	assert.Empty(t, o.changes("etcd.key.name", "/secret/", 0))
	o.RequireNotTold(t, "pa55word", "hidden", "/secret/key")

	// What is granted later is watched from then on, and what is revoked is said
	// when the watch has to be opened again.
	_, err := root.RoleGrantPermission(t.Context(), "observer", "/secret/", clientv3.GetPrefixRangeEnd("/secret/"), clientv3.PermissionType(clientv3.PermRead))
	require.NoError(t, err)
	o.Eventually(t, "all is well", func() bool { return o.Trouble() == "" })
	granted := set(t, root, "/secret/granted", "")
	o.requireReported(t, "etcd.key.name", "/secret/", 0, []change{{"etcd.key.put", "/secret/granted", granted}})
	_, err = root.RoleRevokePermission(t.Context(), "observer", "/secret/", clientv3.GetPrefixRangeEnd("/secret/"))
	require.NoError(t, err)
	require.NoError(t, etcd.Members[0].Kill())
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	o.Eventually(t, "it is said again", func() bool {
		return o.Trouble() == "watch of /secret/: etcdserver: permission denied: the user needs read of the whole prefix"
	})
	set(t, root, "/app/key", "")
	o.requireTruth(t, root, from)
}

func TestAWrongPasswordIsSaid(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	endpoint := etcd.Endpoints[0]
	withAuth(t, endpoint, client)
	for name, test := range map[string]struct {
		user, password string
		says           string
	}{
		"wrong": {"otel", "wr0ng", "etcdserver: authentication failed, invalid user ID or password: check username and password"},
		"none":  {"", "", "etcdserver: user name is empty: set username and password"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := configFor(endpoint)
			cfg.Username, cfg.Password = test.user, configopaque.String(test.password)
			o := observe(t, cfg)
			o.Eventually(t, "the watch says so", func() bool { return o.Warnings(keyspace.WatchOf+"/app/") == 1 })
			assert.Equal(t, test.says, o.said(keyspace.WatchOf+"/app/"))
			if test.password != "" {
				o.Eventually(t, "up is 0", o.has("etcd.member.up", endpoint, 0))
				o.RequireNotTold(t, test.password)
			}
			assert.Empty(t, o.Events(""))
		})
	}
}

// secretFile is where a receiver finds its password; rotate writes another one.
type secretFile string

func newSecretFile(t *testing.T, secret string) secretFile {
	t.Helper()
	f := secretFile(filepath.Join(t.TempDir(), "password"))
	f.rotate(t, secret)
	return f
}

// rotate replaces the file, as who rotates passwords should: it is never empty.
func (f secretFile) rotate(t *testing.T, secret string) {
	t.Helper()
	next := string(f) + ".next"
	require.NoError(t, os.WriteFile(next, []byte(secret+"\n"), 0o600))
	require.NoError(t, os.Rename(next, string(f)))
}

func TestAPasswordThatIsRotatedInItsFile(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	endpoint := etcd.Endpoints[0]
	root := withAuth(t, endpoint, client)
	file := newSecretFile(t, "pa55word")
	cfg := configFor(endpoint)
	cfg.Username, cfg.PasswordFile = "otel", string(file)
	o := observe(t, cfg)
	from := o.watching(t, root)
	for i := range 2 {
		next := fmt.Sprintf("n3xt-%d", i)
		_, err := root.UserChangePassword(t.Context(), "otel", next)
		require.NoError(t, err)
		set(t, root, fmt.Sprintf("/app/changed/%d", i), "")
		// All logins are lost, and the old password does not make another.
		require.NoError(t, etcd.Members[0].Kill())
		require.NoError(t, etcd.Members[0].Restart(t.Context()))
		o.Eventually(t, "it is said", func() bool { return strings.Contains(o.Trouble(), "authentication failed") })
		set(t, root, fmt.Sprintf("/app/meanwhile/%d", i), "")
		file.rotate(t, next)
		o.requireTruth(t, root, from)
		o.Eventually(t, "all is well", func() bool { return o.Trouble() == "" })
	}
	// A login between the two changes is refused, if there is one.
	file.rotate(t, "l4st")
	_, err := root.UserChangePassword(t.Context(), "otel", "l4st")
	require.NoError(t, err)
	set(t, root, "/app/last", "")
	o.requireTruth(t, root, from)
	o.Eventually(t, "all is well", func() bool { return o.Trouble() == "" })
	o.RequireNotTold(t, "pa55word", "n3xt", "l4st")
}

func TestAuthenticationThatIsTurnedOn(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	cfg := configFor(etcd.Endpoints...)
	cfg.Username, cfg.Password = "otel", "pa55word"
	known, unknown := observe(t, cfg), observe(t, configFor(etcd.Endpoints...))
	from := known.watching(t, client)
	unknown.watching(t, client)
	root := withAuth(t, etcd.Endpoints[0], client)
	set(t, root, "/app/key", "")
	known.requireTruth(t, root, from)
	// An open watch goes on with the rights that it was opened with.
	unknown.requireTruth(t, root, from)
	require.NoError(t, etcd.Members[0].Kill())
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	set(t, root, "/app/later", "")
	known.requireTruth(t, root, from)
	unknown.Eventually(t, "it is said", func() bool {
		return strings.Contains(unknown.Trouble(), "watch of /app/: etcdserver: user name is empty: set username and password")
	})
	known.RequireNotTold(t, "pa55word")
}

func TestALeaseThatMayNotBeSeen(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	endpoint := etcd.Endpoints[0]
	root := withAuth(t, endpoint, client)
	cfg := configFor(endpoint)
	cfg.Username, cfg.Password = "otel", "pa55word"
	cfg.Leases.Mode = lease.ModeAll
	o := observe(t, cfg)
	o.watching(t, root)
	assert.Empty(t, o.Trouble(), "all leases are of keys that may be read")
	hidden, seen := grant(t, root, 60), grant(t, root, 60)
	set(t, root, "/secret/key", "", clientv3.WithLease(hidden))
	set(t, root, "/app/key", "", clientv3.WithLease(seen))
	const says = "list of leases: etcdserver: permission denied: the user needs read of all keys with leases, or the role root; or set leases::mode to watched"
	o.Eventually(t, "it is said", func() bool { return o.Trouble() == says })
	_, err := root.Revoke(t.Context(), seen)
	require.NoError(t, err)
	o.Eventually(t, "leases of observed keys are followed", o.HasEvent("etcd.lease.ended", "etcd.lease.id", fmt.Sprintf("%x", seen)))
	assert.Equal(t, says, o.Trouble())
	assert.Equal(t, 1, o.Warnings(lease.ListCondition), "it lasts")
	_, err = root.Revoke(t.Context(), hidden)
	require.NoError(t, err)
	o.Eventually(t, "all is well", func() bool { return o.Trouble() == "" })
}

func grant(t *testing.T, client *clientv3.Client, ttl int64) clientv3.LeaseID {
	t.Helper()
	lease, err := client.Grant(t.Context(), ttl)
	require.NoError(t, err)
	return lease.ID
}
