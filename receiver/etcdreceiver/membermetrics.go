// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/redirect"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/etcdapi"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/telemetry"
)

// metricsOf begins the name of the condition, which the member follows.
const metricsOf = "metrics of "

// maxPage is the size of a page at which reading it is given up. That of a
// member with all its metrics has a fiftieth of it.
const maxPage = 16 << 20

// memberMetrics reads the metrics that members have of their own. It is safe
// for concurrent use.
type memberMetrics struct {
	http    http.Client
	timeout time.Duration
}

// newMemberMetrics connects to https endpoints as tlsConfig says, which can be
// nil.
func newMemberMetrics(cfg *Config, tlsConfig *tls.Config) *memberMetrics {
	m := &memberMetrics{
		http:    http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig.Clone(), Proxy: proxyOfCalls}},
		timeout: cmp.Or(cfg.Scrape.Timeout, etcdapi.DefaultTimeout),
	}
	redirect.Refuse(&m.http, "endpoints") // Members do not redirect, and whoever does is not one.
	return m
}

// proxyOfCalls returns the proxy that gRPC uses for the member: that for https, whatever the scheme of the endpoint
// is.
func proxyOfCalls(request *http.Request) (*url.URL, error) {
	return http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: request.URL.Host}})
}

func (m *memberMetrics) close() { m.http.CloseIdleConnections() }

// collect returns the selection of a member's own metrics. Its errors name the
// page that was asked for.
func (m *memberMetrics) collect(ctx context.Context, endpoint string) (pmetric.MetricSlice, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	page := strings.TrimSuffix(address.WithScheme(endpoint), "/") + "/metrics"
	metrics, err := m.read(ctx, page)
	if err != nil {
		return pmetric.NewMetricSlice(), fmt.Errorf("%s: %w", page, err)
	}
	return metrics, nil
}

func (m *memberMetrics) read(ctx context.Context, page string) (pmetric.MetricSlice, error) {
	none := pmetric.NewMetricSlice()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
	if err != nil {
		return none, err
	}
	request.Header.Set("Accept", "text/plain;version=0.0.4")
	response, err := m.http.Do(request)
	if err != nil {
		return none, errors.Unwrap(err) // Without the address, which is told already.
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return none, fmt.Errorf("answered %s: set endpoints to client URLs that serve HTTP too, or scrape_member_metrics to false", response.Status)
	}
	if expfmt.ResponseFormat(response.Header).FormatType() != expfmt.TypeTextPlain {
		return none, fmt.Errorf("answered with a page of type %q, which is not that of an etcd: set endpoints to the client URLs of members",
			response.Header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(http.MaxBytesReader(nil, response.Body, maxPage))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return none, fmt.Errorf("the page is larger than %d MiB: set endpoints to the client URLs of members", maxPage>>20)
	case ctx.Err() != nil:
		return none, ctx.Err()
	case err != nil:
		return none, fmt.Errorf("the page is not that of an etcd: set endpoints to the client URLs of members: %w", err)
	}
	return telemetry.MemberMetrics(families, pcommon.NewTimestampFromTime(time.Now()))
}
