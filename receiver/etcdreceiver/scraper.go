// Copyright The otelcol-infra Authors
// SPDX-License-Identifier: Apache-2.0

package etcdreceiver

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-infra/otelcol-infra/internal/address"
	"github.com/otelcol-infra/otelcol-infra/internal/condition"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/metadata"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/state"
	"github.com/otelcol-infra/otelcol-infra/receiver/etcdreceiver/internal/telemetry"
)

// metricsScraper makes the metrics: one request to each member a cycle, and one
// for its own metrics.
type metricsScraper struct {
	cfg       *Config
	condition *condition.Reporter
	builder   *metadata.MetricsBuilder
	members   []*member
	own       *memberMetrics // nil unless they are asked for

	life      context.Context
	interrupt context.CancelFunc
}

// member is a member of the cluster, as it is configured.
type member struct {
	endpoint string
	client   *client
	last     state.Member // as it last answered
	own      pmetric.MetricSlice
}

func newScraper(cfg *Config, settings receiver.Settings) *metricsScraper {
	s := &metricsScraper{
		cfg:       cfg,
		condition: condition.NewReporter(settings.Logger),
		builder:   metadata.NewMetricsBuilder(cfg.Metrics, settings),
	}
	s.life, s.interrupt = context.WithCancel(context.Background())
	return s
}

// Start makes the clients; an absent member is found at the first scrape.
func (s *metricsScraper) Start(ctx context.Context, host component.Host) error {
	s.condition.AddHost(host)
	tlsConfig, err := s.cfg.loadTLS(ctx)
	if err != nil {
		return err
	}
	if s.cfg.ScrapeMemberMetrics {
		s.own = newMemberMetrics(s.cfg, tlsConfig)
	}
	for _, endpoint := range s.cfg.Endpoints {
		s.members = append(s.members, &member{endpoint: endpoint, client: newClient(s.life, s.cfg, tlsConfig, endpoint)})
	}
	return nil
}

// Shutdown ends the connections.
func (s *metricsScraper) Shutdown(context.Context) error {
	s.interrupt()
	for _, m := range s.members {
		m.client.close()
	}
	if s.own != nil {
		s.own.close()
	}
	return nil
}

// Scrape reports each member that fails as this component's condition; the
// metrics of the others still come.
func (s *metricsScraper) Scrape(ctx context.Context) pmetric.Metrics {
	// A login in progress listens to the life of the clients only.
	defer context.AfterFunc(ctx, s.interrupt)()
	errs, ownErrs := s.ask(ctx)
	if ctx.Err() != nil {
		return pmetric.NewMetrics() // What Shutdown cut off says nothing about the members.
	}
	now := pcommon.NewTimestampFromTime(time.Now())
	metrics := pmetric.NewMetrics()
	for i, m := range s.members {
		s.condition.Set(statusOf+address.HostPort(m.endpoint), errs[i])
		telemetry.RecordUp(s.builder, now, errs[i] == nil)
		if errs[i] == nil {
			telemetry.RecordMember(s.builder, now, m.last)
		}
		part := s.builder.Emit(metadata.WithResource(memberResource(s.builder.NewResourceBuilder(), m.endpoint, m.last)))
		if s.own != nil {
			s.condition.Set(metricsOf+address.HostPort(m.endpoint), ownErrs[i])
			joinMemberMetrics(part, m.own)
		}
		part.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
	}
	return metrics
}

// ask asks all members at once, and returns the errors of each: of its status,
// and of its own metrics.
func (s *metricsScraper) ask(ctx context.Context) (errs, ownErrs []error) {
	errs, ownErrs = make([]error, len(s.members)), make([]error, len(s.members))
	var answers sync.WaitGroup
	for i, m := range s.members {
		answers.Go(func() {
			answer, err := m.client.Status(ctx)
			if errs[i] = err; err == nil {
				m.last = answer
			}
		})
		if s.own != nil {
			answers.Go(func() { m.own, ownErrs[i] = s.own.collect(ctx, m.endpoint) })
		}
	}
	answers.Wait()
	return errs, ownErrs
}
