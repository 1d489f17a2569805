// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two applications that describe a metric differently, as those with different versions
// of a client library do: the exporter would log that for each series in each scrape.
func TestDifferentDescriptionsOfAMetricDoNotFloodTheLog(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the built collector; run make test")
	}
	t.Parallel()
	const scrapes = 5
	instances := map[string]string{}
	for instance, help := range map[string]string{"old": "Requests.", "new": "Total number of requests."} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			fmt.Fprintf(w, "# HELP http_requests_total %s\n# TYPE http_requests_total counter\n", help)
			for _, code := range []string{"200", "404", "500"} {
				fmt.Fprintf(w, "http_requests_total{code=%q} 1\n", code)
			}
		}))
		t.Cleanup(server.Close)
		instances[instance] = strings.TrimPrefix(server.URL, "http://")
	}
	targets := filepath.Join(t.TempDir(), "targets.json")
	scrape(t, targets, instances)
	a := startAlone(t, "SCRAPE_TARGETS_FILE="+targets)
	series := func() int {
		return strings.Count(read("http://"+a.applications+"/metrics"), "\nhttp_requests_total{")
	}
	require.Eventually(t, func() bool { return series() == 6 }, soon, 200*time.Millisecond)
	for range scrapes {
		assert.Equal(t, 6, series(), "no series is lost over it")
	}
	assert.Zero(t, strings.Count(a.collector.LogTail(10_000), "description conflict"), "lines in %d scrapes", scrapes)
}
