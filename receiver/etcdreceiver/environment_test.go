// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/otelcol-infra/otelcol-infra/internal/envtest"
	"github.com/otelcol-infra/otelcol-infra/internal/readmetest"
	"github.com/otelcol-infra/otelcol-infra/internal/recordtest"
	"github.com/otelcol-infra/otelcol-infra/lab"
)

// environment returns values of all environment variables that etcd's own client knows. Some are what its commands
// know.
func environment(t *testing.T) map[string]string {
	t.Helper()
	other := recordtest.NewCertificate(t, "planted")
	return map[string]string{
		"ETCD_CLIENT_DEBUG":            "debug",
		"ETCD_VERIFY":                  "all",
		"ETCDCTL_API":                  "2",
		"ETCDCTL_CACERT":               other.File,
		"ETCDCTL_CERT":                 other.File,
		"ETCDCTL_DIAL_TIMEOUT":         "1ns",
		"ETCDCTL_ENDPOINTS":            "http://127.0.0.1:1",
		"ETCDCTL_INSECURE_SKIP_VERIFY": "true",
		"ETCDCTL_KEY":                  other.KeyFile,
		"ETCDCTL_PASSWORD":             "planted",
		"ETCDCTL_USER":                 "planted:planted",
	}
}

// startRecorded returns a configuration for a real etcd behind a server that speaks TLS and records what the
// receiver asks.
func startRecorded(t *testing.T, recorder *recordtest.Recorder) *Config {
	t.Helper()
	etcd, client := startEtcd(t, lab.ServerOptions{})
	lease, err := client.Grant(t.Context(), 3600)
	require.NoError(t, err)
	set(t, client, "/app/a", "1", clientv3.WithLease(lease.ID))
	member, err := url.Parse(etcd.Endpoints[0])
	require.NoError(t, err)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	certificate := recordtest.NewCertificate(t, "127.0.0.1")
	server := recordtest.StartTLS(t, certificate, recorder.Handler(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(member) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}))
	cfg := configFor(server.URL)
	cfg.TLS.CAFile = certificate.File
	return cfg
}

func TestAllEnvironmentVariablesOfEtcdsClientAreKnown(t *testing.T) {
	known := slices.Collect(maps.Keys(environment(t)))
	assert.Subset(t, known, envtest.Variables(t, "ETCD_", "-find", "go.etcd.io/etcd/client/v3/...", "go.etcd.io/etcd/client/pkg/v3/..."))
	for _, name := range []string{"HTTPS_PROXY", "SSL_CERT_FILE", "GRPC_*", "ETCD_CLIENT_DEBUG"} {
		assert.Contains(t, readmetest.Read(t), "\n| `"+name+"`", "a row of the README's table of environment variables")
	}
}

// gRPC and etcd's client read their variables once, when the process starts.
func TestEnvironmentVariablesThatAreNotDocumentedHaveNoEffect(t *testing.T) {
	if envtest.IsChild() {
		observeRecorded(t)
		return
	}
	var recorder recordtest.Recorder
	cfg := startRecorded(t, &recorder)
	file := filepath.Join(t.TempDir(), "series")
	run := func(t *testing.T, variables ...string) (requests, series []string) {
		t.Helper()
		recorder.Reset()
		envtest.Rerun(t, append(variables, "RECORDED_ENDPOINT="+cfg.Endpoints[0], "RECORDED_CA="+cfg.TLS.CAFile, "RECORDED_SERIES="+file)...)
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		return recorder.Requests(), strings.Split(string(content), "\n")
	}
	requests, series := run(t)
	require.Contains(t, strings.Join(requests, "\n"), "message of /etcdserverpb.Watch/Watch: ")

	all := func(value string, names ...string) (variables []string) {
		for _, name := range names {
			variables = append(variables, name+"="+value)
		}
		return variables
	}
	var set, names []string
	for name, value := range environment(t) {
		set, names = append(set, name+"="+value), append(names, name)
	}
	ofGRPC := envtest.Variables(t, "GRPC_", "-deps", "go.etcd.io/etcd/client/v3")
	for name, variables := range map[string][]string{
		"of etcd":                    set,
		"of etcd that are malformed": all("planted:// %zz", names...),
		"of gRPC that are true":      all("true", ofGRPC...),
		"of gRPC that are false":     all("false", ofGRPC...),
		"of gRPC that are 1":         all("1", ofGRPC...),
	} {
		gotRequests, gotSeries := run(t, variables...)
		assert.Equal(t, requests, gotRequests, name)
		assert.Equal(t, series, gotSeries, name)
	}
}

// observeRecorded runs a receiver until it has observed what there is, and writes down what it makes of it.
func observeRecorded(t *testing.T) {
	t.Helper()
	cfg := configFor(os.Getenv("RECORDED_ENDPOINT"))
	cfg.TLS.CAFile = os.Getenv("RECORDED_CA")
	o := observe(t, cfg)
	o.Eventually(t, "the key", o.HasValue(1, "etcd.key.count"))
	o.Eventually(t, "the lease", o.HasValue(1, "etcd.lease.count"))
	o.Eventually(t, "the locks", o.HasValue(0, "etcd.lock.holder.count"))
	o.Eventually(t, "the compacted revision", func() bool { return o.HasMetric("etcd.compact_revision") })
	before := len(o.Metrics.AllMetrics())
	o.Eventually(t, "more cycles", func() bool { return len(o.Metrics.AllMetrics()) > before+5 })
	require.Empty(t, o.Trouble())
	series := slices.DeleteFunc(o.Series("etcd.member.response_time"), func(series string) bool {
		name, _, _ := strings.Cut(series, "map[")
		return !slices.Contains([]string{
			"etcd.alarm.count", "etcd.compact_revision", "etcd.key.changes", "etcd.key.count", "etcd.key.size", "etcd.lease.count",
			"etcd.lease.ends", "etcd.lease.grants", "etcd.lease.key.count", "etcd.lock.acquisitions", "etcd.lock.holder.count",
			"etcd.member.count", "etcd.member.leader", "etcd.member.up", "etcd.raft.has_leader", "etcd.writes", "etcd.unobserved.count",
			"etcd.member.response_time",
		}, name)
	})
	require.NoError(t, os.WriteFile(os.Getenv("RECORDED_SERIES"), []byte(strings.Join(series, "\n")), 0o600))
}

// No variable makes the receiver trust a server that the configuration does not.
func TestTheEnvironmentTrustsNoServer(t *testing.T) {
	var recorder recordtest.Recorder
	cfg := startRecorded(t, &recorder)
	for name, value := range environment(t) {
		t.Setenv(name, value)
	}
	t.Setenv("ETCDCTL_CACERT", cfg.TLS.CAFile)
	cfg.TLS.CAFile = recordtest.NewCertificate(t, "another authority").File
	o := observe(t, cfg)
	o.Eventually(t, "it is down", o.has("etcd.member.up", cfg.Endpoints[0], 0))
	o.Eventually(t, "the error", func() bool { return strings.Contains(o.Trouble(), "certificate") })
	assert.Empty(t, recorder.Requests())
}

// gRPC uses the proxy of the environment, as it does for every component of the collector.
func TestTheProxyOfTheEnvironment(t *testing.T) {
	if envtest.IsChild() {
		cfg := configFor("http://etcd.example:2379")
		o := observe(t, cfg)
		o.Eventually(t, "it is down", o.has("etcd.member.up", cfg.Endpoints[0], 0))
		return
	}
	var proxy recordtest.Recorder
	server := httptest.NewServer(proxy.Handler(http.NotFoundHandler()))
	defer server.Close()
	const call = "CONNECT etcd.example:2379 HTTP/1.1"
	for _, tc := range []struct {
		variables []string
		want      []string
	}{
		{[]string{"HTTPS_PROXY=" + server.URL}, []string{call}},
		{[]string{"HTTPS_PROXY=" + server.URL, "NO_PROXY=etcd.example"}, nil},
		{[]string{"HTTP_PROXY=" + server.URL}, nil},
	} {
		proxy.Reset()
		envtest.Rerun(t, tc.variables...)
		var got []string
		for _, request := range proxy.Requests() {
			line, _, _ := strings.Cut(request, "\n")
			got = append(got, line)
		}
		assert.Equal(t, tc.want, got, "%v", tc.variables)
	}
}
