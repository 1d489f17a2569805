// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

func TestAllKeys(t *testing.T) {
	t.Parallel()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	set(t, client, "\x01", "there before")
	set(t, client, "a key", "there before")
	cfg := configFor(etcd.Endpoints...)
	cfg.Watch.Prefixes, cfg.Locks.Prefixes = []string{""}, nil
	require.NoError(t, cfg.Validate())
	o := observe(t, cfg)
	o.Eventually(t, "what is there", o.HasValue(2, "etcd.key.count"))
	for _, key := range []string{"\x00", "no slash", "/app/a", "\xff\xff"} {
		set(t, client, key, "")
	}
	o.Eventually(t, "the last", func() bool { set(t, client, "/app/last", ""); return len(o.reported("etcd.key.name", "/app/last")) > 0 })
	for _, key := range []string{"no slash", "/app/a"} {
		assert.Equal(t, []string{"etcd.key.put"}, o.reported("etcd.key.name", key))
	}
	o.Eventually(t, "all are counted", o.HasValue(7, "etcd.key.count"))
	assert.Equal(t, 1, o.Log.FilterMessageSnippet("all keys of etcd are watched").Len())
	assert.Empty(t, o.Trouble())
	require.NoError(t, etcd.Members[0].Kill())
	require.NoError(t, etcd.Members[0].Restart(t.Context()))
	set(t, client, "after", "")
	o.Eventually(t, "it goes on", o.HasEvent("etcd.key.put", "etcd.key.name", "after"))
	assert.Empty(t, o.Events("etcd.watch.gap"))
}
