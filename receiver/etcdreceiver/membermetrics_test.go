// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/filter"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/observedtest"
	"github.com/otelcol-infra/otelcol-infra/internal/watch"
	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
)

// listed returns the names of all metrics that member-metrics.md lists, which a
// test of the telemetry package keeps equal to the code.
func listed(t *testing.T) (names []string) {
	t.Helper()
	file, err := os.ReadFile("member-metrics.md")
	require.NoError(t, err)
	for _, row := range regexp.MustCompile("(?m)^\\| `(etcd[a-z_.]+)` \\| `[^`]+` \\| [a-z]").FindAllStringSubmatch(string(file), -1) {
		names = append(names, row[1])
	}
	require.NotEmpty(t, names)
	return names
}

// newest returns the metrics of a member in the newest batch, by name.
func (o *observed) newest(endpoint string) map[string]pmetric.Metric {
	named := map[string]pmetric.Metric{}
	all := o.Metrics.AllMetrics()
	if len(all) == 0 {
		return named
	}
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		if value(rm.Resource().Attributes(), "service.instance.id") != address.HostPort(endpoint) {
			continue
		}
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			named[m.Name()] = m
		}
	}
	return named
}

func TestTheOwnMetricsOfRealMembers(t *testing.T) {
	etcd, _ := startEtcd(t, lab.ServerOptions{Members: 3})
	cfg := configFor(etcd.Endpoints...)
	cfg.ScrapeMemberMetrics = true
	o := observe(t, cfg)
	late := map[string]bool{ // What a fresh and healthy cluster has not.
		"etcd.grpc.request.duration": true, "etcd.peer.disconnects": true, "etcd.peer.failures": true,
	}
	for _, endpoint := range etcd.Endpoints {
		for _, name := range listed(t) {
			if !late[name] {
				o.Eventually(t, name, func() bool { _, ok := o.newest(endpoint)[name]; return ok })
			}
		}
		named := o.newest(endpoint)
		assert.Contains(t, named, "etcd.member.up", "they are on the same resource")
		fsync := named["etcd.wal.fsync.duration"].Histogram().DataPoints().At(0)
		assert.Positive(t, fsync.Count())
		began := fsync.StartTimestamp().AsTime()
		assert.WithinDuration(t, time.Now(), began, 10*time.Minute)
		assert.Positive(t, named["etcd.raft.committed_proposals"].Sum().DataPoints().At(0).IntValue())
		o.Eventually(t, "a point for each peer, which are probed in turn", func() bool {
			return o.newest(endpoint)["etcd.peer.round_trip.duration"].Histogram().DataPoints().Len() == 2
		})
	}
	assert.Empty(t, o.Trouble())
}

func TestTheOwnMetricsAreOffByDefault(t *testing.T) {
	etcd, _ := startEtcd(t, lab.ServerOptions{})
	o := observe(t, configFor(etcd.Endpoints...))
	o.Eventually(t, "metrics", o.has("etcd.member.up", etcd.Endpoints[0], 1))
	assert.NotContains(t, o.newest(etcd.Endpoints[0]), "etcd.wal.fsync.duration")
}

func TestAMemberWhosePageFailsKeepsItsOtherMetrics(t *testing.T) {
	etcd, _ := startEtcd(t, lab.ServerOptions{})
	absent := "http://127.0.0.1:1"
	cfg := configFor(etcd.Endpoints[0], absent)
	cfg.ScrapeMemberMetrics = true
	o := observe(t, cfg)
	o.Eventually(t, "its condition", func() bool { return o.Warnings("metrics of 127.0.0.1:1") > 0 })
	o.Eventually(t, "the other member's own", func() bool {
		_, ok := o.newest(etcd.Endpoints[0])["etcd.wal.fsync.duration"]
		return ok
	})
	assert.Contains(t, o.newest(absent), "etcd.member.up")
	assert.Contains(t, o.Trouble(), "metrics of 127.0.0.1:1: http://127.0.0.1:1/metrics: ")
}

const page = `# TYPE etcd_server_has_leader gauge
etcd_server_has_leader 1
# TYPE etcd_server_proposals_pending gauge
etcd_server_proposals_pending 3
`

func servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, page)
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func collectFrom(t *testing.T, cfg *Config, endpoint string) (pmetric.MetricSlice, error) {
	t.Helper()
	cfg.Endpoints = []string{endpoint}
	tlsConfig, err := cfg.loadTLS(t.Context())
	require.NoError(t, err)
	m := newMemberMetrics(cfg, tlsConfig)
	defer m.close()
	return m.collect(t.Context(), endpoint)
}

func TestAPageThatIsThere(t *testing.T) {
	for name, endpoint := range map[string]string{
		"as it is": serve(t, servePage),
		"under a path": serve(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "/metrics", r.URL.Path)
			assert.Equal(t, "text/plain;version=0.0.4", r.Header.Get("Accept"))
			servePage(w, r)
		}) + "/",
		"without a scheme": strings.TrimPrefix(serve(t, servePage), "http://"),
		"compressed": serve(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(compress(t, page))
		}),
	} {
		t.Run(name, func(t *testing.T) {
			metrics, err := collectFrom(t, defaultConfig(), endpoint)
			require.NoError(t, err)
			require.Equal(t, 1, metrics.Len())
			assert.Equal(t, "etcd.raft.pending_proposal.count", metrics.At(0).Name())
			assert.Equal(t, int64(3), metrics.At(0).Sum().DataPoints().At(0).IntValue())
		})
	}
}

func compress(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestPagesThatCannotBeRead(t *testing.T) {
	large := page + strings.Repeat("# "+strings.Repeat("nothing but a comment ", 500)+"\n", maxPage/10_000)
	answer := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, text)
		}
	}
	for reason, handler := range map[string]http.HandlerFunc{
		"answered 404 Not Found: set endpoints to client URLs":                                                    http.NotFound,
		"redirected within the server, which is not followed: set endpoints to the URL of the API itself":         func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		`a page of type "text/html", which is not that`:                                                           answer("text/html", "<html>"),
		"the page is not that of an etcd: set endpoints to the client URLs of members: text format parsing error": answer("text/plain", "{\"a\": 1}\n"),
		"/metrics: the page is not that of an etcd: set endpoints to the client URLs of members":                  answer("text/plain", "go_goroutines 1\n"),
		"not that of an etcd: set endpoints to the client URLs of members":                                        answer("text/plain", ""),
		"not that of an etcd: set endpoints to the client URLs":                                                   answer("text/plain", "{}\n"),
		"not that of an etcd: set endpoints to the":                                                               answer("text/plain", "null\n"),
		`a page of type "application/json"`:                                                                       answer("application/json", "{}"),
		"the page is larger than 16 MiB":                                                                          answer("text/plain", large),
		"page is larger than 16 MiB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(compress(t, large))
		},
		"unexpected EOF": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, page)
		},
	} {
		t.Run(reason, func(t *testing.T) {
			endpoint := serve(t, handler)
			cfg := defaultConfig()
			cfg.Scrape.Timeout = time.Minute
			metrics, err := collectFrom(t, cfg, endpoint)
			require.ErrorContains(t, err, reason)
			require.ErrorContains(t, err, endpoint+"/metrics: ")
			assert.Zero(t, metrics.Len())
		})
	}
}

func TestAPageThatHangs(t *testing.T) {
	half := serve(t, func(w http.ResponseWriter, r *http.Request) {
		servePage(w, r)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for name, endpoint := range map[string]string{"at once": "http://" + observedtest.Hang(t), "in the middle": half} {
		t.Run(name, func(t *testing.T) {
			cfg := defaultConfig()
			cfg.Scrape.Timeout = 100 * time.Millisecond
			began := time.Now()
			_, err := collectFrom(t, cfg, endpoint)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, endpoint)
			assert.Less(t, time.Since(began), soon)
		})
	}
}

func TestWhatShutdownCutsOffSaysNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newMemberMetrics(defaultConfig(), nil)
	endpoint := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := m.collect(ctx, endpoint)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAPageOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(servePage))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return file
	}
	cert, keyFile := write("cert.pem", "CERTIFICATE", pair.Certificate[0]), write("key.pem", "PRIVATE KEY", key)

	cfg := defaultConfig()
	cfg.TLS.CAFile, cfg.TLS.CertFile, cfg.TLS.KeyFile = cert, cert, keyFile
	metrics, err := collectFrom(t, cfg, server.URL)
	require.NoError(t, err)
	assert.Equal(t, 1, metrics.Len())

	cfg.TLS.CAFile = ""
	_, err = collectFrom(t, cfg, server.URL)
	require.ErrorContains(t, err, "certificate signed by unknown authority")
	cfg = defaultConfig()
	cfg.TLS.CAFile = cert
	_, err = collectFrom(t, cfg, server.URL)
	require.ErrorContains(t, err, "certificate required")
}

func TestAFilterLeavesOutTheOwnMetricsToo(t *testing.T) {
	cfg := defaultConfig()
	cfg.ScrapeMemberMetrics = true
	cfg.Metrics.ResourceAttributes.ServiceName.MetricsExclude = []filter.Config{{Strict: "etcd"}}
	cfg.Endpoints = []string{serve(t, servePage)}
	settings := receivertest.NewNopSettings(metadata.Type)
	shared, err := watch.NewSignals(newWatcher).Watcher(settings, cfg)
	require.NoError(t, err)
	s := newScraper(cfg, settings, shared)
	require.NoError(t, s.Start(t.Context(), componenttest.NewNopHost()))
	assert.Zero(t, s.Scrape(t.Context()).ResourceMetrics().Len())
	require.NoError(t, s.Shutdown(t.Context()))
}
