// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
)

const etcdMetricsGuide = "../docs/guides/etcd-metrics.md"

// mixinSeries are series that the alerts of etcd-mixin use, with the labels that they select.
var mixinSeries = []string{
	`up\{`,
	`etcd_server_has_leader\{`,
	`etcd_server_leader_changes_seen_total\{`,
	`grpc_server_handled_total\{.*grpc_code="OK",grpc_method="Range".*grpc_type="unary"`,
	`grpc_server_handling_seconds_bucket\{.*grpc_method="Range".*grpc_type="unary".*le="`,
	`etcd_network_peer_round_trip_time_seconds_bucket\{To=".*le="`,
	`etcd_server_proposals_failed_total\{`,
	`etcd_disk_wal_fsync_duration_seconds_bucket\{.*le="0\.001"`,
	`etcd_disk_backend_commit_duration_seconds_bucket\{.*le="0\.001"`,
	`etcd_mvcc_db_total_size_in_bytes\{`,
	`etcd_mvcc_db_total_size_in_use_in_bytes\{`,
	`etcd_server_quota_backend_bytes\{`,
}

// The guide's configuration scrapes a member that asks clients for a certificate, and all
// metrics arrive under etcd's own names, those of etcd-mixin's alerts among them. Only
// counters without _total get it.
func TestTheMetricsOfEtcdItself(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run make test")
	}
	ports, err := lab.FreePorts(1)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{TLS: &lab.TLS{Mutual: true}, ExtraArgs: []string{
		"--metrics=extensive", "--listen-metrics-urls=https://" + address,
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	snippets := snippetsOf(t, etcdMetricsGuide)
	require.Len(t, snippets, 1)
	a := startConfigured(t, snippets, "ETCD_METRICS_ADDRESS="+address, "ETCD_METRICS_SCHEME=https",
		"ETCD_METRICS_CA_FILE="+etcd.TLS.CA, "ETCD_METRICS_CERT_FILE="+etcd.TLS.Cert, "ETCD_METRICS_KEY_FILE="+etcd.TLS.Key)
	requireExported(t, a.applications, `(?m)^up\{.*job="etcd".*\} 1(\.0)?$`)
	for _, series := range mixinSeries {
		if !strings.Contains(series, "peer") && !strings.Contains(series, "grpc") { // It has no peer, and nobody has asked it.
			requireExported(t, a.applications, `(?m)^`+series)
		}
	}
	page := readAs(t, etcd.TLS, "https://"+address+"/metrics")
	exported := read("http://" + a.applications + "/metrics")
	families := regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, families)
	var renamed []string
	for _, family := range families {
		name := family[1]
		if family[2] == "counter" && !strings.HasSuffix(name, "_total") {
			renamed = append(renamed, name)
			name += "_total"
		}
		assert.True(t, regexp.MustCompile(`(?m)^`+name+`(_count)?[ {]`).MatchString(exported), name)
	}
	assert.ElementsMatch(t, []string{
		"etcd_server_health_failures", "etcd_server_health_success", "etcd_server_learner_promote_successes",
	}, renamed, "the guide lists them")
}

// Of three members that serve plain HTTP at their client URLs, and are asked.
func TestTheMetricsOfEtcdMembersWithPeers(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd; run make test")
	}
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{Members: 3, ExtraArgs: []string{"--metrics=extensive"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	endpoints := strings.Join(etcd.Endpoints, ",")
	a := startConfigured(t, snippetsOf(t, etcdMetricsGuide), "ETCD_ENDPOINTS="+endpoints, "ETCD_LOCK_PREFIXES=/locks/",
		"ETCD_METRICS_ADDRESS="+strings.TrimPrefix(etcd.Endpoints[0], "http://"))
	for _, series := range mixinSeries {
		requireExported(t, a.applications, `(?m)^`+series)
	}
}

// readAs reads a page with a client certificate.
func readAs(t *testing.T, files lab.TLSFiles, url string) string {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	require.NoError(t, err)
	ca, err := os.ReadFile(files.CA)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
