// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// backups are of an etcd of one member, which can go back to them.
type backups struct {
	etcd   *lab.Etcd
	client *clientv3.Client
	home   string // of the member
}

func startBackups(t *testing.T) *backups {
	t.Helper()
	dir := t.TempDir()
	etcd, client := startEtcd(t, lab.ServerOptions{Dir: dir})
	return &backups{etcd, client, filepath.Join(dir, "etcd", "data")}
}

// backup returns the file of a new one.
func (b *backups) backup(t *testing.T) string {
	t.Helper()
	content, err := b.client.Snapshot(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, content.Close()) }()
	path := filepath.Join(t.TempDir(), "backup.db")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	_, err = io.Copy(file, content)
	require.NoError(t, err)
	return path
}

// restore goes back to one, with arguments of etcdutl.
func (b *backups) restore(t *testing.T, file string, args ...string) {
	t.Helper()
	members, err := b.client.MemberList(t.Context())
	require.NoError(t, err)
	peer := members.Members[0].PeerURLs[0]
	require.NoError(t, b.etcd.Members[0].Kill())
	require.NoError(t, os.RemoveAll(b.home))
	etcdutl, err := lab.Binary(t.Context(), "etcdutl", io.Discard)
	require.NoError(t, err)
	output, err := exec.CommandContext(t.Context(), etcdutl, append([]string{
		"snapshot", "restore", file, "--data-dir=" + b.home, "--name=etcd",
		"--initial-cluster=etcd=" + peer, "--initial-advertise-peer-urls=" + peer,
	}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NoError(t, b.etcd.Members[0].Restart(t.Context()))
}

// More is written after a backup was restored than was lost, before it is observed: the
// newest revision is not below the known one; and less.
func TestARestoredBackupThatOvertakesTheKnownRevision(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args    []string
		more    int  // writes than were lost
		away    bool // the receiver, meanwhile; it has a storage
		deleted bool // the newest known change was a deletion
	}{
		"not yet":                    {more: -15},
		"by a little":                {more: 3},
		"by much":                    {more: 300},
		"while the receiver is away": {more: 30, away: true},
		"after a deletion":           {more: 30, deleted: true},
		"with higher revisions, and all is compacted": {more: -100, args: []string{"--bump-revision=1000000", "--mark-compacted"}},
		"compacted while the receiver is away":        {more: -100, away: true, args: []string{"--bump-revision=1000000", "--mark-compacted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBackups(t)
			l := newLink(t, b.etcd.Endpoints[0])
			cfg, host := stored(t, "http://"+l.address)
			o := observeOn(t, host, cfg())
			o.watching(t, b.client)
			kept := grant(t, b.client, 600)
			set(t, b.client, "/app/kept", "old", clientv3.WithLease(kept))
			set(t, b.client, "/app/same", "")
			set(t, b.client, "/app/deleted", "")
			file := b.backup(t)
			lost := grant(t, b.client, 600)
			lostSince := set(t, b.client, "/app/kept", "new", clientv3.WithLease(kept))
			set(t, b.client, "/app/ghost", "", clientv3.WithLease(lost))
			remove(t, b.client, "/app/deleted")
			for range 20 {
				set(t, b.client, "/app/busy", "")
			}
			last := set(t, b.client, "/app/last", "")
			o.Eventually(t, "the last", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/last"))
			if test.deleted {
				last = remove(t, b.client, "/app/last")
				o.Eventually(t, "the last", o.HasEvent("etcd.key.delete", "etcd.key.name", "/app/last"))
			}
			o.askedFor(t, lost)
			if test.away {
				o.Shutdown(t)
			}
			l.set(true)
			b.restore(t, file, test.args...)
			for range int(last-lostSince) + 1 + test.more {
				set(t, b.client, "/other/key", "")
			}
			set(t, b.client, "/app/new", "")
			l.set(false)
			if test.away {
				o = observeOn(t, host, cfg())
			}
			before := len(o.Events("", "etcd.key.name", "/app/same"))
			o.Eventually(t, "the gap", o.HasEvent("etcd.watch.gap", "etcd.watch.prefix", "/app/", "etcd.gap.reason", "restored"))
			o.Eventually(t, "a new key", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/new", "observation.reconciled", "true"))
			if !test.away { // Else names are not known.
				o.Eventually(t, "the ghost goes", o.HasEvent("etcd.key.delete", "etcd.key.name", "/app/ghost", "observation.reconciled", "true"))
				o.Eventually(t, "one is back", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/deleted", "observation.reconciled", "true"))
				o.Eventually(t, "one is old again", o.HasEvent("etcd.key.put", "etcd.key.name", "/app/kept", "etcd.key.created", "false", "observation.reconciled", "true"))
				assert.Len(t, o.Events("", "etcd.key.name", "/app/same"), before, "nothing has happened to it")
			}
			o.Eventually(t, "both gaps", o.HasEvent("etcd.watch.gap", "etcd.watch.prefix", "/locks/"))
			o.Eventually(t, "the watch goes on", func() bool {
				set(t, b.client, "/app/later", "")
				return o.HasEvent("etcd.key.put", "etcd.key.name", "/app/later", "observation.reconciled", "false")()
			})
			assert.Len(t, o.Events("etcd.watch.gap"), 2, "one of each prefix")
			uids := map[string]bool{}
			for _, event := range o.Events("etcd.key.put") {
				uid := value(event.Attributes(), "log.record.uid")
				assert.False(t, uids[uid], "%v has the ID of another report", event.Attributes().AsRaw())
				uids[uid] = true
			}
			for _, event := range o.Events("etcd.lease.ended") {
				assert.NotEqual(t, "revoked", value(event.Attributes(), attrCause), fmt.Sprint(event.Attributes().AsRaw()))
			}
		})
	}
}

// The same history, after all connections were lost, is no restored one.
func TestARestartWithoutABackupIsNoGap(t *testing.T) {
	t.Parallel()
	b := startBackups(t)
	cfg, host := stored(t, b.etcd.Endpoints...)
	o := observeOn(t, host, cfg())
	from := o.watching(t, b.client)
	for _, compacts := range []bool{false, true} {
		set(t, b.client, "/app/a", "")
		deleted := set(t, b.client, "/app/b", "")
		remove(t, b.client, "/app/b")
		o.requireTruth(t, b.client, from)
		if compacts {
			_, err := b.client.Compact(t.Context(), deleted+1)
			require.NoError(t, err)
			from = deleted + 1
		}
		require.NoError(t, b.etcd.Members[0].Kill())
		require.NoError(t, b.etcd.Members[0].Restart(t.Context()))
		set(t, b.client, "/app/c", "")
		o.Eventually(t, "the watch goes on", func() bool {
			set(t, b.client, "/app/later", "")
			return o.HasEvent("etcd.key.put", "etcd.key.name", "/app/later", "observation.reconciled", "false")()
		})
	}
	assert.Empty(t, o.Events("etcd.watch.gap"))
}
