// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLabStartsEverything(t *testing.T) {
	needsServers(t)
	var progress bytes.Buffer
	l, err := Start(t.Context(), Options{Progress: &progress})
	require.NoError(t, err)
	stopAfter(t, l)
	env := map[string]string{}
	for _, kv := range l.Env() {
		key, value, _ := strings.Cut(kv, "=")
		env[key] = value
	}
	for key, url := range map[string]string{
		"CONSUL_HTTP_ADDR":  "http://" + env["CONSUL_HTTP_ADDR"] + "/v1/catalog/nodes",
		"ETCD_ENDPOINTS":    env["ETCD_ENDPOINTS"] + "/version",
		"ETCDCTL_ENDPOINTS": env["ETCDCTL_ENDPOINTS"] + "/health",
		"VAULT_ADDR":        env["VAULT_ADDR"] + "/v1/sys/health",
		"JAEGER_QUERY_URL":  env["JAEGER_QUERY_URL"] + "/api/services",
		"PROMETHEUS_URL":    env["PROMETHEUS_URL"] + "/-/healthy",
	} {
		require.NoError(t, answersOK(url)(t.Context()), key)
	}
	var self struct{ Data struct{ Policies []string } }
	token := http.Header{"X-Vault-Token": {env["VAULT_TOKEN"]}}
	require.NoError(t, getJSON(t.Context(), env["VAULT_ADDR"]+"/v1/auth/token/lookup-self", token, &self))
	require.Equal(t, []string{"root"}, self.Data.Policies)
	require.NotEmpty(t, env["VAULT_UNSEAL_KEY"])
	require.NotEmpty(t, env["JAEGER_OTLP_ENDPOINT"])
	require.Contains(t, l.Logs(5), "--- prometheus (")
	require.NotContains(t, progress.String(), env["VAULT_TOKEN"])

	require.NoError(t, l.Stop())
	require.NoError(t, l.Stop())
	require.Len(t, l.Servers(), 5)
	for _, server := range l.Servers() {
		<-server.Process().Done()
	}
	require.NoDirExists(t, l.Dir)
}

func TestLabThatFailsToStartKeepsTheLogs(t *testing.T) {
	needsServers(t)
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Servers: []string{"consul", "etcd"}, Dir: dir, ConsulHCL: "nonsense = {"})
	require.ErrorContains(t, err, "logs are kept in "+dir)
	require.ErrorContains(t, err, "consul ended before it was ready")
	require.FileExists(t, filepath.Join(dir, "consul.log"))

	_, err = Start(t.Context(), Options{Servers: []string{"consul"}, Dir: dir})
	require.ErrorContains(t, err, "is not empty")
}

func TestEtcdThreeMembers(t *testing.T) {
	needsServers(t)
	l, err := Start(t.Context(), Options{Servers: []string{"etcd"}, EtcdMembers: 3, Dir: filepath.Join(t.TempDir(), "new")})
	require.NoError(t, err)
	stopAfter(t, l)
	require.Len(t, l.Etcd.Endpoints, 3)
	put := func(endpoint string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return post(ctx, endpoint+"/v3/kv/put", `{"key":"YQ==","value":"Yg=="}`)
	}
	puts := func(endpoint string) { // in the end: an election takes a while
		t.Helper()
		require.Eventually(t, func() bool { return put(endpoint) == nil }, time.Minute, 50*time.Millisecond)
	}
	puts(l.Etcd.Endpoints[0])
	require.NoError(t, l.Etcd.Members[0].Kill())
	require.Error(t, put(l.Etcd.Endpoints[0]))
	puts(l.Etcd.Endpoints[1]) // The killed one may have led.
	require.NoError(t, l.Etcd.Members[0].Restart(t.Context()))
	puts(l.Etcd.Endpoints[0])
	require.NoError(t, l.Stop())
	require.FileExists(t, filepath.Join(l.Dir, "etcd-1.log"))
}

func TestEtcdStandsAlone(t *testing.T) {
	needsServers(t)
	_, err := StartEtcd(t.Context(), ServerOptions{Members: 2})
	require.ErrorContains(t, err, "choose 1 or 3")
	e, err := StartEtcd(t.Context(), ServerOptions{ExtraArgs: []string{"--max-txn-ops=7"}})
	require.NoError(t, err)
	dir := e.ownDir
	require.DirExists(t, dir)
	require.NoError(t, e.Stop(t.Context()))
	require.NoDirExists(t, dir)
}

func TestConsulRestartKeepsState(t *testing.T) {
	needsServers(t)
	c, err := StartConsul(t.Context(), ServerOptions{Token: "6f9d3a52-6ce0-4a6e-8a3e-1f0b7d4a9c11", ExtraHCL: `telemetry { prometheus_retention_time = "1h" }`})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Stop(context.Background())) }()
	url, token := "http://"+c.Addr+"/v1/kv/key", http.Header{"X-Consul-Token": {c.Token}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader("value"))
	require.NoError(t, err)
	request.Header = token
	answer, err := probeClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)

	before := c.Process().PID()
	require.NoError(t, c.Restart(t.Context()))
	require.NotEqual(t, before, c.Process().PID())
	status, value, err := get(t.Context(), url+"?raw", token)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "value", string(value))
	status, _, err = get(t.Context(), url, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status, "ACLs are on")
}

func TestPrometheusScrapesTargetsNamedLater(t *testing.T) {
	needsServers(t)
	p, err := StartPrometheus(t.Context(), ServerOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop(context.Background())) }()
	itself := strings.TrimPrefix(p.URL, "http://")
	require.NoError(t, p.Scrape(itself))
	require.Eventually(t, func() bool {
		status, body, err := get(t.Context(), p.URL+"/api/v1/query?query=up", nil)
		return err == nil && status == http.StatusOK && strings.Contains(string(body), itself)
	}, time.Minute, 100*time.Millisecond)
}

// needsServers skips in short runs, and builds what is missing with progress shown.
func needsServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers; run without -short")
	}
	require.NoError(t, Build(t.Context(), os.Stderr))
}

// stopAfter stops the lab with the test, and shows the logs if that has failed.
func stopAfter(t *testing.T, l *Lab) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(l.Logs(40))
		}
		require.NoError(t, l.Stop())
		require.False(t, slices.ContainsFunc(l.Servers(), func(s *Server) bool { return !s.Process().ended() }))
	})
}

func post(ctx context.Context, url, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := probeClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return nil
}
