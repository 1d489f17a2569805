// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
)

func enableKV(t *testing.T, client *api.Client, path, version string) {
	t.Helper()
	require.NoError(t, client.Sys().MountWithContext(t.Context(), path, &api.MountInput{Type: "kv", Options: map[string]string{"version": version}}))
}

// startStored starts a receiver that keeps what it has told in dir.
func startStored(t *testing.T, cfg *Config, dir string) *observedtest.Receiver {
	t.Helper()
	storage, host := observedtest.FileStorage(t, dir)
	own := *cfg
	own.Storage = &storage
	own.Scrape.CollectionInterval, own.Scrape.InitialDelay = 200*time.Millisecond, 0
	return observedtest.StartOn(t, host, NewFactory(), &own)
}

// eventsOf returns the events with names that begin so.
func eventsOf(o *observedtest.Receiver, prefix string) (events []plog.LogRecord) {
	for _, event := range o.Events("") {
		if strings.HasPrefix(event.EventName(), prefix) {
			events = append(events, event)
		}
	}
	return events
}

func TestMounts(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Mounts")))
	cfg.Mounts.Enabled = true
	enableKV(t, client, "first", "1")
	o := observe(t, cfg, string(cfg.Token), "planted")
	of := func(class, kind string) []string {
		return []string{"vault.mount.class", class, "vault.mount.type", kind}
	}
	o.Eventually(t, "the baseline", o.HasValue(1, "vault.mount.count", append(of("secret", "kv"), "vault.mount.version", "1")...))
	o.Eventually(t, "what is built in", o.HasValue(1, "vault.mount.count", of("auth", "token")...))
	assert.True(t, o.HasValue(1, "vault.mount.count", of("secret", "identity")...)())
	var told []plog.LogRecord
	next := func(name, path string) plog.LogRecord {
		t.Helper()
		o.Eventually(t, name+" "+path, o.HasEvent(name, "vault.mount.path", path))
		told = append(told, o.Events(name, "vault.mount.path", path)...)
		return told[len(told)-1]
	}

	enableKV(t, client, "second", "1")
	accessor := text(next("vault.mount.enabled", "second/").Attributes(), "vault.mount.accessor")
	_, err := client.Logical().Write("sys/mounts/second/tune", map[string]any{"description": "planted", "default_lease_ttl": "1h"})
	require.NoError(t, err)
	next("vault.mount.tuned", "second/")
	_, err = client.Logical().Write("sys/mounts/second/tune", map[string]any{"options": map[string]any{"version": "2"}})
	require.NoError(t, err)
	upgraded := next("vault.mount.upgraded", "second/")
	assert.Equal(t, "1", text(upgraded.Attributes(), "vault.mount.version.old"))
	assert.Equal(t, "2", text(upgraded.Attributes(), "vault.mount.version"))
	require.NoError(t, client.Sys().Remount("second", "team/third"))
	moved := next("vault.mount.moved", "team/third/")
	assert.Equal(t, "second/", text(moved.Attributes(), "vault.mount.path.old"))
	assert.Equal(t, accessor, text(moved.Attributes(), "vault.mount.accessor"))
	require.NoError(t, client.Sys().Unmount("team/third"))
	gone := next("vault.mount.disabled", "team/third/")
	assert.Equal(t, plog.SeverityNumberWarn, gone.SeverityNumber())
	assert.Equal(t, "secrets engine team/third/ was disabled", gone.Body().Str())

	require.NoError(t, client.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}))
	before := text(next("vault.mount.enabled", "auth/userpass/").Attributes(), "vault.mount.accessor")
	o.Eventually(t, "its number", o.HasValue(1, "vault.mount.count", of("auth", "userpass")...))
	require.NoError(t, client.Sys().Remount("auth/userpass", "auth/people"))
	next("vault.mount.moved", "auth/people/")
	require.NoError(t, client.Sys().DisableAuth("people"))
	require.NoError(t, client.Sys().EnableAuthWithOptions("people", &api.EnableAuthOptions{Type: "userpass"}))
	gone = next("vault.mount.disabled", "auth/people/")
	again := next("vault.mount.enabled", "auth/people/")
	assert.Equal(t, before, text(gone.Attributes(), "vault.mount.accessor"))
	assert.NotEqual(t, before, text(again.Attributes(), "vault.mount.accessor"))

	assert.Len(t, eventsOf(o, "vault.mount."), len(told), "nothing else, and nothing twice")
	for _, event := range told {
		assert.Equal(t, "false", text(event.Attributes(), "observation.reconciled"), event.EventName())
	}
	assert.Zero(t, o.Warnings(endpointMounts)+o.Warnings(endpointAuth))
}

func TestMountsThatAreEnabledWhileNobodyLooks(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Mounts")))
	cfg.Mounts.Enabled = true
	start := func(dir string) *observedtest.Receiver { return startStored(t, cfg, dir) }
	dir := t.TempDir()
	o := start(dir)
	o.Eventually(t, "the baseline", func() bool { return o.HasMetric("vault.mount.count") })
	enableKV(t, client, "first", "1")
	o.Eventually(t, "it is told at once", o.HasEvent("vault.mount.enabled", "vault.mount.path", "first/", "observation.reconciled", "false"))
	o.Shutdown(t)

	enableKV(t, client, "second", "1")
	require.NoError(t, client.Sys().Unmount("first"))
	o = start(dir)
	o.Eventually(t, "the next process", o.HasEvent("vault.mount.enabled", "vault.mount.path", "second/", "observation.reconciled", "true"))
	assert.True(t, o.HasEvent("vault.mount.disabled", "vault.mount.path", "first/", "observation.reconciled", "true")())
	enableKV(t, client, "third", "1")
	o.Eventually(t, "the time is known again", o.HasEvent("vault.mount.enabled", "vault.mount.path", "third/", "observation.reconciled", "false"))
	assert.Len(t, eventsOf(o, "vault.mount."), 3)
	o.Shutdown(t)

	o = start(t.TempDir())
	o.Eventually(t, "a process that knows nothing", func() bool { return o.HasMetric("vault.mount.count") })
	enableKV(t, client, "fourth", "1")
	o.Eventually(t, "it is told", o.HasEvent("vault.mount.enabled", "vault.mount.path", "fourth/"))
	assert.Len(t, eventsOf(o, "vault.mount."), 1, "the baseline is not news")
}

// cuttable returns the address of a proxy to a server, and a function that cuts
// it off or lets it through again.
func cuttable(t *testing.T, server string) (string, func(bool)) {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	var cut atomic.Bool
	pass := httputil.NewSingleHostReverseProxy(to)
	pass.ErrorLog = log.New(io.Discard, "", 0)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cut.Load() {
			panic(http.ErrAbortHandler) // closes the connection
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, cut.Store
}

func TestMountsThatAreEnabledWhileVaultCannotBeAsked(t *testing.T) {
	for name, interrupt := range map[string]func(*testing.T, *lab.Vault, *observedtest.Receiver, func(bool)){
		"it is cut off": func(t *testing.T, _ *lab.Vault, o *observedtest.Receiver, cut func(bool)) {
			cut(true)
			o.Eventually(t, "that", o.HasValue(0, "vault.up"))
		},
		"it restarts": func(t *testing.T, vault *lab.Vault, o *observedtest.Receiver, cut func(bool)) {
			cut(true)
			o.Eventually(t, "that", o.HasValue(0, "vault.up"))
			require.NoError(t, vault.Restart(t.Context()))
		},
		"it is sealed": func(t *testing.T, vault *lab.Vault, o *observedtest.Receiver, cut func(bool)) {
			require.NoError(t, vault.Seal(t.Context()))
			o.Eventually(t, "that", o.HasValue(1, "vault.sealed"))
			cut(true)
			require.NoError(t, vault.Unseal(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			vault, client := startVault(t)
			address, cut := cuttable(t, vault.Addr)
			cfg := only(address, tokenFor(t, client, policyOf(t, "Mounts")))
			cfg.Mounts.Enabled = true
			o := observe(t, cfg, string(cfg.Token))
			o.Eventually(t, "the baseline", func() bool { return o.HasMetric("vault.mount.count") })
			enableKV(t, client, "first", "1")
			o.Eventually(t, "it is told at once", o.HasEvent("vault.mount.enabled", "vault.mount.path", "first/", "observation.reconciled", "false"))
			interrupt(t, vault, o, cut)
			o.Eventually(t, "what is not known is not measured", func() bool { return !o.HasMetric("vault.mount.count") })
			require.Eventually(t, func() bool {
				return client.Sys().Mount("second", &api.MountInput{Type: "kv"}) == nil
			}, time.Minute, 20*time.Millisecond)
			cut(false)
			o.Eventually(t, "it is told", o.HasEvent("vault.mount.enabled", "vault.mount.path", "second/", "observation.reconciled", "true"))
			enableKV(t, client, "third", "1")
			o.Eventually(t, "the time is known again", o.HasEvent("vault.mount.enabled", "vault.mount.path", "third/", "observation.reconciled", "false"))
			assert.Len(t, o.Events("vault.mount.enabled"), 3)
		})
	}
}

func TestMountsWhileAConsumerRefuses(t *testing.T) {
	vault, client := startVault(t)
	cfg := only(vault.Addr, tokenFor(t, client, policyOf(t, "Mounts", "Cluster", "The receiver's own token")))
	cfg.Mounts.Enabled = true
	o := observe(t, cfg, string(cfg.Token))
	kv := func(n int64) {
		t.Helper()
		o.Eventually(t, "the number", o.HasValue(n, "vault.mount.count", "vault.mount.type", "kv"))
	}
	o.Eventually(t, "the baseline", func() bool { return o.HasMetric("vault.mount.count") })
	o.Refuse(true)
	enableKV(t, client, "first", "1")
	o.Eventually(t, "it is refused", func() bool { return strings.Contains(o.Trouble(), "delivery of logs") })
	enableKV(t, client, "second", "1")
	kv(2)
	enableKV(t, client, "third", "1")
	kv(3)
	require.NoError(t, client.Sys().Unmount("second"))
	kv(2)
	o.Refuse(false)
	for _, path := range []string{"first/", "second/", "third/"} {
		o.Eventually(t, path, o.HasEvent("vault.mount.enabled", "vault.mount.path", path, "observation.reconciled", "false"))
	}
	o.Eventually(t, "and what went", o.HasEvent("vault.mount.disabled", "vault.mount.path", "second/", "observation.reconciled", "false"))
	assert.Len(t, o.Events("vault.mount.enabled"), 3)
	assert.Len(t, o.Events("vault.mount.disabled"), 1)
	assert.Empty(t, o.Events("vault.watch.gap"))
}

// Each server has a receiver, and one of them tells.
func TestMountsOfAClusterAreToldOnce(t *testing.T) {
	vault := startVaults(t, lab.ServerOptions{Members: 3})
	first := leaderOf(t, vault, -1)
	client, err := vault.Client(first)
	require.NoError(t, err)
	token := tokenFor(t, client, policyOf(t, "Mounts"))
	var all []*observedtest.Receiver
	for _, addr := range vault.Addrs {
		cfg := only(addr, token)
		cfg.Mounts.Enabled = true
		all = append(all, observe(t, cfg, token))
	}
	enable := func(through int, path string) error {
		err := mustClient(t, vault, through).Sys().Mount(path, &api.MountInput{Type: "kv"})
		if err != nil && strings.Contains(err.Error(), "path is already in use at "+path+"/") {
			return nil // by who gave up being active before it could answer
		}
		return err
	}
	told := func(path string) (n int) {
		for _, o := range all {
			n += len(o.Events("vault.mount.enabled", "vault.mount.path", path+"/"))
		}
		return n
	}
	toldBy := func(i int, path string) {
		t.Helper()
		o := all[i]
		o.Eventually(t, "the baseline of "+path, func() bool { return o.HasMetric("vault.mount.count") })
		require.Eventually(t, func() bool { return enable(i, path) == nil }, time.Minute, 20*time.Millisecond)
		o.Eventually(t, path, o.HasEvent("vault.mount.enabled", "vault.mount.path", path+"/", "observation.reconciled", "false"))
	}
	toldBy(first, "before")
	stepDown := func(path string, before int) (after int) {
		t.Helper()
		require.NoError(t, vault.StepDown(t.Context()))
		require.Eventually(t, func() bool { // as soon as it can be, through a standby or not
			for i := range all {
				if enable(i, path) == nil {
					return true
				}
			}
			return false
		}, 2*time.Minute, 5*time.Millisecond)
		after = leaderOf(t, vault, before)
		o := all[before]
		o.Eventually(t, "it measures no more", func() bool { return !o.HasMetric("vault.mount.count") })
		return after
	}
	second := stepDown("during", first)
	toldBy(second, "after")

	// Without the third, the first one has to lead again.
	third := 3 - first - second
	_, err = mustClient(t, vault, second).Logical().Write("sys/storage/raft/remove-peer", map[string]any{"server_id": []string{"lab-1", "lab-2", "lab-3"}[third]})
	require.NoError(t, err)
	require.Equal(t, first, stepDown("during-the-second", second))
	toldBy(first, "again")

	for _, path := range []string{"before", "after", "again"} {
		assert.Equal(t, 1, told(path), path)
	}
	for _, path := range []string{"during", "during-the-second"} {
		assert.LessOrEqual(t, told(path), 1, path)
	}
	for _, o := range all {
		assert.Len(t, eventsOf(o, "vault.mount."), len(o.Events("vault.mount.enabled")), "nothing else has happened")
	}
}

func mustClient(t *testing.T, vault *lab.Vault, i int) *api.Client {
	t.Helper()
	client, err := vault.Client(i)
	require.NoError(t, err)
	return client
}

func TestThePathsOfAllMountsAreKnown(t *testing.T) {
	known := &mountPaths{of: map[string][]string{}}
	engines := state.Mounts{"1": {Path: "kv/", Accessor: "kv_1"}, "2": {Path: "a/kv/", Accessor: "kv_2"}}
	assert.Equal(t, []string{"a/kv/", "kv/"}, known.learn(endpointMounts, engines))
	methods := state.Mounts{"3": {Path: "auth/token/", Accessor: "token_3"}}
	assert.Equal(t, []string{"a/kv/", "kv/", "auth/token/"}, known.learn(endpointAuth, methods))
	delete(engines, "2")
	assert.Equal(t, []string{"kv/", "auth/token/"}, known.learn(endpointMounts, engines))
}
