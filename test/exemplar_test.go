// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-infra/otelcol-infra/lab"
	"github.com/otelcol-infra/otelcol-infra/lab/readback"
	"github.com/otelcol-infra/otelcol-infra/lab/shop"
)

// exemplarConfig has the metrics of one application go three ways: scraped from
// the collector, written by it, and written with exemplars of spans of which the
// sampling did not know yet what becomes of them.
const exemplarConfig = `
extensions:
  health_check:
    endpoint: %[1]s
receivers:
  otlp:
    protocols: {http: {endpoint: %[2]s}}
  prometheus:
    config:
      scrape_configs:
        - job_name: shop
          scrape_interval: 500ms
          static_configs: [{targets: ["%[3]s"]}]
processors:
  exemplar/scraped:
    normalize: {repeated: pass}
    attach: {presets: [http], rules: &rules [REQUESTS], ttl: 1h, repeat: 2s}
  exemplar/written:
    attach: {presets: [http], rules: *rules, ttl: 1h}
  exemplar/early:
    attach: {presets: [http], rules: *rules, ttl: 1h}
  tail_sampling:
    decision_wait: 2s
    policies:
      - {name: fifth, type: probabilistic, probabilistic: {sampling_percentage: 20}}
exporters:
  otlp_grpc/jaeger:
    endpoint: %[4]s
    tls: {insecure: true}
  prometheus:
    endpoint: %[5]s
    enable_open_metrics: true
  prometheus_remote_write/written:
    endpoint: %[6]s/api/v1/write
    external_labels: {way: written}
    max_batch_request_parallelism: 1 # in order
  prometheus_remote_write/early:
    endpoint: %[6]s/api/v1/write
    external_labels: {way: early}
    max_batch_request_parallelism: 1
service:
  extensions: [health_check]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %[7]d}}}}]}}
  pipelines:
    traces: {receivers: [otlp], processors: [exemplar/early, tail_sampling, exemplar/scraped, exemplar/written], exporters: [otlp_grpc/jaeger]}
    metrics/scraped: {receivers: [prometheus], processors: [exemplar/scraped], exporters: [prometheus]}
    metrics/written: {receivers: [prometheus], processors: [exemplar/written], exporters: [prometheus_remote_write/written]}
    metrics/early: {receivers: [prometheus], processors: [exemplar/early], exporters: [prometheus_remote_write/early]}
`

// requestsRule is of the shop's own counter.
const requestsRule = "{name: requests, metrics: [shop_requests], spans: {kinds: [server]}, " +
	"join: [{metric: service.name}, {metric: http.request.method}, {metric: http.route}, {metric: http.response.status_code}]}"

const (
	scrapes        = 50 // that Prometheus makes of the collector
	customers      = 3
	scrapedWay     = ""
	writtenWay     = "written"
	earlyWay       = "early"
	sampledFifth   = 0.2
	exemplarsLeast = 10
)

// market is a shop with what observes it.
type market struct {
	jaeger     *lab.Jaeger
	prometheus *lab.Prometheus
	collector  *lab.Collector
	shop       *shop.Shop

	exporter string // host:port of the Prometheus exporter
	since    time.Time
}

func openMarket(t *testing.T) *market {
	t.Helper()
	bin, dir, m := binary(t), t.TempDir(), &market{since: time.Now()}
	var err error
	m.jaeger, err = lab.StartJaeger(t.Context(), lab.ServerOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.jaeger.Stop(context.Background())) })
	m.prometheus, err = lab.StartPrometheus(t.Context(), lab.ServerOptions{ScrapeInterval: 500 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.prometheus.Stop(context.Background())) })
	require.NoError(t, lab.OnFreePorts(t.Context(), 4, func(ports []int) (err error) {
		at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
		if m.shop, err = shop.Open(t.Context(), "http://"+at(1)); err != nil {
			return err
		}
		content := fmt.Sprintf(strings.ReplaceAll(exemplarConfig, "REQUESTS", requestsRule),
			at(0), at(1), m.shop.Addr, m.jaeger.OTLPGRPC, at(2), m.prometheus.URL, ports[3])
		file := filepath.Join(dir, "config.yaml")
		if err = os.WriteFile(file, []byte(content), 0o600); err == nil {
			m.collector, err = lab.StartCollector(t.Context(), lab.CollectorOptions{
				Binary: bin, Configs: []string{file}, Dir: dir, ReadyURL: "http://" + at(0),
			})
		}
		if err != nil {
			return errors.Join(err, m.shop.Close(context.Background()))
		}
		m.exporter = at(2)
		return m.prometheus.Scrape(m.exporter, at(3), strings.TrimPrefix(m.prometheus.URL, "http://"))
	}))
	t.Cleanup(func() {
		require.NoError(t, m.shop.Close(context.Background()))
		require.NoError(t, m.collector.Stop(context.Background()))
		if t.Failed() {
			t.Logf("collector:\n%s\nprometheus:\n%s", m.collector.LogTail(100), m.prometheus.LogTail(20))
		}
	})
	return m
}

// query returns the one value of a query; false if there is none.
func (m *market) query(t *testing.T, query string) (float64, bool) {
	t.Helper()
	series, err := readback.Prometheus(m.prometheus.URL).Query(t.Context(), query)
	require.NoError(t, err)
	if len(series) == 0 {
		return 0, false
	}
	require.Len(t, series, 1, query)
	return series[0].Value, true
}

// exemplars returns what Prometheus has of a metric that came one way.
func (m *market) exemplars(t *testing.T, metric, way string) []readback.Exemplar {
	t.Helper()
	exemplars, err := readback.Prometheus(m.prometheus.URL).Exemplars(t.Context(), fmt.Sprintf(`%s{job=%q,way=%q}`, metric, shop.Service, way), m.since)
	require.NoError(t, err)
	return exemplars
}

type spanID struct{ trace, span string }

// spans are what Jaeger has of the shop.
func (m *market) spans(t *testing.T) map[spanID]readback.Span {
	t.Helper()
	spans, err := readback.Jaeger(m.jaeger.QueryURL).Spans(t.Context(), shop.Service, m.since)
	require.NoError(t, err)
	all := map[spanID]readback.Span{}
	for _, s := range spans {
		all[spanID{s.TraceID, s.SpanID}] = s
	}
	return all
}

// unresolved returns those exemplars that lead nowhere.
func unresolved(exemplars []readback.Exemplar, spans map[spanID]readback.Span) []readback.Exemplar {
	var lost []readback.Exemplar
	for _, e := range exemplars {
		if _, ok := spans[spanID{e.TraceID, e.SpanID}]; !ok {
			lost = append(lost, e)
		}
	}
	return lost
}

// exposed returns the metrics as the exporter gives them to who scrapes it.
func (m *market) exposed(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+m.exporter+"/metrics", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	families, decoder := map[string]*dto.MetricFamily{}, expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header))
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); errors.Is(err, io.EOF) {
			return families
		} else {
			require.NoError(t, err)
		}
		families[family.GetName()] = &family
	}
}

// openMetrics returns what Prometheus would scrape.
func openMetrics(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeOpenMetrics)))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), "# EOF")
	return string(body)
}

// newest is, by series, the time of the newest exemplar that the exporter gave.
type newest map[string]time.Time

// see fails the test when an exemplar is older than one before it.
func (n newest) see(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	one := func(series string, e *dto.Exemplar) {
		if e == nil {
			return
		}
		at := e.GetTimestamp().AsTime()
		assert.False(t, at.Before(n[series]), "%s went back from %s to %s", series, n[series], at)
		n[series] = at
	}
	for _, metric := range families[shop.Durations].GetMetric() {
		for _, bucket := range metric.GetHistogram().GetBucket() {
			one(fmt.Sprint(metric.GetLabel(), bucket.GetUpperBound()), bucket.GetExemplar())
		}
	}
	for _, metric := range families[shop.Requests].GetMetric() {
		one(fmt.Sprint(metric.GetLabel()), metric.GetCounter().GetExemplar())
	}
}

func TestExemplarsLeadToTracesThatWereSampled(t *testing.T) {
	m := openMarket(t)
	ctx, closing := context.WithCancel(t.Context())
	defer closing()
	type served struct {
		requests int
		err      error
	}
	sold := make(chan served, 1)
	go func() {
		requests, err := m.shop.Serve(ctx, customers)
		sold <- served{requests, err}
	}()

	// Both look at once, and Prometheus looks for itself.
	seen := newest{}
	require.Eventually(t, func() bool {
		seen.see(t, m.exposed(t))
		n, _ := m.query(t, fmt.Sprintf(`count_over_time(up{instance=%q}[5m])`, m.exporter))
		return n >= scrapes
	}, 2*time.Minute, 400*time.Millisecond, "Prometheus has scraped %d times", scrapes)
	closing()
	result := <-sold
	require.NoError(t, result.err)
	assert.NotContains(t, openMetrics(t, "http://"+m.shop.Addr+"/metrics"), "trace_id", "the shop's metrics know no traces")

	const decided = `sum(otelcol_processor_tail_sampling_global_count_traces_sampled%s)`
	require.Eventually(t, func() bool {
		n, _ := m.query(t, fmt.Sprintf(decided, ""))
		return int(n) == result.requests
	}, soon, 500*time.Millisecond, "all traces are sampled or dropped")
	sampled, _ := m.query(t, fmt.Sprintf(decided, `{sampled="true"}`))
	var spans map[spanID]readback.Span
	require.Eventually(t, func() bool {
		spans = m.spans(t)
		return len(spans) == int(sampled)
	}, soon, 500*time.Millisecond, "all sampled traces are in Jaeger")
	attached := fmt.Sprintf(`sum(otelcol_exemplar_attached{processor="exemplar/written",rule=%q})`, "http.server")
	require.Eventually(t, func() bool {
		n, _ := m.query(t, attached)
		return n > 0 && int(n) == len(m.exemplars(t, shop.Durations+"_bucket", writtenWay))
	}, soon, 500*time.Millisecond, "all that was attached is in Prometheus")

	t.Run("most traces were dropped", func(t *testing.T) {
		t.Logf("%d requests, %d traces", result.requests, len(spans))
		assert.InDelta(t, sampledFifth, float64(len(spans))/float64(result.requests), 0.1)
	})

	for name, way := range map[string]string{"scraped": scrapedWay, "written": writtenWay} {
		t.Run(name, func(t *testing.T) {
			exemplars := m.exemplars(t, shop.Durations+"_bucket", way)
			require.GreaterOrEqual(t, len(exemplars), exemplarsLeast)
			assert.Empty(t, unresolved(exemplars, spans), "each leads to a span")
			bounds, used := m.bounds(t, way), map[string]bool{}
			buckets, routes := map[string]bool{}, map[string]bool{}
			for _, e := range exemplars {
				span := spans[spanID{e.TraceID, e.SpanID}]
				fits(t, e, span)
				assert.InDelta(t, span.Duration.Seconds(), e.Value, 1e-9)
				le := number(t, e.Series.Labels["le"])
				i := slices.Index(bounds, le)
				require.NotEqual(t, -1, i)
				assert.LessOrEqual(t, e.Value, le)
				if i > 0 {
					assert.Greater(t, e.Value, bounds[i-1], "in the bucket up to %v", le)
				}
				labels := e.Series.Labels
				buckets[labels["le"]], routes[labels["http_route"]] = true, true
				delete(labels, "le") // Of a histogram.
				once(t, used, e)
			}
			assert.GreaterOrEqual(t, len(buckets), 2)
			assert.GreaterOrEqual(t, len(routes), 2)

			counted := m.exemplars(t, shop.Requests, way)
			assert.NotEmpty(t, counted)
			assert.Empty(t, unresolved(counted, spans), "each leads to a span")
			for _, e := range counted {
				fits(t, e, spans[spanID{e.TraceID, e.SpanID}])
				assert.InDelta(t, 1, e.Value, 0)
				once(t, used, e)
			}
			t.Logf("%d exemplars in %d buckets, %d of the counter", len(exemplars), len(buckets), len(counted))
		})
	}

	t.Run("in the order of time", func(t *testing.T) {
		assert.GreaterOrEqual(t, len(seen), exemplarsLeast)
		for _, refused := range []string{"prometheus_target_scrapes_exemplar_out_of_order_total", "prometheus_tsdb_exemplar_out_of_order_exemplars_total"} {
			n, ok := m.query(t, "sum("+refused+")")
			assert.True(t, ok, refused)
			assert.Zero(t, n, refused)
		}
		assert.NotContains(t, m.prometheus.LogTail(10_000), "out-of-order exemplars")
	})

	t.Run("where it stands matters", func(t *testing.T) {
		early := m.exemplars(t, shop.Durations+"_bucket", earlyWay)
		require.GreaterOrEqual(t, len(early), exemplarsLeast)
		lost := unresolved(early, spans)
		t.Logf("%d of %d exemplars lead nowhere", len(lost), len(early))
		assert.Greater(t, len(lost), len(early)/2)
	})

	t.Run("it tells what it did", func(t *testing.T) {
		of := func(outcome, processor string) float64 {
			n, _ := m.query(t, fmt.Sprintf(`sum(otelcol_exemplar_candidates{processor="exemplar/%s",outcome=~%q})`, processor, outcome))
			return n
		}
		// For the histogram and for the counter; until data points came, without
		// those attributes too that they need not have.
		const least, most = 2, 3
		for _, processor := range []string{"scraped", "written"} {
			kept := of("kept|displaced", processor)
			assert.GreaterOrEqual(t, kept, least*sampled, processor)
			assert.LessOrEqual(t, kept, most*sampled, processor)
		}
		all, _ := m.query(t, fmt.Sprintf(decided, ""))
		assert.Greater(t, all, most*sampled)
		assert.GreaterOrEqual(t, of("kept|displaced", "early"), least*all, "it has seen what was dropped too")
		for _, processor := range []string{"scraped", "written", "early"} {
			assert.Zero(t, of("unsampled|invalid|expired", processor))
		}
	})
}

// Half of it attaches nothing, and says so.
func TestExemplarsInOneSignalOnly(t *testing.T) {
	const settings = "processors: {exemplar: {attach: {presets: [http]}}}\n"
	for name, tc := range map[string]struct{ config, want string }{
		"in no traces pipeline": {
			settings + "service: {pipelines: {traces: {processors: [memory_limiter]}, metrics: {processors: [memory_limiter, exemplar]}}}",
			"exemplar attaches nothing, as it sees no spans: put it into a traces pipeline too, under the same ID and behind tail_sampling",
		},
		"in no metrics pipeline": {
			settings + "service: {pipelines: {traces: {processors: [memory_limiter, exemplar]}, metrics: {processors: [memory_limiter]}, metrics/applications: {processors: [memory_limiter]}}}",
			"exemplar attaches nothing, as it sees no metrics: put it into a metrics pipeline too, under the same ID, or take it out of the traces pipeline",
		},
		"in both": {
			settings + "service: {pipelines: {traces: {processors: [memory_limiter, exemplar]}, metrics: {processors: [memory_limiter, exemplar]}}}", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			require.NoError(t, os.WriteFile(file, []byte(tc.config), 0o600))
			a := startConfigured(t, []string{file})
			health, log := read("http://"+a.health+"/status?verbose"), a.collector.LogTail(1000)
			if tc.want == "" {
				assert.Regexp(t, `"processor:exemplar":\{"healthy":true,"status":"StatusOK"`, health)
				assert.NotContains(t, log, "exemplar attaches nothing")
				return
			}
			assert.Contains(t, health, `"processor:exemplar":{"healthy":true,"status":"StatusRecoverableError","error":"`+tc.want)
			assert.Equal(t, 1, strings.Count(log, tc.want), log)
		})
	}
}

// bounds returns the upper bounds of the buckets that came one way.
func (m *market) bounds(t *testing.T, way string) []float64 {
	t.Helper()
	series, err := readback.Prometheus(m.prometheus.URL).Query(t.Context(), fmt.Sprintf(`count by (le) (%s_bucket{job=%q,way=%q})`, shop.Durations, shop.Service, way))
	require.NoError(t, err)
	var bounds []float64
	for _, s := range series {
		bounds = append(bounds, number(t, s.Labels["le"]))
	}
	slices.Sort(bounds)
	require.True(t, math.IsInf(bounds[len(bounds)-1], 1))
	return bounds
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return n
}

// fits checks that a span is one that the series of an exemplar counts.
func fits(t *testing.T, e readback.Exemplar, span readback.Span) {
	t.Helper()
	assert.Equal(t, "Server", span.Kind)
	for label, attribute := range map[string]string{
		"http_request_method": "http.request.method", "http_route": "http.route", "http_response_status_code": "http.response.status_code",
	} {
		assert.Equal(t, e.Series.Labels[label], fmt.Sprint(span.Attributes[attribute]), attribute)
	}
	assert.WithinDuration(t, span.Start.Add(span.Duration), e.Time, time.Millisecond)
}

// once checks that a span is used once for a series.
func once(t *testing.T, used map[string]bool, e readback.Exemplar) {
	t.Helper()
	use := fmt.Sprint(e.Series, e.TraceID, e.SpanID)
	assert.False(t, used[use], "used twice: %s", use)
	used[use] = true
}
