// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

// read returns the body of an answer, empty if there is none.
func read(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// exposition returns what Prometheus would scrape.
func (a *alone) exposition() string { return read("http://" + a.metrics + "/metrics") }

// metric says whether the newest value of a metric is this one.
func (a *alone) metric(name, value string) bool {
	for line := range strings.Lines(a.exposition()) {
		if strings.HasPrefix(line, name+"{") && strings.HasSuffix(strings.TrimSpace(line), "} "+value) {
			return true
		}
	}
	return false
}

func TestServersThatAreAllAbsent(t *testing.T) {
	begin := time.Now()
	a := startAlone(t)
	for _, up := range []string{"consul_up", "etcd_member_up", "vault_up"} {
		require.Eventually(t, func() bool { return a.metric(up, "0") }, soon, 100*time.Millisecond, up)
	}
	for _, receiver := range []string{"consul", "etcd", "vault"} {
		says := regexp.MustCompile(`"receiver:` + receiver + `":\{"healthy":true,"status":"StatusRecoverableError","error":`)
		require.Eventually(t, func() bool { return says.MatchString(read("http://" + a.health + "/status?verbose")) }, soon, 100*time.Millisecond, receiver)
	}
	time.Sleep(8 * time.Second) // more cycles and attempts at connections
	log := a.collector.LogTail(1000)
	for _, receiver := range []string{"consul", "etcd", "vault"} {
		said := 0
		for line := range strings.Lines(log) {
			if strings.Contains(line, "cannot observe") && strings.Contains(line, `"otelcol.component.id": "`+receiver+`"`) {
				said++
			}
		}
		assert.NotZero(t, said, "%s is not said to be absent:\n%s", receiver, log)
		assert.LessOrEqual(t, said, 4, "%s floods the log:\n%s", receiver, log)
	}
	// gRPC logs each attempt, and waits a second less its jitter, a fifth, or longer for the next one.
	attempts := 1 + int(time.Since(begin)/(800*time.Millisecond))
	for _, server := range []string{a.etcd, a.jgr} {
		logged := strings.Count(log, `failed to connect to {Addr: "`+server+`"`)
		assert.NotZero(t, logged, "%s is not said to be absent:\n%s", server, log)
		assert.LessOrEqual(t, logged, attempts, "gRPC floods the log:\n%s", log)
	}
}

func TestOneServerThatIsPresent(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run make test")
	}
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	a := startAlone(t, "ETCD_ENDPOINTS="+strings.Join(etcd.Endpoints, ","))
	require.Eventually(t, func() bool {
		return a.metric("etcd_member_up", "1") && a.metric("consul_up", "0") && a.metric("vault_up", "0")
	}, soon, 100*time.Millisecond, "the receivers of absent servers must not stop the one that has a server")
}

// What a server said last must not stay true when it is gone.
func TestAServerThatDies(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run make test")
	}
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	a := startAlone(t, "ETCD_ENDPOINTS="+strings.Join(etcd.Endpoints, ","))
	require.Eventually(t, func() bool { return a.metric("etcd_member_leader", "1") }, soon, 100*time.Millisecond, "it leads")
	require.NoError(t, etcd.Members[0].Kill())
	require.Eventually(t, func() bool {
		return a.metric("etcd_member_up", "0") && !strings.Contains(a.exposition(), "etcd_member_leader{")
	}, soon, 100*time.Millisecond, "it is down, and leads no more")
}
