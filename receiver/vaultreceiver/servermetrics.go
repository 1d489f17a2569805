// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package vaultreceiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/vaultreceiver/internal/telemetry"
)

const (
	// serverMetrics is the name under which it is said that Vault does not tell
	// its own metrics.
	serverMetrics = "server metrics"

	// maxPage is the size of a page at which reading it is given up. That of a
	// Vault with a hundred mounts has a hundredth of it.
	maxPage = 16 << 20

	// plainFor is how often the page is not asked for in the format of Prometheus
	// after that was refused: it takes a restart of Vault to change that.
	plainFor = 6

	saysNotEnabled = "prometheus is not enabled"
)

var errPlain = errors.New("vault does not tell its metrics in the format of prometheus: set prometheus_retention_time to more than 0 in its telemetry stanza")

// page is what Vault's own metrics tell.
type page struct {
	at          time.Time
	leases      int64
	leasesKnown bool

	counted  bool // whether what follows is known
	refusals state.Refusals
	own      pmetric.MetricSlice
}

// pages reads the metrics that Vault has of its own, once for all who need them.
type pages struct {
	w *watcher

	mu         sync.Mutex // held while it is asked
	last       answer[page]
	plain      int // so many times it is not asked for in the format of Prometheus
	beginnings state.Beginnings
}

// newest returns a page that is not older than age.
func (p *pages) newest(ctx context.Context, age time.Duration) (page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	possible, _ := p.w.possible()
	if possible && p.last.fresh(time.Now(), age) {
		return p.last.value, true
	}
	return poll(ctx, p.w, endpointMetrics, possible, &p.last, p.read)
}

// read asks for the page, and where Vault does not give that, for its own format,
// which tells the number of leases.
func (p *pages) read(ctx context.Context) (page, error) {
	own := p.w.cfg.ScrapeServerMetrics
	if p.plain == 0 {
		read, err := p.w.client.Page(ctx)
		if !errors.Is(err, errPlain) {
			return p.take(read, err)
		}
		p.plain = plainFor
	}
	p.plain--
	if own {
		p.w.Condition.Set(serverMetrics, fmt.Errorf("%w, or scrape_server_metrics to false", errPlain))
	}
	leases, known, err := p.w.client.Leases(ctx)
	return page{at: time.Now(), leases: leases, leasesKnown: known}, err
}

func (p *pages) take(read telemetry.Page, err error) (page, error) {
	if err != nil {
		return page{}, err
	}
	now := time.Now()
	taken := page{at: now, counted: true, refusals: read.Refusals()}
	taken.leases, taken.leasesKnown = read.Leases()
	if p.w.cfg.ScrapeServerMetrics {
		taken.own, err = read.ServerMetrics(now, &p.beginnings)
		p.w.Condition.Set(serverMetrics, err)
	}
	return taken, nil
}

// scrapePage records what Vault's own metrics tell, unless nobody wants it, and
// returns those that are taken over.
func (s *metricsScraper) scrapePage(ctx context.Context, now pcommon.Timestamp) (own pmetric.MetricSlice) {
	leases := s.cfg.Metrics.Metrics.VaultLeaseCount.Enabled && s.cfg.Leases.Mode != ModeOff
	if !leases && !s.cfg.ScrapeServerMetrics {
		return pmetric.NewMetricSlice()
	}
	// Quotas may have asked for it at the same time.
	read, ok := s.Observer.pages.newest(ctx, s.cfg.Scrape.CollectionInterval/2)
	if ok && leases && read.leasesKnown {
		telemetry.RecordLeases(s.builder, now, read.leases)
	}
	if !ok || !read.counted || !s.cfg.ScrapeServerMetrics {
		return pmetric.NewMetricSlice()
	}
	own = pmetric.NewMetricSlice()
	read.own.CopyTo(own) // The page may serve the next cycle, too.
	return own
}

// Page returns Vault's own metrics, in the format of Prometheus.
func (c *client) Page(ctx context.Context) (telemetry.Page, error) {
	authenticated, err := c.authenticated()
	if err != nil {
		return telemetry.Page{}, err
	}
	response, err := authenticated.read(ctx, endpointMetrics, map[string][]string{"format": {"prometheus"}})
	if refusesFormat(err) {
		_ = response.Body.Close() // It was read.
		c.requests.Count(endpointMetrics, nil)
		return telemetry.Page{}, errPlain
	}
	if err != nil {
		var nothing any
		_, err = take(endpointMetrics, "read", response, err, &nothing)
		c.requests.Count(endpointMetrics, err)
		return telemetry.Page{}, err
	}
	defer response.Body.Close()
	read, err := readPage(response.Response)
	if err != nil {
		err = fmt.Errorf("%s: %w", endpointMetrics, err)
	}
	c.requests.Count(endpointMetrics, err)
	return read, err
}

func refusesFormat(err error) bool {
	var refused *api.ResponseError
	return errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest &&
		slices.ContainsFunc(refused.Errors, func(said string) bool { return strings.Contains(said, saysNotEnabled) })
}

func readPage(response *http.Response) (telemetry.Page, error) {
	if kind := expfmt.ResponseFormat(response.Header).FormatType(); kind != expfmt.TypeTextPlain {
		return telemetry.Page{}, fmt.Errorf("%w: it is of type %q", errForeign, response.Header.Get("Content-Type"))
	}
	families, err := parsePage(response)
	if err != nil {
		return telemetry.Page{}, err
	}
	return telemetry.NewPage(families)
}

func parsePage(response *http.Response) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(http.MaxBytesReader(nil, response.Body, maxPage))
	var large *http.MaxBytesError
	var parse expfmt.ParseError
	switch {
	case errors.As(err, &large):
		return nil, fmt.Errorf("the page is larger than %d MiB: exclude what nobody needs with prefix_filter in vault's telemetry stanza", maxPage>>20)
	case errors.As(err, &parse):
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	return families, err
}
