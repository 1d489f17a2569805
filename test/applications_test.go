// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
)

// An application with OpenTelemetry's SDK as it is by default, which exports each
// minute, has its series in each of Prometheus' scrapes for more than two minutes.
// Those of a server that is gone end meanwhile. Both with the shipped expirations.
func TestSeriesOfApplicationsStayAndThoseOfADeadServerEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real etcd and Prometheus; run make test")
	}
	t.Parallel()
	const window = 130 * time.Second
	prometheus, err := lab.StartPrometheus(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prometheus.Stop(context.Background())) })
	etcd, err := lab.StartEtcd(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, etcd.Stop(context.Background())) })
	a := startAlone(t, "ETCD_ENDPOINTS="+etcd.Endpoints[0], "COLLECTION_INTERVAL=10s", "METRIC_EXPIRATION=30s")
	require.NoError(t, prometheus.Scrape(a.metrics, a.applications))

	exporter, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL("http://"+a.otlpHTTP+"/v1/metrics"))
	require.NoError(t, err)
	provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter)),
		metric.WithResource(resource.NewSchemaless(semconv.ServiceName("till"), semconv.ServiceInstanceID("till-1"))))
	t.Cleanup(func() { assert.NoError(t, provider.Shutdown(context.Background())) })
	meter := provider.Meter("till")
	orders, err := meter.Int64Counter("orders")
	require.NoError(t, err)
	duration, err := meter.Float64Histogram("order.duration")
	require.NoError(t, err)
	fill, err := meter.Float64Gauge("drawer.fill")
	require.NoError(t, err)
	orders.Add(t.Context(), 1)
	duration.Record(t.Context(), 0.2)
	fill.Record(t.Context(), 0.5)

	value := func(query string) (float64, bool) {
		series, err := readback.Prometheus(prometheus.URL).Query(t.Context(), query)
		if err != nil || len(series) != 1 {
			return 0, false
		}
		return series[0].Value, true
	}
	// Two libraries of one application may use the same metric.
	for _, library := range []string{"till", "scale"} {
		sold, err := provider.Meter(library).Int64Counter("sold")
		require.NoError(t, err)
		sold.Add(t.Context(), 1)
	}
	require.NoError(t, provider.ForceFlush(t.Context())) // Instead of a minute's wait for the first.

	series := []string{`orders_total{job="till"}`, `order_duration_count{job="till"}`, `drawer_fill{job="till"}`}
	for _, s := range append(series, `etcd_member_leader{job="etcd"} == 1`) {
		require.Eventually(t, func() bool { _, ok := value(s); return ok }, soon, 500*time.Millisecond, s)
	}
	require.NoError(t, etcd.Members[0].Kill())
	time.Sleep(window)

	for _, s := range series {
		// The scrapes of the window, and those among them that had the series.
		missing, ok := value(fmt.Sprintf(`count_over_time(up{instance=%q}[%[2]s]) - on() count_over_time(%[3]s[%[2]s])`, a.applications, "2m", s))
		assert.True(t, ok, s)
		assert.Zero(t, missing, "scrapes without %s", s)
	}
	both, _ := value(`count(sold_total{job="till"})`)
	assert.InDelta(t, 2, both, 0, "of each library")
	scrapes, _ := value(fmt.Sprintf(`count_over_time(up{instance=%q}[2m])`, a.applications))
	assert.Greater(t, scrapes, 60.0, "or nothing is shown")
	t.Logf("%v scrapes", scrapes)
	_, ok := value(`etcd_member_leader{job="etcd"}`)
	assert.False(t, ok, "nobody leads who is gone")
	down, ok := value(`etcd_member_up{job="etcd"}`)
	assert.True(t, ok)
	assert.Zero(t, down)
	assert.NotContains(t, a.exposition(), "etcd_db_size")
	assert.NotContains(t, a.exposition(), `job="till"`, "applications have an exporter of their own")
}
